"""ingest: raw records → canonical changes, each keyed by its aggregate.

    (1) a batch was read
    (2) pure work: decode, map, route
    (3) produce the changes and wait for every ack
    (4) a hub transaction for what is put aside and for the account of all records   } of several batches together, at once where a record
    (5) commit the offsets                                                           } is put aside; all three by the caller

A crash between (3) and (5), and a worker that stands still before (3) and wakes when others have its partitions, tell again what is told:
positions put it in its place, those of links too.

Routing. A record that is the root of its aggregate goes to its own id. A child goes where its parent is believed to live, or to the
parent's own id where that is unknown. A record that may have children says once where it lives (`link`), so that those
that were sent to its own id can follow.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from streams.error_policy import Policy, rule_for
from streams.errors import BadRecord, DecodeError, EncodeError
from streams.hub.ingest_checkpoint import Letter, Noted
from streams.identity.cache import Bounded, Homes, Lookup
from streams.kafka.control import Control
from streams.model import limits
from streams.model.change import Change, Mapped, RowChange
from streams.model.entities import ENTITIES
from streams.model.names import changes_topic
from streams.pipeline.parking import (
    Key,
    Read,
    Sweep,
    Taken,
    Told,
    accounts,
    control_of,
    explained,
    in_order,
    noted,
)
from streams.runtime.lane import Output

_TOMBSTONE = Read("tombstones")
_FILTERED = Read("filtered")


def _depth(entity: str) -> int:
    parent = ENTITIES[entity].parent
    return _depth(parent) + 1 if parent else 0


_AGGREGATE = {name: changes_topic(entity.aggregate) for name, entity in ENTITIES.items()}
_PARENTS = {entity.parent for entity in ENTITIES.values() if entity.parent}
_DEPTH = {name: _depth(name) for name in ENTITIES}
_DEEPEST = max(_DEPTH.values())
_LINKED = {name for name, depth in _DEPTH.items() if depth or name in ("customer", "product")}
"""Entities that may live in another aggregate than their own though they name no parent and nothing that they are the same as."""
_new = tuple.__new__
"""Of a named tuple that is made for each record: half of what its class takes."""


class Route(Protocol):
    """decode and map for the topics of one system."""

    def decode(self, topic: str, key: bytes | None, value: bytes | None) -> RowChange | None: ...
    def map(self, change: RowChange) -> list[Mapped]: ...
    def contributes(self, topic: str) -> tuple[str, list[str], list[str]]:
        """(system, entities that the table of this topic makes, those that it gives and other tables make too)."""
        ...

    notes: dict[Any, Any]
    """What the dictionary mended or forgave in the row that was mapped last; empty nearly always."""

    def noted(self, change: RowChange) -> list[Noted]:
        """The same for people, with the row's key; `notes` are empty then."""
        ...

    def at_epoch(self, epoch: int) -> None:
        """The records that come next are of this epoch of the source."""
        ...

    def begin(self) -> None:
        """The records that come next are of another batch."""
        ...


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
        """For the topic `deadletters`."""
        stage, kind, reason = explained(self.error)
        return letter_output(
            (self.topic, self.partition, self.offset, self.key, self.value, stage, kind, reason, "dead")
        )


def letter_output(letter: Letter) -> Output:
    """A dead letter for the topic `deadletters`, with the header names of Connect's own dead letter queue.

    One that is too long for a record goes without its value, and says so: the hub has it.
    """
    topic, partition, offset, key, value, stage, kind, reason, _ = letter
    headers = {
        "__connect.errors.topic": topic,
        "__connect.errors.partition": str(partition),
        "__connect.errors.offset": str(offset),
        "__connect.errors.stage": stage,
        "__connect.errors.exception.class.name": kind,
        "__connect.errors.exception.message": reason,
    }
    if value is not None and len(value) > limits.RECORD:
        headers["opshub.value"] = f"{len(value)} bytes, in the hub only"
        value = None
    return Output("deadletters", key, value, [(name, text.encode()) for name, text in headers.items()])


