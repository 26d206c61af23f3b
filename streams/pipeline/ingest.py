"""ingest: raw records → canonical changes, each keyed by its aggregate.

    (1) a batch was read
    (2) pure work: decode, map, route
    (3) produce the changes and wait for every ack
    (4) one hub transaction: dead letters, parked records, the account of all records   } the caller, for several
    (5) commit the offsets                                                              } batches, or for a dead letter

A crash between (3) and (5) makes ingest read the batch and emit its changes again. So does a worker that stalls before
(3) and wakes when other workers have its partitions. Neither does harm: assemble ignores a change, and a link, whose
position is not newer than the one that it knows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from streams.error_policy import is_bad_record
from streams.errors import BadRecord, DecodeError, EncodeError
from streams.hub.accounts import (
    NoteKey,
    contributions_before,
    counted_offsets,
    epoch_starts,
)
from streams.hub.dead_letters import parked_keys
from streams.hub.ingest_checkpoint import Sweep
from streams.hub.statements import Lookup
from streams.identity.cache import Bounded, RoutingCache
from streams.kafka.control import Control
from streams.model import limits
from streams.model.change import Change, ChangeOp, Mapped, Position, RowChange
from streams.model.kafka_record import KafkaRecord, RecordId
from streams.model.partition import Partition
from streams.pipeline.batch_counts import count_outcomes, merge_notes
from streams.pipeline.dead_letter_topic import dead_letter_output
from streams.pipeline.outcomes import BatchOutcome, EmittedChange, Key, RecordOutcome
from streams.pipeline.parking import control_of, process_in_order
from streams.pipeline.route import Route
from streams.pipeline.routing import CHANGE_TOPIC, by_depth, route_changes, unknown_ids
from streams.runtime.batch import Output
from streams.runtime.timings import Timings

_TOMBSTONE = RecordOutcome("tombstones")
_FILTERED = RecordOutcome("filtered")

_END_OF_EPOCH = 2**62
"""Greater than any `major` of a position."""

_new = tuple.__new__
"""Makes a named tuple in half the time that its class takes; one is made for each record."""


class Ingest:
    """The step, with its caches. `routes`: raw topic → how to decode and map it."""

    def __init__(self, routes: Mapping[str, Route], encode: Callable[[Change], bytes]) -> None:
        self._routes = routes
        self._systems = list({id(route): route for route in routes.values()}.values())
        self._next_routes: Mapping[str, Route] | None = None
        self._encode = encode
        self.routing = RoutingCache()
        self._linked = Bounded(20_000)
        """Links that were emitted and acknowledged: record → aggregate."""
        self.parked_from: dict[Key, int] = {}
        """The offset of the first open record of each parked key."""
        self.counted_to: dict[Partition, int] = {}
        """By partition, the next offset to count."""
        self.epochs: dict[Partition, list[tuple[int, int]]] = {}
        """By partition, (offset, epoch): from this raw record on, the source is another."""
        self._loaded_epochs: set[tuple[str, int, int]] = set()
        self._started = False
        self.counts: Counter[str] = Counter()
        self.notes: Counter[NoteKey] = Counter()
        """How often the dictionary changed or forgave a value."""
        self._batch_has_notes = False
        self.newest_source_us = 0
        self.captured = Timings()
        """From a change's commit at its source to its arrival in Kafka, of the last record of each batch."""

    def replace_routes(self, routes: Mapping[str, Route]) -> None:
        """Decode and map by these from the next batch on: the types of columns changed. The topics are the same."""
        self._next_routes = routes

    def _take_next_routes(self) -> None:
        if self._next_routes is not None:
            self._routes, self._next_routes = self._next_routes, None
            self._systems = list({id(route): route for route in self._routes.values()}.values())

    def forget(self) -> None:
        """After a rebalance: other workers may have changed what is cached here."""
        self.routing.known.clear()
        self._linked.clear()
        self.parked_from.clear()
        self.counted_to.clear()
        self._started = False

    async def _start(self, lookup: Lookup) -> None:
        topics = list(self._routes)
        self.parked_from = {
            (parked.topic, parked.key): parked.first_offset for parked in await parked_keys(lookup, topics)
        }
        self.counted_to = await counted_offsets(lookup, topics)
        self.epochs = {}
        for start in await epoch_starts(lookup, topics):
            self.epochs.setdefault((start.topic, start.partition), []).append((start.offset, start.epoch))
        self._started = True

    async def step(self, records: Sequence[KafkaRecord], lookup: Lookup) -> tuple[list[Output], BatchOutcome]:
        """(records to produce, what the hub is to keep) of one batch. Call `committed` once all of them are
        acknowledged.

        Raises RetryLater while the hub is away.
        """
        if not self._started:
            await self._start(lookup)
        if self._next_routes is not None:
            self._take_next_routes()
        for route in self._systems:
            route.begin()
        outcomes: list[RecordOutcome] = []
        changes: list[EmittedChange] = []
        # A batch in which nothing failed and nothing is parked, nearly every batch, needs no order by key.
        needs_order = bool(self.parked_from)
        for record in records:
            topic, value = record.topic(), record.value()
            if self.epochs:
                self._set_epoch(topic, record.partition(), record.offset())
            outcome = self._process(topic, record.key(), value, record if value is None else None)
            outcomes.append(outcome)
            emitted = outcome.changes
            if emitted:
                changes += emitted
            elif outcome.sweep is not None or outcome.kind in ("dead", "control"):
                needs_order = True
                if outcome.control is not None and self._is_new_epoch(outcome.control, topic, record.partition()):
                    # The records behind it in this batch belong to the new epoch: process the batch again.
                    await self._start(lookup)
                    return await self.step(records, lookup)
        if needs_order:
            batch = await process_in_order(records, outcomes, self.parked_from, self._process_stored, lookup)
        else:
            batch = BatchOutcome(changes=changes)
        if self._batch_has_notes:
            batch.notes = merge_notes(records, outcomes, self.counted_to, batch.notes)
            self._batch_has_notes = False
        for route in self._systems:
            batch.resnapshots += route.take_resnapshots()
        batch.accounts = count_outcomes(records, outcomes, self.counted_to)
        outputs = await self._outputs(batch, lookup)
        self._count(len(records), len(outputs), batch)
        if records and outcomes[-1].changes:
            arrived_ms = records[-1].timestamp()[1]
            if arrived_ms > 0:
                self.captured.observe(arrived_ms / 1e3 - outcomes[-1].changes[-1].source_us / 1e6)
        return outputs, batch

    async def _outputs(self, batch: BatchOutcome, lookup: Lookup) -> list[Output]:
        """The changes for their aggregates, links, deletes of sweeps, and dead letters."""
        levels = by_depth(batch.changes)
        routing = self.routing
        await routing.learn(unknown_ids(levels, routing.known), lookup)
        outputs, batch.links = route_changes(levels, routing.known, routing.known.put, self._linked, self._encode)
        for sweep in batch.sweeps:
            outputs += await self._deletes(sweep, lookup)
        outputs += [
            dead_letter_output(dead_letter) for dead_letter in batch.dead_letters if dead_letter.state == "dead"
        ]
        return outputs

    def _count(self, records: int, outputs: int, batch: BatchOutcome) -> None:
        self.counts["rows_in"] += records
        self.counts["changes_out"] += outputs
        for dead_letter in batch.dead_letters:
            self.counts[dead_letter.state] += 1
        for account in batch.accounts:
            self.counts["filtered"] += account.filtered
            self.counts["tombstones"] += account.tombstones
        if batch.changes:
            self.newest_source_us = max(self.newest_source_us, batch.changes[-1].source_us)

    def committed(self, batch: BatchOutcome) -> None:
        """The batch's changes are acknowledged: remember its parked keys, its links and its counts."""
        for record, aggregate in batch.links.items():
            self._linked.put(record, aggregate)
        for key, first in batch.parked_from.items():
            if first is None:
                self.parked_from.pop(key, None)
            else:
                self.parked_from[key] = first
        for account in batch.accounts:
            self.counted_to[account.topic, account.partition] = account.upto
        self.counts["retried"] += len(batch.retried)
        for note in batch.notes:
            self.notes[note.key] += note.count

    def _is_new_epoch(self, control: Control, topic: str, partition: int) -> bool:
        epoch = control.position[0]
        known = {known for _, known in self.epochs.get((topic, partition), ())}
        if control.kind != "epoch" or epoch in known or (topic, partition, epoch) in self._loaded_epochs:
            return False
        # Once only: an epoch that the hub does not have must not make this batch start over for ever.
        self._loaded_epochs.add((topic, partition, epoch))
        return True

    def _set_epoch(self, topic: str, partition: int, offset: int) -> None:
        starts = self.epochs.get((topic, partition))
        route = self._routes.get(topic)
        if route is not None:
            route.at_epoch(max((epoch for start, epoch in starts or () if offset >= start), default=0))

    def _process(
        self, topic: str, key: bytes | None, value: bytes | None, record: KafkaRecord | None = None
    ) -> RecordOutcome:
        """The outcome of one record by itself; `record` is given for one without a value: it may be a control
        record.
        """
        route = self._routes.get(topic)
        try:
            if record is not None:
                control = control_of(record.headers())
                if control is not None:
                    return RecordOutcome("control", control=control)
            if route is None:
                raise DecodeError(f"no dictionary reads {topic}", remedy="`opshub plan` shows what should be captured")
            change = route.decode(topic, key, value)
            if change is None:
                return _TOMBSTONE
            if change.op == "t":
                self._require_own_entities(topic)
                return RecordOutcome("passed", sweep=Sweep(topic, change.position, change.source_us, repeat=True))
            mapped = route.map(change)
            if not mapped:
                return _FILTERED
            emit = self._emit
            changes: Sequence[EmittedChange]
            changes = (
                (emit(change, mapped[0]),) if len(mapped) == 1 else tuple([emit(change, entity) for entity in mapped])
            )
            if route.notes:
                self._batch_has_notes = True
                return RecordOutcome("passed", changes, notes=route.mapping_notes(change))
            return _new(RecordOutcome, ("passed", changes, None, None, (), None))
        except Exception as error:
            if route is not None:
                route.notes.clear()
            if not is_bad_record(error):
                raise
            return RecordOutcome("dead", error=error)

    def _process_stored(self, record: RecordId, key: bytes | None, value: bytes | None) -> RecordOutcome:
        if self.epochs:
            self._set_epoch(*record)
        return self._process(record.topic, key, value)

    def _emit(self, row: RowChange, mapped: Mapped) -> EmittedChange:
        """Encode one entity of a row at once: the row can be released with the next record."""
        entity, source, key, position = mapped.entity, mapped.id, mapped.key, row.position
        epoch, major, minor = position
        system, source_us = row.system, row.source_us
        parent, same_as, deleted = mapped.parent, mapped.same_as, mapped.deleted
        op: ChangeOp = row.op
        if mapped.adds_fields:
            op = "part_read" if op == "r" else "part"
        elif deleted and same_as is not None and mapped.merges and op != "d":
            op = "merged_read" if op == "r" else "merged"
        value = self._encode(
            Change(
                "change",
                entity,
                source,
                system,
                key,
                op,
                epoch,
                major,
                minor,
                source_us,
                row.tx,
                row.origin,
                parent,
                same_as,
                None,
                deleted,
                0,
                mapped.fields,
                mapped.row,
            )
        )
        if len(value) > limits.RECORD:
            raise EncodeError(
                f"{entity} {key} of {system} takes {len(value):,} bytes, more than {limits.RECORD:,}",
                remedy="map fewer or shorter columns of it; nothing is cut",
            )
        return _new(EmittedChange, (entity, source, parent, same_as, deleted, value, key, system, position, source_us))

    def _require_own_entities(self, topic: str) -> None:
        """Raises BadRecord where other tables make the entities of this table too: nobody can tell whose rows are
        gone.
        """
        system, _, shared = self._routes[topic].contributes(topic)
        if shared:
            raise BadRecord(
                f"{topic} was truncated, and other tables of {system} make {', '.join(shared)} too",
                remedy="`opshub verify` finds the records that went with it",
            )

    async def _deletes(self, sweep: Sweep, lookup: Lookup) -> list[Output]:
        """A delete of each record that a table contributed before a position. A later repeat finds what is still under
        way.

        For a new epoch Debezium reads all tables of the system again: by then, each record has come again or is gone,
        whichever table makes it.
        """
        route = self._routes[sweep.topic]
        system, entities, shared = route.contributes(sweep.topic)
        at = sweep.position
        is_new_epoch = (at.major, at.minor) == (0, 0)
        if is_new_epoch:
            # The end of the epoch before, so that a late row of the new epoch is newer than the delete.
            at = Position(at.epoch - 1, _END_OF_EPOCH, 0)
        else:
            entities = [entity for entity in entities if entity not in shared]
        outputs = []
        for old in await contributions_before(lookup, entities, system, sweep.position):
            if not is_new_epoch and not route.is_made_by(sweep.topic, old.entity, old.key):
                continue
            source_us = sweep.source_us or now_us()
            delete = Change("change", old.entity, old.source_id, system, old.key, "d", *at, source_us, deleted=True)
            outputs.append(Output(CHANGE_TOPIC[old.entity], old.aggregate_id.encode(), self._encode(delete)))
        self.counts["swept"] += len(outputs)
        return outputs


def now_us() -> int:
    """Microseconds since 1970 by this machine's clock."""
    return time.time_ns() // 1000
