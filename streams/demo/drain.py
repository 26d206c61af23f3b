"""Wait until nothing is in flight: what was committed at the sources is in the hub and in the topics."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
from confluent_kafka import Consumer

from streams.demo.watch import Figures, figures, wait_quiet
from streams.errors import EnvironmentFault
from streams.hub.statements import SQL
from streams.kafka.offsets import topic_offsets
from streams.pipeline.due import WITHIN
from streams.provision.systems import System
from streams.provision.topics import change_topics
from streams.settings import Settings
from streams.simulator.setup import dsn_of

MARKERS = {
    "demo-crm": (
        "DEMO_CRM",
        "UPDATE account SET updated_at = clock_timestamp() WHERE id = (SELECT id FROM account ORDER BY created_at, id LIMIT 1)",
    ),
    "demo-erp": (
        "DEMO_ERP",
        "UPDATE erp.cust SET memo = memo WHERE id = (SELECT id FROM erp.cust ORDER BY id LIMIT 1)",
    ),
}
"""A change that says nothing new, but comes through the whole of capture behind all that was committed before it. Always of the
oldest row: which one comes first unasked changes with each update."""


def drain(
    settings: Settings,
    systems: list[System],
    env: dict[str, str],
    *,
    seconds: float,
    tick: Callable[[Figures], None] = lambda _: None,
) -> None:
    """Wait until what was committed so far is in the hub and in the topics: a marker comes through capture, the lanes run empty, and what
    they left to be summed is summed, sooner than its time.

    Raises EnvironmentFault when that takes longer than `seconds`.
    """
    partitions = count_partitions(settings, systems)
    wait_quiet(settings, partitions, seconds=seconds, tick=tick)
    awaited = raw_records(settings, systems)
    for prefix, marker in MARKERS.values():
        with psycopg.connect(dsn_of(env, prefix, "APP")) as connection:
            awaited += connection.execute(marker).rowcount
    end = time.monotonic() + seconds
    while time.monotonic() < end and raw_records(settings, systems) < awaited:
        time.sleep(0.1)
    quiet = wait_quiet(settings, partitions, seconds=max(1.0, end - time.monotonic()), tick=tick)
    while quiet and _sum_now(settings.hub, end):
        quiet = wait_quiet(settings, partitions, seconds=max(1.0, end - time.monotonic()), tick=tick)
    if not quiet:
        now = figures(settings)
        raise EnvironmentFault(
            f"after {seconds:.0f} s there still are {now.lag} records to read "
            f"({now.workers} workers, {now.partitions} of {partitions} partitions)",
            remedy=f"see {settings.state_dir / 'logs'}/worker-*.log",
        )


HURRY_SECONDS = 10.0


def _sum_now(dsn: str, end: float) -> bool:
    """Wait until nothing is to be summed; whether anything was. Of `end` on nothing is waited for."""
    hurried = 0.0
    any_left = False
    with psycopg.connect(dsn, autocommit=True) as hub:
        while time.monotonic() < end:
            row = hub.execute(SQL["sums_left"]).fetchone()
            if row is None or not row[0]:
                return any_left
            any_left = True
            if time.monotonic() > hurried + HURRY_SECONDS:
                hub.execute(SQL["hurry_sums"], {"within": WITHIN["customer"]})
                hurried = time.monotonic()
            time.sleep(0.1)
    return any_left


def count_partitions(settings: Settings, systems: list[System]) -> int:
    """Partitions that the lanes of all workers together must hold."""
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": "opshub-demo", "log_level": 0})
    try:
        topics = consumer.list_topics(timeout=10).topics
        return sum(
            len(topics[topic].partitions) for topic in [*(t for s in systems for t in s.topics), *change_topics()]
        )
    finally:
        consumer.close()


def raw_records(settings: Settings, systems: list[System]) -> int:
    """Records that capture has ever written to the raw topics (which have no transaction markers, so that offsets count them)."""
    topics = [topic for system in systems for topic in system.topics]
    return sum(end for _, end in topic_offsets(settings.kafka, topics).values())


def insert_lsn(dsn: str) -> str:
    """Up to where a source's WAL is written."""
    with psycopg.connect(dsn) as source:
        row = source.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    return str(row[0])


def is_confirmed(dsn: str, slot: str, lsn: str) -> bool | None:
    """Whether who reads a slot of this source has confirmed so much, which connectors do every few seconds; None where no such slot is."""
    with psycopg.connect(dsn) as source:
        row = source.execute(
            "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s", [lsn, slot]
        ).fetchone()
    return bool(row[0]) if row is not None else None
