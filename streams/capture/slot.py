"""The state of a connector's replication slot: how much WAL it holds back, how much of its limit is left, who reads it.

In: a connection to the source, by the role that captures it. Out: findings. Nothing is changed.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from streams.capture import binlog
from streams.capture.finding import Finding
from streams.capture.lost_changes import history_name
from streams.capture.source_sql import SOURCE_SQL
from streams.mariadb_session import MariadbSession, Source
from streams.named_sql import fetch_rows
from streams.provision.systems import System
from streams.settings import Settings

# Our own heartbeat table, as connectors/demo-crm/source.json writes to it.
_HEARTBEAT_TABLE = re.compile(r"(?i)\binsert\s+into\s+((?:\w+\.)?opshub_heartbeat)\b")

HEARTBEATS_MISSED = 4
"""Heartbeats that may be missing before it is a finding, however short a time the settings allow."""

GB = 1e9


class SlotRow(msgspec.Struct, frozen=True):
    """A replication slot as the source's catalogue has it."""

    active: bool
    """Whether a session reads it."""
    wal_status: str | None
    kept_bytes: int | None
    """WAL that the slot holds back."""
    left_bytes: int | None
    """WAL that may still be written before the source invalidates the slot; None without a limit."""
    limit_bytes: int
    """max_slot_wal_keep_size; negative where none is set."""
    streaming_s: float | None
    """For how long the session has been streaming; None without one."""


class Slot(SlotRow, frozen=True):
    """A slot with the heartbeats of its connector."""

    heartbeat_age_s: float | None
    """Since the last heartbeat, infinite without any; None where no heartbeats are written, or we may not read them."""


class _Readable(msgspec.Struct, frozen=True):
    is_readable: bool


class _Heartbeat(msgspec.Struct, frozen=True):
    age_s: float | None


class _Use(msgspec.Struct, frozen=True):
    is_unused: bool


def read_slot(source: Source, system: System) -> Slot | None:
    """The slot of a system as it is now; None if there is none. Raises psycopg.Error.

    MariaDB has no slots: there it says who reads the binlog, which is there whether it is read or not.
    """
    if isinstance(source, MariadbSession):
        return _binlog_reader(source, system)
    rows = fetch_rows(source, SlotRow, SOURCE_SQL["slot"], {"slot": system.slot_name})
    if not rows:
        return None
    return Slot(**msgspec.structs.asdict(rows[0]), heartbeat_age_s=_heartbeat_age(source, system))


def _binlog_reader(source: MariadbSession, system: System) -> Slot:
    reading_s, table = binlog.reading_s(source), heartbeat_table(system)
    return Slot(
        active=reading_s is not None,
        wal_status=None,
        kept_bytes=None,
        left_bytes=None,
        limit_bytes=-1,
        streaming_s=reading_s,
        heartbeat_age_s=None if table is None else binlog.heartbeat_age(source, table),
    )


def is_slot_unused(source: Source, name: str) -> bool:
    """Whether a slot exists, and nobody reads it or takes a snapshot for it. Raises psycopg.Error."""
    if isinstance(source, MariadbSession):
        return binlog.is_unread(source)
    rows = fetch_rows(source, _Use, SOURCE_SQL["slot_use"], {"slot": name})
    return bool(rows) and rows[0].is_unused


def heartbeat_table(system: System) -> str | None:
    """The table that the connector writes its heartbeats to, as source.json spells it."""
    written = _HEARTBEAT_TABLE.search(str(system.config.get("heartbeat.action.query", "")))
    return None if written is None else written.group(1)


def _heartbeat_age(source: psycopg.Connection[Any], system: System) -> float | None:
    table = heartbeat_table(system)
    if table is None:
        return None
    readable = fetch_rows(source, _Readable, SOURCE_SQL["heartbeat_table"], {"table": table})
    if not readable or not readable[0].is_readable:
        return None
    query = sql.SQL("SELECT extract(epoch FROM clock_timestamp() - max(beat_at))::float8 AS age_s FROM {}").format(
        sql.Identifier(*table.split("."))
    )
    (heartbeat,) = fetch_rows(source, _Heartbeat, query)
    return math.inf if heartbeat.age_s is None else heartbeat.age_s


def judge_slot(settings: Settings, system: System, slot: Slot) -> list[Finding]:
    """What is wrong with a slot in this state."""
    findings = _judge_wal(settings, system, slot)
    if slot.active:
        return findings + _judge_heartbeat(settings, system, slot)
    idle = f"no session reads {history_name(system.slot_name, system.dictionary.kind)}"
    return [*findings, Finding("slot-idle", system.name, idle, "`opshub apply` starts the connector", severe=False)]


def _judge_wal(settings: Settings, system: System, slot: Slot) -> list[Finding]:
    is_ending = (
        slot.left_bytes is not None
        and slot.limit_bytes > 0
        and slot.left_bytes < settings.alert_wal_left_fraction * slot.limit_bytes
    )
    if slot.wal_status == "unreserved" or is_ending:
        left = "" if slot.left_bytes is None else f" (after {max(slot.left_bytes, 0) / GB:.2f} GB more)"
        return [
            Finding(
                "wal-ending",
                system.name,
                f"the source will soon remove WAL that the slot {system.slot_name} still needs{left}",
                "find out why the connector is stalled (log of Kafka Connect), or raise max_slot_wal_keep_size",
            )
        ]
    if slot.kept_bytes is not None and slot.kept_bytes > settings.alert_wal_kept_gb * GB:
        limit = "no limit is set" if slot.left_bytes is None else f"{slot.left_bytes / GB:.1f} GB are left of its limit"
        return [
            Finding(
                "wal-kept",
                system.name,
                f"the slot {system.slot_name} holds back {slot.kept_bytes / GB:.1f} GB of WAL; {limit}",
                "find out why the connector is stalled (log of Kafka Connect)",
            )
        ]
    return []


def _judge_heartbeat(settings: Settings, system: System, slot: Slot) -> list[Finding]:
    interval_s = float(system.config.get("heartbeat.interval.ms", 0)) / 1000
    if slot.heartbeat_age_s is None or slot.streaming_s is None or interval_s <= 0:
        return []
    # A connector that has just begun to stream has not had the time to write one.
    silent_s = min(slot.heartbeat_age_s, slot.streaming_s)
    if silent_s <= max(settings.alert_heartbeat_seconds, HEARTBEATS_MISSED * interval_s):
        return []
    last = (
        "has written no heartbeat yet"
        if math.isinf(slot.heartbeat_age_s)
        else f"wrote its last heartbeat {slot.heartbeat_age_s:.0f} s ago"
    )
    history = history_name(system.slot_name, system.dictionary.kind)
    return [
        Finding(
            "heartbeat-old",
            system.name,
            f"its connector reads {history}, and {last}: it may be stalled",
            "check in the log of Kafka Connect whether Kafka accepts records; "
            f"`POST <connect>/connectors/{system.connector_name}/restart?includeTasks=true` restarts it",
        )
    ]
