"""The tables, columns, keys and references of a source, read from its catalogue with nothing but SELECT: here that of
Postgres, in `mariadb_catalog.py` that of MariaDB and MySQL.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from streams.dictionary.live_tables import ForeignKey, Identity, LiveColumn, LiveTable
from streams.dictionary.mariadb_catalog import read_binlog_catalog
from streams.mapping.source_types import ColumnTypes
from streams.mariadb_session import MariadbSession, Source
from streams.named_sql import load_statements

_IDENTITY: dict[str, Identity] = {"d": "default", "f": "full", "n": "nothing", "i": "index"}

SQL = load_statements(Path(__file__).parent / "sql")


def read_catalog(connection: Source, only: Collection[str] | None = None) -> dict[str, LiveTable]:
    """Every table that the role may see, by its name schema.table; with `only`, those of these names."""
    if isinstance(connection, MariadbSession):
        return read_binlog_catalog(connection, only)
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
