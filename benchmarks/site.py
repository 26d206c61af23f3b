"""A stack of the benchmark's own: fresh databases, a company with a history, connectors; the workers are the caller's.

In: the settings of the command. Out: a `Site`. Promised: it lives in `<state_dir>/bench` on ports of its own (500 above
the configured ones), so that it neither meets nor changes the stack that a person works with; it begins empty.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from confluent_kafka import KafkaException

from streams.demo.drain import drain, raw_records
from streams.paths import connectors_dir
from streams.provision.differences import apply
from streams.provision.systems import System, load_systems
from streams.settings import PORTS, Settings
from streams.simulator.company import Company
from streams.simulator.setup import dsn_of, setup_demo
from streams.simulator.world import USUAL, Habits
from streams.stack.native import NativeStack
from streams.stack.workers import start_pair, stop_all_workers

OFFSET = 500
PROBED = {
    "raw.demo-crm.public.account": "raw topic",
    "raw.demo-erp.erp.so_head": "raw topic",
    "canonical.customer": "canonical topic",
    "canonical.sales_order": "canonical topic",
}
"""Topics in which the company's probes are looked for."""
SERVERS = {"kafka": "4.3.1", "debezium": "3.7.0.Final", "postgres": "18.6"}

Say = Callable[[str], None]


def bench_settings(settings: Settings) -> Settings:
    """The settings of the benchmark's own stack."""
    moved: dict[str, Any] = {name: getattr(settings, name) + OFFSET for name in PORTS}
    addresses = dict.fromkeys(("hub_dsn", "bootstrap_servers", "registry_url", "connect_url"), "")
    return settings.model_copy(
        update={**moved, **addresses, "state_dir": settings.state_dir / "bench", "app_id": "bench"}
    )


@dataclass
class Site:
    """A running stack with the demo systems captured."""

    stack: NativeStack
    settings: Settings
    env: dict[str, str]
    systems: list[System]
    workers: dict[str, int] = field(default_factory=dict)
    """Name of each worker's process → its pid."""
    notes: list[str] = field(default_factory=list)
    probed: dict[str, str] = field(default_factory=lambda: PROBED)
    servers: dict[str, str] = field(default_factory=lambda: SERVERS)

    def company(self, seed: int = 1, **options: Any) -> Company:
        return Company(seed, dsn_of(self.env, "DEMO_CRM", "APP"), dsn_of(self.env, "DEMO_ERP", "APP"), **options)

    def start_workers(self, count: int = 1) -> list[int]:
        """The pids of `count` workers, each two processes as in the demo, started if need be."""
        for number in range(count):
            name = f"w{number}"
            own = self.settings.model_copy(update={"metrics_port": self.settings.metrics_port + 2 * number})
            ingest, assemble = start_pair(own, name, supervised=False)
            self.workers |= {f"{name}-ingest": ingest, f"{name}-assemble": assemble}
        return list(self.workers.values())

    def drain(self, seconds: float = 300) -> None:
        drain(self.settings, self.systems, self.env, seconds=seconds)

    def hub(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.settings.hub, autocommit=True)

    def bytes_written(self) -> dict[str, int]:
        """Bytes in Kafka's logs of raw, change and canonical topics, and of WAL of each database."""
        logs = self.settings.state_dir / "data" / "kafka" / "log"
        found = {
            f"{kind} topics": sum(file.stat().st_size for file in logs.glob(f"{pattern}.*/*.log"))
            for kind, pattern in (("raw", "raw"), ("change", "changes"), ("canonical", "canonical"))
        }
        for name, dsn in (
            ("CRM", dsn_of(self.env, "DEMO_CRM", "ADMIN")),
            ("ERP", dsn_of(self.env, "DEMO_ERP", "ADMIN")),
            ("hub", self.settings.hub),
        ):
            with psycopg.connect(dsn) as database:
                row = database.execute("SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint").fetchone()
                assert row is not None
                found[f"WAL of the {name}"] = row[0]
        return found

    def processes(self) -> dict[str, int]:
        """name → pid of every server and worker."""
        return {server.name: server.pid for server in self.stack.status() if server.pid is not None} | self.workers


@contextmanager
def site(
    settings: Settings,
    say: Say,
    *,
    customers: int = 500,
    orders: int = 1000,
    plugins: tuple[str, ...] = (),
    habits: Habits = USUAL,
    workers: int = 1,
) -> Iterator[Site]:
    """A site that begins with empty databases and is stopped at the end. `plugins`: archive sets that Connect loads
    besides. `habits`: of the company that made the history. Unless the settings say how many partitions topics have, it
    is as many as `workers`, as in the demo.
    """
    own = bench_settings(settings)
    if "partitions" not in settings.model_fields_set:
        own = own.model_copy(update={"partitions": workers})
    stack = NativeStack(own, plugins=plugins)
    if own.state_dir.exists():
        stack.down()
        shutil.rmtree(own.state_dir)
    say("starting the benchmark's own stack")
    stack.up()
    try:
        full = own.model_copy(
            update={
                k: getattr(stack.settings, k) for k in ("hub_dsn", "bootstrap_servers", "registry_url", "connect_url")
            }
        )
        env = stack.env() | {k: v for k, v in _file_values(own).items()}
        say("making the demo databases")
        setup_demo(env, connectors_dir(full))
        here = Site(stack, full, env, load_systems(full))
        say(f"loading history: {customers} customers, {orders} orders")
        with here.company(habits=habits) as company:
            company.load_history(customers=customers, orders=orders)
        say("topics, schemas, connectors")
        apply(full, here.systems)
        _topics_led(here)
        yield here
    finally:
        stop_all_workers(own)
        stack.down()


def _topics_led(here: Site, seconds: float = 60) -> None:
    """Topics that were just made have no leader for a moment."""
    end = time.monotonic() + seconds
    while True:
        try:
            raw_records(here.settings, here.systems)
            return
        except KafkaException:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def _file_values(settings: Settings) -> dict[str, str]:
    """The stack's file alone: variables of this process may speak of another stack."""
    from streams.stack.environment import read_environment

    return read_environment(settings)
