"""The company: loads its history, then works at a set rate, open loop, on both systems at once.

Open loop means that the time of each transaction is fixed beforehand. When a database does not answer, the transactions
that became due meanwhile are sent as soon as it answers again, and `behind_ms` says how late the company is.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self, TypedDict

import psycopg

from streams.errors import EnvironmentFault
from streams.postgres_login import login_fault
from streams.simulator import erp_operations, history, history_supply
from streams.simulator.adoption import EVERY, Adoption
from streams.simulator.journal import Journal
from streams.simulator.session import Session, pump
from streams.simulator.session_pool import SessionPool
from streams.simulator.slow_transactions import SlowUser
from streams.simulator.statements import CRM_STATEMENTS, ERP_STATEMENTS
from streams.simulator.stream import next_transactions
from streams.simulator.world import CRM, ERP, USUAL, Habits, Ids, Transaction, World

TICK = 0.002
"""Seconds between two checks of the clock: transactions that become due in between are sent together."""
SESSIONS = 4
"""Sessions of each application: Postgres then writes several commits to disk at once."""
MOST_OUTSTANDING = 400
"""Transactions in flight in one system, past which the company waits for answers."""
Probe = tuple[str, str, int, int]
"""(entity, key in the source, planned time of sending, time at which the commit was known): microseconds since 1970."""


class CompanyStats(TypedDict):
    """What the company has done so far."""

    operations: dict[str, int]
    """Operation → transactions."""
    row_changes: int
    """Row changes, those of triggers included: as many events as Debezium emits, tombstones not counted."""
    transactions: int
    failed: int
    errors: list[str]
    """The last ten."""
    behind_ms: float
    behind_ms_max: float
    cpu_us_per_row: float
    """CPU time of this client."""
    probes: list[Probe]


class Company:
    """Use it as a context manager, from one thread; `stats` may be called from any thread."""

    def __init__(
        self,
        seed: int,
        crm_dsn: str,
        erp_dsn: str,
        *,
        shared: float = 0.05,
        conflicting: float = 0.02,
        orders_by_hand: bool = False,
        probe_every: float | None = None,
        slow_every: float | None = 2.0,
        journal: Path | None = None,
        journal_commits: bool = True,
        today: dt.date | None = None,
        habits: Habits = USUAL,
    ) -> None:
        """`crm_dsn` and `erp_dsn` are those of the applications' own roles.

        shared, conflicting: shares of new customers that both systems know, and on which they disagree.
        orders_by_hand: the company enters the order of a won opportunity itself.
        probe_every: seconds between latency probes.
        slow_every: seconds between transactions that stay open for long (None: none).
        journal: file for what is committed and planted; without `journal_commits` for what is planted only.
        today: the day that documents bear. habits: what it does how often, and to whom.
        Raises EnvironmentFault when a database cannot be used.
        """
        self._lock = threading.Lock()
        self._operations: Counter[str] = Counter()
        self._rows = self._transactions = self._failed = self._planned = 0
        self._errors: deque[str] = deque(maxlen=10)
        self._probes: list[Probe] = []
        self._behind = self._worst = self._cpu = 0.0
        self._probe_every = probe_every
        with ExitStack() as opened:
            self._crm = opened.enter_context(closing(_connect(crm_dsn, "UTC", "CRM")))
            self._erp = opened.enter_context(closing(_connect(erp_dsn, "Europe/Berlin", "ERP")))
            firms = _count(self._crm, "public.account") + _count(self._erp, "erp.cust")
            # A later run on the same databases must not meet its own keys.
            name = str(seed) if firms == 0 else f"{seed}/{firms}"
            day = today or dt.datetime.now().astimezone().date()
            world = World(
                Random(name),
                Ids(self._reserve),
                day,
                shared,
                conflicting,
                orders_by_hand,
                next_firm=firms,
                habits=habits,
            )
            self.world = world
            self._adoption = Adoption(world, self._erp, Random(f"{name}/adopted"))
            self._probe_rng = Random(f"{name}/probes")

            def session_pool(dsn: str, statements: dict[str, str], timezone: str, application: str) -> SessionPool:
                return SessionPool(
                    [
                        opened.enter_context(
                            closing(
                                Session(
                                    dsn, statements, self._answered, timezone=timezone, application_name=application
                                )
                            )
                        )
                        for _ in range(SESSIONS)
                    ]
                )

            self._pools = {
                CRM: session_pool(crm_dsn, CRM_STATEMENTS, "UTC", "crm"),
                ERP: session_pool(erp_dsn, ERP_STATEMENTS, "Europe/Berlin", "erp"),
            }
            self._sessions = [session for pool in self._pools.values() for session in pool.sessions]
            self._slow: SlowUser | None = None
            if slow_every:
                slow_user = SlowUser(crm_dsn, erp_dsn, Random(f"{name}/slow"), slow_every, self._committed)
                self._slow = opened.enter_context(closing(slow_user))
            self.journal = opened.enter_context(closing(Journal(journal, commits=journal_commits)))
            self._opened = opened.pop_all()

    # -- history

    def load_history(
        self,
        customers: int = 1_000,
        orders: int = 2_000,
        products: int = 200,
        progress: history.Progress = lambda *_: None,
    ) -> None:
        """Add customers and orders of years gone by, and open deals, a tenth of the customers; products only when there
        are none.
        """
        try:
            history.load_products(self.world, self._crm, self._erp, products)
            facts = history.load_customers(self.world, self._crm, self._erp, customers, progress)
            history_supply.make_partners(self.world, self._erp)
            history.load_deals(self.world, self._crm, customers // 10)
            facts += history.load_orders(self.world, self._crm, self._erp, orders, progress)
        except psycopg.OperationalError as error:
            raise EnvironmentFault(
                f"a database went away while history was loaded: {str(error).strip()}",
                remedy="start it again, then this",
            ) from error
        for fact in facts:
            self.journal.planted(fact)

    # -- work

    def run(self, rate: float, seconds: float | None = None, stop_event: threading.Event | None = None) -> CompanyStats:
        """Work at `rate` row changes a second for `seconds`, or until `stop_event` is set; then wait for all answers.
        Returns `stats()`.

        Raises EnvironmentFault when a database goes away.
        """
        if not self.world.products:
            history.load_products(self.world, self._crm, self._erp, 200)
        sessions = self._sessions
        start, wall, first, cpu = time.monotonic(), time.time_ns() // 1000, self._planned, time.thread_time()
        next_probe, next_adoption = self._probe_every, 0.0
        while not (stop_event is not None and stop_event.is_set()):
            now = time.monotonic() - start
            if seconds is not None and now >= seconds:
                break
            due = now * rate
            # Probes go first: they must not wait behind other transactions of the same tick.
            while next_probe is not None and self._probe_every and next_probe <= now:
                self._probe(wall + int(next_probe * 1e6))
                next_probe += self._probe_every
            while self._planned - first < due and not self._full():
                self._operate()
            if now >= next_adoption:
                for transaction in self._adoption.take_over():
                    self._send(transaction)
                next_adoption = now + EVERY
            if self._slow is not None:
                self._slow.tick(now)
            # The clock is read again: sending may have waited for answers.
            late = (time.monotonic() - start) * rate - (self._planned - first)
            self._behind = max(0.0, late / rate * 1000)
            self._worst = max(self._worst, self._behind)
            for session in sessions:
                session.flush()
            rest = TICK - (time.monotonic() - start - now)
            if self._full():
                pump(sessions, TICK)
            elif rest > 0:
                time.sleep(rest)
            for session in sessions:
                if session.outstanding:
                    session.receive()
            self._cpu = time.thread_time() - cpu
        self.drain()
        return self.stats()

    def step(self, operations: int) -> CompanyStats:
        """Do this number of operations as fast as the databases accept them, and wait for all answers."""
        if not self.world.products:
            history.load_products(self.world, self._crm, self._erp, 200)
        for _ in range(operations):
            self._operate()
            while self._full():
                pump(self._sessions, 1.0)
        self.drain()
        return self.stats()

    def drain(self, seconds: float = 60.0) -> None:
        """Wait until every transaction is answered. Raises EnvironmentFault when that takes longer."""
        deadline = time.monotonic() + seconds
        while any(session.outstanding for session in self._sessions):
            pump(self._sessions, 0.1)
            if time.monotonic() > deadline:
                raise EnvironmentFault(
                    f"the databases have not answered for {seconds:.0f} s", remedy="look for locks: pg_stat_activity"
                )
        if self._slow is not None:
            self._slow.finish()

    def stats(self) -> CompanyStats:
        """What was committed so far."""
        with self._lock:
            return {
                "operations": dict(self._operations),
                "row_changes": self._rows,
                "transactions": self._transactions,
                "failed": self._failed,
                "errors": list(self._errors),
                "behind_ms": round(self._behind, 1),
                "behind_ms_max": round(self._worst, 1),
                "cpu_us_per_row": round(self._cpu / self._rows * 1e6, 1) if self._rows else 0.0,
                "probes": list(self._probes),
            }

    def close(self) -> None:
        """Close all connections and the journal's file."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- steps of `run`

    def _operate(self) -> None:
        for transaction in next_transactions(self.world):
            self._send(transaction)
        adopted = self._adoption.world
        if (len(adopted.drafts) or len(adopted.orders)) and adopted.rng.random() < 0.2:
            for transaction in erp_operations.advance_order(adopted):
                self._send(transaction)

    def _send(self, transaction: Transaction) -> None:
        order = transaction.needs
        while order is not None and order.number is None and any(session.outstanding for session in self._sessions):
            pump(self._sessions, 0.1)
        self._planned += len(transaction.touched)
        self._pools[transaction.system].send(transaction)

    def _full(self) -> bool:
        return any(pool.outstanding >= MOST_OUTSTANDING for pool in self._pools.values())

    def _answered(self, transaction: Transaction, returned: list[bytes | None], failure: str) -> None:
        self._pools[transaction.system].answered(transaction)
        if failure:
            with self._lock:
                self._failed += 1
                self._errors.append(f"{transaction.operation}: {failure}")
            return
        if transaction.returned is not None:
            transaction.returned(returned)
        self._committed(transaction)

    def _committed(self, transaction: Transaction) -> None:
        self._operations[transaction.operation] += 1
        self._rows += len(transaction.touched)
        self._transactions += 1
        self.journal.committed(transaction)

    def _probe(self, intended_us: int) -> None:
        """Write the planned time into a customer of the CRM or an order of the ERP, to measure latency."""
        rng, text = self._probe_rng, f"probe:{intended_us}"

        def committed(entity: str, key: str) -> Callable[[list[bytes | None]], None]:
            return lambda _: self._probes.append((entity, key, intended_us, time.time_ns() // 1000))

        order = self.world.orders.pick(rng) if rng.random() < 0.5 else None
        if order is not None:
            self._send(
                Transaction(
                    ERP,
                    "probe",
                    [("so_probe", (order.id, text))],
                    [("erp.so_head", str(order.id), "u")],
                    committed("sales_order", str(order.id)),
                )
            )
            return
        customer = self.world.crm_customers.pick(rng)
        if customer is not None and customer.crm_id is not None:
            key = customer.crm_id
            self._send(
                Transaction(
                    CRM,
                    "probe",
                    [("account_probe", (key, text))],
                    [("public.account", key, "u")],
                    committed("customer", key),
                )
            )

    def _reserve(self, table: str, count: int) -> list[int]:
        keys = self._erp.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [f"erp.{table}", count]
        ).fetchall()
        return [int(str(key)) for (key,) in keys]


def _connect(dsn: str, timezone: str, name: str) -> history.Connection:
    try:
        connection = psycopg.connect(dsn, autocommit=True, connect_timeout=10, application_name=f"{name.lower()} batch")
        connection.execute("SELECT set_config('TimeZone', %s, false)", [timezone])
        return connection
    except psycopg.OperationalError as error:
        variables = ", ".join(f"DEMO_{name}_{value}" for value in ("HOST", "PORT", "APP_USER", "APP_PASSWORD"))
        raise login_fault(dsn, error, f"the demo {name}", variables=variables) from error


def _count(connection: history.Connection, table: str) -> int:
    try:
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    except psycopg.errors.UndefinedTable as error:
        raise EnvironmentFault(
            f"the database has no table {table}", remedy="set the demo up first (streams.simulator.setup.setup_demo)"
        ) from error
    assert row is not None
    return int(row[0])
