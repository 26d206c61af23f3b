"""Preflight of a MariaDB or MySQL server: its binlog, the rights of the user that captures it, the tables opshub adds.

In: what the server says of itself, and the user's grants. Out: findings, each with the SQL that mends it.
`judge_server` is pure; tables are judged by `streams/capture/captured_tables.py`, as those of Postgres.
"""

from __future__ import annotations

import math
import re

import psycopg

from streams.capture.binlog import SQL, BinlogSettings, read_settings
from streams.capture.finding import Finding
from streams.mariadb_session import MariadbSession, backticked
from streams.provision.source_session import BUSY
from streams.provision.systems import System

DAY_S = 86_400.0
SHORT_S = 3 * DAY_S
"""A binlog that is kept for less does not outlast a long weekend."""

_RIGHTS = {
    "REPLICATION SLAVE": ("REPLICATION SLAVE", "REPLICATION REPLICA"),
    "REPLICATION CLIENT": ("REPLICATION CLIENT", "BINLOG MONITOR"),
    "RELOAD": ("RELOAD",),
}
"""A right that Debezium needs → the names under which SHOW GRANTS lists it."""

_GRANTED = re.compile(r"GRANT (.+?) ON (\S+) TO", re.IGNORECASE)


def check_binlog_server(system: System, source: MariadbSession) -> list[Finding]:
    """What is wrong with the server, the user and the tables that opshub adds. Raises psycopg.Error."""
    # SHOW GRANTS may hold the hash of a password: only the rights are kept.
    grants = [match.groups() for row in source.rows(SQL["grants"]) for match in _GRANTED.finditer(str(*row.values()))]
    everywhere = {right.strip().upper() for rights, place in grants if place == "*.*" for right in rights.split(",")}
    user = str(source.rows("SELECT current_user() AS user")[0]["user"]).partition("@")[0]
    findings = judge_server(system.name, read_settings(source), everywhere, user)
    for option, purpose in (
        ("signal.data.collection", "`opshub resync --table` asks there for the rows of a table"),
        ("heartbeat.action.query", "heartbeats are written there, without which nobody sees a stalled connector"),
    ):
        findings += _added_table(system, source, option, purpose, user)
    return findings + _zero_dates(system, source)


