"""What a worker sees to now and then: tables that were truncated are swept again, records that wait for a row of a code table are tried
again, retries that a crash left undone are sent again; quality is measured.

In: the hub. Out: control records on raw topics, for the workers that own their partitions. May run in every worker: a sweep is taken
by one of them, and a second retry of a key finds nothing left to do.
"""

from __future__ import annotations

import asyncio

from confluent_kafka import Producer
from mode.utils.logging import get_logger

from streams.errors import RetryLater
from streams.hub.store import HubStore
from streams.repair.dlq import wake
from streams.repair.quality import measuring
from streams.settings import Settings
from streams.walk.aside import Control

logger = get_logger(__name__)

EVERY_SECONDS = 5.0


async def tend(settings: Settings) -> None:
    """Run until cancelled; a server that is away is waited for."""
    store = HubStore(settings.hub, f"opshub-tend-{settings.worker_name}")
    producer = Producer({"bootstrap.servers": settings.kafka, "enable.idempotence": True, "log_level": 0})
    quality = asyncio.ensure_future(measuring(settings.hub, settings.quality_every))
    try:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await tend_once(store, producer)
            except RetryLater as later:
                logger.info("%s", later)
    finally:
        quality.cancel()
        await store.close()


async def tend_once(store: HubStore, producer: Producer) -> int:
    """Send what is due; how many control records that were."""
    sent = 0
    for topic, epoch, major, minor in await store.rows("due_sweeps"):
        wake(producer, [(topic, 0, None)], Control("sweep", (epoch, major, minor)))
        sent += 1
    overdue = list({*await store.rows("await_codes"), *await store.rows("overdue_retries")})
    wake(producer, [(topic, partition, key) for topic, partition, key in overdue])
    if sent or overdue:
        await asyncio.get_running_loop().run_in_executor(None, producer.flush, 10)
    return sent + len(overdue)
