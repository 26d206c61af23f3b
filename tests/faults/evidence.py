"""Evidence for the checker: everything that sources, topics and hub hold, read as it is, with nothing in flight.

It shares no code with the pipeline: canonical records are read by fastavro, values are computed in SQL.
"""

from __future__ import annotations

import io
import json
import time
import uuid
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from tests.faults.rows import ROWS
from tests.faults.sums import FLOWS
from tests.faults.supplied import CASES, read_cases, read_supplies
from tests.faults.written import Written, gather_written

SCHEMAS = Path(__file__).parents[2] / "schemas"

TOPICS = tuple(sorted(path.stem for path in SCHEMAS.glob("*.avsc") if path.stem not in ("change", "conflict")))
"""Entities with a canonical topic."""


@dataclass
class Evidence:
    """Everything that is compared."""

    rows: dict[tuple[str, str, str], tuple[str, dict[str, Any]]] = field(default_factory=dict)
    """(system, entity, key) → (table, canonical values); of rows that are live."""
    marked: set[tuple[str, str]] = field(default_factory=set)
    """(table, key) of rows that are there, and marked as deleted."""
    raw: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(table, key) → whether its last raw record has a row."""
    raw_ends: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    """(topic, partition) → (first offset, next offset)."""
    records: list[tuple[str, str, int, dict[str, Any] | None]] = field(default_factory=list)
    """(entity, id, version, record or None) of each canonical record, in the order of each partition."""
    hub: dict[str, tuple[str, int, bool]] = field(default_factory=dict)
    """id → (entity, version, whether a live record is to be seen)."""
    accounts: dict[tuple[str, int], tuple[int, int, int]] = field(default_factory=dict)
    """(topic, partition) → (offsets that were counted up to, records that were counted, of them dead or parked)."""
    dead_letters: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(topic, partition) → records that the hub holds as dead letters."""
    waiting: set[tuple[str, str]] = field(default_factory=set)
    """(table, key) of rows of which a record waits or was dropped: what they are by now is not promised."""
    journal: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(table, key) → whether the last acknowledged commit left a row."""
    epochs: dict[tuple[str, int], int] = field(default_factory=dict)
    """(topic, partition) → the offset at which its source was captured anew: what came before is told again, or
    gone.
    """
    causes: dict[str, int] = field(default_factory=dict)
    """Intent → commit time at the source, in microseconds, of what gave rise to it."""
    said: dict[int, bool] = field(default_factory=dict)
    """Commit time at the source → whether anybody but write-back committed then."""
    flows: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Key of an order of the ERP → what its flow adds up to."""
    hub_flows: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Id of an order_flow → what the hub has of it."""
    written: Written = field(default_factory=Written)
    supplies: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Order line → what its record `supply` is to say; `status`, `waits_for`: any of these."""
    cases: dict[str, tuple[str, bool | None]] = field(default_factory=dict)
    """Request, or return without one → number and whether it is open of the service case that there is to be."""


