"""Preflight of one system: its source.json, and its database through the role that captures it.

In: catalogue facts of the database and of each table that the dictionary reads. Out: findings. The queries are in
`monitor/sql/preflight.sql`; `judge_database` and `judge_table` are pure.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from streams.capture.connector_config import check_source_file
from streams.capture.finding import Finding, source_away
from streams.hub.session import KEEPALIVE
from streams.mapping.compiled import CompiledTable
from streams.named_sql import fetch_rows, load_statements
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
    publishes_all: bool | None
    """Whether the publication holds all tables; None without a publication."""
    publishes_signals: bool


class TableFacts(msgspec.Struct, frozen=True):
    """One table that the dictionary reads."""

    replica_identity: str
    """d: primary key, f: full, i: an index, n: nothing (pg_class.relreplident)."""
    has_row_security: bool
    estimated_rows: int
    may_read: bool
    has_key: bool
    is_published: bool
    bypasses_row_security: bool | None
    columns: list[str]


class _Empty(msgspec.Struct, frozen=True):
    is_empty: bool


def check_source(system: System, dsn: str) -> list[Finding]:
    """What is wrong with one source.json and its database."""
    findings = check_source_file(system)
    if system.dictionary.kind != "postgres":
        return findings
    try:
        with psycopg.connect(dsn, **KEEPALIVE) as source:
            return findings + _check_database(system, source)
    except psycopg.Error as error:
        return [*findings, source_away(system.name, error)]


def _check_database(system: System, source: psycopg.Connection) -> list[Finding]:
    publication = _publication(system)
    signals = system.config.get("signal.data.collection")
    parameters = {"slot": system.slot_name, "publication": publication, "signals": signals}
    (facts,) = fetch_rows(source, DatabaseFacts, SQL["database_facts"], parameters)
    findings = judge_database(system, facts)
    for table in system.dictionary.tables.values():
        schema, name = table.name.split(".", 1)
        parameters = {"publication": publication, "schema": schema, "table": name}
        rows = fetch_rows(source, TableFacts, SQL["table_facts"], parameters)
        findings += judge_table(system, table, rows[0] if rows else None)
        if rows and rows[0].may_read and rows[0].estimated_rows > 0:
            findings += _check_rows(source, system, table, rows[0])
    return findings


def _publication(system: System) -> str:
    return str(system.config.get("publication.name", "dbz_publication"))  # Debezium's own default


def judge_database(system: System, facts: DatabaseFacts) -> list[Finding]:
    """What is wrong with the server, the role and the publication."""
    name, publication = system.name, _publication(system)
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
            facts.publishes_all is None,
            Finding(
                "publication-missing",
                name,
                f"there is no publication {publication}",
                "run the system's roles.sql as administrator",
            ),
        ),
        (
            facts.publishes_all is True,
            Finding(
                "publication-all",
                name,
                f"{publication} publishes all tables: UPDATE and DELETE fail in tables without a key",
                "publish only the tables that the dictionary reads",
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
    ]
    return [finding for is_wrong, finding in checks if is_wrong]


def judge_table(system: System, table: CompiledTable, facts: TableFacts | None) -> list[Finding]:
    """What is wrong with one table; `facts` is None when it does not exist."""
    where, publication = f"{system.name}: {table.name}", _publication(system)
    if facts is None:
        what = "the dictionary reads it, and it does not exist"
        return [Finding("table-missing", where, what, "correct dictionary.yaml", "input")]
    findings = []
    if not facts.may_read:
        remedy = f"GRANT SELECT ON {table.name} TO the role"
        findings.append(Finding("table-right", where, "the capturing role may not read it", remedy))
    if not facts.is_published:
        remedy = f"ALTER PUBLICATION {publication} ADD TABLE {table.name}"
        findings.append(Finding("table-unpublished", where, f"{publication} does not publish it", remedy))
    if facts.replica_identity == "n" or (facts.replica_identity == "d" and not facts.has_key):
        what = "it has no replica identity: once it is published, UPDATE and DELETE fail"
        remedy = f"add a primary key, or ALTER TABLE {table.name} REPLICA IDENTITY FULL"
        findings.append(Finding("replica-identity", where, what, remedy))
    elif table.before_full and facts.replica_identity != "f":
        what = "the dictionary reads what a row was before a change, and Postgres does not send it"
        remedy = f"ALTER TABLE {table.name} REPLICA IDENTITY FULL"
        findings.append(Finding("replica-identity-full", where, what, remedy))
    if facts.has_row_security and not facts.bypasses_row_security:
        what = "row-level security may hide rows from the capturing role: a snapshot would lack them without an error"
        findings.append(Finding("row-security", where, what, "ALTER ROLE … BYPASSRLS"))
    # pg_attribute can be read without a right on the table; without one the missing right is the finding.
    missing = [name for name in table.columns if name not in facts.columns and name not in table.optional]
    if facts.may_read and missing:
        what = f"the dictionary reads columns that it does not have: {', '.join(missing)}"
        findings.append(Finding("column-missing", where, what, "correct dictionary.yaml", "input"))
    return findings


def _check_rows(source: psycopg.Connection, system: System, table: CompiledTable, facts: TableFacts) -> list[Finding]:
    """A finding when the role sees no row of a table that should have some."""
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
