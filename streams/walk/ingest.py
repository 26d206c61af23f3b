"""ingest: raw records → canonical changes, each keyed by its aggregate.

    (1) a batch was read
    (2) pure work: decode, map, route
    (3) no hub transaction but the look-up of homes, and dead letters
    (4) produce the changes and wait for every ack        } one Kafka transaction, by the caller
    (5) commit the offsets                                }

Routing. A record that is the root of its aggregate goes to its own id. A child goes where its parent is believed to live, or to the
parent's own id where that is unknown. A record that may have children says once where it lives (`link`), so that those
that were sent to its own id can follow.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from streams.errors import BadRecord, DecodeError
from streams.identity.cache import Bounded, Homes, Lookup
from streams.model.change import Change, Mapped, RowChange
from streams.model.entities import ENTITIES
from streams.runtime.lane import Output

_AGGREGATE = {name: f"changes.{entity.aggregate}" for name, entity in ENTITIES.items()}
_PARENTS = {entity.parent for entity in ENTITIES.values() if entity.parent}
_DEPTH = {name: 0 for name in ENTITIES}
for _ in range(4):
    for _name, _entity in ENTITIES.items():
        if _entity.parent:
            _DEPTH[_name] = _DEPTH[_entity.parent] + 1


class Route(Protocol):
    """decode and map for the topics of one system."""

    def decode(self, topic: str, key: bytes | None, value: bytes | None) -> RowChange | None: ...
    def map(self, change: RowChange) -> list[Mapped]: ...


class DeadLetter(Exception):
    """A record that can not pass, with where it came from and why; an output, not a fault."""

    def __init__(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, error: BaseException
    ) -> None:
        super().__init__(str(error))
        self.topic, self.partition, self.offset, self.key, self.value, self.error = (
            topic,
            partition,
            offset,
            key,
            value,
            error,
        )
        self.stage = error.stage if isinstance(error, BadRecord) else "unknown"

    def row(self) -> tuple[Any, ...]:
        return (
            self.topic, self.partition, self.offset, self.key, self.value,
            self.stage, type(self.error).__name__, str(self.error),
        )  # fmt: skip

    def output(self) -> Output:
        """For the topic `deadletters`, with the header names of Connect's own dead letter queue."""
        headers = {
            "__connect.errors.topic": self.topic,
            "__connect.errors.partition": str(self.partition),
            "__connect.errors.offset": str(self.offset),
            "__connect.errors.stage": self.stage,
            "__connect.errors.exception.class.name": type(self.error).__name__,
            "__connect.errors.exception.message": str(self.error),
        }
        return Output("deadletters", self.key, self.value, [(name, text.encode()) for name, text in headers.items()])


class Ingest:
    """The step, with its caches. `routes` has, for each raw topic, how to read it."""

    def __init__(self, routes: Mapping[str, Route], encode: Any) -> None:
        self._routes = routes
        self._encode = encode
        self.homes = Homes()
        self._linked = Bounded(200_000)
        self.counts: Counter[str] = Counter()
        self.newest_source_us = 0

    def forget(self) -> None:
        """After a rebalance: other workers may have moved what was known here."""
        self.homes.known.clear()
        self._linked.clear()

    async def step(self, records: Sequence[Any], lookup: Lookup) -> tuple[list[Output], list[DeadLetter]]:
        """What this batch gives rise to. Raises RetryLater while the hub is away."""
        rows: list[tuple[RowChange, list[Mapped]]] = []
        dead: list[DeadLetter] = []
        for record in records:
            topic = record.topic()
            try:
                route = self._routes.get(topic)
                if route is None:
                    raise DecodeError(f"no dictionary reads {topic}")
                change = route.decode(topic, record.key(), record.value())
                if change is None:
                    self.counts["tombstones"] += 1
                    continue
                mapped = route.map(change)
            except Exception as error:
                dead.append(DeadLetter(topic, record.partition(), record.offset(), record.key(), record.value(), error))
                continue
            if mapped:
                rows.append((change, mapped))
            else:
                self.counts["filtered"] += 1
        await self._learn_homes(rows, lookup)
        outputs: list[Output] = []
        for change, mapped in rows:
            for one in mapped:
                self._emit(change, one, outputs)
        self.counts["rows_in"] += len(records)
        self.counts["changes_out"] += len(outputs)
        self.counts["dead"] += len(dead)
        if rows:
            self.newest_source_us = max(self.newest_source_us, rows[-1][0].source_us)
        return outputs, dead

    async def _learn_homes(self, rows: list[tuple[RowChange, list[Mapped]]], lookup: Lookup) -> None:
        homes = self.homes
        here = {one.id for _, mapped in rows for one in mapped}
        unknown: set[str] = set()
        for _, mapped in rows:
            for one in mapped:
                if one.same_as is not None:
                    unknown.add(one.same_as)
                elif one.parent is None:
                    if one.deleted or _DEPTH[one.entity] or one.entity in ("customer", "product"):
                        unknown.add(one.id)
                elif one.parent not in here:
                    unknown.add(one.parent)
        await homes.learn(unknown, lookup)
        # Parents first, so that a child finds the parent that came in the same batch.
        parents = sorted(
            (one for _, mapped in rows for one in mapped if one.entity in _PARENTS and not one.deleted),
            key=lambda one: _DEPTH[one.entity],
        )
        for one in parents:
            homes.set(one.id, self._home(one))

    def _home(self, one: Mapped) -> str:
        if one.same_as is not None:
            return self.homes.of(one.same_as)
        if one.parent is not None:
            return self.homes.of(one.parent)
        return self.homes.of(one.id)

    def _emit(self, row: RowChange, one: Mapped, outputs: list[Output]) -> None:
        home = self._home(one)
        position = row.position
        topic = _AGGREGATE[one.entity]
        outputs.append(
            Output(
                topic,
                home.encode(),
                self._encode(
                    Change(
                        "change",
                        one.entity,
                        one.id,
                        row.system,
                        one.key,
                        row.op,
                        position[0],
                        position[1],
                        position[2],
                        row.source_us,
                        row.tx,
                        row.origin,
                        one.parent,
                        one.same_as,
                        None,
                        one.deleted,
                        0,
                        one.fields,
                    )
                ),
            )
        )
        if home != one.id and (one.same_as is not None or (one.parent is not None and one.entity in _PARENTS)):
            if self._linked.get(one.id) != home:
                self._linked.put(one.id, home)
                link = Change(
                    "link",
                    one.entity,
                    one.id,
                    row.system,
                    one.key,
                    source_us=row.source_us,
                    same_as=one.same_as,
                    target=home,
                )
                outputs.append(Output(topic, one.id.encode(), self._encode(link)))


def now_us() -> int:
    return time.time_ns() // 1000
