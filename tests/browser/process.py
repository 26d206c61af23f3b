"""The console as a process, as `opshub console` starts it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from streams.settings import Settings
from streams.stack.workers import worker_environment
from tests.waiting import came_true

STARTS_WITHIN_S = 60


class Console:
    """A running console. `address` has no slash at its end."""

    def __init__(self, process: subprocess.Popen[bytes] | None, address: str, log: Path, settings: Settings) -> None:
        self.process = process
        self.address = address
        self.log = log
        self.settings = settings

    def end(self) -> None:
        """Stop the process, as Ctrl-C does."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)


def start_console(settings: Settings, **changes: object) -> Console:
    """Start one on a free port, and wait until it listens. `changes` are settings of its own."""
    own = settings.model_copy(update={"console_port": 0, **changes})
    run, logs = settings.state_dir / "run", settings.state_dir / "logs"
    for folder in (run, logs):
        folder.mkdir(parents=True, exist_ok=True)
    where, log = run / "console.json", logs / f"console-{time.monotonic_ns()}.log"
    where.unlink(missing_ok=True)
    command = [sys.executable, "-m", "streams.cli", "console", "--port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=worker_environment(own), stdout=output, stderr=subprocess.STDOUT)
    came_true(lambda: process.poll() is not None or _text(where), STARTS_WITHIN_S, pause=0.05)
    if process.poll() is None and (text := _text(where)):
        return Console(process, json.loads(text)["address"].rstrip("/"), log, own)
    process.kill()
    process.wait()
    raise RuntimeError(f"the console did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""
