"""What the hub remembers of each source: what it was at the last check, its alarm, its epochs, its columns."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import psycopg

from streams.hub.statements import SQL, fetch
from streams.model.partition import Partition

Shape = dict[str, tuple[str, str]]
"""Number of a column, as text → (name, type). Postgres never uses a number twice, so a rename is not a drop and an
add.
"""


class SourceRecord(msgspec.Struct, frozen=True):
    """A source at the last check; all but `alarm` are null after a new epoch began."""

    system_identifier: str | None
    timeline: int | None
    slot_lsn: int | None
    alarm: str | None
    """Why changes may be missing. It stays until a new epoch."""
    resync_age_s: float | None = None
    """Since a resync began that has not ended; None when there is none."""


class TableRecord(msgspec.Struct, frozen=True):
    """A captured table at the last check; `oid` is 0 for one that did not exist."""

    oid: int
    leaves: dict[str, str]
    """oid, as text → name of what holds its rows: its partitions, or itself."""
    gap: str | None
    """Why changes of it may be missing. It stays until the table is read again."""


class _TableRow(msgspec.Struct, frozen=True):
    table_name: str
    oid: int
    leaves: dict[str, str]
    gap: str | None


class TableChangeRow(msgspec.Struct, frozen=True):
    """One change of a captured table; `at` in UTC (2026-11-30 12:00:00)."""

    at: str
    system: str
    table: str
    kind: str
    what: str
    effect: str


class _Alarm(msgspec.Struct, frozen=True):
    system: str
    alarm: str


class _Epoch(msgspec.Struct, frozen=True):
    epoch: int


class _TableShape(msgspec.Struct, frozen=True):
    table_name: str
    columns: dict[str, list[str]]


class _ColumnTypes(msgspec.Struct, frozen=True):
    system: str
    table_name: str
    columns: dict[str, str]


class _Version(msgspec.Struct, frozen=True):
    version: str


def load_source(hub: psycopg.Connection[object], system: str) -> SourceRecord | None:
    """The last check of a system, locked until the transaction ends; None before the first."""
    return next(iter(fetch(hub, SourceRecord, "source_state", {"system": system})), None)


def save_source(hub: psycopg.Connection[object], system: str, source: SourceRecord) -> None:
    """Remember this check."""
    hub.execute(SQL["save_source_state"], {"system": system} | msgspec.structs.asdict(source))


def begin_resync(hub: psycopg.Connection[object], system: str) -> None:
    """Remember that a resync stops the connector now."""
    hub.execute(SQL["begin_resync"], {"system": system})


def end_resync(hub: psycopg.Connection[object], system: str) -> None:
    """The connector runs again."""
    hub.execute(SQL["end_resync"], {"system": system})


def load_tables(hub: psycopg.Connection[object], system: str) -> dict[str, TableRecord]:
    """Table → what it was at the last check."""
    rows = fetch(hub, _TableRow, "source_tables", {"system": system})
    return {row.table_name: TableRecord(row.oid, row.leaves, row.gap) for row in rows}


def save_table(hub: psycopg.Connection[object], system: str, table: str, record: TableRecord) -> None:
    """Remember a table as it is at this check."""
    values = {"oid": record.oid, "leaves": msgspec.json.encode(record.leaves).decode(), "gap": record.gap}
    hub.execute(SQL["save_source_table"], {"system": system, "table_name": table} | values)


def forget_tables(hub: psycopg.Connection[object], system: str) -> None:
    """Before all tables are read again."""
    hub.execute(SQL["forget_source_tables"], {"system": system})


def load_alarms(hub: psycopg.Connection[object]) -> dict[str, str]:
    """System → why changes of it may be missing, of those whose capture is stopped for that."""
    return {row.system: row.alarm for row in fetch(hub, _Alarm, "source_alarms")}


def next_epoch(hub: psycopg.Connection[object], system: str) -> int:
    """Begin the next epoch of a system; its number."""
    (row,) = fetch(hub, _Epoch, "next_epoch", {"system": system})
    return row.epoch


def add_epoch_start(hub: psycopg.Connection[object], partition: Partition, position: int, epoch: int) -> None:
    """Raw records of this partition belong to `epoch` from offset `position` on."""
    topic, number = partition
    hub.execute(SQL["add_epoch_start"], {"topic": topic, "partition": number, "position": position, "epoch": epoch})


def add_epoch_sweep(hub: psycopg.Connection[object], topic: str, epoch: int, after_s: float) -> None:
    """After `after_s` seconds, delete what this topic reported before `epoch` and has not reported since."""
    hub.execute(SQL["add_epoch_sweep"], {"topic": topic, "epoch": epoch, "after_s": after_s})


def load_shapes(hub: psycopg.Connection[object], system: str) -> dict[str, Shape]:
    """Table → its columns at the last check."""
    rows = fetch(hub, _TableShape, "table_shapes", {"system": system})
    return {row.table_name: {number: (name, kind) for number, (name, kind) in row.columns.items()} for row in rows}


def save_shape(hub: psycopg.Connection[object], system: str, table: str, shape: Shape) -> None:
    """Remember the columns of a table."""
    columns = msgspec.json.encode(shape).decode()
    hub.execute(SQL["save_table_shape"], {"system": system, "table_name": table, "columns": columns})


def load_column_types(hub: psycopg.Connection[object]) -> dict[str, dict[str, dict[str, str]]]:
    """System → table → the types of its columns."""
    types: dict[str, dict[str, dict[str, str]]] = {}
    for row in fetch(hub, _ColumnTypes, "column_types"):
        types.setdefault(row.system, {})[row.table_name] = row.columns
    return types


def save_column_types(hub: psycopg.Connection[object], system: str, table: str, columns: Mapping[str, str]) -> None:
    """Remember the types of a table's columns."""
    encoded = msgspec.json.encode(dict(columns)).decode()
    hub.execute(SQL["save_column_types"], {"system": system, "table_name": table, "columns": encoded})


def column_types_version(hub: psycopg.Connection[object]) -> str:
    """A text that changes whenever the types of a column do."""
    (row,) = fetch(hub, _Version, "column_types_version")
    return row.version


def add_table_change(
    hub: psycopg.Connection[object], *, system: str, table: str, kind: str, what: str, effect: str
) -> None:
    """Remember a change of a table, for `opshub status`."""
    hub.execute(
        SQL["add_table_change"], {"system": system, "table_name": table, "kind": kind, "what": what, "effect": effect}
    )


def recent_table_changes(hub: psycopg.Connection[object]) -> list[TableChangeRow]:
    """Changes of the last thirty days, the newest first; at most fifty."""
    return fetch(hub, TableChangeRow, "recent_table_changes")
