"""Does capture still have everything? Looks at each source database, its slot and its connector, and at what they were when last seen.

In: the systems, their databases, Connect and the hub. Out: a `Finding` for each thing that is wrong, with a code and a remedy. A slot that
was lost or made again, another system identifier or timeline, or a slot that went back means that changes may be missing: this is never
passed over. It is noted in the hub as an alarm, and ends only with a new epoch (`begin_epoch`): from then on, what the source says
counts as newer than all that it said before, and what its new snapshot does not have is deleted.
"""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import msgspec
import psycopg
from confluent_kafka import Consumer, TopicPartition

from streams.capture.accounting import start_again
from streams.capture.finding import Finding
from streams.capture.slot import look_at_slot
from streams.errors import EnvironmentFault
from streams.hub.session import KEEPALIVE
from streams.kafka.clients import idempotent_producer
from streams.kafka.control import Control, send_control
from streams.kafka.offsets import committed_offsets
from streams.provision import connectors
from streams.provision.systems import System
from streams.settings import Settings

_MISSED = re.compile(
    r"(?i)no longer available on the server|saved offset is before|cannot seek to the last known offset"
    r"|can no longer (?:access|get changes from) replication slot"
)

ANSWERS_WITHIN = 10.0
"""Seconds for Connect to say how a connector is: while it takes connections and says nothing, nothing else is looked at."""


class Seen(msgspec.Struct, frozen=True):
    """What tells one source from another."""

    system_identifier: str
    timeline: int
    slot_lsn: int | None
    is_invalid: bool = False
    """Whether the source has removed WAL that the slot still needed."""


def look(connection: psycopg.Connection[Any], slot: str) -> Seen:
    """The source as it is now. Raises psycopg.Error."""
    row = connection.execute(
        "SELECT s.system_identifier::text, c.timeline_id, "
        "r.confirmed_flush_lsn - '0/0'::pg_lsn, coalesce(r.wal_status = 'lost', false) "
        "FROM pg_control_system() s CROSS JOIN pg_control_checkpoint() c LEFT JOIN pg_replication_slots r ON r.slot_name = %s",
        [slot],
    ).fetchone()
    assert row is not None
    return Seen(row[0], row[1], None if row[2] is None else int(row[2]), row[3])


def judge(before: Seen | None, now: Seen, slot: str) -> str | None:
    """Why changes may be missing between two looks, if they may."""
    if now.is_invalid:
        return f"the replication slot {slot} is lost: the source has removed WAL that it still needed"
    if before is None:
        return None
    if before.system_identifier != now.system_identifier:
        return f"the database is another: its identifier was {before.system_identifier} and is {now.system_identifier}"
    if before.timeline != now.timeline:
        return f"the database was restored or failed over: its timeline was {before.timeline} and is {now.timeline}"
    if before.slot_lsn is not None and now.slot_lsn is None:
        return f"the replication slot {slot} is gone"
    if before.slot_lsn is not None and now.slot_lsn is not None and now.slot_lsn < before.slot_lsn:
        return f"the replication slot {slot} went back"
    return None


def missed(cause: str) -> str | None:
    """Why changes may be missing, by what the connector failed of. It compares its offset with its slot whenever it starts, and so
    finds a slot that was made again between two looks.
    """
    return f"the connector can not go on where it was: {cause}" if _MISSED.search(cause) else None


def guard(settings: Settings, system: System, dsn: str) -> list[Finding]:
    """Look at one system and note it in the hub; what is wrong. An alarm that was raised stays until a new epoch."""
    config = system.source["config"]
    slot = config.get("slot.name", "debezium")
    found: list[Finding] = []
    now: Seen | None = None
    is_silent = False
    try:
        with psycopg.connect(dsn, autocommit=True, **KEEPALIVE) as connection:
            now = look(connection, slot)
            found += look_at_slot(settings, system, connection, slot)
            is_silent = _is_silent(connection, slot)
    except psycopg.Error as error:
        found = [
            Finding(
                "source-away",
                system.name,
                f"the database does not answer: {str(error).strip()}",
                "start it; check address, role and password",
            )
        ]
    connector = _connector(settings, system, is_silent=is_silent)
    cause = next((missed(one.what) for one in connector if one.code == "connector-failed"), None)
    with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
        row = hub.execute(
            "SELECT system_identifier, timeline, slot_lsn - '0/0'::pg_lsn, alarm FROM source_seen WHERE system = %s FOR UPDATE",
            [system.name],
        ).fetchone()
        before = (
            Seen(row[0], row[1], None if row[2] is None else int(row[2]))
            if row is not None and row[0] is not None
            else None
        )
        alarm = row[3] if row is not None else None
        if alarm is None and now is not None:
            alarm = judge(before, now, slot) or cause
            hub.execute(
                "INSERT INTO source_seen (system, system_identifier, timeline, slot_lsn, alarm) "
                "VALUES (%s, %s, %s, '0/0'::pg_lsn + %s::numeric, %s) "
                "ON CONFLICT (system) DO UPDATE SET system_identifier = excluded.system_identifier, timeline = excluded.timeline, "
                "slot_lsn = excluded.slot_lsn, alarm = excluded.alarm, seen_at = now()",
                [system.name, now.system_identifier, now.timeline, now.slot_lsn, alarm],
            )
    if alarm is not None:
        found.append(
            Finding(
                "capture-lost",
                system.name,
                f"{alarm}: changes may be missing",
                f"`opshub resync {system.name}` begins a new epoch: a new snapshot, and what is gone from the source is deleted",
            )
        )
    return found + connector


