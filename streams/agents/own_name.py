"""A worker's name belongs to one process at a time: two with one name would fence each other in Kafka for ever.

In: what the hub knows of a name. Out: nothing, or ConfigError for a name whose process still reports. A process that
died is no obstacle: on this machine that is seen at once, on another after `SILENT_S` without a report.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psutil

from streams.errors import ConfigError
from streams.hub.session import hub_session
from streams.hub.workers import WorkerReport, load_workers

SILENT_S = 6.0
"""A worker reports every two seconds; without three reports it is taken for dead."""

PAUSE_S = 0.5

Known = WorkerReport | None


def require_own_name(hub_dsn: str, name: str, host: str) -> None:
    """Return once no other process has the name. Raises ConfigError, and EnvironmentFault while the hub is away."""

    def load() -> Known:
        with hub_session(hub_dsn) as hub:
            return next((worker for worker in load_workers(hub) if worker.name == name), None)

    refuse_taken(load, host)


def refuse_taken(
    load: Callable[[], Known],
    host: str,
    *,
    is_alive: Callable[[int], bool] = psutil.pid_exists,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Raise ConfigError when the process that has the name reports again while this one looks."""
    first = load()
    if first is None or (first.host == host and first.pid != os.getpid() and not is_alive(first.pid)):
        return
    now: Known = first
    # Of a container that was started again, the last process had this host and this number, too: only a new report
    # shows that it lives.
    while now is not None and now.silent_s < SILENT_S:
        if now.seen_at != first.seen_at or now.started_at != first.started_at:
            raise taken(now)
        pause(PAUSE_S)
        now = load()


def taken(other: WorkerReport) -> ConfigError:
    """The error of a process whose name another one has."""
    return ConfigError(
        f"a worker named {other.name} runs already: process {other.pid} on {other.host}, up since "
        f"{other.started_at:%Y-%m-%d %H:%M:%S}",
        remedy="give this one a name of its own: --worker-name, or OPSHUB_WORKER_NAME; or stop the other one",
    )
