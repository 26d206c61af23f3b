"""Dead letters, parked records, the account of raw records and what was mended in them, in one hub transaction for each
checkpoint of ingest.

In: what batches put aside and how they count. Promised: every record is kept once, by topic, partition and offset, and counted once,
also when the batch comes again; a row that a person dealt with meanwhile stays as they left it.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
import psycopg

from streams.errors import OpshubError
from streams.hub.statements import SQL
from streams.hub.store import HubStore
from streams.model.partition import Partition

Letter = tuple[str, int, int, bytes | None, bytes | None, str, str, str, str]
"""(topic, partition, offset, key, value, stage, class, reason, state: `dead` or `parked`)."""

Failed = tuple[str, str, str, str, int, int]
"""(stage, class, reason, topic, partition, offset) of a letter that failed again."""


class Account(msgspec.Struct):
    """How the records of one partition in one batch count; `since` to `upto` (exclusive) are its offsets."""

    topic: str
    partition: int
    since: int
    upto: int
    passed: int = 0
    filtered: int = 0
    tombstones: int = 0
    dead: int = 0
    parked: int = 0
    control: int = 0


class Noted(msgspec.Struct):
    """How often a dictionary mended or forgave a value of one field in one way, with the reason and the key of the last."""

    system: str
    tbl: str
    field: str
    kind: str
    reason: str
    example: str
    count: int = 1


_COUNTED = ("passed", "filtered", "tombstones", "dead", "parked", "control")


class CountedElsewhere(OpshubError):
    """Some of these records were counted by another worker, or by an earlier try: ask again from where to count."""


class Taken(Protocol):
    """What `Unsettled` reads of a batch; `streams.pipeline.parking.Taken` is one."""

    letters: list[Letter]
    failed: list[Failed]
    done: list[tuple[str, int, int]]
    sweeps: list[Any]
    accounts: list[Account]
    notes: list[Noted]


class Unsettled:
    """What the batches since the last checkpoint put aside, and how their records count."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.letters: list[Letter] = []
        self.failed: list[Failed] = []
        self.done: list[tuple[str, int, int]] = []
        """Letters that passed; what came of them is acknowledged."""
        self.sweeps: list[tuple[str, int, int, int]] = []
        self.accounts: dict[Partition, Account] = {}
        self.notes: dict[tuple[str, str, str, str], Noted] = {}

    @property
    def is_pressing(self) -> bool:
        """Whether it holds more than counts: what comes next of a key must find what is put aside of it."""
        return bool(self.letters or self.failed or self.done or self.sweeps)

    def add(self, taken: Taken) -> None:
        """Take in a batch that is acknowledged."""
        self.letters += taken.letters
        self.failed += taken.failed
        self.done += taken.done
        self.sweeps += [(one.topic, *one.position) for one in taken.sweeps if one.note]
        for account in taken.accounts:
            known = self.accounts.setdefault((account.topic, account.partition), account)
            if known is not account:
                known.upto = account.upto
                for kind in _COUNTED:
                    setattr(known, kind, getattr(known, kind) + getattr(account, kind))
        for note in taken.notes:
            before = self.notes.get(where := (note.system, note.tbl, note.field, note.kind))
            if before is not None:
                note.count += before.count
            self.notes[where] = note


async def put_aside(store: HubStore, unsettled: Unsettled) -> None:
    """Keep letters and counts. Raises CountedElsewhere with nothing written, RetryLater while the hub is away."""
    connection = await store.connection()
    letters, accounts = unsettled.letters, list(unsettled.accounts.values())
    try:
        async with connection.transaction(), connection.pipeline():
            if letters:
                await connection.execute(SQL["put_aside"], [list(column) for column in zip(*letters, strict=True)])
            for one in unsettled.failed:
                await connection.execute(SQL["letter_failed"], one)
            for sweep in unsettled.sweeps:
                await connection.execute(SQL["note_sweep"], sweep)
            if unsettled.done:
                await connection.execute(
                    SQL["letters_done"], [list(column) for column in zip(*unsettled.done, strict=True)]
                )
            if accounts:
                counted = await connection.execute(SQL["count_records"], [msgspec.json.encode(accounts)])
                if len(await counted.fetchall()) != len(accounts):
                    raise CountedElsewhere
            if unsettled.notes:
                await connection.execute(SQL["count_notes"], [msgspec.json.encode(list(unsettled.notes.values()))])
    except psycopg.Error as error:
        raise await store.failed(error) from error
