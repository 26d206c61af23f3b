"""Peers in Java: archives by a lock file of their own into .tools/peers, compiled by Eclipse's compiler, which is a jar
and needs no JDK.

The mapping is the same for all of them (`java-shared`), and those of one set of archives share what lies in
`<set>-shared`.

`python -m benchmarks.peers.java` writes `java.lock` again.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.peers.plan import plan
from benchmarks.peers.work import job
from streams.stack.artifacts import ArtifactStore, read_lock, sha256_of
from streams.stack.lock_artifacts import KAFKA, resolve, write_lock
from streams.stack.packages import java_program

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".tools" / "peers"
LOCK_FILE = Path(__file__).with_name("java.lock")

FLINK = "2.2.1"
FLINK_PARTS = (
    "streaming-java", "clients", "runtime", "core", "core-api", "annotations", "connector-base", "datastream", "datastream-api",
    "file-sink-common", "hadoop-fs", "metrics-core", "queryable-state-client-java", "rpc-akka-loader", "rpc-core", "connector-datagen",
    "table-api-java-bridge", "table-api-bridge-base", "table-api-java", "table-common", "table-runtime", "table-planner-loader",
)  # fmt: skip

WANTED: dict[str, list[str]] = {
    # The phone numbers are those of the same metadata as Python's `phonenumbers`.
    "kafka-streams": [
        f"org.apache.kafka:kafka-streams:{KAFKA}:jar",
        "com.googlecode.libphonenumber:libphonenumber:9.0.43:jar",
        "org.slf4j:slf4j-nop:1.7.36:jar",
    ],
    # All of Flink by name: the nearest version that some archive asks for is another one.
    "flink": [
        *(f"org.apache.flink:flink-{name}:{FLINK}:jar" for name in FLINK_PARTS),
        "org.apache.flink:flink-connector-kafka:5.0.0-2.2:jar",
        "com.googlecode.libphonenumber:libphonenumber:9.0.43:jar",
        "org.slf4j:slf4j-nop:1.7.36:jar",
    ],
    "ecj": ["org.eclipse.jdt:ecj:3.42.0:jar"],
}
SETS = {"kafka-streams": "kafka-streams", "flink": "flink", "flink-sql": "flink"}
"""Each peer with its archives: as in what Flink is shipped as, SQL is there for both of its peers."""
WITHOUT = {"rocksdbjni", "async-profiler"}
"""70 MB for stores that a stateless topology does not have, and a profiler that nobody calls."""

OPTIONS = {
    # As in the configuration that Flink is shipped with, as far as this job needs it.
    "flink": [f"--add-opens=java.base/{p}=ALL-UNNAMED" for p in ("java.lang", "java.util", "java.util.concurrent", "java.net", "java.time")]
}  # fmt: skip


def compiled(peer: str) -> list[str]:
    """Java's command line up to the main class `Peer`; downloads and compiles what is not there or has changed.

    Raises EnvironmentFault when the registry cannot be reached, CalledProcessError when the code does not compile.
    """
    store = ArtifactStore(CACHE, read_lock(LOCK_FILE))
    archives = SETS[peer]
    jars, compiler = store.install(archives), store.install("ecj")
    here = Path(__file__).parent
    sources = sorted(
        s for folder in ("java-shared", f"{archives}-shared", peer) for s in (here / folder).glob("*.java")
    )
    known = "\n".join([str(jars), str(compiler), *(sha256_of(source) for source in sources)])
    classes = CACHE / peer / f"classes-{hashlib.sha256(known.encode()).hexdigest()[:12]}"
    if not classes.is_dir():
        classes.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=classes.parent) as work:
            ecj = [str(java_program()), "-jar", str(next(compiler.glob("ecj-*.jar")))]
            options = ["-21", "-nowarn", "-encoding", "UTF-8", "-d", f"{work}/classes"]
            path = ":".join(str(jar) for jar in sorted(jars.glob("*.jar")))
            subprocess.run([*ecj, *options, "-cp", path, *sources], check=True)
            Path(work, "classes").rename(classes)  # whole or not at all
    return [str(java_program()), "-Xmx1g", *OPTIONS.get(archives, []), "-cp", f"{classes}:{jars}/*", "Peer"]


def run(peer: str) -> int:
    """What a peer's `run.py` does: the plan of the mapping into a file, the topic of the second pass, and the JVM.
    Gives its exit code.

    The guarantee is at least once, as with the other frameworks, or what the script's second argument says.
    """
    one = job()
    admin = AdminClient({"bootstrap.servers": one.bootstrap, "log_level": 0})
    for made in admin.create_topics([NewTopic(f"{one.out}.again", 4, 1)]).values():
        made.result(30)
    guarantee = sys.argv[2] if len(sys.argv) > 2 else "at_least_once"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.json"
        file.write_bytes(msgspec.json.encode(plan(one.schema_id)))
        given = msgspec.json.encode({**msgspec.to_builtins(one), "guarantee": guarantee, "state": folder}).decode()
        java, *options = compiled(peer)
        # The JVM is halted and leaves what it unpacked, of which Flink's planner is 46 MB.
        return subprocess.run([java, f"-Djava.io.tmpdir={folder}", *options, given, file], check=False).returncode


def main() -> None:
    write_lock(
        LOCK_FILE,
        "Java archives of peers: set, coordinate, bytes, sha256. Written by `python -m benchmarks.peers.java`.",
        {name: [a for a in resolve(coordinates) if a[1] not in WITHOUT] for name, coordinates in WANTED.items()},
    )


if __name__ == "__main__":
    main()
