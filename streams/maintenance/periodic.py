"""Periodic maintenance of a worker.

Every five seconds: repeat sweeps after TRUNCATE or a new epoch, retry records that wait for a code-table row, send
retries that a crash left undone, end hanging transactions (`hanging_transactions.py`), and see whether the hub's clock
was set back. Every hour: delete what the audit keeps for too long. Beside it: measure quality (`quality.py`), compute
the business figures (`figures.py`).

In: the hub. Out: control records on raw topics, for the workers that own their partitions. May run in every worker:
each sweep is taken by one of them, and a second retry of a key finds nothing left to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from confluent_kafka import Producer
from mode.utils.logging import get_logger

from streams.errors import RetryLater
from streams.hub.audit import trim_audit
from streams.hub.dead_letters import mark_missing_lookups, overdue_retries
from streams.hub.maintenance import hub_time, shift_waiting_rows, take_due_sweeps
from streams.hub.store import HubStore
from streams.kafka.clients import idempotent_producer
from streams.kafka.control import Control, send_control
from streams.maintenance.figures import compute_periodically
from streams.maintenance.hanging_transactions import HangingTransactions
from streams.maintenance.quality import measure_periodically
from streams.settings import Settings

logger = get_logger(__name__)

INTERVAL_S = 5.0

AUDIT_INTERVAL_S = 3600.0

CLOCK_TOLERANCE_S = 5.0
"""A clock that moves back by less is being adjusted slowly, which harms nothing."""


async def run_maintenance(settings: Settings, stuck_limits: Mapping[str, float]) -> None:
    """Run until cancelled; while a server does not answer, try again at the next turn. `stuck_limits`: stage → seconds
    after which an order flow is stuck.
    """
    store = HubStore(settings.hub, f"opshub-maintenance-{settings.worker}")
    producer = idempotent_producer(settings.kafka)
    clock = HubClock(store)
    hanging = HangingTransactions(settings.kafka)
    audit = AuditRetention(store, settings.audit_days)
    beside = [
        asyncio.ensure_future(measure_periodically(settings.hub, settings.quality_interval_seconds)),
        asyncio.ensure_future(compute_periodically(settings.hub, settings.figures_interval_seconds, stuck_limits)),
    ]
    try:
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                # The clock first: a clock that was set back makes the next statements find less than is due.
                await clock.check()
                await send_due_controls(store, producer)
                await hanging.check()
                await audit.trim()
            except RetryLater as error:
                logger.info("%s", error)
    finally:
        for job in beside:
            job.cancel()
        await store.close()


class HubClock:
    """Detects that the hub's clock was set back.

    Between two checks it compares the hub's clock with this process's monotonic clock, which is never set back. For the
    time before the first check it looks for open rows that were created in the hub's future.
    """

    def __init__(self, store: HubStore) -> None:
        self._store = store
        self._ahead: float | None = None
        """The hub's time minus this process's monotonic clock, at the last check."""

    async def check(self) -> float:
        """By how many seconds it was set back, or 0; rows that wait for a time then wait that much less."""
        hub = await hub_time(self._store)
        before, self._ahead = self._ahead, hub.now_s - time.monotonic()
        set_back_s = max(hub.created_ahead_s, 0.0 if before is None else before - self._ahead)
        if set_back_s < CLOCK_TOLERANCE_S:
            return 0.0
        await shift_waiting_rows(self._store, set_back_s)
        logger.warning("the hub's clock was set back by %.0f s", set_back_s)
        return set_back_s


class AuditRetention:
    """Deletes entries of the audit that are older than `days`, once an hour. None: they are kept for ever."""

    def __init__(self, store: HubStore, days: float | None) -> None:
        self._store = store
        self._days = days
        self._next = 0.0

    async def trim(self) -> int:
        """How many were deleted."""
        if self._days is None or time.monotonic() < self._next:
            return 0
        self._next = time.monotonic() + AUDIT_INTERVAL_S
        return await trim_audit(self._store, self._days)


async def send_due_controls(store: HubStore, producer: Producer) -> int:
    """Send sweeps and retries that are due; how many control records that were."""
    sweeps = await take_due_sweeps(store)
    for sweep in sweeps:
        position = (sweep.epoch, sweep.major, sweep.minor)
        # Partition 0: one worker carries out the sweep of the whole topic.
        send_control(producer, [(sweep.topic, 0, None)], Control("sweep", position))
    retries = list({*await mark_missing_lookups(store.rows), *await overdue_retries(store.rows)})
    send_control(producer, retries)
    if sweeps or retries:
        # In a thread: flush blocks, and this loop also serves health and lanes.
        await asyncio.get_running_loop().run_in_executor(None, producer.flush, 10)
    return len(sweeps) + len(retries)
