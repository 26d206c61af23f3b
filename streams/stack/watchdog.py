"""A small process that ends the servers and workers of a state folder when the process that started them is gone.

It is for tests: servers have sessions of their own and would go on after a test run that is killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from streams.stack import processes

WATCHDOG = "watchdog"


def start_watchdog(state: Path) -> None:
    """Start a process that watches this one, for the state folder; one watchdog at a time."""
    run = state / "run"
    old = processes.read_record(run, WATCHDOG)
    if old is not None and processes.is_alive(old):
        return
    pid = os.getpid()
    command = [sys.executable, "-m", "streams.stack.watchdog", str(state), str(pid), processes.identity(pid) or ""]
    record = processes.spawn(WATCHDOG, command, log=state / "logs" / "watchdog.log", cwd=state, env=_environment())
    processes.write_record(run, record)


def _environment() -> dict[str, str]:
    """The environment, with this package importable from any folder."""
    package = str(Path(__file__).resolve().parents[2])
    others = os.environ.get("PYTHONPATH", "")
    return dict(os.environ) | {"PYTHONPATH": f"{package}{os.pathsep}{others}" if others else package}


def watch(state: Path, parent: processes.ProcessRecord, period: float = 0.5) -> None:
    """Wait for the end of `parent`, then end every process that the run folder records."""
    run = state / "run"
    while processes.identity(parent.pid) == parent.identity:
        if not run.is_dir():
            return
        time.sleep(period)
    records = [record for record in processes.read_records(run) if record.pid != os.getpid()]
    for record in records:
        processes.send(record, signal.SIGTERM if not record.name.startswith(("crm", "erp", "hub")) else signal.SIGINT)
    for record in records:
        if not processes.wait_gone(record, 3.0):
            processes.kill_family(record)
        processes.forget(run, record.name)


if __name__ == "__main__":
    watch(Path(sys.argv[1]), processes.ProcessRecord("parent", int(sys.argv[2]), sys.argv[3]))
