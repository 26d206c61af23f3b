"""Rows of a Postgres target: many statements in one round trip, and values in plain form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection

from streams.writeback.values import plain

TargetRow = dict[str, Any]
TargetConnection = AsyncConnection[TargetRow]

STATEMENTS_IN_FLIGHT = 1000
"""Statements that are sent before their answers are read: without a limit both sides could wait with full buffers."""


async def first_rows(
    connection: TargetConnection, statements: Sequence[tuple[str, Sequence[object] | Mapping[str, object]]]
) -> list[TargetRow | None]:
    """The first row of each (statement, parameters), or None. They are sent before the first answer is read, so many
    at a time.
    """
    rows: list[TargetRow | None] = []
    for start in range(0, len(statements), STATEMENTS_IN_FLIGHT):
        async with connection.pipeline():
            cursors = [
                await connection.execute(statement.encode(), parameters)
                for statement, parameters in statements[start : start + STATEMENTS_IN_FLIGHT]
            ]
        rows += [await cursor.fetchone() if cursor.description else None for cursor in cursors]
    return rows


def plain_row(row: TargetRow) -> TargetRow:
    """The row with values as JSON has them."""
    return {column: plain(value) for column, value in row.items()}
