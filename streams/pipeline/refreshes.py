"""Tell aggregates that refer to a linked record to read themselves again, so many at a time that others are not held up.

The first of them are told by assemble itself, in the batch that links; the rest waits in the hub's `refresh_due`, written by the same
transaction. What was sent and not yet taken off the list when a worker died is sent twice, which changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from confluent_kafka import KafkaError, Producer
from mode.utils.logging import get_logger

from streams.errors import RetryLater
from streams.hub.store import HubStore
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.names import changes_topic

logger = get_logger(__name__)

EVERY_SECONDS = 0.25
PORTION = 250
"""A lane takes some 2,000 refreshes a second: half of that is left to what people do."""


def refreshes(referring: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str, Change]]:
    """(topic, key, message) for each aggregate of (aggregate id, what it refers to, kind of entity), each once."""
    told = set()
    for aggregate_id, ref, entity in referring:
        if (aggregate_id, ref) not in told:
            told.add((aggregate_id, ref))
            kind = ENTITIES[entity].aggregate
            yield changes_topic(kind), aggregate_id, Change("refresh", "customer", ref, target=aggregate_id)


class Refreshing:
    """Runs in every worker that assembles; two that send the same do no harm. The producer must choose partitions as the lanes do."""

    def __init__(self, store: HubStore, producer: Producer, encode: Callable[[Change], bytes]) -> None:
        self._store = store
        self._producer = producer
        self._encode = encode

    async def run(self) -> None:
        """Send until cancelled; a hub that is away is waited for."""
        try:
            while True:
                await asyncio.sleep(EVERY_SECONDS)
                try:
                    await self.send_some()
                except RetryLater as later:
                    logger.info("%s", later)
        finally:
            await self._store.close()

    async def send_some(self) -> int:
        """Send one portion, and take off the list what Kafka has; how many that were."""
        rows = await self._store.rows("due_refreshes", PORTION)
        if not rows:
            return 0
        failed: list[str] = []

        def sent(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failed.append(str(error))

        for topic, key, change in refreshes(row[1:] for row in rows):
            self._producer.produce(topic, key=key.encode(), value=self._encode(change), on_delivery=sent)
        left = await asyncio.get_running_loop().run_in_executor(None, self._producer.flush, 10)
        if left or failed:
            raise RetryLater(f"Kafka does not take refreshes: {failed[0] if failed else 'no answer in 10 s'}")
        await self._store.rows("refreshes_sent", [row[0] for row in rows])
        return len(rows)
