"""A worker's report of itself: into the hub, every few seconds, so that status and console find it on any machine."""

from __future__ import annotations

import asyncio
import os
import socket
from importlib.metadata import version

from mode.utils.logging import get_logger

from streams.agents.own_name import taken
from streams.errors import ConfigError, OpshubError
from streams.hub.store import HubStore
from streams.hub.workers import (
    LaneReport,
    RecentLatency,
    WorkerName,
    register_worker,
    report_worker,
    worker_of_name,
    worker_stopped,
)
from streams.runtime.metrics import WorkerMetrics
from streams.runtime.worker_state import WorkerState
from streams.settings import Settings

logger = get_logger(__name__)

EVERY_S = 2.0

LEAVE_WITHIN_S = 2.0
"""A worker that stops does not wait longer for a hub that is away."""


async def report_periodically(
    settings: Settings, state: WorkerState, metrics: WorkerMetrics, roles: tuple[str, ...], port: int
) -> None:
    """Report until cancelled; then report that the worker stops.

    Raises ConfigError when another process has taken the name since; no other fault of a report ends a worker.
    """
    store = HubStore(settings.hub, f"opshub-report-{settings.worker}")
    worker = WorkerName(
        settings.worker, reachable_host(settings.metrics_address), port, os.getpid(), version("opshub"), list(roles)
    )
    known = has_reported = False
    try:
        while True:
            try:
                if not known:
                    if has_reported and (other := await worker_of_name(store, worker)) is not None:
                        raise taken(other)
                    await register_worker(store, worker)
                known = await report_worker(
                    store, worker, waiting=state.waiting_text(), lanes=lane_reports(state, metrics),
                    latency=RecentLatency(*metrics.recent_latency()),
                )  # fmt: skip
                has_reported = has_reported or known
            except ConfigError:
                raise
            except OpshubError as error:
                logger.info("the worker cannot report itself: %s", error)
            await asyncio.sleep(EVERY_S)
    finally:
        try:
            async with asyncio.timeout(LEAVE_WITHIN_S):
                await worker_stopped(store, worker)
        except (OpshubError, TimeoutError):
            pass
        await store.close()


def reachable_host(listens_on: str) -> str:
    """Where others reach a worker that listens on this address: its machine's name, if it listens everywhere."""
    return socket.gethostname() if listens_on in ("0.0.0.0", "::", "") else listens_on


def lane_reports(state: WorkerState, metrics: WorkerMetrics) -> dict[str, LaneReport]:
    """The lanes as the hub keeps them."""
    return {
        name: LaneReport(
            partitions=len(lane.progress.assigned),
            lag_records=sum(lane.lag().values()),
            records_in=lane.figures.records_in,
            records_out=lane.figures.records_out,
            dead=metrics.count(name, "dead"),
        )
        for name, lane in state.lanes.items()
    }
