"""Load that outlives faults: small transactions on both demo systems, a journal of what was acknowledged, and reconnection.

A commit whose answer was lost may have happened or not: its rows are looked up again before they enter the journal.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import psycopg

WIDE = "wide " * 800
"""Past TOAST's threshold: left out of events that do not touch it."""


class Clerk:
    """One person at one system; a thread. `journal`: (table, key) → whether the last acknowledged commit left a row."""

    def __init__(self, system: str, dsn: str, seed: str, pause: float) -> None:
        self._system = system
        self._dsn = dsn
        self._rng = random.Random(f"{seed}/{system}")
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"clerk-{system}", daemon=True)
        self.journal: dict[tuple[str, str], bool] = {}
        self.commits = 0
        self.refused = 0
        self.errors: list[str] = []
        self.forgotten: set[str] = set()
        """Tables that somebody else emptied: nothing is known of their rows."""
        self._unsure: set[tuple[str, str]] = set()
        self._accounts: list[str] = []
        self._opportunities: list[str] = []
        self._customers: list[str] = []
        self._orders: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def forget(self, table: str) -> None:
        """Somebody else emptied a table."""
        self.forgotten.add(table)

    def finish(self) -> None:
        """Stop, and settle what was left unsure; the source must be up."""
        self._stop.set()
        self._thread.join(30)
        tables = {table for table, _ in self._unsure}
        with psycopg.connect(self._dsn) as connection:
            for table in tables:
                there = {row[0] for row in connection.execute(f"SELECT id::text FROM {table}".encode()).fetchall()}
                for name, key in self._unsure:
                    if name == table:
                        self.journal[table, key] = key in there

    def _work(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        number = 0
        while not self._stop.is_set():
            touched: list[tuple[str, str, bool]] = []
            try:
                if connection is None or connection.closed:
                    connection = psycopg.connect(self._dsn, connect_timeout=2)
                number += 1
                (self._crm if self._system == "demo-crm" else self._erp)(connection, number, touched)
                connection.commit()
                self.commits += 1
                for table, key, is_row in touched:
                    self.journal[table, key] = is_row
                    self._unsure.discard((table, key))
            except psycopg.Error as error:
                self.refused += 1
                if len(self.errors) < 5:
                    self.errors.append(str(error))
                self._unsure.update((table, key) for table, key, _ in touched)
                if connection is not None:
                    connection.close()
                connection = None
                self._stop.wait(0.3)
            self._stop.wait(self._pause)
        if connection is not None:
            connection.close()

    def _crm(self, connection: psycopg.Connection[Any], number: int, touched: list[tuple[str, str, bool]]) -> None:
        rng, what = self._rng, self._rng.random()
        if not self._accounts or what < 0.12:
            # Many rows of one statement share an LSN.
            rows = connection.execute(
                "INSERT INTO account (name, notes, billing_country) SELECT 'Firm ' || %s || '-' || n, %s, 'Germany' "
                "FROM generate_series(1, %s) n RETURNING id::text",
                [number, WIDE + str(number), rng.choice([1, 1, 5])],
            ).fetchall()
            self._accounts += [row[0] for row in rows]
            touched += [("public.account", row[0], True) for row in rows]
        elif what < 0.3 or not self._opportunities:
            row = connection.execute(
                "INSERT INTO opportunity (name, account_id, stage, amount, description) VALUES (%s, %s, 'Prospecting', %s, %s) RETURNING id::text",
                [f"Deal {number}", rng.choice(self._accounts), number, WIDE + str(number)],
            ).fetchone()
            assert row is not None
            self._opportunities.append(row[0])
            touched.append(("public.opportunity", row[0], True))
        elif what < 0.42:
            key = rng.choice(self._accounts)
            with (
                connection.cursor() as cursor,
                cursor.copy("COPY contact (id, account_id, last_name, title) FROM STDIN") as copy,
            ):
                for n in range(3):
                    contact = uuid_of(rng)
                    copy.write_row((contact, key, f"Person {number}-{n}", f"Role {number}"))
                    touched.append(("public.contact", contact, True))
        elif what < 0.5:
            # The old row's id leaves, another comes: two events in one transaction.
            row = connection.execute(
                "SELECT id::text FROM contact ORDER BY md5(id::text || %s) LIMIT 1", [str(number)]
            ).fetchone()
            if row is not None:
                new = uuid_of(rng)
                connection.execute("UPDATE contact SET id = %s WHERE id = %s", [new, row[0]])
                touched += [("public.contact", row[0], False), ("public.contact", new, True)]
        elif what < 0.56:
            row = connection.execute(
                "SELECT id::text FROM contact ORDER BY md5(id::text || %s) LIMIT 1", [str(number)]
            ).fetchone()
            if row is not None:
                connection.execute("DELETE FROM contact WHERE id = %s", [row[0]])
                touched.append(("public.contact", row[0], False))
        elif what < 0.75:
            key = rng.choice(self._accounts)
            connection.execute("UPDATE account SET tags = %s WHERE id = %s", [[f"tag{number}"], key])
            touched.append(("public.account", key, True))
        else:
            key = rng.choice(self._opportunities[-30:])
            connection.execute(
                "UPDATE opportunity SET amount = %s, probability = %s WHERE id = %s", [number, number % 100, key]
            )
            touched.append(("public.opportunity", key, True))

    def _erp(self, connection: psycopg.Connection[Any], number: int, touched: list[tuple[str, str, bool]]) -> None:
        rng, what = self._rng, self._rng.random()
        if not self._customers or what < 0.2:
            row = connection.execute(
                "INSERT INTO erp.cust (name1, memo, ctry) VALUES (%s, %s, 'DE') RETURNING id::text",
                [f"Kunde {number}", "m"],
            ).fetchone()
            assert row is not None
            self._customers.append(row[0])
            touched.append(("erp.cust", row[0], True))
        elif what < 0.45 or not self._orders:
            row = connection.execute(
                "INSERT INTO erp.so_head (cust_id, memo) VALUES (%s, %s) RETURNING id::text",
                [rng.choice(self._customers), f"memo {number}"],
            ).fetchone()
            assert row is not None
            self._orders.append(row[0])
            touched.append(("erp.so_head", row[0], True))
        elif what < 0.5:
            key = self._orders.pop(rng.randrange(len(self._orders)))
            connection.execute("DELETE FROM erp.so_head WHERE id = %s", [key])
            touched.append(("erp.so_head", key, False))
        else:
            key = rng.choice(self._orders)
            connection.execute("UPDATE erp.so_head SET memo = %s WHERE id = %s", [f"memo {number}", key])
            touched.append(("erp.so_head", key, True))


def uuid_of(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


def wait_for(what: Any, seconds: float, pause: float = 0.2) -> bool:
    """Whether `what()` came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(pause)
    return False
