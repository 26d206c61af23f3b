"""Systems without a database: who reads them, what is known of their rows, what still has to be sent; and schedules.

One function for each statement of `sql/sources.sql`. Those that write belong into a transaction that has locked the
table first (`lock_table`): it puts all writers of a table in order, so a greater position is a later change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import psycopg

from streams.hub.statements import SQL, fetch, fetch_structs

Hub = psycopg.Connection[Any]


class SourceRead(msgspec.Struct, frozen=True):
    """How far a table is read. `wanted_at`: since when a person or an event wants it read; `whole_wanted`: all of it.
    `problem`: why the last read failed, since `problem_at`.
    """

    system: str
    table: str
    watermark: str | None
    position: int
    read_at: datetime | None
    swept_at: datetime | None
    whole_wanted: bool
    wanted_at: datetime | None
    problem: str | None
    problem_at: datetime | None


class KnownRow(msgspec.Struct, frozen=True):
    """A row as it was last sent. `row`: None when it is deleted; `version`: what the source says about its age."""

    key: str
    digest: bytes
    row: bytes | None
    version: str | None
    position: int


class RowToSave(msgspec.Struct, frozen=True):
    """As `KnownRow`, to be written."""

    key: str
    digest: bytes
    row: bytes | None
    version: str | None
    position: int


class RawRecord(msgspec.Struct, frozen=True):
    """A raw record that Kafka has not acknowledged yet."""

    topic: str
    position: int
    key: bytes | None
    value: bytes


class SourceFileRow(msgspec.Struct, frozen=True):
    """A file that was taken (`rows`), or refused (`problem`)."""

    digest: str
    name: str
    at: datetime
    rows: int | None
    problem: str | None


class Hint(msgspec.Struct, frozen=True):
    """A row that is to be read."""

    table: str
    key: str
    number: int


class SyncBatch(msgspec.Struct, frozen=True):
    """The last batch of a captured table with a schedule; it runs while `ended_at` is None."""

    scope: str
    began_at: datetime
    ends: dict[str, int]
    ended_at: datetime | None


class _Name(msgspec.Struct, frozen=True):
    name: str


class _System(msgspec.Struct, frozen=True):
    system: str


class _Lock(msgspec.Struct, frozen=True):
    position: int
    now_us: int


class _LiveRow(msgspec.Struct, frozen=True):
    key: str
    row: bytes


class _IsOurs(msgspec.Struct, frozen=True):
    is_ours: bool


class _IsSent(msgspec.Struct, frozen=True):
    is_sent: bool


class _Number(msgspec.Struct, frozen=True):
    number: int


def take_lease(hub: Hub, system: str, holder: str, seconds: float) -> bool:
    """Take or keep the right to read a system for `seconds`; False while another reader has it."""
    return bool(fetch(hub, _System, "take_source_lease", {"system": system, "holder": holder, "seconds": seconds}))


def give_lease(hub: Hub, system: str, holder: str) -> None:
    """Let another reader have it at once."""
    hub.execute(SQL["give_source_lease"], {"system": system, "holder": holder})


def has_lease(hub: Hub, system: str, holder: str) -> bool:
    """Whether this reader still has it; it keeps it until the transaction ends."""
    return bool(fetch(hub, _System, "has_source_lease", {"system": system, "holder": holder}))


def add_table(hub: Hub, system: str, table: str) -> None:
    """Let the hub know a table; nothing where it does."""
    hub.execute(SQL["add_source_read"], {"system": system, "table": table})


def source_reads(hub: Hub, systems: Sequence[str]) -> dict[tuple[str, str], SourceRead]:
    """(system, table) → how far it is read."""
    rows = fetch(hub, SourceRead, "source_reads", {"systems": list(systems)})
    return {(row.system, row.table): row for row in rows}


def lock_table(hub: Hub, system: str, table: str) -> int:
    """Keep every other writer of the table away until the transaction ends; the position after which the next changes
    come. It follows the clock, so that positions also grow when the hub was restored from an older backup.
    """
    add_table(hub, system, table)
    (row,) = fetch(hub, _Lock, "lock_source_read", {"system": system, "table": table})
    return max(row.position, row.now_us)


def known_rows(hub: Hub, system: str, table: str, keys: Sequence[str]) -> dict[str, KnownRow]:
    """Key → the row as it was last sent, of those that are known."""
    rows = fetch(hub, KnownRow, "source_rows", {"system": system, "table": table, "keys": list(keys)})
    return {row.key: row for row in rows}


def live_rows(hub: Hub, system: str, table: str, before: int) -> dict[str, bytes]:
    """Key → row, of those that are not deleted and did not change after position `before`."""
    rows = fetch(hub, _LiveRow, "live_source_rows", {"system": system, "table": table, "before": before})
    return {row.key: row.row for row in rows}


def all_rows(hub: Hub, system: str, table: str) -> Iterator[bytes]:
    """Each row that is not deleted, as JSON."""
    with hub.cursor(name="opshub_feed_rows") as cursor:
        for (row,) in cursor.execute(SQL["all_source_rows"], {"system": system, "table": table}):
            yield row


def save_rows(hub: Hub, system: str, table: str, rows: Sequence[RowToSave]) -> None:
    """Remember these rows as sent; each key once."""
    columns = [list(column) for column in zip(*map(msgspec.structs.astuple, rows), strict=True)]
    keys, digests, values, versions, positions = columns
    hub.execute(
        SQL["save_source_rows"],
        {
            "system": system, "table": table, "keys": keys, "digests": digests, "rows": values, "versions": versions,
            "positions": positions,
        },
    )  # fmt: skip


def add_sends(hub: Hub, system: str, topic: str, records: Sequence[RawRecord]) -> None:
    """Queue raw records for Kafka."""
    hub.execute(
        SQL["add_source_sends"],
        {
            "system": system,
            "topic": topic,
            "positions": [record.position for record in records],
            "keys": [record.key for record in records],
            "values": [record.value for record in records],
        },
    )


def save_position(hub: Hub, system: str, table: str, position: int) -> None:
    """Remember the greatest position that was given."""
    hub.execute(SQL["save_source_position"], {"system": system, "table": table, "position": position})


def end_read(
    hub: Hub, system: str, table: str, *, watermark: str | None, swept: bool, began: datetime | None = None
) -> None:
    """The table was read to its end. What was wanted after it `began` stays wanted."""
    hub.execute(
        SQL["end_source_read"],
        {"system": system, "table": table, "watermark": watermark, "swept": swept, "began": began},
    )


def fail_read(hub: Hub, system: str, table: str, problem: str) -> None:
    """Remember why a read failed."""
    add_table(hub, system, table)
    hub.execute(SQL["fail_source_read"], {"system": system, "table": table, "problem": problem})


def want_read(hub: Hub, system: str, table: str | None, *, whole: bool = False) -> list[str]:
    """Let a table, or all of a system, be read as soon as possible; the tables."""
    rows = fetch(hub, _Name, "want_source_read", {"system": system, "table": table, "whole": whole})
    return sorted(row.name for row in rows)


def forget_rows(hub: Hub, system: str) -> None:
    """Let everything of a system be read as a whole, and sent once more."""
    for statement in ("forget_source_rows", "forget_source_reads", "forget_source_files"):
        hub.execute(SQL[statement], {"system": system})


def lock_sends(hub: Hub, system: str) -> bool:
    """Become the one sender of a system until the transaction ends; False while there is another."""
    return fetch(hub, _IsOurs, "lock_source_sends", {"system": system})[0].is_ours


def sends(hub: Hub, system: str, most: int) -> list[RawRecord]:
    """What is to be sent, in the order of positions."""
    return fetch(hub, RawRecord, "source_sends", {"system": system, "most": most})


def is_sent(hub: Hub, topic: str, position: int) -> bool:
    """Whether Kafka has all of a topic up to a position."""
    return fetch(hub, _IsSent, "source_sends_up_to", {"topic": topic, "position": position})[0].is_sent


def delete_sends(hub: Hub, records: Sequence[RawRecord]) -> None:
    """Kafka has them."""
    topics, positions = [record.topic for record in records], [record.position for record in records]
    hub.execute(SQL["delete_source_sends"], {"topics": topics, "positions": positions})


def count_sends(hub: Hub, system: str) -> int:
    """How many records of a system Kafka has not acknowledged yet."""
    return fetch(hub, _Number, "count_source_sends", {"system": system})[0].number


def add_event(hub: Hub, system: str, event: str) -> bool:
    """Remember an event; False where it came before."""
    return bool(fetch(hub, _Name, "add_source_event", {"system": system, "event": event}))


def forget_events(hub: Hub) -> None:
    """Forget events that came more than 30 days ago."""
    hub.execute(SQL["forget_source_events"])


def add_hint(hub: Hub, system: str, table: str, key: str) -> None:
    """Let one row be read."""
    hub.execute(SQL["add_source_hint"], {"system": system, "table": table, "key": key})


def hints(hub: Hub, system: str) -> list[Hint]:
    """Rows that are to be read, the oldest first; at most 100."""
    return fetch(hub, Hint, "source_hints", {"system": system})


def delete_hint(hub: Hub, system: str, hint: Hint) -> None:
    """The row was read. A hint that came since stays."""
    parameters = {"system": system, "table": hint.table, "key": hint.key, "number": hint.number}
    hub.execute(SQL["delete_source_hints"], parameters)


def source_files(hub: Hub, system: str, table: str, most: int = 100) -> list[SourceFileRow]:
    """Files that were taken or refused, the newest first."""
    return fetch(hub, SourceFileRow, "source_files", {"system": system, "table": table, "most": most})


def source_file(hub: Hub, system: str, table: str, digest: str) -> SourceFileRow | None:
    """The file of this content, if it was seen."""
    rows = fetch(hub, SourceFileRow, "source_file", {"system": system, "table": table, "digest": digest})
    return next(iter(rows), None)


def add_file(
    hub: Hub, system: str, table: str, digest: str, name: str, *, rows: int | None = None, problem: str | None = None
) -> None:
    """Remember that a file was taken, or refused."""
    parameters = {
        "system": system, "table": table, "digest": digest, "name": name, "rows": rows, "problem": problem,
    }  # fmt: skip
    hub.execute(SQL["add_source_file"], parameters)


def sync_batches(hub: Hub) -> dict[str, SyncBatch]:
    """Scope → its last batch."""
    return {row.scope: row for row in fetch_structs(hub, SyncBatch, "sync_batches")}


def begin_batch(hub: Hub, scope: str, ends: dict[str, int]) -> None:
    """A batch of a captured table begins; it reads up to `ends` (partition → offset)."""
    hub.execute(SQL["begin_sync_batch"], {"scope": scope, "ends": msgspec.json.encode(ends).decode()})


def end_batch(hub: Hub, scope: str) -> None:
    """The batch of a table is done."""
    hub.execute(SQL["end_sync_batch"], {"scope": scope})
