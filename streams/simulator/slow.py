"""A clerk who leaves transactions open: writes early, goes for a coffee, commits late, while others commit around him.

So rows reach the stream whose place in the log lies before that of rows that came earlier. He has rows of his own, on
which nobody else waits.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import psycopg

from streams.simulator.world import CRM, ERP, Touched, Transaction


class SlowClerk:
    """One transaction at a time in each system; `committed` is told of each."""

    def __init__(
        self, crm_dsn: str, erp_dsn: str, rng: Random, every: float, committed: Callable[[Transaction], None]
    ) -> None:
        """`every`: seconds between the beginnings of two transactions of one system; each stays open for up to half of that."""
        self._rng = rng
        self._every = every
        self._committed = committed
        self._desks = [
            _Desk(crm_dsn, CRM, "public.account", "account", "name", "notes"),
            _Desk(erp_dsn, ERP, "erp.cust", "erp.cust", "name1", "memo"),
        ]

    def tick(self, now: float) -> None:
        """Do what is due at `now`, seconds since the work began."""
        for desk in self._desks:
            if desk.until is not None and now >= desk.until:
                self._committed(desk.commit())
            elif desk.until is None and now >= desk.next:
                desk.begin(f"{self._rng.getrandbits(48):012x}")
                desk.until = now + self._rng.random() * self._every / 2
                desk.next = now + self._every

    def finish(self) -> None:
        for desk in self._desks:
            if desk.until is not None:
                self._committed(desk.commit())
            desk.next = 0.0

    def close(self) -> None:
        for desk in self._desks:
            desk.connection.close()


class _Desk:
    def __init__(self, dsn: str, system: str, shown: str, table: str, name: str, note: str) -> None:
        self.connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
            dsn, application_name="slow clerk", connect_timeout=10
        )
        self.next = 0.0
        self.until: float | None = None
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
        # The same row once more, so that the transaction has rows on both sides of what others committed meanwhile.
        self.connection.execute(self._update, [f"finished {self.until}", self._key])
        self.connection.commit()
        self.until = None
        return Transaction(self._system, "slow_transaction", [], [*self._touched, (self._shown, self._key or "", "u")])
