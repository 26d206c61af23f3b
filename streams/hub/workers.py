"""Workers as they report themselves into the hub, so that they are found on whatever machine they run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import psycopg

from streams.hub.statements import fetch_structs
from streams.hub.store import HubStore

SILENT_SECONDS = 15.0
"""A worker that has not reported for so long is down, or cut off from the hub."""


class LaneReport(msgspec.Struct, frozen=True):
    """One lane; records are counted since the worker started."""

    partitions: int = 0
    lag_records: int = 0
    records_in: int = 0
    records_out: int = 0
    dead: int = 0


class RecentLatency(msgspec.Struct, frozen=True):
    """From the source's commit to the hub's, within the last minute; nulls where nothing was committed."""

    count: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None


class WorkerName(msgspec.Struct, frozen=True):
    """Which process it is, and where it is reached."""

    name: str
    host: str
    port: int
    pid: int
    version: str
    roles: list[str]


class WorkerReport(WorkerName, frozen=True, kw_only=True):
    """A worker as it last reported itself. `host` and `port` are of its page with /healthz, /stats and /metrics."""

    started_at: datetime
    seen_at: datetime
    silent_s: float
    """Seconds since its last report, by the hub's clock."""
    waiting: str | None
    """The server that it waits for, in words."""
    lanes: dict[str, LaneReport]
    latency: RecentLatency

    @property
    def answers(self) -> bool:
        return self.silent_s < SILENT_SECONDS

    @property
    def lag(self) -> int:
        return sum(lane.lag_records for lane in self.lanes.values())


async def register_worker(store: HubStore, worker: WorkerName) -> None:
    """A worker starts. Raises RetryLater."""
    await store.rows("register_worker", msgspec.to_builtins(worker))


async def report_worker(
    store: HubStore, worker: WorkerName, *, waiting: str | None, lanes: dict[str, LaneReport], latency: RecentLatency
) -> bool:
    """Keep how it is now; False where the hub does not know it (any more). Raises RetryLater."""
    values = {
        "waiting": waiting,
        "lanes": msgspec.json.encode(lanes).decode(),
        "latency": msgspec.json.encode(latency).decode(),
    }
    return bool(await store.rows("worker_seen", msgspec.to_builtins(worker) | values))


async def worker_of_name(store: HubStore, worker: WorkerName) -> WorkerReport | None:
    """Another process that has the name of `worker` and reports. Raises RetryLater."""
    listed = await store.fetch(WorkerReport, "workers")
    others = (known for known in listed if known.name == worker.name and known.answers)
    return next((known for known in others if (known.host, known.pid) != (worker.host, worker.pid)), None)


async def worker_stopped(store: HubStore, worker: WorkerName) -> None:
    """It stops in good order. Raises RetryLater."""
    await store.rows("worker_stopped", msgspec.to_builtins(worker))


def load_workers(hub: psycopg.Connection[Any]) -> list[WorkerReport]:
    """All workers that were not stopped, also those that died within a day."""
    return fetch_structs(hub, WorkerReport, "workers")
