"""The tables, columns, keys and references of a Postgres database, read from its catalogue with nothing but SELECT."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg

from streams.mapping.source_types import ColumnTypes, SourceType, source_type
from streams.named_sql import load_statements

Identity = Literal["default", "full", "nothing", "index"]
_IDENTITY: dict[str, Identity] = {"d": "default", "f": "full", "n": "nothing", "i": "index"}


_ENDLESS = {"text", "character varying", "character", "citext", "xml", "tsvector", "ltree"}
_WIDE_FORMS = {"json", "hstore", "bytes", "struct"}
_LONG = 500
"""A row is made shorter from 2 kB on; shorter texts than this are never what makes it long."""


@dataclass(frozen=True, slots=True)
class LiveColumn:
    """One column. `type` is a name of `streams.mapping.source_types`, `array` a list of that type, `labels` those of an
    enum.
    """

    name: str
    type: str
    nullable: bool
    array: bool = False
    precision: int | None = None
    scale: int | None = None
    comment: str = ""
    labels: tuple[str, ...] = ()
    length: int | None = None
    """Most characters of a varchar; None without a limit."""
    may_be_out_of_line: bool = True
    """Whether Postgres may store a long value of it out of line."""
    collation: str = ""
    """The name of its collation, if that calls different texts equal (not deterministic)."""

    @property
    def source(self) -> SourceType:
        """Its type, as the table of types knows it."""
        return source_type(self.type + ("[]" if self.array else ""))

    @property
    def is_wide(self) -> bool:
        """Whether its values can be so long that Postgres stores them out of line, and then does not send them again
        with an update that leaves them alone.
        """
        endless = self.type in _ENDLESS and (self.length is None or self.length > _LONG)
        return self.may_be_out_of_line and (self.array or endless or self.source.form in _WIDE_FORMS)


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
    has_out_of_line: bool = False
    """Whether it has values that are stored out of line."""
    columns: dict[str, LiveColumn] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    unique: list[tuple[str, ...]] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    late_keys: list[tuple[str, ...]] = field(default_factory=list)
    """Its keys, primary or unique, that are checked late (deferrable): two rows may have one key for a moment."""


SQL = load_statements(Path(__file__).parent / "sql")


def read_catalog(connection: psycopg.Connection[Any], only: Collection[str] | None = None) -> dict[str, LiveTable]:
    """Every table that the role may see, by its name schema.table; with `only`, those of these names."""
    by_oid: dict[int, LiveTable] = {}
    chosen = {"only": None if only is None else list(only)}
    for oid, name, identity, rows, comment, has_out_of_line in connection.execute(SQL["tables"], chosen):
        by_oid[oid] = LiveTable(name, _IDENTITY[identity], rows, comment, has_out_of_line)
    tables = {"tables": list(by_oid)}
    for oid, name, kind, nullable, array, precision, scale, comment, labels, *stored in connection.execute(
        SQL["columns"], tables
    ):
        column = LiveColumn(name, kind, nullable, array, precision, scale, comment, tuple(labels or ()), *stored)
        by_oid[oid].columns[name] = column
    for oid, primary, late, columns in connection.execute(SQL["unique_keys"], tables):
        if late:
            by_oid[oid].late_keys.append(tuple(columns))
        if primary:
            by_oid[oid].primary_key = tuple(columns)
        else:
            by_oid[oid].unique.append(tuple(columns))
    for oid, table, columns, referenced in connection.execute(SQL["foreign_keys"], tables):
        by_oid[oid].foreign_keys.append(ForeignKey(tuple(columns), table, tuple(referenced)))
    return dict(sorted((t.name, t) for t in by_oid.values()))


def types_of(catalog: dict[str, LiveTable]) -> dict[str, ColumnTypes]:
    """Table → the types of its columns, to compile a dictionary with."""
    return {name: {c.name: c.source.name for c in table.columns.values()} for name, table in catalog.items()}
