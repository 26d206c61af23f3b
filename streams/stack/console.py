"""The console as a process of the stack: start it under a supervisor, find it, stop it.

It is started last and stopped first, and lives through the restart of any server: its pages say what is away. The
console writes its address into `<state_dir>/run/console.json`; the records here have other names.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import httpx
import msgspec

from streams.settings import Settings
from streams.stack import processes
from streams.stack.server import port_is_free
from streams.stack.workers import worker_environment

SERVER, SUPERVISOR = "console-server", "console-supervisor"

STARTS_WITHIN_S = 60.0
"""A console reads its templates and opens its port within a few seconds; a crowded machine takes longer."""

ANSWERS_WITHIN_S = 2.0


class ConsoleStatus(msgspec.Struct, frozen=True):
    """The console as it is now. `address` is None until it listens."""

    pid: int | None
    address: str | None
    healthy: bool

    @property
    def port(self) -> int:
        return httpx.URL(self.address).port or 80 if self.address else 0


def start_console(settings: Settings, *, seconds: float = STARTS_WITHIN_S) -> str | None:
    """Start the console and return its address; one that runs is left alone. None: it does not answer yet, and
    `<state_dir>/logs/console.log` says why. A port that is taken is replaced by a free one.
    """
    state = settings.state_dir.absolute()
    run, log = state / "run", state / "logs" / "console.log"
    now = console_status(settings)
    if now is None or now.pid is None:
        stop_console(settings)
        if not port_is_free(settings.console_host, settings.console_port):
            settings = settings.model_copy(update={"console_port": 0})
        log.parent.mkdir(parents=True, exist_ok=True)
        processes.rotate(log)
        command = [sys.executable, "-m", "streams.cli", "console"]
        supervise = [sys.executable, "-m", "streams.stack.supervise", str(run), SERVER, str(log), "--", *command]
        record = processes.spawn(SUPERVISOR, supervise, log=log, cwd=Path.cwd(), env=worker_environment(settings))
        processes.write_record(run, record)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = console_status(settings)
        if now is not None and now.healthy:
            return now.address
        time.sleep(0.2)
    return None


def console_status(settings: Settings) -> ConsoleStatus | None:
    """The console that was started here; None if none was, or it was stopped."""
    run = settings.state_dir.absolute() / "run"
    if processes.read_record(run, SUPERVISOR) is None:
        return None
    record = processes.read_record(run, SERVER)
    pid = record.pid if record is not None and processes.is_alive(record) else None
    try:
        address = str(json.loads((run / "console.json").read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError):
        return ConsoleStatus(pid, None, False)
    return ConsoleStatus(pid, address, pid is not None and _answers(address))


def _answers(address: str) -> bool:
    try:
        # A file needs neither a hub nor a sign-in.
        answer = httpx.get(f"{address}static/icon.svg", timeout=ANSWERS_WITHIN_S, trust_env=False, verify=False)
        return answer.status_code < 500
    except httpx.HTTPError:
        return False


def stop_console(settings: Settings) -> bool:
    """Stop the console and its supervisor; whether it ran."""
    run = settings.state_dir.absolute() / "run"
    ran = False
    for name in (SUPERVISOR, SERVER):
        record = processes.read_record(run, name)
        if record is not None:
            ran = processes.is_alive(record) or ran
            processes.stop(record, first=signal.SIGTERM, seconds=5.0)
            processes.forget(run, name)
    (run / "console.json").unlink(missing_ok=True)
    return ran
