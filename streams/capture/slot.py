"""How a connector's slot stands: WAL that it holds back, what is left of its limit, whether somebody reads it and lives.

In: a connection to the source, by the role that captures it. Out: findings. Nothing is changed.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
import psycopg

from streams.capture.finding import Finding
from streams.provision.systems import System
from streams.settings import Settings

_HEARTBEAT = re.compile(r"(?i)\binsert\s+into\s+((?:\w+\.)?opshub_heartbeat)\b")

BEATS_MISSED = 4
"""Beats that may be missing, however short the time is that the settings allow."""


class Slot(msgspec.Struct, frozen=True):
    """A replication slot as it is now; sizes in bytes, times in seconds."""

    active: bool
    wal_status: str | None
    kept: int | None
    left: int | None
    """What may still be written before the source gives the slot up; None without a limit."""
    limit: int
    """max_slot_wal_keep_size; negative where none is set."""
    streams_for: float | None
    """Since when it is read."""
    beat_age: float | None
    """Since when its connector wrote its last heartbeat, infinite when it never did; None where that is not to be read."""


def look_at_slot(settings: Settings, system: System, connection: psycopg.Connection[Any], name: str) -> list[Finding]:
    """What is wrong with it. Raises psycopg.Error."""
    row = connection.execute(
        "SELECT s.active, s.wal_status, (pg_current_wal_lsn() - s.restart_lsn)::bigint, s.safe_wal_size, "
        "(SELECT setting::bigint * 1048576 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), "
        # Of a walsender that is when it was told to stream: what came before was a snapshot, which beats for nobody.
        "extract(epoch FROM clock_timestamp() - a.query_start)::float8 "
        "FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = %s",
        [name],
    ).fetchone()
    if row is None:
        return []  # before the first snapshot there is none; that one is gone is judged by what was there
    return judge_slot(settings, system, name, Slot(*(*row, _beat_age(system, connection))))


def _beat_age(system: System, connection: psycopg.Connection[Any]) -> float | None:
    asked = _HEARTBEAT.search(str(system.source["config"].get("heartbeat.action.query", "")))
    if asked is None:
        return None
    table = asked.group(1)
    there = connection.execute(
        "SELECT has_table_privilege(c.oid, 'SELECT') FROM pg_class c WHERE c.oid = to_regclass(%s)", [table]
    ).fetchone()
    if there is None or not there[0]:
        return None
    row = connection.execute(
        f"SELECT extract(epoch FROM clock_timestamp() - max(beat_at))::float8 FROM {table}".encode()
    ).fetchone()
    return math.inf if row is None or row[0] is None else float(row[0])


def judge_slot(settings: Settings, system: System, name: str, slot: Slot) -> list[Finding]:
    """What is wrong with a slot that is so."""
    found = []
    ends = slot.left is not None and slot.limit > 0 and slot.left < settings.alert_wal_left_fraction * slot.limit
    if slot.wal_status == "unreserved" or ends:
        left = "" if slot.left is None else f" ({max(slot.left, 0) / 1e9:.2f} GB from now)"
        found.append(
            Finding(
                "wal-ending",
                system.name,
                f"the source will soon remove WAL that the slot {name} still needs{left}",
                "see why the connector stands still, or raise max_slot_wal_keep_size",
            )
        )
    elif slot.kept is not None and slot.kept > settings.alert_wal_kept_gb * 1e9:
        limit = "none is set" if slot.left is None else f"{slot.left / 1e9:.1f} GB are left"
        found.append(
            Finding(
                "wal-kept",
                system.name,
                f"the slot {name} holds back {slot.kept / 1e9:.1f} GB of WAL; of its limit {limit}",
                "see why the connector stands still",
            )
        )
    if not slot.active:
        found.append(
            Finding(
                "slot-idle",
                system.name,
                f"nobody reads the slot {name}",
                "`opshub apply` starts the connector",
                severe=False,
            )
        )
    else:
        found += _judge_beat(settings, system, slot)
    return found


def _judge_beat(settings: Settings, system: System, slot: Slot) -> list[Finding]:
    every = float(system.source["config"].get("heartbeat.interval.ms", 0)) / 1000
    if slot.beat_age is None or slot.streams_for is None or every <= 0:
        return []
    if min(slot.beat_age, slot.streams_for) <= max(settings.alert_heartbeat_seconds, BEATS_MISSED * every):
        return []
    last = (
        "has written no heartbeat yet"
        if math.isinf(slot.beat_age)
        else f"wrote its last heartbeat {slot.beat_age:.0f} s ago"
    )
    return [
        Finding(
            "heartbeat-old",
            system.name,
            f"its connector reads the slot, and {last}: it may stand still",
            "see the log of Kafka Connect and whether Kafka takes records; "
            "`POST <connect>/connectors/<name>/restart?includeTasks=true` starts it again",
        )
    ]
