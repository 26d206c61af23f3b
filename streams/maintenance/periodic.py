"""What a worker sees to now and then: tables that were truncated are swept again, records that wait for a row of a code table are tried
again, retries that a crash left undone are sent again; transactions that nobody is going to end are ended; quality is measured; when the
hub's clock was put back, what waits for a time waits that much less.

In: the hub. Out: control records on raw topics, for the workers that own their partitions. May run in every worker: a sweep is taken
by one of them, and a second retry of a key finds nothing left to do.
"""

from __future__ import annotations

import asyncio
import time

from confluent_kafka import Producer
from mode.utils.logging import get_logger

from streams.errors import RetryLater
from streams.hub.dead_letters import mark_missing_lookups, overdue_retries
from streams.hub.store import HubStore
from streams.kafka.clients import idempotent_producer
from streams.kafka.control import Control, send_control
from streams.maintenance.hanging_transactions import HangingTransactions
from streams.maintenance.quality import measuring
from streams.settings import Settings

logger = get_logger(__name__)

EVERY_SECONDS = 5.0
PUT_BACK = 5.0
"""Seconds by which a clock was put back, not only slowed down."""


async def tend(settings: Settings) -> None:
    """Run until cancelled; a server that is away is waited for."""
    store = HubStore(settings.hub, f"opshub-tend-{settings.worker_name}")
    producer = idempotent_producer(settings.kafka)
    clock = HubClock(store)
    hanging = HangingTransactions(settings.kafka)
    quality = asyncio.ensure_future(measuring(settings.hub, settings.quality_interval_seconds))
    try:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await clock.look()
                await tend_once(store, producer)
                await hanging.tend()
            except RetryLater as later:
                logger.info("%s", later)
    finally:
        quality.cancel()
        await store.close()


class HubClock:
    """Sees that the hub's clock was put back: between two looks, by a clock that never is; before them, by what was made in its future."""

    def __init__(self, store: HubStore) -> None:
        self._store = store
        self._ahead: float | None = None

    async def look(self) -> float:
        """By how many seconds it was put back; what waits in the hub for a time that it told before waits that much less."""
        ((told, made_later),) = await self._store.rows("hub_clock")
        before, self._ahead = self._ahead, told - time.monotonic()
        by: float = max(made_later, 0.0 if before is None else before - self._ahead)
        if by < PUT_BACK:
            return 0.0
        await self._store.rows("clock_put_back", {"by": by})
        logger.warning("the hub's clock was put back by %.0f s", by)
        return by


async def tend_once(store: HubStore, producer: Producer) -> int:
    """Send what is due; how many control records that were."""
    sent = 0
    for topic, epoch, major, minor in await store.rows("due_sweeps"):
        send_control(producer, [(topic, 0, None)], Control("sweep", (epoch, major, minor)))
        sent += 1
    overdue = list({*await mark_missing_lookups(store.rows), *await overdue_retries(store.rows)})
    send_control(producer, overdue)
    if sent or overdue:
        await asyncio.get_running_loop().run_in_executor(None, producer.flush, 10)
    return sent + len(overdue)
