"""Wait until nothing is in flight: what was committed at the sources is in the hub and in the topics."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
from confluent_kafka import Consumer

from streams.demo.statements import SQL as CHECKS
from streams.demo.watch import WorkerTotals, wait_idle, worker_totals
from streams.errors import EnvironmentFault
from streams.hub.statements import SQL
from streams.kafka.offsets import topic_offsets
from streams.pipeline.due import DUE_SECONDS
from streams.provision.systems import System
from streams.provision.topics import change_topics
from streams.settings import Settings
from streams.simulator.setup import dsn_of

MARKERS = {
    "demo-crm": (
        "DEMO_CRM",
        "UPDATE account SET updated_at = clock_timestamp()"
        " WHERE id = (SELECT id FROM account ORDER BY created_at, id LIMIT 1)",
    ),
    "demo-erp": (
        "DEMO_ERP",
        "UPDATE erp.cust SET memo = memo WHERE id = (SELECT id FROM erp.cust ORDER BY id LIMIT 1)",
    ),
}
"""System → prefix of its variables, and an update that changes nothing of interest. Its record passes through capture
behind all earlier commits. It always takes the oldest row: without ORDER BY, each update would change which row comes
first."""


def drain(
    settings: Settings,
    systems: list[System],
    env: dict[str, str],
    *,
    seconds: float,
    on_totals: Callable[[WorkerTotals], None] = lambda _: None,
) -> None:
    """Wait until everything that was committed so far is in the hub and in the topics.

    Steps: (1) a marker in each source passes through capture, or nothing more comes from a real one; (2) the lanes have
    nothing left to read; (3) balances and service cases that are due later are made now. `on_totals` is called with the
    workers' figures at each check.
    Raises EnvironmentFault when that takes longer than `seconds`.
    """
    partitions = count_partitions(settings, systems)
    wait_idle(settings, partitions, seconds=seconds, on_totals=on_totals)
    awaited = raw_records(settings, systems)
    names = {system.name for system in systems}
    for name, (prefix, marker) in MARKERS.items():
        if name in names:
            with psycopg.connect(dsn_of(env, prefix, "APP")) as connection:
                awaited += connection.execute(marker).rowcount
    end = time.monotonic() + seconds
    while time.monotonic() < end and raw_records(settings, systems) < awaited:
        time.sleep(0.1)
    if not names <= MARKERS.keys():
        _wait_still(settings, systems, end)
    idle = wait_idle(settings, partitions, seconds=max(1.0, end - time.monotonic()), on_totals=on_totals)
    while idle and _sum_now(settings.hub, end):
        idle = wait_idle(settings, partitions, seconds=max(1.0, end - time.monotonic()), on_totals=on_totals)
    if not idle:
        now = worker_totals(settings)
        raise EnvironmentFault(
            f"after {seconds:.0f} s there are still {now.lag} records to read "
            f"({now.workers} workers, {now.partitions} of {partitions} partitions)",
            remedy=f"see {settings.state_dir / 'logs'}/worker-*.log",
        )


STILL_SECONDS = 5.0
"""Without a marker: nothing more comes when nothing came for so long. Capture needs a tenth of that."""


def _wait_still(settings: Settings, systems: list[System], end: float) -> None:
    """Wait until no further raw records come. Nobody may write into a real system for our sake."""
    seen, since = -1, 0.0
    while time.monotonic() < end and (seen < 0 or time.monotonic() - since < STILL_SECONDS):
        now = raw_records(settings, systems)
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.2)


HURRY_SECONDS = 10.0
"""Seconds between two requests to sum at once: new balances may become due while others are summed."""


def _sum_now(dsn: str, end: float) -> bool:
    """Wait until no balance or service case is left to be made, at most until `end`. Returns whether there was any."""
    hurried = 0.0
    any_left = False
    with psycopg.connect(dsn, autocommit=True) as hub:
        # By itself that comes every quarter of a minute.
        hub.execute(SQL["mark_cases_that_find_more"])
        while time.monotonic() < end:
            row = hub.execute(SQL["sums_left"]).fetchone()
            if row is None or not row[0]:
                return any_left
            any_left = True
            if time.monotonic() > hurried + HURRY_SECONDS:
                hub.execute(SQL["hurry_sums"], {"within": DUE_SECONDS["customer"]})
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
    """Number of records that capture has written to the raw topics so far.

    The end offsets are that number: raw topics have no transaction markers, which would count too.
    """
    topics = [topic for system in systems for topic in system.topics]
    return sum(end for _, end in topic_offsets(settings.kafka, topics).values())


def insert_lsn(dsn: str) -> str:
    """Position up to which the WAL of a source is written."""
    with psycopg.connect(dsn) as source:
        row = source.execute(CHECKS["wal_insert_position"]).fetchone()
    assert row is not None
    return str(row[0])


def is_confirmed(dsn: str, slot: str, lsn: str) -> bool | None:
    """Whether the reader of a slot has confirmed this position; None when there is no such slot.

    Debezium confirms every few seconds.
    """
    with psycopg.connect(dsn) as source:
        row = source.execute(CHECKS["is_confirmed"], [lsn, slot]).fetchone()
    return bool(row[0]) if row is not None else None
