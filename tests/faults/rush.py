"""Load at a set rate: contacts of the demo CRM, inserted and updated many to a statement, by a thread of its own, open
loop.
"""

from __future__ import annotations

import random
import threading
import time
from itertools import count

import psycopg

from tests.faults.clerk import uuid_of

TICK = 0.1
"""Seconds of load that one transaction holds."""


_NUMBERS = count()


class Rush:
    """Use as a context manager. `journal`: (table, key) → True, of all that was acknowledged; `behind`: seconds that it
    is late.
    """

    def __init__(self, dsn: str, *, rate: float, bad: float = 0.0, seed: int = 1) -> None:
        """`bad`: the share of new contacts that speak a language which nobody knows."""
        self._dsn, self._rate, self._bad = dsn, rate, bad
        self._rng = random.Random(f"rush/{seed}/{next(_NUMBERS)}")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="rush", daemon=True)
        self.journal: dict[tuple[str, str], bool] = {}
        self.rows = self.poisoned = 0
        self.behind = 0.0
        self.error: Exception | None = None

    def __enter__(self) -> Rush:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        try:
            with psycopg.connect(self._dsn, autocommit=True) as connection:
                self._live(connection)
        except Exception as error:
            self.error = error

    def _more(self, connection: psycopg.Connection[tuple[object, ...]], count: int) -> list[str]:
        """Accounts; they become more with the load, so that none gets thousands of contacts, which no company has."""
        query = "INSERT INTO account (name) SELECT 'Rush ' || n FROM generate_series(1, %s) n RETURNING id"
        return [str(row[0]) for row in connection.execute(query, [count])]

    def _live(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        rng = self._rng
        accounts = self._more(connection, 500)
        known: list[str] = []
        number, started = 0, time.monotonic()
        while not self._stop.is_set():
            number += 1
            rows = max(3, int(self._rate * TICK))
            firms = rows // 20 + 1
            old = rng.sample(known[-20_000:], min(rows // 2, len(known[-20_000:])))
            new = [uuid_of(rng) for _ in range(rows - firms - len(old))]
            bad = [rng.random() < self._bad for _ in new]
            with connection.transaction():
                accounts += self._more(connection, firms)
                connection.execute(
                    "INSERT INTO contact (id, account_id, last_name, title, language) "
                    "SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[])",
                    [
                        new, [rng.choice(accounts[-3000:]) for _ in new], [f"Person {number}"] * len(new), [f"Role {number}"] * len(new),
                        ["klingon" if one else "de" for one in bad],
                    ],
                )  # fmt: skip
                connection.execute(
                    "UPDATE contact SET title = %s WHERE id = ANY(%s::uuid[])", [f"Role {number} again", old]
                )
            known += new
            self.rows += rows
            self.poisoned += sum(bad)
            self.journal.update((("public.contact", key), True) for key in new)
            self.behind = time.monotonic() - started - number * TICK
            if self.behind < 0:
                self._stop.wait(-self.behind)
