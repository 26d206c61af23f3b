"""How the records of one batch count: by partition for the account, and by kind for mapping notes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from streams.hub.accounts import Account, MappingNoteTally, NoteKey
from streams.model.kafka_record import KafkaRecord
from streams.model.partition import Partition
from streams.pipeline.outcomes import RecordOutcome


def count_outcomes(
    records: Sequence[KafkaRecord], outcomes: Sequence[RecordOutcome], counted_to: Mapping[Partition, int]
) -> list[Account]:
    """The account of a batch, by partition; offsets before `counted_to` are counted already."""
    accounts: dict[Partition, Account] = {}
    account: Account | None = None
    topic, partition, counted = "", -1, 0
    for record, outcome in zip(records, outcomes, strict=True):
        offset = record.offset()
        # Kafka hands out the records of one partition in runs: look up the account once a run.
        if record.partition() != partition or record.topic() != topic:
            topic, partition = record.topic(), record.partition()
            counted, account = counted_to.get((topic, partition), 0), accounts.get((topic, partition))
        if offset < counted:
            continue
        if account is None:
            account = accounts[topic, partition] = Account(topic, partition, offset, offset)
        account.upto = offset + 1
        kind = outcome.kind
        if kind == "passed":
            account.passed += 1
        else:
            setattr(account, kind, getattr(account, kind) + 1)
    return list(accounts.values())


def merge_notes(
    records: Sequence[KafkaRecord],
    outcomes: Sequence[RecordOutcome],
    counted_to: Mapping[Partition, int],
    of_retries: Iterable[MappingNoteTally],
) -> list[MappingNoteTally]:
    """The mapping notes of a batch, one for each kind, with its count; records before `counted_to` are counted
    already.
    """
    merged: dict[NoteKey, MappingNoteTally] = {}
    of_records = (
        note
        for record, outcome in zip(records, outcomes, strict=True)
        if outcome.notes and record.offset() >= counted_to.get((record.topic(), record.partition()), 0)
        for note in outcome.notes
    )
    for note in (*of_records, *of_retries):
        before = merged.setdefault(note.key, note)
        if before is not note:
            note.count += before.count
            merged[note.key] = note
    return list(merged.values())
