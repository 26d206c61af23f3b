"""Rows of a Postgres target: many statements in one round trip, and values in plain form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from streams.writeback.values import plain

TargetRow = dict[str, Any]
TargetConnection = AsyncConnection[TargetRow]

Statements = Sequence[tuple[str, Sequence[object] | Mapping[str, object]]]

STATEMENTS_IN_FLIGHT = 1000
"""Statements that are sent before their answers are read: without a limit both sides could wait with full buffers."""


class Effect(NamedTuple):
    """What a statement did: its first row, if it returns rows, and how many rows it returned or changed."""

    row: TargetRow | None
    affected: int
    returns_rows: bool


async def first_rows(connection: TargetConnection, statements: Statements) -> list[TargetRow | None]:
    """The first row of each (statement, parameters), or None."""
    return [effect.row for effect in await run_statements(connection, statements)]


async def run_statements(connection: TargetConnection, statements: Statements) -> list[Effect]:
    """What each (statement, parameters) did. They are sent before the first answer is read, so many at a time."""
    effects: list[Effect] = []
    for start in range(0, len(statements), STATEMENTS_IN_FLIGHT):
        async with connection.pipeline():
            cursors = [
                await connection.execute(statement.encode(), parameters)
                for statement, parameters in statements[start : start + STATEMENTS_IN_FLIGHT]
            ]
        for cursor in cursors:
            row = await cursor.fetchone() if cursor.description else None
            effects.append(Effect(row, cursor.rowcount, cursor.description is not None))
    return effects


async def settle_constraints(connection: TargetConnection) -> None:
    """Let the target check now what it would check only at the commit, with the triggers that wait for it: then it is
    read back, and refused with its job. What is done after this in the transaction is deferred again.
    """
    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED", prepare=False)


def plain_row(row: TargetRow) -> TargetRow:
    """The row with values as JSON has them."""
    return {column: plain(value) for column, value in row.items()}
