"""The tables, columns, keys and references of a Postgres database, read from its catalogue with nothing but SELECT."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg

from streams.named_sql import load_statements

Identity = Literal["default", "full", "nothing", "index"]
_IDENTITY: dict[str, Identity] = {"d": "default", "f": "full", "n": "nothing", "i": "index"}


@dataclass(frozen=True, slots=True)
class LiveColumn:
    """One column. `type` is as information_schema names it; `array` is of that type; `labels` are those of an enum."""

    name: str
    type: str
    nullable: bool
    array: bool = False
    precision: int | None = None
    scale: int | None = None
    comment: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`columns` of this table name a row of `table`, by its columns `referenced`."""

    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]


@dataclass(slots=True)
class LiveTable:
    """One table, named schema.table."""

    name: str
    identity: Identity
    rows: int
    """How many rows the planner of Postgres estimates."""
    comment: str = ""
    columns: dict[str, LiveColumn] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    unique: list[tuple[str, ...]] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)


SQL = load_statements(Path(__file__).parent / "sql")


def read_catalog(connection: psycopg.Connection[Any]) -> dict[str, LiveTable]:
    """Every table that the role may see, by its name schema.table."""
    by_oid: dict[int, LiveTable] = {}
    for oid, name, identity, rows, comment in connection.execute(SQL["tables"]):
        by_oid[oid] = LiveTable(name, _IDENTITY[identity], rows, comment)
    tables = {"tables": list(by_oid)}
    for oid, name, kind, nullable, array, precision, scale, comment, labels in connection.execute(
        SQL["columns"], tables
    ):
        column = LiveColumn(name, kind, nullable, array, precision, scale, comment, tuple(labels or ()))
        by_oid[oid].columns[name] = column
    for oid, primary, columns in connection.execute(SQL["unique_keys"], tables):
        if primary:
            by_oid[oid].primary_key = tuple(columns)
        else:
            by_oid[oid].unique.append(tuple(columns))
    for oid, table, columns, referenced in connection.execute(SQL["foreign_keys"], tables):
        by_oid[oid].foreign_keys.append(ForeignKey(tuple(columns), table, tuple(referenced)))
    return dict(sorted((t.name, t) for t in by_oid.values()))
