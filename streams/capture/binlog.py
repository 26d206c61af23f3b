"""A captured MariaDB or MySQL server: which one it is, how far its binlog goes, who reads it, what its tables are.

In: a session of the user that captures it. Out: what `guard.py`, `captured_tables.py` and `slot.py` know of a Postgres
database, in the same classes: a binlog is no slot, but it too is read by one session and is gone some day. Nothing is
changed.
"""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from streams.capture.finding import Finding
from streams.hub.source_state import Shape
from streams.mariadb_session import MariadbSession, backticked
from streams.named_sql import load_statements

SQL = load_statements(Path(__file__).with_name("sql") / "mariadb")

NAME = "the binlog"
"""What messages call that which a slot is with Postgres."""

UNREADABLE = frozenset({"inet4", "inet6"})
"""Types of whose tables Debezium 3.5 cannot read the definition: its connector would fail."""

_FILE = re.compile(r"\.(\d+)$")
_DAY = 86_400.0

WARN_DAYS = 2.0
"""Days of binlog that are left to a connector, below which it is an alert: a weekend."""


class BinlogSettings(msgspec.Struct, frozen=True):
    """What the server says of itself and of its binlog; texts as SHOW VARIABLES has them, '' where it has none."""

    version: str = ""
    log_bin: str = ""
    binlog_format: str = ""
    binlog_row_image: str = ""
    binlog_row_metadata: str = ""
    binlog_row_value_options: str = ""
    binlog_legacy_event_pos: str = ""
    log_bin_compress: str = ""
    binlog_storage_engine: str = ""
    binlog_expire_logs_seconds: str = ""
    expire_logs_days: str = ""
    server_id: str = ""
    server_uid: str = ""
    server_uuid: str = ""
    lower_case_table_names: str = ""
    hostname: str = ""
    port: str = ""
    gtid_binlog_pos: str = ""

    @property
    def identifier(self) -> str:
        """What no other server has: MariaDB's uid, MySQL's uuid, or of older servers where they are."""
        return self.server_uid or self.server_uuid or f"{self.hostname}:{self.port}/{self.server_id}"

    @property
    def kept_s(self) -> float:
        """For how long the server keeps its binlog; infinite where it keeps it for ever."""
        seconds = float(self.binlog_expire_logs_seconds or 0) or float(self.expire_logs_days or 0) * _DAY
        return seconds or math.inf


def read_settings(source: MariadbSession) -> BinlogSettings:
    """The server's settings. Raises psycopg.Error."""
    rows = source.rows(SQL["variables"])
    return BinlogSettings(**{row["Variable_name"].lower(): row["Value"] or "" for row in rows})


def binlog_end(source: MariadbSession) -> int | None:
    """How far the binlog goes: the number of its last file and its size, as one number. None without a binlog, or
    without the right to see it.
    """
    try:
        files = source.rows(SQL["binlogs"])
    except psycopg.Error:
        return None
    if not files:
        return None
    number = _FILE.search(str(files[-1]["Log_name"]))
    return None if number is None else (int(number.group(1)) << 40) + int(files[-1]["File_size"])


def reading_s(source: MariadbSession) -> float | None:
    """For how long a session of this user has been reading the binlog; None where none does."""
    seconds = [float(row["seconds"]) for row in source.rows(SQL["readers"]) if row["command"].startswith("Binlog Dump")]
    return max(seconds, default=None)


def is_unread(source: MariadbSession) -> bool:
    """Whether this user neither reads the binlog nor runs a statement, as the connector's snapshot does."""
    return not source.rows(SQL["readers"])


def heartbeat_age(source: MariadbSession, table: str) -> float | None:
    """Seconds since the last heartbeat, infinite without any; None where its table cannot be read."""
    try:
        (row,) = source.rows(
            f"SELECT timestampdiff(MICROSECOND, max(beat_at), utc_timestamp(6)) / 1e6 AS age FROM {backticked(table)}"
        )
    except psycopg.Error:
        return None
    return math.inf if row["age"] is None else float(row["age"])


def table_rows(source: MariadbSession, tables: list[str]) -> list[dict[str, Any]]:
    """What `TableFacts` is made of, for each of these tables that exists. Raises psycopg.Error."""
    given = {"tables": tables or [""]}
    columns: dict[str, list[dict[str, Any]]] = defaultdict(list)
    keys: dict[str, list[str]] = defaultdict(list)
    for row in source.rows(SQL["columns"], given):
        # Generated columns are in the binlog as others are, also virtual ones.
        columns[row["of_table"]].append({"name": row["name"], "type": row["base"], "may_read": bool(row["may_read"])})
    for row in source.rows(SQL["primary_keys"], given):
        keys[row["of_table"]].append(row["name"])
    return [
        {
            "name": row["name"],
            "oid": 0,  # tables are captured by name: one that was made again goes on being captured
            "kind": "r" if row["kind"] == "BASE TABLE" else "v",
            "estimated_rows": int(row["estimate"]),
            "may_read": bool(columns[row["name"]]) and all(column["may_read"] for column in columns[row["name"]]),
            "columns": columns[row["name"]],
            "primary_key": keys[row["name"]],
        }
        for row in source.rows(SQL["tables"], given)
        if row["name"] in tables  # information_schema compares without case
    ]


def shapes_of(source: MariadbSession, tables: list[str]) -> dict[str, Shape]:
    """Table → its columns now. Their numbers are places: after a column was dropped, those behind it have another."""
    shapes: dict[str, Shape] = {}
    for row in source.rows(SQL["columns"], {"tables": tables or [""]}):
        if row["of_table"] in tables:
            # By name: a place says nothing, and a renamed column is one that is gone and one that is new.
            shapes.setdefault(row["of_table"], {})[row["name"]] = (row["name"], row["type"])
    return shapes


def judge_age(system: str, settings: BinlogSettings, read_until: float | None) -> list[Finding]:
    """A finding while the connector's place in the binlog will be gone in less than `WARN_DAYS`, or is gone.
    `read_until`: the time of the last event that it read (seconds since 1970), if it has read any.
    """
    if read_until is None or math.isinf(settings.kept_s):
        return []
    behind_s = max(0.0, time.time() - read_until)
    left = (settings.kept_s - behind_s) / _DAY
    # Half of a short retention is no alarm by itself: what counts is that the connector does not follow.
    if behind_s < min(0.1 * settings.kept_s, 3600) or left > min(WARN_DAYS, settings.kept_s / 2 / _DAY):
        return []
    what = (
        f"the connector read the binlog up to {behind_s / _DAY:.1f} days ago, and the server keeps it for "
        f"{settings.kept_s / _DAY:.1f}: in {max(0.0, left):.1f} days changes will be lost"
    )
    remedy = "find out why the connector is stalled (log of Kafka Connect), or raise binlog_expire_logs_seconds"
    return [Finding("wal-ending", system, what, remedy)]
