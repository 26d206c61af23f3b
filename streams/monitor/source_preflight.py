"""Preflight of one system: its source.json, and its database through the role that captures it.

In: catalogue facts of the database and of each table that the dictionary reads. Out: findings. `judge_database` is
pure; tables are judged by `streams/capture/captured_tables.py`, which the watcher uses, too.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from streams.capture.captured_tables import (
    TableFacts,
    judge_publication,
    judge_table,
    publication_name,
    read_publication,
    read_tables,
)
from streams.capture.connector_config import check_source_file
from streams.capture.finding import Finding, source_away
from streams.capture.slot import heartbeat_table
from streams.mapping.compiled import CompiledTable
from streams.mariadb_session import MariadbSession, Source
from streams.monitor.binlog_preflight import check_binlog_server
from streams.named_sql import fetch_rows, load_statements
from streams.provision.column_types import compile_with_types, read_types
from streams.provision.source_session import source_session
from streams.provision.systems import System

SQL = load_statements(Path(__file__).with_name("sql"))


class DatabaseFacts(msgspec.Struct, frozen=True):
    """The settings of a server and the rights of the role that captures it."""

    wal_level: str
    role: str
    may_replicate: bool | None
    free_slots: int
    has_slot: bool
    """Whether the slot of our connector exists."""
    wal_limit: str
    """max_slot_wal_keep_size; -1 without a limit."""
    publishes_signals: bool
    publishes_heartbeats: bool | None
    """None where there is no heartbeat table."""


class _Empty(msgspec.Struct, frozen=True):
    is_empty: bool


def check_source(system: System, dsn: str) -> list[Finding]:
    """What is wrong with one source.json and its database."""
    findings = check_source_file(system)
    if not system.has_database:
        return findings
    try:
        with source_session(dsn) as source:
            if isinstance(source, MariadbSession):
                return findings + check_binlog_server(system, source) + _check_tables(system, source)
            return findings + _check_database(system, source)
    except psycopg.Error as error:
        return [*findings, source_away(system.name, error)]


def _check_database(system: System, source: psycopg.Connection[tuple[object, ...]]) -> list[Finding]:
    written = heartbeat_table(system)
    parameters = {
        "slot": system.slot_name,
        "publication": publication_name(system),
        "signals": system.config.get("signal.data.collection"),
        "heartbeats": written and (written if "." in written else f"public.{written}"),
    }
    (facts,) = fetch_rows(source, DatabaseFacts, SQL["database_facts"], parameters)
    publication = read_publication(source, system)
    findings = judge_database(system, facts) + judge_publication(system, publication)
    return findings + _check_tables(system, source)


def _check_tables(system: System, source: Source) -> list[Finding]:
    findings = _check_types(source, system)
    publication, tables = read_publication(source, system), read_tables(source, system)
    for table in system.dictionary.tables.values():
        table_facts = tables.get(table.name)
        findings += judge_table(system, table, table_facts, publication)
        if table_facts is not None and table_facts.may_read and table_facts.estimated_rows > 0:
            findings += _check_rows(source, system, table, table_facts)
    return findings


def _check_types(source: Source, system: System) -> list[Finding]:
    """Columns whose types cannot make their fields: a worker rejects their rows."""
    refusals = compile_with_types(system, read_types(source, system)).refusals
    return [
        Finding(
            "column-type",
            f"{system.name}: {refused.problem.field}",
            refused.problem.what,
            refused.problem.right,
            "input",
            severe=not refused.by_value,
        )
        for refused in refusals
    ]


def judge_database(system: System, facts: DatabaseFacts) -> list[Finding]:
    """What is wrong with the server, the role and the publication."""
    name, publication = system.name, publication_name(system)
    signals = system.config.get("signal.data.collection")
    checks = [
        (
            facts.wal_level != "logical",
            Finding(
                "wal-level",
                name,
                f"wal_level is {facts.wal_level}, not logical: nothing can be captured",
                "ALTER SYSTEM SET wal_level = logical, then restart the database",
            ),
        ),
        (
            not facts.may_replicate,
            Finding(
                "role-replication",
                name,
                f"the role {facts.role} may not replicate",
                f"ALTER ROLE {facts.role} REPLICATION",
            ),
        ),
        (
            facts.free_slots <= 0 and not facts.has_slot,
            Finding(
                "slots-used",
                name,
                "no replication slot is free",
                "raise max_replication_slots, or drop a slot that nobody uses",
            ),
        ),
        (
            facts.wal_limit == "-1",
            Finding(
                "wal-unbounded",
                name,
                "max_slot_wal_keep_size is not set: a slot that nobody reads may fill the source's disk",
                "set it to what the disk can spare; past it the slot is lost, which opshub reports (capture-lost)",
                severe=False,
            ),
        ),
        (
            bool(signals) and not facts.publishes_signals,
            Finding(
                "signals-unpublished",
                name,
                f"{publication} does not publish {signals}: `opshub resync --table` would wait forever",
                "create it as connectors/demo-erp/roles.sql does, and publish it",
                severe=False,
            ),
        ),
        (
            facts.publishes_heartbeats is False,
            Finding(
                "heartbeats-unpublished",
                name,
                f"{publication} does not publish the heartbeat table: the slot of a quiet database holds back WAL",
                f"ALTER PUBLICATION {publication} ADD TABLE {heartbeat_table(system)}",
                severe=False,
            ),
        ),
    ]
    return [finding for is_wrong, finding in checks if is_wrong]


def _check_rows(source: Source, system: System, table: CompiledTable, facts: TableFacts) -> list[Finding]:
    """A finding when the role sees no row of a table that should have some."""
    if isinstance(source, MariadbSession):
        return []  # it has no rows that are hidden from one who may read a table
    query = sql.SQL("SELECT NOT EXISTS (SELECT FROM {}) AS is_empty").format(sql.Identifier(*table.name.split(".", 1)))
    (rows,) = fetch_rows(source, _Empty, query)
    if not rows.is_empty:
        return []
    return [
        Finding(
            "table-empty",
            f"{system.name}: {table.name}",
            f"the role sees no row, and the catalogue estimates {facts.estimated_rows:,}",
            "check rights and row-level policies",
            # Without row-level security the estimate may simply be old: rows were deleted since the last ANALYZE.
            severe=facts.has_row_security,
        )
    ]
