"""The demo's own SQL: `SQL[name]` is a statement of `demo/sql/`."""

from __future__ import annotations

from pathlib import Path

import psycopg

from streams.named_sql import load_statements

SQL = load_statements(Path(__file__).with_name("sql"))


def count(connection: psycopg.Connection[tuple[object, ...]], name: str) -> int:
    """The number that a counting statement returns."""
    row = connection.execute(SQL[name]).fetchone()
    assert row is not None
    return int(str(row[0]))
