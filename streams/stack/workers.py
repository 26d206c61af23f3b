"""Worker processes (`opshub run`): start, list and stop them, and keep them running.

A supervised worker has a small process above it (supervise.py) that starts it again, after a growing pause, when
it dies. Both are recorded in `<state_dir>/run`, so that later commands find them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic_core import to_json

from streams.errors import EnvironmentFault
from streams.settings import SECRETS, Settings
from streams.settings.secret_files import FOLDER_VARIABLE, comes_from_file
from streams.settings.variables import setting_variables
from streams.stack import processes
from streams.stack.launch import Report, silent

WORKER = "worker-"
SUPERVISOR = "supervisor-"


@dataclass(frozen=True)
class WorkerStatus:
    """One worker process as it is now."""

    name: str
    pid: int | None
    """None while it is down, waiting to be started again, or stopped for good."""
    supervised: bool


def worker_command(settings: Settings, name: str, roles: Sequence[str] = ()) -> list[str]:
    """Command line of one worker; without `roles` it has all."""
    return [sys.executable, "-m", "streams.cli", "run", "--worker-name", name, *(f"--role={role}" for role in roles)]


def worker_environment(settings: Settings) -> dict[str, str]:
    """The environment of a child process that gets exactly these settings, in any folder."""
    values = {}
    folder = {name: value for name, value in os.environ.items() if name not in setting_variables()}
    if settings.secrets_dir is not None:
        folder[FOLDER_VARIABLE] = str(settings.secrets_dir)
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        # A child reads the file of a secret by itself: what is given twice is refused.
        if value is None or value == "" or (field in SECRETS and comes_from_file(f"OPSHUB_{field.upper()}", folder)):
            continue
        if isinstance(value, Path):
            value = value.absolute()
        values[f"OPSHUB_{field.upper()}"] = _as_text(value)
    package = str(Path(__file__).resolve().parents[2])
    others = os.environ.get("PYTHONPATH", "")
    values["PYTHONPATH"] = f"{package}{os.pathsep}{others}" if others else package
    # glibc gives each thread a heap of its own and returns little of it: that was a fifth of a worker's memory.
    return {"MALLOC_ARENA_MAX": "1"} | dict(os.environ) | values


def _as_text(value: object) -> str:
    if isinstance(value, list | dict | BaseModel):
        return to_json(value).decode()
    if isinstance(value, SecretStr):
        return value.get_secret_value()  # str() of it is a row of asterisks
    return str(value)


def start_worker(settings: Settings, name: str, *, roles: Sequence[str] = (), supervised: bool = True) -> int:
    """Start the worker `name` and return its pid; a worker that runs already is left alone.

    Raises EnvironmentFault when the process cannot be started. Its health page reports whether it works.
    """
    state = settings.state_dir.absolute()
    run, logs = state / "run", state / "logs"
    run.mkdir(parents=True, exist_ok=True)
    logs.mkdir(parents=True, exist_ok=True)
    if (pid := _pid(run, WORKER + name)) is not None:
        return pid
    log = logs / f"{WORKER}{name}.log"
    processes.rotate(log)
    command = worker_command(settings, name, roles)
    if not supervised:
        record = processes.spawn(WORKER + name, command, log=log, cwd=Path.cwd(), env=worker_environment(settings))
        processes.write_record(run, record)
        return record.pid
    _stop_supervisor(run, name)
    supervisor = [sys.executable, "-m", "streams.stack.supervise", str(run), WORKER + name, str(log), "--", *command]
    record = processes.spawn(SUPERVISOR + name, supervisor, log=log, cwd=Path.cwd(), env=worker_environment(settings))
    processes.write_record(run, record)
    end = time.monotonic() + 15
    while time.monotonic() < end:
        if (pid := _pid(run, WORKER + name)) is not None:
            return pid
        if not processes.is_alive(record):
            break
        time.sleep(0.05)
    raise EnvironmentFault(
        f"worker {name} could not be started:\n{processes.tail(log)}", remedy=f"the whole log is {log}"
    )


def start_pair(settings: Settings, name: str, *, supervised: bool = True) -> list[int]:
    """Start a worker as two processes, `<name>-ingest` and `<name>-assemble`, so that each has its own interpreter
    lock. Returns their pids.

    The second process listens on the port after the first one's.
    """
    second = settings.metrics_port + 1 if settings.metrics_port else 0
    return [
        start_worker(settings, f"{name}-ingest", roles=("ingest",), supervised=supervised),
        start_worker(
            settings.model_copy(update={"metrics_port": second}),
            f"{name}-assemble",
            roles=("assemble", "deliver", "sources"),
            supervised=supervised,
        ),
    ]


def stop_worker(settings: Settings, name: str, *, seconds: float = 20.0) -> None:
    """Stop the worker `name` and its supervisor: SIGTERM, so that it finishes its batches, after `seconds` SIGKILL."""
    run = settings.state_dir.absolute() / "run"
    _stop_supervisor(run, name)
    record = processes.read_record(run, WORKER + name)
    if record is not None:
        processes.stop(record, seconds=seconds)
        processes.forget(run, WORKER + name)


def list_workers(settings: Settings) -> list[WorkerStatus]:
    """Every worker that was started here and not stopped."""
    run = settings.state_dir.absolute() / "run"
    names = {r.name.removeprefix(WORKER) for r in processes.read_records(run) if r.name.startswith(WORKER)}
    names |= {r.name.removeprefix(SUPERVISOR) for r in processes.read_records(run) if r.name.startswith(SUPERVISOR)}
    return [WorkerStatus(n, _pid(run, WORKER + n), _pid(run, SUPERVISOR + n) is not None) for n in sorted(names)]


def stop_all_workers(settings: Settings, report: Report = silent) -> None:
    """Stop all workers at the same time."""
    workers = list_workers(settings)
    if not workers:
        return

    def stop(worker: WorkerStatus) -> None:
        report(f"worker {worker.name}", "stopping", None)
        stop_worker(settings, worker.name)
        report(f"worker {worker.name}", "stopped", 1.0)

    with ThreadPoolExecutor(len(workers)) as pool:
        list(pool.map(stop, workers))


def _pid(run: Path, name: str) -> int | None:
    record = processes.read_record(run, name)
    return record.pid if record is not None and processes.is_alive(record) else None


def _stop_supervisor(run: Path, name: str) -> None:
    """Stop the supervisor of a worker; the worker itself goes on."""
    record = processes.read_record(run, SUPERVISOR + name)
    if record is not None:
        processes.send(record, signal.SIGTERM)
        if not processes.wait_gone(record, 3.0):
            processes.send(record, signal.SIGKILL)
            processes.wait_gone(record, 3.0)
        processes.forget(run, SUPERVISOR + name)