def read_evidence(
    bootstrap: str,
    hub: str,
    dsns: dict[str, str],
    journal: dict[tuple[str, str], bool] | None = None,
    won: Collection[str] = (),
) -> Evidence:
    """Read everything as it is now, with nothing in flight. `won`: opportunities of which each is to have its order."""
    evidence = Evidence(journal=dict(journal or {}))
    for system, table, entity, query in ROWS:
        with psycopg.connect(dsns[system]) as connection:
            for key, values, live in connection.execute(query.encode()).fetchall():
                if live:
                    evidence.rows[system, entity, key] = (table, values)
                else:
                    evidence.marked.add((table, key))
    with psycopg.connect(dsns["demo-erp"]) as connection:
        evidence.flows = dict(connection.execute(FLOWS.encode()).fetchall())
        evidence.supplies = read_supplies(connection)
    for system in CASES:
        with psycopg.connect(dsns[system]) as connection:
            evidence.cases |= read_cases(system, connection)
    evidence.written = gather_written(hub, dsns, won)
    with psycopg.connect(hub) as connection:
        for one, entity, version, deleted, merged in connection.execute(
            "SELECT id::text, entity, version, deleted, merged_into IS NOT NULL FROM entity"
        ).fetchall():
            evidence.hub[one] = (entity, version, not (deleted or merged))
        for topic, partition, upto, counted, aside in connection.execute(
            "SELECT topic, partition, upto, passed + filtered + tombstones + dead + parked + control, dead + parked FROM raw_account"
        ).fetchall():
            evidence.accounts[topic, partition] = (upto, counted, aside)
        for topic, partition, count in connection.execute(
            "SELECT topic, partition, count(*) FROM dead_letter WHERE topic LIKE 'raw.%' GROUP BY 1, 2"
        ).fetchall():
            evidence.dead_letters[topic, partition] = count
        for topic, key in connection.execute(
            "SELECT DISTINCT topic, convert_from(key, 'UTF8') FROM dead_letter WHERE topic LIKE 'raw.%' AND state <> 'retried' AND key IS NOT NULL"
        ).fetchall():
            evidence.waiting.add((_table(topic), _key(key)))
        for topic, partition, offset in connection.execute(
            "SELECT topic, partition, max(position) FROM epoch_start GROUP BY 1, 2"
        ).fetchall():
            evidence.epochs[topic, partition] = offset
        evidence.hub_flows = dict(
            connection.execute("SELECT id::text, record FROM entity WHERE entity = 'order_flow'").fetchall()
        )
        evidence.causes = dict(connection.execute("SELECT key, cause_us FROM intent").fetchall())
    _read_topics(bootstrap, evidence)
    return evidence


def _table(topic: str) -> str:
    return topic.split(".", 2)[2]


def _key(raw: str | bytes) -> str:
    return "|".join(str(value) for value in json.loads(raw).values())


def _read_topics(bootstrap: str, evidence: Evidence) -> None:
    schemas = {name: fastavro.parse_schema(json.loads((SCHEMAS / f"{name}.avsc").read_text())) for name in TOPICS}
    tables = {f"raw.{system}.{table}" for system, table, _, _ in ROWS}
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap, "group.id": f"checker-{uuid.uuid4()}", "isolation.level": "read_committed",
            "enable.auto.commit": False, "enable.partition.eof": True,
        }
    )  # fmt: skip
    try:
        metadata = consumer.list_topics(timeout=10).topics
        topics = [one for one in metadata if one.startswith(("canonical.", "raw."))]
        partitions = [
            TopicPartition(one, number, OFFSET_BEGINNING) for one in topics for number in metadata[one].partitions
        ]
        for one in partitions:
            if one.topic in tables:  # not those of the connectors' own signals
                evidence.raw_ends[one.topic, one.partition] = consumer.get_watermark_offsets(
                    TopicPartition(one.topic, one.partition), timeout=10
                )
        consumer.assign(partitions)
        left = {(one.topic, one.partition) for one in partitions}
        until = time.monotonic() + 60
        while left:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(left)} partitions were not read to their end: {sorted(left)[:5]}")
            messages = consumer.consume(5000, 1.0)
            if messages:
                until = time.monotonic() + 60
            for message in messages:
                if message.error() is not None:
                    if message.error().code() == KafkaError._PARTITION_EOF:
                        left.discard((message.topic(), message.partition()))
                    continue
                topic, value = message.topic(), message.value()
                if topic.startswith("canonical."):
                    entity = topic.removeprefix("canonical.")
                    if value is None:
                        version = int(dict(message.headers() or ())["version"])
                        evidence.records.append((entity, message.key().decode(), version, None))
                    else:
                        record: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schemas[entity], None)
                        evidence.records.append((entity, message.key().decode(), record["version"], record))
                elif value is not None and message.key() is not None:
                    _read_raw(evidence, message, topic in tables)
    finally:
        consumer.close()


def _read_raw(evidence: Evidence, message: Any, is_compared: bool) -> None:
    try:
        event = json.loads(message.value())
        origin, committed = event["source"].get("origin"), event["source"]["ts_us"]
    except (ValueError, KeyError, TypeError):
        return  # poison: the account says what became of it
    by_us = origin is not None and (origin == "opshub" or origin.startswith("opshub-"))
    evidence.said[committed] = evidence.said.get(committed, False) or not by_us
    if is_compared and message.offset() >= evidence.epochs.get((message.topic(), message.partition()), 0):
        evidence.raw[_table(message.topic()), _key(message.key())] = event.get("after") is not None
