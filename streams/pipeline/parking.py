"""The part of ingest that keeps the order of a key when a record of it fails: dead letters, parked records, retries.

In: the outcome of each record of a batch by itself. Out: a `BatchOutcome`. Pure, but for two look-ups that only a batch
with a failed record or a retry needs.

Promises. A record that fails stops its own key only. A record of a parked key is never mapped before the records in
front of it. A record that a person settled (retried, dropped) stays settled when Kafka delivers it again. A dead letter
that passes a retry is marked in the hub after its changes are acknowledged. After a crash between the two, ingest maps
it once more, and its position makes assemble ignore the second change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from streams.hub.dead_letters import OpenDeadLetter, RetryFailure, dead_letter_states, open_dead_letters
from streams.hub.ingest_checkpoint import Sweep
from streams.hub.statements import Lookup
from streams.kafka.control import CONTROL_HEADER, Control
from streams.model.change import Position
from streams.model.dead_letter import dead_letter_of, describe_error, parked_record
from streams.model.kafka_record import KafkaRecord, RecordId
from streams.pipeline.outcomes import BatchOutcome, Key, RecordOutcome

ProcessStored = Callable[[RecordId, bytes | None, bytes | None], RecordOutcome]
"""(record, key, value) → the outcome of a stored record now."""


def control_of(headers: Iterable[tuple[str, bytes]] | None) -> Control | None:
    """The control record that these headers make of a record without a value, if opshub wrote it."""
    for name, value in headers or ():
        if name == CONTROL_HEADER:
            return msgspec.json.decode(value, type=Control)
    return None


async def process_in_order(
    records: Sequence[KafkaRecord],
    outcomes: list[RecordOutcome],
    parked_from: Mapping[Key, int],
    process_stored: ProcessStored,
    lookup: Lookup,
) -> BatchOutcome:
    """Go through a batch record by record. Corrects `outcomes` where a record has to wait behind another."""
    batch = BatchOutcome()
    now = dict(parked_from)
    failed = [record_id(record) for record, outcome in zip(records, outcomes, strict=True) if outcome.error is not None]
    states = await dead_letter_states(lookup, failed)
    for index, (record, outcome) in enumerate(zip(records, outcomes, strict=True)):
        topic, offset, raw = record.topic(), record.offset(), record.key()
        if outcome.control is not None:
            if outcome.control.kind == "retry":
                await _retry_key(topic, raw, now, batch, process_stored, lookup)
            elif outcome.control.kind == "sweep":
                batch.sweeps.append(Sweep(topic, Position(*outcome.control.position), 0, repeat=False))
            continue
        if outcome.kind == "tombstones":
            continue
        key = (topic, raw) if raw is not None else None
        first = now.get(key) if key is not None else None
        if first is not None and offset > first:
            outcomes[index] = RecordOutcome("parked")
            batch.dead_letters.append(parked_record(record))
        elif outcome.error is not None:
            if states.get(record_id(record)) in ("retried", "dropped"):
                continue
            batch.dead_letters.append(dead_letter_of(record, outcome.error))
            if key is not None:
                now[key] = offset
        elif outcome.sweep is not None:
            batch.sweeps.append(outcome.sweep)
        else:
            batch.changes += outcome.changes
    for key in now.keys() | parked_from.keys():
        if now.get(key) != parked_from.get(key):
            batch.parked_from[key] = now.get(key)
    return batch


async def _retry_key(
    topic: str,
    raw: bytes | None,
    now: dict[Key, int],
    batch: BatchOutcome,
    process_stored: ProcessStored,
    lookup: Lookup,
) -> None:
    """Retry the open records of a key, in order, up to the first that nobody asked to retry or that fails again.

    Records without a key wait for nobody: each of them is retried by itself.
    """
    first_open: int | None = None
    for stored in await open_dead_letters(lookup, topic, raw):
        passed = stored.state != "dead" and _retry(topic, stored, batch, process_stored)
        if not passed and raw is not None:
            first_open = stored.offset
            break
    if raw is None:
        return
    if first_open is None:
        now.pop((topic, raw), None)
    else:
        now[topic, raw] = first_open


def _retry(topic: str, stored: OpenDeadLetter, batch: BatchOutcome, process_stored: ProcessStored) -> bool:
    """Whether one stored record passes now."""
    record = RecordId(topic, stored.partition, stored.offset)
    outcome = process_stored(record, stored.key, stored.value)
    if outcome.error is not None:
        batch.retry_failures.append(RetryFailure(record, describe_error(outcome.error)))
        return False
    batch.changes += outcome.changes
    batch.notes += outcome.notes
    batch.retried.append(record)
    return True


def record_id(record: KafkaRecord) -> RecordId:
    """The coordinates of a record."""
    return RecordId(record.topic(), record.partition(), record.offset())
