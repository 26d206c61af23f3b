"""Ask aggregates that refer to a linked record to read themselves from the hub, in portions, so that other changes do
not wait.

In: the hub's table `refresh_due`, written by the transaction that linked. Out: messages of kind `refresh` on
`changes.…`. assemble itself emits the first of them, in the batch that links; the rest is emitted here. What was
emitted and not deleted when a worker died is emitted twice, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from confluent_kafka import Producer

from streams.hub.refreshes import delete_refreshes, due_refreshes
from streams.hub.store import HubStore
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.names import changes_topic
from streams.pipeline.emitting import Encode, Message, emit_changes
from streams.runtime.background import repeat

EVERY_SECONDS = 0.25
PORTION = 250
"""Refreshes in one round: a thousand a second. A lane takes some 2,000, and half of that is left to what people do."""


def refreshes(referring: Iterable[tuple[str, str, str]]) -> Iterator[Message]:
    """A message for each aggregate of (aggregate id, what it refers to, kind of entity), each once."""
    seen = set()
    for aggregate_id, ref, entity in referring:
        if (aggregate_id, ref) not in seen:
            seen.add((aggregate_id, ref))
            topic = changes_topic(ENTITIES[entity].aggregate)
            yield topic, aggregate_id, Change("refresh", "customer", ref, target=aggregate_id)


class DelayedRefreshes:
    """Runs in every worker that assembles; two that emit the same do no harm."""

    name = "delayed refreshes"

    def __init__(self, store: HubStore, producer: Producer, encode: Encode) -> None:
        self._store = store
        self._producer = producer
        self._encode = encode

    async def run(self) -> None:
        """See BackgroundJob."""
        try:
            await repeat(EVERY_SECONDS, self.emit_portion)
        finally:
            await self._store.close()

    async def emit_portion(self) -> int:
        """Emit one portion, and delete what Kafka has; how many that were."""
        due = await due_refreshes(self._store, PORTION)
        if due:
            messages = refreshes((refresh.aggregate_id, refresh.ref, refresh.entity) for refresh in due)
            await emit_changes(self._producer, self._encode, messages, "refreshes")
            # Only now: a worker that dies before emits them once more, one that deleted first would lose them.
            await delete_refreshes(self._store, [refresh.number for refresh in due])
        return len(due)