def judge_server(name: str, server: BinlogSettings, rights: set[str], user: str) -> list[Finding]:
    """What is wrong with the server's settings and with the user's rights on all databases."""
    checks = [
        ("binlog-off", server.log_bin.upper() != "ON", "log_bin is OFF: the server keeps no changes",
         "start the server with log-bin and a server-id, e.g. [mysqld] log-bin=mariadb-bin, server-id=1"),
        ("binlog-format", server.binlog_format.upper() != "ROW",
         f"binlog_format is {server.binlog_format}: changes are kept as statements, without the rows",
         "SET GLOBAL binlog_format = 'ROW'; and in the server's configuration. Open sessions keep the old one"),
        ("binlog-format", server.binlog_row_image.upper() != "FULL",
         f"binlog_row_image is {server.binlog_row_image}: columns that did not change would come as null",
         "SET GLOBAL binlog_row_image = 'FULL'; and in the server's configuration"),
        ("binlog-format", bool(server.binlog_row_value_options),
         f"binlog_row_value_options is {server.binlog_row_value_options}: JSON would come in pieces",
         "SET GLOBAL binlog_row_value_options = ''"),
        # MariaDB has the variable since 11.4.4 and 10.11.10; earlier servers always say where an event is.
        ("binlog-format", server.binlog_legacy_event_pos.upper() == "OFF",
         "binlog_legacy_event_pos is OFF: of two changes of a row in one transaction nobody knows which is the later",
         "SET GLOBAL binlog_legacy_event_pos = ON; and in the server's configuration"),
        ("binlog-format", server.log_bin_compress.upper() == "ON",
         "log_bin_compress is ON: Debezium 3.5 cannot read compressed events, and skips them",
         "SET GLOBAL log_bin_compress = OFF; then FLUSH BINARY LOGS"),
        ("binlog-format", server.binlog_storage_engine.lower() not in ("", "none"),
         f"the binlog is kept by {server.binlog_storage_engine}: Debezium 3.5 reads files only",
         "start the server without binlog_storage_engine"),
        ("binlog-format", server.server_id in ("", "0"), "server_id is 0: no reader of the binlog is served",
         "SET GLOBAL server_id = 1; and in the server's configuration: one that no replica has"),
    ]  # fmt: skip
    findings = [Finding(code, name, what, remedy) for code, is_wrong, what, remedy in checks if is_wrong]
    if server.binlog_row_metadata.upper() not in ("FULL", ""):
        what = (
            f"binlog_row_metadata is {server.binlog_row_metadata}: other tools cannot tell names and signs of columns"
        )
        findings.append(Finding("binlog-format", name, what, "SET GLOBAL binlog_row_metadata = 'FULL'", severe=False))
    if server.kept_s < SHORT_S:
        days = server.kept_s / DAY_S
        what = f"the server keeps its binlog for {days:.1f} days: a connector that is stopped for longer loses changes"
        remedy = f"SET GLOBAL binlog_expire_logs_seconds = {int(7 * DAY_S)}; and in the server's configuration"
        findings.append(Finding("binlog-short", name, what, remedy, severe=False))
    elif math.isinf(server.kept_s):
        what = "the server keeps its binlog for ever: it may fill the disk"
        remedy = f"SET GLOBAL binlog_expire_logs_seconds = {int(7 * DAY_S)}"
        findings.append(Finding("wal-unbounded", name, what, remedy, severe=False))
    if not rights & {"ALL PRIVILEGES", "SUPER"}:
        missing = [right for right, names in _RIGHTS.items() if not rights & set(names)]
        if missing:
            what = f"the user {user} lacks {', '.join(missing)}"
            remedy = f"GRANT {', '.join(missing)} ON *.* TO '{user}'@'%'"
            findings.append(Finding("role-replication", name, what, remedy))
    return findings


def _zero_dates(system: System, source: MariadbSession) -> list[Finding]:
    """Columns that the dictionary reads with zero dates in them, which would come as the DEFAULT of the column."""
    tables = system.dictionary.tables
    findings = []
    for row in source.rows(SQL["dates_with_default"], {"tables": list(tables)}):
        table, column = row["of_table"], row["name"]
        if table not in tables or column not in tables[table].columns:
            continue
        try:
            has_some = source.rows(f"SELECT 1 FROM {backticked(table)} WHERE {backticked(column)} = 0 LIMIT 1")
        except (*BUSY, psycopg.errors.InsufficientPrivilege):
            continue  # a large table without an index on it, or one that may not be read: a finding of its own
        if has_some:
            what = f"{column} has zero dates ('0000-00-00'), and Debezium sends the column's DEFAULT in their place"
            remedy = f"give these rows a true date, or ALTER TABLE {backticked(table)} so that {column} may be NULL"
            findings.append(Finding("zero-dates", f"{system.name}: {table}", what, remedy, severe=False))
    return findings


def _added_table(system: System, source: MariadbSession, option: str, purpose: str, user: str) -> list[Finding]:
    """A finding where a table that opshub adds to a source is not there, or may not be read."""
    named = re.search(r"((?:\w+\.)?opshub_\w+)", str(system.config.get(option, "")))
    if named is None:
        return []
    table = named.group(1)
    try:
        source.rows(f"SELECT 1 FROM {backticked(table)} LIMIT 1")
    except psycopg.Error:
        what = f"there is no table {table} that {user} may read: {purpose}"
        remedy = f"`opshub plan --sql {system.name}` has the statements"
        return [Finding("signals-unpublished", system.name, what, remedy, severe=False)]
    return []
