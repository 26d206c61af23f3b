"""The hub's statements, and how they are run: a class for each row that comes back.

`SQL[name]` is a statement of `hub/sql/`. `fetch` runs it and builds one `row` for each row of the result, by
column name: a column without a field of that name, or a field without a column, is a TypeError. Workers do the same
over their own connection: `HubStore.fetch`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from psycopg import Connection
from psycopg.rows import dict_row

from streams.named_sql import fetch_rows, load_statements

SQL = load_statements(Path(__file__).with_name("sql"))

Row = TypeVar("Row")
Parameters = Sequence[Any] | Mapping[str, Any]

Lookup = Callable[..., Awaitable[list[Any]]]
"""`HubStore.rows`: (name of a statement, its parameters) → rows. What pure steps are given in place of a connection."""


def columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Rows → their columns, as `unnest` takes them. There must be at least one row."""
    return [list(column) for column in zip(*rows, strict=True)]


def fetch(connection: Connection[Any], row: type[Row], name: str, parameters: Parameters = ()) -> list[Row]:
    """All rows of one statement. Raises psycopg.Error as the connection does."""
    return fetch_rows(connection, row, SQL[name], parameters)


def fetch_structs(connection: Connection[Any], row: type[Row], name: str, parameters: Parameters = ()) -> list[Row]:
    """As `fetch`, for a msgspec Struct: columns of JSON become structs, too."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [msgspec.convert(columns, row) for columns in cursor.execute(SQL[name], parameters)]
