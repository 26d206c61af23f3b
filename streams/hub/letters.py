"""Dead letters, parked records, the account of raw records and what was mended in them, in one hub transaction for each batch of ingest.

In: what a batch put aside and how it counts. Promised: every record is kept once, by topic, partition and offset, and counted once,
also when the batch comes again; a row that a person dealt with meanwhile stays as they left it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import psycopg

from streams.errors import OpshubError
from streams.hub.store import SQL, HubStore

TP = tuple[str, int]

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


class CountedElsewhere(OpshubError):
    """Some of these records were counted by another worker, or by an earlier try: ask again from where to count."""


async def put_aside(
    store: HubStore,
    letters: Sequence[Letter],
    failed: Sequence[Failed],
    accounts: Sequence[Account],
    sweeps: Sequence[tuple[str, int, int, int]],
    notes: Sequence[Noted] = (),
) -> None:
    """Keep letters and counts. Raises CountedElsewhere with nothing written, RetryLater while the hub is away."""
    connection = await store.connection()
    try:
        async with connection.transaction(), connection.pipeline():
            if letters:
                await connection.execute(SQL["put_aside"], [list(column) for column in zip(*letters, strict=True)])
            for one in failed:
                await connection.execute(SQL["letter_failed"], one)
            for sweep in sweeps:
                await connection.execute(SQL["note_sweep"], sweep)
            if accounts:
                counted = await connection.execute(SQL["count_records"], [msgspec.json.encode(accounts)])
                if len(await counted.fetchall()) != len(accounts):
                    raise CountedElsewhere
            if notes:
                await connection.execute(SQL["count_notes"], [msgspec.json.encode(notes)])
    except psycopg.Error as error:
        raise await store.failed(error) from error
