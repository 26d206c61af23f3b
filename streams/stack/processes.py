"""Operating-system processes: start them, recognise them later, end them.

A process is recorded in `<state_dir>/run/<name>.json` with its pid and its identity (on Linux the boot and the tick at
which it started). So a pid that the system has given to another process is never ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from streams.errors import EnvironmentFault

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Processes that this one started. They are polled, so that none stays a zombie."""
_children_lock = threading.Lock()


@dataclass(frozen=True)
class ProcessRecord:
    """The record of a process that was started."""

    name: str
    pid: int
    identity: str
    port: int = 0
    fingerprint: str = ""
    """Digest of its settings: `up` restarts a running server whose digest has changed."""


@dataclass(frozen=True)
class OsUser:
    """Another user of this machine that a process runs as."""

    name: str
    uid: int
    gid: int


def identity(pid: int) -> str | None:
    """A text that differs for every process that has or had this pid; None when the process is gone (or a zombie)."""
    try:
        if sys.platform == "linux":
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            # A zombie with threads is a server that is still shutting down and may hold its port.
            gone = fields[0] in "ZX" and int(fields[17]) <= 1
            return None if gone else f"{_boot_id()}/{fields[19]}"
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except (OSError, psutil.Error, IndexError):
        return None


def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return "boot"


def is_alive(record: ProcessRecord) -> bool:
    """True while the process that was started runs, not another one with its pid."""
    with _children_lock:
        child = _children.get(record.pid)
        if child is not None and (child.poll() is not None or identity(record.pid) is None):
            # A child stays a zombie until its exit code is read.
            child.wait()
            del _children[record.pid]
    return identity(record.pid) == record.identity


def spawn(
    name: str,
    command: list[str],
    *,
    log: Path,
    cwd: Path,
    env: dict[str, str] | None = None,
    user: OsUser | None = None,
    port: int = 0,
    fingerprint: str = "",
) -> ProcessRecord:
    """Start `command` in a session of its own, both outputs appended to `log`.

    Raises EnvironmentFault when it cannot be started.
    """
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=env,
                start_new_session=True,
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
            )
    except OSError as error:
        raise EnvironmentFault(f"{name} cannot be started: {error}", remedy=f"check {command[0]} and {log}") from error
    with _children_lock:
        _children[process.pid] = process
    return ProcessRecord(name, process.pid, identity(process.pid) or "gone", port, fingerprint)


def stop(record: ProcessRecord, *, first: signal.Signals = signal.SIGTERM, seconds: float = 15.0) -> bool:
    """Send a signal, wait, then SIGKILL; True when it ended without SIGKILL. Its children are ended too."""
    if not is_alive(record):
        return True
    family = _descendants(record.pid)
    send(record, first)
    clean = wait_gone(record, seconds)
    if not clean:
        send(record, signal.SIGKILL)
        wait_gone(record, 5.0)
    _end_all(family)
    return clean


def send(record: ProcessRecord, number: signal.Signals) -> bool:
    """Send a signal to the process, unless its pid belongs to another one now; False when it is gone."""
    if not is_alive(record):
        return False
    try:
        os.kill(record.pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_gone(record: ProcessRecord, seconds: float) -> bool:
    """Wait until the process is gone; False when it still runs after `seconds`."""
    end = time.monotonic() + seconds
    while is_alive(record):
        if time.monotonic() > end:
            return False
        time.sleep(0.03)
    return True


def kill_family(record: ProcessRecord) -> None:
    """SIGKILL a process and all below it, and wait until they are gone."""
    family = _descendants(record.pid) if is_alive(record) else []
    send(record, signal.SIGKILL)
    wait_gone(record, 5.0)
    _end_all(family, grace=1.0)


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _end_all(family: list[psutil.Process], grace: float = 3.0) -> None:
    _, alive = psutil.wait_procs(family, timeout=grace)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=3.0)


def write_record(folder: Path, record: ProcessRecord) -> None:
    """Write the record of a process. Readers see the old file or the new one, never half a file."""
    file = folder / f"{record.name}.json"
    new = file.with_suffix(".new")
    new.write_text(json.dumps(asdict(record)), encoding="utf-8")
    new.replace(file)


def read_record(folder: Path, name: str) -> ProcessRecord | None:
    """The record of the process `name`, alive or not."""
    try:
        return ProcessRecord(**json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def read_records(folder: Path) -> list[ProcessRecord]:
    """The records of a run folder, by name."""
    names = sorted(file.stem for file in folder.glob("*.json"))
    return [record for name in names if (record := read_record(folder, name)) is not None]


def forget(folder: Path, name: str) -> None:
    (folder / f"{name}.json").unlink(missing_ok=True)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for a message to a person."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 16_384))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def rotate(log: Path, limit: int = 20_000_000) -> None:
    """Rename a log to `<log>.1` when it is larger than `limit` bytes; called before a server starts."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > limit:
            log.replace(log.with_name(f"{log.name}.1"))


def wait_code(record: ProcessRecord) -> int:
    """Wait for the end of a process that this one started. Returns its exit code, negative for a signal."""
    with _children_lock:
        child = _children.pop(record.pid)
    return child.wait()
