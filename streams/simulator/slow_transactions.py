"""A user who leaves transactions open: he writes a row, waits, and commits while others have committed in between.

So Debezium emits rows whose position in the log is before that of rows that it emitted earlier. The user has rows of
his own, so nobody waits for his locks.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import psycopg

from streams.simulator.world import CRM, ERP, Touched, Transaction


class SlowUser:
    """One open transaction at a time in each system; `committed` is called after each commit."""

    def __init__(
        self, crm_dsn: str, erp_dsn: str, rng: Random, every: float, committed: Callable[[Transaction], None]
    ) -> None:
        """`every`: seconds between the starts of two transactions of one system; each stays open for up to half of
        that.
        """
        self._rng = rng
        self._every = every
        self._committed = committed
        self._systems = [
            _SlowRow(crm_dsn, CRM, "public.account", "account", "name", "notes"),
            _SlowRow(erp_dsn, ERP, "erp.cust", "erp.cust", "name1", "memo"),
        ]

    def tick(self, now: float) -> None:
        """Begin and commit what is due at `now`, in seconds since the work began."""
        for row in self._systems:
            if row.open_until is not None and now >= row.open_until:
                self._committed(row.commit())
            elif row.open_until is None and now >= row.next_start:
                row.begin(f"{self._rng.getrandbits(48):012x}")
                row.open_until = now + self._rng.random() * self._every / 2
                row.next_start = now + self._every

    def finish(self) -> None:
        """Commit what is open."""
        for row in self._systems:
            if row.open_until is not None:
                self._committed(row.commit())
            row.next_start = 0.0

    def close(self) -> None:
        for row in self._systems:
            row.connection.close()


class _SlowRow:
    """The user's row in one system, and his connection to it."""

    def __init__(self, dsn: str, system: str, shown: str, table: str, name: str, note: str) -> None:
        """`shown`: the table as Debezium names it; `name` and `note`: columns of `table`."""
        self.connection: psycopg.Connection[tuple[object, ...]] = psycopg.connect(
            dsn, application_name="slow clerk", connect_timeout=10
        )
        self.next_start = 0.0
        self.open_until: float | None = None
        self._system, self._shown = system, shown
        self._insert = f"INSERT INTO {table} ({name}) VALUES (%s) RETURNING id::text".encode()
        self._update = f"UPDATE {table} SET {note} = %s WHERE id = %s".encode()
        self._key: str | None = None
        self._touched: list[Touched] = []

    def begin(self, text: str) -> None:
        if self._key is None:
            row = self.connection.execute(self._insert, [f"Slow Clerk {text}"]).fetchone()
            assert row is not None
            self._key = str(row[0])
            self._touched = [(self._shown, self._key, "c")]
        else:
            self.connection.execute(self._update, [text, self._key])
            self._touched = [(self._shown, self._key, "u")]

    def commit(self) -> Transaction:
        # A second update of the row: the transaction then has rows before and after what others committed meanwhile.
        self.connection.execute(self._update, [f"finished {self.open_until}", self._key])
        self.connection.commit()
        self.open_until = None
        return Transaction(self._system, "slow_transaction", [], [*self._touched, (self._shown, self._key or "", "u")])
