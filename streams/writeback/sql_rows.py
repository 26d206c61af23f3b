"""Rows of a target by SQL: many statements in one round trip, and values in plain form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection

from streams.writeback.mariadb_target import Effect, MariadbTarget
from streams.writeback.values import plain

TargetRow = dict[str, Any]
TargetConnection = AsyncConnection[TargetRow] | MariadbTarget

Statements = Sequence[tuple[str, Sequence[object] | Mapping[str, object]]]

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 7365))"
"""The seed gives other numbers than a plain hash of the same text, which the programs of the target may lock."""

STATEMENTS_IN_FLIGHT = 1000
"""Statements that are sent before their answers are read: without a limit both sides could wait with full buffers."""


async def first_rows(connection: TargetConnection, statements: Statements) -> list[TargetRow | None]:
    """The first row of each (statement, parameters), or None."""
    return [effect.row for effect in await run_statements(connection, statements)]


async def run_statements(connection: TargetConnection, statements: Statements) -> list[Effect]:
    """What each (statement, parameters) did. They are sent before the first answer is read, so many at a time."""
    if isinstance(connection, MariadbTarget):
        return await connection.run(statements)
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
    if isinstance(connection, MariadbTarget):
        return  # it checks everything at once
    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED", prepare=False)


async def lock_keys(connection: TargetConnection, keys: Sequence[str]) -> None:
    """Lock texts until the transaction ends. Raises psycopg.Error when one stays locked for too long."""
    if isinstance(connection, MariadbTarget):
        for key in keys:
            await connection.lock(f"opshub/{key}")
    else:
        await first_rows(connection, [(LOCK, [key]) for key in keys])


def plain_row(row: TargetRow) -> TargetRow:
    """The row with values as JSON has them."""
    return {column: plain(value) for column, value in row.items()}
