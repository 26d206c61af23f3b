"""The statements of an update of rows, for MariaDB and MySQL: one row after the other, in the order of their keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streams.mariadb_session import backticked
from streams.writeback.mariadb_target import MariadbTarget
from streams.writeback.rules import Update


class MariadbStatements:
    """Reads and writes the rows of an update; both lock them."""

    def __init__(self, connection: MariadbTarget, update: Update) -> None:
        self._connection = connection
        self._update = update
        chosen = ", ".join(backticked(column) for column in update.columns.values())
        key, table = backticked(update.key), backticked(update.table)
        self._read = f"SELECT {chosen} FROM {table} WHERE {key} = %s FOR UPDATE"
        sets = ", ".join(f"{backticked(column)} = %s" for column in update.columns.values())
        self._write = f"UPDATE {table} SET {sets} WHERE {key} = %s"

    async def read(self, given: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """Number of a given row → the row of the target with its key."""
        # Locked in the order of their keys, so that two deliverers cannot wait for each other.
        order = sorted(range(len(given)), key=lambda number: str(given[number][self._update.key]))
        effects = await self._connection.run([(self._read, [given[number][self._update.key]]) for number in order])
        return {number: effect.row for number, effect in zip(order, effects, strict=True) if effect.row is not None}

    async def write(self, given: Sequence[dict[str, Any]]) -> None:
        columns = [*self._update.columns.values(), self._update.key]
        await self._connection.run([(self._write, [row[column] for column in columns]) for row in given])
