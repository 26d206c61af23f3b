"""One hub transaction for each checkpoint of ingest: dead letters, parked records, retries, the account, mapping notes.

In: the outcomes of the batches since the last checkpoint. Promised: the hub keeps every record once, by topic,
partition and offset, and counts it once, also when a batch comes again. A dead letter that a person settled meanwhile
stays settled.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import psycopg

from streams.errors import OpshubError
from streams.hub.accounts import Account, MappingNoteTally, NoteKey
from streams.hub.dead_letters import RetryFailure, dead_letter_columns
from streams.hub.statements import SQL, columns
from streams.hub.store import HubStore
from streams.model.change import Position, Resnapshot
from streams.model.dead_letter import DeadLetter
from streams.model.kafka_record import RecordId
from streams.model.partition import Partition


class CountedElsewhere(OpshubError):
    """Another worker, or an earlier try, counted some of these records: read again from where the account ends."""


class Sweep(NamedTuple):
    """Delete what the table of `topic` contributed before `position`."""

    topic: str
    position: Position
    source_us: int
    repeat: bool
    """Whether to do it again later, for rows that are still under way."""


class CheckpointData(msgspec.Struct):
    """What the hub keeps of one batch."""

    dead_letters: list[DeadLetter] = []
    """Parked records among them."""
    retry_failures: list[RetryFailure] = []
    retried: list[RecordId] = []
    """Dead letters that passed now."""
    sweeps: list[Sweep] = []
    accounts: list[Account] = []
    notes: list[MappingNoteTally] = []
    resnapshots: list[Resnapshot] = []
    """Rows that looked up a row which changed."""


class PendingCheckpoint:
    """What the next checkpoint writes: the outcomes of all acknowledged batches since the last one."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin the next checkpoint."""
        self.dead_letters: list[DeadLetter] = []
        self.retry_failures: list[RetryFailure] = []
        self.retried: list[RecordId] = []
        self.sweeps: list[Sweep] = []
        self.accounts: dict[Partition, Account] = {}
        self.notes: dict[NoteKey, MappingNoteTally] = {}
        self.resnapshots: set[Resnapshot] = set()

    @property
    def is_urgent(self) -> bool:
        """Whether it holds more than counts: the next record of a key must see what the hub keeps of the key."""
        return bool(self.dead_letters or self.retry_failures or self.retried or self.sweeps)

    def add(self, outcome: CheckpointData) -> None:
        """Add a batch whose changes are acknowledged."""
        self.dead_letters += outcome.dead_letters
        self.retry_failures += outcome.retry_failures
        self.retried += outcome.retried
        self.resnapshots.update(outcome.resnapshots)
        self.sweeps += [sweep for sweep in outcome.sweeps if sweep.repeat]
        for account in outcome.accounts:
            known = self.accounts.setdefault((account.topic, account.partition), account)
            if known is not account:
                known.extend(account)
        for note in outcome.notes:
            before = self.notes.get(note.key)
            if before is not None:
                note.count += before.count
            self.notes[note.key] = note


async def write_checkpoint(store: HubStore, pending: PendingCheckpoint) -> None:
    """Write all of it in one transaction.

    Raises CountedElsewhere with nothing written, RetryLater while the hub is away.
    """
    connection = await store.connection()
    accounts = list(pending.accounts.values())
    try:
        async with connection.transaction(), connection.pipeline():
            if pending.dead_letters:
                await connection.execute(SQL["add_dead_letters"], dead_letter_columns(pending.dead_letters))
            for failed in pending.retry_failures:
                await connection.execute(SQL["retry_failed"], [*failed.failure, *failed.record])
            for sweep in pending.sweeps:
                await connection.execute(SQL["add_sweep"], [sweep.topic, *sweep.position])
            if pending.retried:
                await connection.execute(SQL["retries_passed"], columns(pending.retried))
            if accounts:
                counted = await connection.execute(SQL["count_records"], [msgspec.json.encode(accounts)])
                # A partition that another worker counted further is not written, and so does not come back.
                if len(await counted.fetchall()) != len(accounts):
                    raise CountedElsewhere
            if pending.resnapshots:
                await connection.execute(SQL["add_resnapshots"], columns(sorted(pending.resnapshots)))
            if pending.notes:
                notes = msgspec.json.encode(list(pending.notes.values()))
                await connection.execute(SQL["count_mapping_notes"], [notes])
    except psycopg.Error as error:
        raise await store.failed(error) from error
