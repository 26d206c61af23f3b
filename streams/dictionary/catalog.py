"""What a Postgres database has: its tables, columns, keys and references, as the catalogue says; read with nothing but
SELECT.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

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
    """Columns of this table that name a row of another."""

    columns: tuple[str, ...]
    table: str
    refers: tuple[str, ...]


@dataclass(slots=True)
class LiveTable:
    """One table, named schema.table."""

    name: str
    identity: Identity
    rows: int
    """How many rows the planner thinks there are."""
    comment: str = ""
    columns: dict[str, LiveColumn] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    unique: list[tuple[str, ...]] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)


_TABLES = """
SELECT c.oid, n.nspname || '.' || c.relname, c.relreplident, greatest(c.reltuples, 0)::bigint,
       coalesce(obj_description(c.oid, 'pg_class'), '')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
"""
_COLUMNS = """
SELECT a.attrelid, a.attname, format_type(coalesce(nullif(t.typelem, 0), t.oid), NULL), NOT a.attnotnull, t.typcategory = 'A',
       CASE WHEN t.typname IN ('numeric', '_numeric') AND a.atttypmod > 0 THEN ((a.atttypmod - 4) >> 16) & 65535 END,
       CASE WHEN t.typname IN ('numeric', '_numeric') AND a.atttypmod > 0 THEN ((a.atttypmod - 4) & 2047) END,
       coalesce(col_description(a.attrelid, a.attnum), ''),
       (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY(%s) ORDER BY a.attrelid, a.attnum
"""
_KEYS = """
SELECT i.indrelid, i.indisprimary, array_agg(a.attname ORDER BY k.n)
  FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indrelid = ANY(%s)
 GROUP BY i.indexrelid, i.indrelid, i.indisprimary
"""
_REFERENCES = """
SELECT c.conrelid, n.nspname || '.' || r.relname,
       (SELECT array_agg(a.attname ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
       (SELECT array_agg(a.attname ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY AS k(attnum, n)
          JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum)
  FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid JOIN pg_namespace n ON n.oid = r.relnamespace
 WHERE c.contype = 'f' AND c.conrelid = ANY(%s)
"""


def read_catalog(connection: psycopg.Connection[Any]) -> dict[str, LiveTable]:
    """Every table that the role may see, by its name schema.table."""
    by_oid: dict[int, LiveTable] = {}
    for oid, name, identity, rows, comment in connection.execute(_TABLES):
        by_oid[oid] = LiveTable(name, _IDENTITY[identity], rows, comment)
    oids = [list(by_oid)]
    for oid, name, kind, nullable, array, precision, scale, comment, labels in connection.execute(_COLUMNS, oids):
        column = LiveColumn(name, kind, nullable, array, precision, scale, comment, tuple(labels or ()))
        by_oid[oid].columns[name] = column
    for oid, primary, columns in connection.execute(_KEYS, oids):
        if primary:
            by_oid[oid].primary_key = tuple(columns)
        else:
            by_oid[oid].unique.append(tuple(columns))
    for oid, table, columns, refers in connection.execute(_REFERENCES, oids):
        by_oid[oid].foreign_keys.append(ForeignKey(tuple(columns), table, tuple(refers)))
    return dict(sorted((t.name, t) for t in by_oid.values()))
