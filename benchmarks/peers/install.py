"""A venv for each peer under .tools/peers, with its pinned version and what the shared work needs. PyPI only, but for
peers in Java.

opshub's own dependencies come without their bounds, so that a peer keeps the versions that it asks for; opshub itself
is read from the checkout.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from benchmarks.peers import java

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = (
    "faust", "quixstreams", "bytewax", "pathway", "kafka-streams", "kafka-streams exactly_once_v2", "flink", "flink exactly_once",
    "flink-sql", "flink-sql exactly_once",
)  # fmt: skip
"""Behind a blank stands what the peer is told besides the job."""


def python_of(peer: str) -> Path:
    return ROOT / ".tools" / "peers" / peer / "bin" / "python"


def install(peer: str) -> Path:
    """The interpreter of the peer's venv, made when it is not there or its requirements have changed; of a peer in
    Java, ours, which starts it.

    Raises CalledProcessError, or EnvironmentFault when archives cannot be fetched.
    """
    if peer.split()[0] in java.SETS:
        java.compiled(peer.split()[0])
        return Path(sys.executable)
    python, wanted = python_of(peer), HERE / peer / "requirements.txt"
    mark = python.parents[1] / "installed.txt"
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted.read_text(encoding="utf-8"):
        return python
    uv = Path(sys.executable).with_name("uv")
    pinned = {line.split("==")[0] for line in wanted.read_text(encoding="utf-8").split()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = [re.split(r"[<>=!~ ]", line)[0] for line in project]
    servers = {"faust-streaming", "mode-streaming"}
    needed = [name for name in names if name not in servers and name.split("[")[0] not in pinned]
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, python.parents[1]], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "-r", wanted, *needed], check=True)
    mark.write_text(wanted.read_text(encoding="utf-8"), encoding="utf-8")
    return python
