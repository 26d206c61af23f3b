"""The writers of aggregates on a real hub, without Kafka: two or more workers, each with its own connection and caches,
to whom keys belong as partitions would give them.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from streams.hub.migrate import migrate
from streams.hub.store import HubStore
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.names import changes_topic
from streams.model.state import Conflict
from streams.pipeline.assemble import Assemble
from streams.resolve.rules import Ownership
from streams.runtime.batch import Output
from streams.stack.native import NativeStack
from streams.writeback.planner import NO_RULES, IntentPlanner
from tests.factories import changed


def partition_of(aggregate: str) -> int:
    return zlib.crc32(aggregate.encode()) % 64


class Sent(NamedTuple):
    """One message to an aggregate, as Kafka would hand it over. The change itself stands for its bytes."""

    sent_to: str
    aggregate: str
    change: Change

    def topic(self) -> str:
        return self.sent_to

    def partition(self) -> int:
        return partition_of(self.aggregate)

    def offset(self) -> int:
        return 0

    def key(self) -> bytes:
        return self.aggregate.encode()

    def value(self) -> Any:
        return self.change


class Writers:
    """`queues` has what waits for each worker. The last canonical record of each (entity, id) is kept, as JSON: see
    `record`.
    """

    def __init__(
        self, hub: str, ownership: Ownership, workers: int = 2, cache: int = 100_000, planner: IntentPlanner = NO_RULES
    ) -> None:
        self.stores = [HubStore(hub, f"writer-{number}") for number in range(workers)]
        self.queues: list[deque[Sent]] = [deque() for _ in range(workers)]
        self._records: dict[str, tuple[int, bytes | None]] = {}
        self.conflicts: list[Conflict] = []
        self.assembles = [
            Assemble(
                store, lambda change: change, lambda change: change, self._emitted, ownership, cache, self._conflicted, planner  # type: ignore[arg-type, return-value]
            )
            for store in self.stores
        ]  # fmt: skip

    def _emitted(self, entity: str, entity_id: str, version: int, record: dict[str, Any] | None) -> tuple[Any, ...]:
        # Nothing is kept here: what is encoded is not emitted yet.
        return "canonical", entity_id.encode(), msgspec.json.encode((version, record))

    def take(self, outputs: list[Output]) -> None:
        """Keep the canonical records of these."""
        for output in outputs:
            if output.topic == "canonical":
                entity_id, (version, record) = (output.key or b"").decode(), msgspec.json.decode(output.value or b"")
                known = self._records.get(entity_id)
                assert known is None or known[0] <= version, f"{entity_id} goes back from {known} to {version}"
                self._records[entity_id] = (version, None if record is None else msgspec.json.encode(record))

    def record(self, entity_id: str) -> tuple[int, dict[str, Any] | None]:
        """(version, record or None for a tombstone) that was emitted last."""
        version, body = self._records[entity_id]
        return version, None if body is None else msgspec.json.decode(body)

    def _conflicted(self, conflict: Conflict, _: int) -> tuple[Any, ...]:
        self.conflicts.append(conflict)
        return "conflicts", b"", b""

    def worker_of(self, aggregate: str) -> int:
        return partition_of(aggregate) % len(self.queues)

    def send(self, topic: str, aggregate: str, change: Change) -> None:
        self.queues[self.worker_of(aggregate)].append(Sent(topic, aggregate, change))

    def say(self, change: Change) -> None:
        """As ingest does when it knows no homes: to its parent, or to itself."""
        home = (change.same_as or change.parent) if change.parent else change.id
        topic = changes_topic(ENTITIES[change.entity].aggregate)
        self.send(topic, home, change)
        if home != change.id:
            link = Change("link", change.entity, change.id, same_as=change.same_as, target=home)
            self.send(topic, change.id, link)

    async def batch(self, worker: int, size: int = 4000) -> None:
        """One batch of one worker."""
        queue = self.queues[worker]
        taken = [queue.popleft() for _ in range(min(size, len(queue)))]
        if not taken:
            return
        outputs, dead = await self.assembles[worker].step(taken)
        assert not dead, dead
        self.take(outputs)
        for output in outputs:
            if output.topic.startswith("changes."):
                self.send(output.topic, (output.key or b"").decode(), output.value)  # type: ignore[arg-type]

    async def run(self, size: int = 4000) -> None:
        """All workers at once, batch by batch, until nothing waits."""
        while any(self.queues) or await self._tell_the_rest():
            await asyncio.gather(*(self.batch(worker, size) for worker in range(len(self.queues))))

    async def _tell_the_rest(self) -> bool:
        """Send what a link left in the hub for later; whether there was anything."""
        rows = await self.stores[0].rows("due_refreshes", 10_000)
        for _, aggregate, reference, entity in rows:
            refresh = Change("refresh", "customer", reference, target=aggregate)
            self.send(changes_topic(ENTITIES[entity].aggregate), aggregate, refresh)
        if rows:
            await self.stores[0].rows("delete_refreshes", [row[0] for row in rows])
        return bool(rows)

    async def close(self) -> None:
        for store in self.stores:
            await store.close()


def hub_of_its_own(stack: NativeStack, name: str) -> str:
    """The address of an empty hub on the stack's server: what is written here reaches no topic, which `verify` would
    call lost.
    """
    server: Any = stack._server("hub")
    at = conninfo_to_dict(stack.settings.hub)
    with server.connect("postgres") as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name} OWNER {at['user']}")
    address = urlsplit(stack.settings.hub)._replace(path=f"/{name}").geturl()
    migrate(address)
    return address


def customer(system: str, key: str, at: int, *, same_as: str | None = None, **fields: Any) -> Change:
    """What a system says of a customer."""
    return changed(system, "customer", key, at, same_as=same_as, **fields)


def live_customers(hub: psycopg.Connection[Any], sources: Sequence[str]) -> dict[str, set[str]]:
    """id → the sources that it is made of, for live records that any of these contribute to."""
    rows = hub.execute(
        "SELECT id::text, ARRAY(SELECT jsonb_object_keys(contributions)) FROM entity"
        " WHERE entity = 'customer' AND merged_into IS NULL AND NOT deleted AND contributions ?| %s::text[]",
        [list(sources)],
    )
    return {entity_id: set(said) for entity_id, said in rows}