class Ingest:
    """The step, with its caches. `routes` has, for each raw topic, how to read it."""

    def __init__(self, routes: Mapping[str, Route], encode: Callable[[Change], bytes]) -> None:
        self._routes = routes
        self._systems = list({id(route): route for route in routes.values()}.values())
        self._encode = encode
        self.homes = Homes()
        self._linked = Bounded(20_000)
        self.waiting: dict[Key, int] = {}
        """The offset of the first record of each key that others of it wait for."""
        self.upto: dict[tuple[str, int], int] = {}
        """By partition, the next offset to count."""
        self.epochs: dict[tuple[str, int], list[tuple[int, int]]] = {}
        """By partition, (offset, epoch): from which raw record on the source is another."""
        self._asked: set[tuple[str, int, int]] = set()
        self._started = False
        self.counts: Counter[str] = Counter()
        self.notes: Counter[tuple[str, str, str, str]] = Counter()
        """(system, table, field, kind) → how often a value was mended or forgiven."""
        self._noted = False
        self.newest_source_us = 0

    def forget(self) -> None:
        """After a rebalance: other workers may have moved what was known here."""
        self.homes.known.clear()
        self._linked.clear()
        self.waiting.clear()
        self.upto.clear()
        self._started = False

    async def _start(self, lookup: Lookup) -> None:
        topics = list(self._routes)
        self.waiting = {(topic, key): first for topic, key, first in await lookup("parked_keys", topics)}
        self.upto = {(topic, partition): upto for topic, partition, upto in await lookup("accounts", topics)}
        self.epochs = {}
        for topic, partition, offset, epoch in await lookup("epoch_starts", topics):
            self.epochs.setdefault((topic, partition), []).append((offset, epoch))
        self._started = True

    async def step(self, records: Sequence[Any], lookup: Lookup) -> tuple[list[Output], Taken]:
        """What this batch gives rise to. Raises RetryLater while the hub is away. Once all of it is acknowledged, call `committed`."""
        if not self._started:
            await self._start(lookup)
        for route in self._systems:
            route.begin()
        reads: list[Read] = []
        told: list[Told] = []
        trouble = bool(self.waiting)
        for record in records:
            topic, value = record.topic(), record.value()
            if self.epochs:
                self._set_epoch(topic, record.partition(), record.offset())
            one = self._read(topic, record.key(), value, record if value is None else None)
            reads.append(one)
            said = one.told
            if said:
                told += said
            elif one.sweep is not None or one.kind in ("dead", "control"):
                trouble = True
                if one.control is not None and self._is_new_epoch(one.control, topic, record.partition()):
                    # What comes behind it in this batch has to be read as of the new epoch.
                    await self._start(lookup)
                    return await self.step(records, lookup)
        if trouble:
            taken = await in_order(records, reads, self.waiting, self._read_letter, lookup)
            told = taken.told
        else:
            taken = Taken(told=told)
        if self._noted:
            taken.notes = noted(records, reads, self.upto, taken.notes)
            self._noted = False
        taken.accounts = accounts(records, reads, self.upto)
        levels = self._levels(told)
        await self.homes.learn(self._strangers(levels), lookup)
        outputs = self._routed(levels, taken.linked)
        for sweep in taken.sweeps:
            await self._sweep(sweep, outputs, lookup)
        outputs.extend(letter_output(letter) for letter in taken.letters if letter[8] == "dead")
        self.counts["rows_in"] += len(records)
        self.counts["changes_out"] += len(outputs)
        for letter in taken.letters:
            self.counts[letter[8]] += 1
        for account in taken.accounts:
            self.counts["filtered"] += account.filtered
            self.counts["tombstones"] += account.tombstones
        if told:
            self.newest_source_us = max(self.newest_source_us, told[-1].source_us)
        return outputs, taken

    def committed(self, taken: Taken) -> None:
        """The batch's changes are acknowledged: keys that it parked or released are so now, and who was linked need not be again."""
        for one, home in taken.linked.items():
            self._linked.put(one, home)
        for key, first in taken.waiting.items():
            if first is None:
                self.waiting.pop(key, None)
            else:
                self.waiting[key] = first
        for account in taken.accounts:
            self.upto[account.topic, account.partition] = account.upto
        self.counts["retried"] += len(taken.done)
        for note in taken.notes:
            self.notes[note.system, note.tbl, note.field, note.kind] += note.count

    def _is_new_epoch(self, control: Control, topic: str, partition: int) -> bool:
        epoch = control.position[0]
        known = {one for _, one in self.epochs.get((topic, partition), ())}
        if control.kind != "epoch" or epoch in known or (topic, partition, epoch) in self._asked:
            return False
        self._asked.add((topic, partition, epoch))
        return True

    def _set_epoch(self, topic: str, partition: int, offset: int) -> None:
        starts = self.epochs.get((topic, partition))
        route = self._routes.get(topic)
        if route is not None:
            route.at_epoch(max((epoch for start, epoch in starts or () if offset >= start), default=0))

    def _read(self, topic: str, key: bytes | None, value: bytes | None, record: Any = None) -> Read:
        """What becomes of one record by itself; `record` is given for one without a value, whose headers may say more."""
        route = self._routes.get(topic)
        try:
            if record is not None:
                control = control_of(record.headers())
                if control is not None:
                    return Read("control", control=control)
            if route is None:
                raise DecodeError(f"no dictionary reads {topic}", remedy="`opshub plan` shows what should be captured")
            change = route.decode(topic, key, value)
            if change is None:
                return _TOMBSTONE
            if change.op == "t":
                self._truncated(topic)
                return Read("passed", sweep=Sweep(topic, change.position, change.source_us, True))
            mapped = route.map(change)
            if not mapped:
                return _FILTERED
            tell = self._tell
            told = (tell(change, mapped[0]),) if len(mapped) == 1 else tuple([tell(change, one) for one in mapped])
            if route.notes:
                self._noted = True
                return Read("passed", told, notes=route.noted(change))
            return _new(Read, ("passed", told, None, None, (), None))
        except Exception as error:
            if route is not None:
                route.notes.clear()
            policy = rule_for(error).policy
            if policy is Policy.SKIP:
                return _FILTERED
            if policy is not Policy.DEAD_LETTER:
                raise
            return Read("dead", error=error)

    def _read_letter(self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None) -> Read:
        if self.epochs:
            self._set_epoch(topic, partition, offset)
        return self._read(topic, key, value)

    def _tell(self, row: RowChange, one: Mapped) -> Told:
        entity, source, key, position = one.entity, one.id, one.key, row.position
        epoch, major, minor = position
        system, source_us, parent, same_as, deleted = row.system, row.source_us, one.parent, one.same_as, one.deleted
        value = self._encode(Change(
            "change", entity, source, system, key, row.op if not one.part else "part_read" if row.op == "r" else "part",
            epoch, major, minor, source_us, row.tx, row.origin, parent, same_as, None, deleted, 0, one.fields,
        ))  # fmt: skip
        if len(value) > limits.RECORD:
            raise EncodeError(
                f"{entity} {key} of {system} takes {len(value):,} bytes, more than {limits.RECORD:,}",
                remedy="map fewer or shorter columns of it; nothing is cut",
            )
        return _new(Told, (entity, source, parent, same_as, deleted, value, key, system, position, source_us))

    def _truncated(self, topic: str) -> None:
        """BadRecord where other tables make what the table of a topic gives: its rows are not told from theirs."""
        system, _, shared = self._routes[topic].contributes(topic)
        if shared:
            raise BadRecord(
                f"{topic} was truncated, and other tables of {system} make {', '.join(shared)} too",
                remedy="`opshub verify` finds the records that went with it",
            )

    async def _sweep(self, sweep: Sweep, outputs: list[Output], lookup: Lookup) -> None:
        """Delete what a table said before a position. What is still under way is found when the sweep is done again.

        With a new epoch all tables of the system are read anew: whichever of them makes a record, it has come again by then or is gone.
        """
        system, entities, shared = self._routes[sweep.topic].contributes(sweep.topic)
        epoch, major, minor = sweep.position
        if (major, minor) != (0, 0):
            entities = [entity for entity in entities if entity not in shared]
        # What a new epoch did not bring again is deleted at the end of the one before, so that a late row of the new one wins.
        at = sweep.position if (major, minor) != (0, 0) else (epoch - 1, 2**62, 0)
        for source, entity, key, aggregate in await lookup("contributed", entities, system, epoch, major, minor):
            source_us = sweep.source_us or now_us()
            gone = self._encode(Change("change", entity, source, system, key, "d", *at, source_us, deleted=True))
            outputs.append(Output(_AGGREGATE[entity], aggregate.encode(), gone))
            self.counts["swept"] += 1

    def _levels(self, told: list[Told]) -> list[list[Told]]:
        """What is told by depth, parents first; in order within a level.

        A topic of lines may have been read before that of their documents. A line whose document has not come is sent on to where that
        would be, and from there back.
        """
        levels: list[list[Told]] = [[] for _ in range(_DEEPEST + 1)]
        depth = _DEPTH
        for one in told:
            levels[depth[one[0]]].append(one)
        return levels

    def _strangers(self, levels: list[list[Told]]) -> set[str]:
        """Ids of which it must be known where they live, and is not."""
        known, unknown, parents = self.homes.known, set(), set()
        for level in levels:
            for one in level:
                entity, own, parent, same_as, deleted = one[:5]
                at = same_as
                if at is None:
                    if parent is not None:
                        if parent not in known:
                            parents.add(parent)
                        continue
                    if not (deleted or entity in _LINKED):
                        continue
                    at = own
                if at not in known:
                    unknown.add(at)
        if parents:
            # Those that this batch brings are placed before their children.
            unknown |= parents.difference(one.id for level in levels for one in level)
        return unknown

    def _routed(self, levels: list[list[Told]], linked: dict[str, str]) -> list[Output]:
        """Each change to where its record lives, and links of what may have children and lives elsewhere."""
        outputs: list[Output] = []
        emit = outputs.append
        known = self.homes.known
        home_of = known.get
        for level in levels:
            for one in level:
                entity, own, parent, same_as, deleted, value = one[:6]
                at = same_as or parent or own
                home = home_of(at, at)
                emit(_new(Output, (_AGGREGATE[entity], home.encode(), value, None)))
                may_have_children = entity in _PARENTS
                # Children too: a delete tells its key and not its parent. It goes where its row went.
                if (may_have_children or parent is not None) and not deleted and home_of(own) != home:
                    known.put(own, home)
                if home == own or not (same_as is not None or (parent is not None and may_have_children)):
                    continue
                if linked.get(own, self._linked.get(own)) != home:
                    linked[own] = home
                    emit(Output(_AGGREGATE[entity], own.encode(), self._link(one, home)))
        return outputs

    def _link(self, one: Told, home: str) -> bytes:
        epoch, major, minor = one.position
        return self._encode(Change(
            "link", one.entity, one.id, one.system, one.key, "u",
            epoch, major, minor, one.source_us, same_as=one.same_as, target=home,
        ))  # fmt: skip


def now_us() -> int:
    return time.time_ns() // 1000
