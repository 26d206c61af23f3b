"""Load that outlives faults: small transactions on both demo systems, a journal of what was acknowledged, and
reconnection.

A commit whose answer was lost may have happened or not: its rows are looked up again before they enter the journal.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, Protocol

import psycopg


class Act:
    """What one transaction does: the rows that it touches, and what is to be remembered once it is acknowledged."""

    def __init__(self, connection: psycopg.Connection[Any], number: int) -> None:
        self.connection = connection
        self.number = number
        self.touched: list[tuple[str, str, bool]] = []
        """(table, key, whether it leaves a row)."""
        self.after: list[Callable[[], object]] = []

    def all(self, query: str, *values: Any) -> list[Any]:
        return self.connection.execute(query.encode(), values).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        return self.connection.execute(query.encode(), values).fetchone()

    def touch(self, table: str, *keys: object, is_row: bool = True) -> None:
        self.touched += [(table, str(key), is_row) for key in keys]


class User(Protocol):
    """What a clerk of one system does."""

    won: dict[str, float]
    """Opportunities that it tried to win, with the time (of time.monotonic)."""
    surely: set[str]
    """Those of which that was acknowledged."""

    def act(self, act: Act) -> None: ...


class Clerk:
    """One person at one system; a thread. `journal`: (table, key) → whether the last acknowledged commit left a row."""

    def __init__(self, user: User, dsn: str, name: str, pause: float) -> None:
        self.user = user
        self._dsn = dsn
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"clerk-{name}", daemon=True)
        self.journal: dict[tuple[str, str], bool] = {}
        self.commits = 0
        self.refused = 0
        self.errors: list[str] = []
        self.forgotten: set[str] = set()
        """Tables that somebody else emptied: nothing is known of their rows."""
        self._unsure: dict[tuple[str, str], bool] = {}
        """Rows of commits that were not acknowledged, and whether those were to leave them there."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def forget(self, *tables: str) -> None:
        """Somebody else emptied these tables, or set them back."""
        self.forgotten.update(tables)

    def finish(self) -> None:
        """Stop, and settle what was left unsure; the source must be up."""
        self._stop.set()
        self._thread.join(30)
        tables = {table for table, _ in self._unsure}
        with psycopg.connect(self._dsn) as connection:
            for table in tables:
                key = "item_id || '|' || whs" if table == "erp.stock" else "id::text"
                there = {row[0] for row in connection.execute(f"SELECT {key} FROM {table}".encode()).fetchall()}
                for (name, key), to_stay in self._unsure.items():
                    # One that was to stay, and is not there, never was.
                    if name == table and (key in there or not to_stay):
                        self.journal[table, key] = key in there

    def _work(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        number = 0
        while not self._stop.is_set():
            act: Act | None = None
            try:
                if connection is None or connection.closed:
                    connection = psycopg.connect(self._dsn, connect_timeout=2)
                number += 1
                act = Act(connection, number)
                self.user.act(act)
                connection.commit()
                self.commits += 1
                for table, key, is_row in act.touched:
                    self.journal[table, key] = is_row
                    self._unsure.pop((table, key), None)
                for remember in act.after:
                    remember()
            except psycopg.Error as error:
                self.refused += 1
                if len(self.errors) < 5:
                    self.errors.append(str(error))
                if act is not None:
                    self._unsure.update({(table, key): is_row for table, key, is_row in act.touched})
                if connection is not None:
                    connection.close()
                connection = None
                self._stop.wait(0.3)
            self._stop.wait(self._pause)
        if connection is not None:
            connection.close()


def uuid_of(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"