def _is_silent(connection: psycopg.Connection[Any], slot: str) -> bool:
    """Whether nobody reads the slot, nor reads a snapshot, which leaves the slot alone for as long as it takes."""
    row = connection.execute(
        "SELECT NOT active AND NOT EXISTS "
        "(SELECT FROM pg_stat_activity WHERE usename = current_user AND application_name LIKE 'Debezium%%') "
        "FROM pg_replication_slots WHERE slot_name = %s",
        [slot],
    ).fetchone()
    return row is not None and bool(row[0])


def _connector(settings: Settings, system: System, *, is_silent: bool) -> list[Finding]:
    name = system.source["name"]
    try:
        state, cause = connectors.status(settings, name, ANSWERS_WITHIN)
    except EnvironmentFault as error:
        return [Finding("connect-away", name, str(error), error.remedy)]
    if state == "MISSING":
        return [Finding("connector-missing", name, "the connector is not registered", "`opshub apply`")]
    if state == "FAILED":
        return [
            Finding(
                "connector-failed",
                name,
                f"a task failed: {cause}",
                "the guard restarts it; `opshub doctor` checks the database",
            )
        ]
    if state == "RUNNING" and is_silent:
        # Its task has ended, and Connect could not write that down: nothing else would ever tell.
        what = "Connect says that it runs, and it has no session with the database"
        return [Finding("connector-silent", name, what, "the guard restarts it when that lasts", severe=False)]
    return []


def restart_failed(settings: Settings, system: System, *, all_of_it: bool = False) -> bool:
    """Ask Connect to restart what failed of a connector, or all of it; whether it was asked. The caller keeps to a back-off."""
    name = system.source["name"]
    state, _ = connectors.status(settings, name)
    if state != "FAILED" and not (all_of_it and state == "RUNNING"):
        return False
    answer = httpx.post(
        f"{settings.connect}/connectors/{name}/restart",
        params={"includeTasks": "true", "onlyFailed": "false" if all_of_it else "true"},
        timeout=30,
    )
    if answer.is_server_error:
        raise EnvironmentFault(
            f"Kafka Connect answers, and can not restart {name} ({answer.status_code})", remedy="restart Kafka Connect"
        )
    return True


def begin_epoch(settings: Settings, system: System, dsn: str, *, sweep_after: float = 600.0) -> int:
    """Capture a system anew, as newer than all that it said before; the number of the new epoch.

    (1) stop the connector (2) note where its raw topics end: what comes behind is of the new epoch (3) forget its offsets
    and its slot, so that it takes a whole snapshot (4) tell the workers (5) start it. After `sweep_after` seconds, by
    which the snapshot should be through, what it did not bring again is deleted; a row that comes later lives again.
    """
    name, slot = system.source["name"], system.source["config"].get("slot.name", "debezium")
    with httpx.Client(base_url=settings.connect, timeout=60) as connect:
        connect.put(f"/connectors/{name}/stop").raise_for_status()
        _until(
            lambda: connect.get(f"/connectors/{name}/status").json()["connector"]["state"] == "STOPPED",
            f"{name} did not stop",
        )
        ends = _ends(settings, list(system.topics))
        offsets = committed_offsets(settings.kafka, f"{settings.app_id}-ingest")
        with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
            start_again(hub, offsets, system.topics)
            row = hub.execute(
                "INSERT INTO source_seen (system, epoch) VALUES (%s, 1) ON CONFLICT (system) DO UPDATE SET epoch = source_seen.epoch + 1, "
                "system_identifier = NULL, timeline = NULL, slot_lsn = NULL, alarm = NULL, seen_at = now() RETURNING epoch",
                [system.name],
            ).fetchone()
            assert row is not None
            epoch = int(row[0])
            for (topic, partition), end in ends.items():
                hub.execute(
                    "INSERT INTO epoch_start (topic, partition, position, epoch) VALUES (%s, %s, %s, %s)",
                    [topic, partition, end, epoch],
                )
            for topic in system.topics:
                hub.execute(
                    "INSERT INTO sweep (topic, epoch, major, minor, next_at) VALUES (%s, %s, 0, 0, now() + make_interval(secs => %s))",
                    [topic, epoch, sweep_after],
                )
        producer = idempotent_producer(settings.kafka)
        send_control(producer, [(topic, partition, None) for topic, partition in ends], Control("epoch", (epoch, 0, 0)))
        if producer.flush(30):
            raise EnvironmentFault(
                f"Kafka at {settings.kafka} does not take control records",
                remedy="start it, then `opshub resync` again",
            )
        connect.delete(f"/connectors/{name}/offsets").raise_for_status()
        with psycopg.connect(dsn, autocommit=True, **KEEPALIVE) as source:
            source.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s AND NOT active",
                [slot],
            )
        connect.put(f"/connectors/{name}/resume").raise_for_status()
    return epoch


def _ends(settings: Settings, topics: list[str]) -> dict[tuple[str, int], int]:
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": "opshub-guard", "log_level": 4})
    try:
        there = consumer.list_topics(timeout=10).topics
        return {
            (topic, partition): consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]
            for topic in topics
            if topic in there
            for partition in there[topic].partitions
        }
    finally:
        consumer.close()


def _until(what: Any, otherwise: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise EnvironmentFault(otherwise, remedy="see the log of Kafka Connect")
        time.sleep(0.2)
