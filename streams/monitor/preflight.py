"""Preflight: may capture and the walk run, and run right? Each finding has a code and a remedy; nothing is changed.

In: settings, systems, and a role for each of them. Out: findings, the worst first. It reads catalogues and asks each server one question.
"""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
from confluent_kafka import KafkaException

from streams.capture.accounting import accounting
from streams.capture.connector_config import source_file
from streams.capture.finding import Finding
from streams.capture.guard import guard
from streams.errors import EnvironmentFault, OpshubError
from streams.hub.migrate import pending
from streams.hub.session import KEEPALIVE
from streams.kafka.clients import admin_client
from streams.monitor.disk import disk_left
from streams.monitor.hub_guard import hub_is_behind, nobody_works
from streams.provision.systems import System
from streams.provision.topics import missing_topics
from streams.settings import Settings


def examine(settings: Settings, systems: list[System], dsns: dict[str, str]) -> list[Finding]:
    """Everything that can be seen to be wrong."""
    found = _servers(settings, systems) + disk_left(settings)
    codes = {one.code for one in found}
    if "kafka-away" not in codes:
        found += nobody_works(settings)
    if not codes & {"hub-away", "hub-behind"}:
        found += hub_is_behind(settings) + _letters(settings)
    for system in systems:
        found += source(system, dsns[system.name])
        if not any(one.code == "hub-away" for one in found):
            try:
                found += guard(settings, system, dsns[system.name])
            except psycopg.errors.UndefinedTable:
                pass  # the hub's pending migrations are a finding of their own
    return sorted(dict.fromkeys(found), key=lambda one: not one.severe)


def exit_code(findings: list[Finding]) -> int:
    """0 when none is severe, 2 when a file of ours is wrong, 3 when the environment is."""
    severe = [one for one in findings if one.severe]
    return 0 if not severe else 2 if any(one.side == "input" for one in severe) else 3


def _servers(settings: Settings, systems: list[System]) -> list[Finding]:
    found = []
    try:
        admin_client(settings.kafka).list_topics(timeout=5)
        for topic in missing_topics(settings, systems):
            found.append(Finding("topic-missing", topic, "the topic does not exist", "`opshub apply` creates it"))
    except (KafkaException, EnvironmentFault) as error:
        found.append(
            Finding(
                "kafka-away",
                settings.kafka,
                f"no broker answers: {error}",
                "`opshub up`, or check OPSHUB_BOOTSTRAP_SERVERS",
            )
        )
    for code, url, path in (
        ("registry-away", settings.registry, "/subjects"),
        ("connect-away", settings.connect, "/connectors"),
    ):
        try:
            httpx.get(url + path, timeout=5).raise_for_status()
        except httpx.HTTPError as error:
            found.append(
                Finding(code, url, f"does not answer: {error}", "`opshub up`, or check its address in the settings")
            )
    try:
        for name in pending(settings.hub):
            found.append(Finding("hub-behind", name, "the hub's tables are not of this version", "`opshub apply`"))
    except OpshubError as error:
        found.append(Finding("hub-away", "hub", str(error), error.remedy))
    return found


def _letters(settings: Settings) -> list[Finding]:
    told = accounting(settings)
    found = []
    if told["parked_keys"]:
        what = f"{told['open']['dead']:,} records failed, and {told['open']['parked']:,} wait behind them"
        found.append(Finding("dead-letters", "hub", what, "`opshub dlq list` says why", severe=False))
    if not told["balances"]:
        what = "what was read, what became of it and what the hub holds do not balance"
        found.append(Finding("accounts", "hub", what, "`opshub verify` says where"))
    return found


def source(system: System, dsn: str) -> list[Finding]:
    """One source.json, and its database through the role that captures it."""
    found = source_file(system)
    if system.dictionary.kind != "postgres":
        return found
    try:
        with psycopg.connect(dsn, **KEEPALIVE) as connection:
            return found + _postgres(system, connection)
    except psycopg.Error as error:
        return [
            *found,
            Finding(
                "source-away",
                system.name,
                f"the database does not answer: {str(error).strip()}",
                "start it; check address, role and password",
            ),
        ]


def _postgres(system: System, connection: psycopg.Connection[Any]) -> list[Finding]:
    found: list[Finding] = []
    config = system.source["config"]
    name = system.name

    def ask(query: str, *values: Any) -> Any:
        row = connection.execute(query.encode(), values).fetchone()
        return row[0] if row is not None else None

    if ask("SHOW wal_level") != "logical":
        found.append(
            Finding(
                "wal-level",
                name,
                "wal_level is not logical: nothing can be captured",
                "ALTER SYSTEM SET wal_level = logical, restart",
            )
        )
    if not ask("SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user"):
        found.append(
            Finding(
                "role-replication",
                name,
                f"the role {ask('SELECT current_user')} may not replicate",
                "ALTER ROLE … REPLICATION",
            )
        )
    free = ask("SELECT current_setting('max_replication_slots')::int - count(*) FROM pg_replication_slots")
    if free <= 0 and not ask(
        "SELECT true FROM pg_replication_slots WHERE slot_name = %s", config.get("slot.name", "debezium")
    ):
        found.append(
            Finding(
                "slots-used",
                name,
                "no replication slot is free",
                "raise max_replication_slots, or drop a slot that nobody uses",
            )
        )
    if ask("SELECT current_setting('max_slot_wal_keep_size')") == "-1":
        found.append(
            Finding(
                "wal-unbounded",
                name,
                "a slot that nobody reads may fill the source's disk: max_slot_wal_keep_size is not set",
                "set it to what the disk can spare; past it the slot is lost, which opshub tells (capture-lost)",
                severe=False,
            )
        )
    publication = config.get("publication.name", "dbz_publication")
    if not ask("SELECT true FROM pg_publication WHERE pubname = %s", publication):
        found.append(
            Finding(
                "publication-missing",
                name,
                f"there is no publication {publication}",
                "run the system's roles.sql as administrator",
            )
        )
    elif ask("SELECT puballtables FROM pg_publication WHERE pubname = %s", publication):
        found.append(
            Finding(
                "publication-all",
                name,
                f"{publication} publishes all tables: one without a key makes its UPDATEs fail",
                "publish only what is read",
            )
        )
    signals = config.get("signal.data.collection")
    if signals and not ask(
        "SELECT true FROM pg_publication_tables WHERE pubname = %s AND schemaname || '.' || tablename = %s",
        publication,
        signals,
    ):
        found.append(
            Finding(
                "signals-unpublished",
                name,
                f"{publication} does not publish {signals}: `opshub resync --table` would wait for ever",
                "create it as connectors/demo-erp/roles.sql does, and publish it",
                severe=False,
            )
        )
    for table in system.dictionary.tables.values():
        found += _table(connection, system, table, publication)
    return found


def _table(connection: psycopg.Connection[Any], system: System, table: Any, publication: str) -> list[Finding]:
    schema, relation = table.name.split(".", 1)
    where = f"{system.name}: {table.name}"
    row = connection.execute(
        "SELECT c.oid, c.relreplident, c.relrowsecurity, c.reltuples::bigint, has_table_privilege(c.oid, 'SELECT'), "
        "EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), "
        "EXISTS (SELECT FROM pg_publication_tables p WHERE p.pubname = %s AND p.schemaname = n.nspname AND p.tablename = c.relname), "
        "(SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
        [publication, schema, relation],
    ).fetchone()
    if row is None:
        return [
            Finding(
                "table-missing",
                where,
                "the dictionary reads it, and it does not exist",
                "correct dictionary.yaml",
                "input",
            )
        ]
    oid, identity, secured, estimate, may_read, has_key, published, bypasses = row
    found = []
    if not may_read:
        found.append(
            Finding(
                "table-right", where, "the capturing role may not read it", f"GRANT SELECT ON {table.name} TO the role"
            )
        )
    if not published:
        found.append(
            Finding(
                "table-unpublished",
                where,
                f"{publication} does not publish it",
                f"ALTER PUBLICATION {publication} ADD TABLE {table.name}",
            )
        )
    if identity == "n" or (identity == "d" and not has_key):
        found.append(
            Finding(
                "replica-identity",
                where,
                "it has no replica identity: with a publication, UPDATE and DELETE fail",
                "add a primary key, or REPLICA IDENTITY FULL",
            )
        )
    elif table.before_full and identity != "f":
        found.append(
            Finding(
                "replica-identity-full",
                where,
                "the dictionary reads what a row was before, which is not sent",
                f"ALTER TABLE {table.name} REPLICA IDENTITY FULL",
            )
        )
    if secured and not bypasses:
        found.append(
            Finding(
                "row-security",
                where,
                "row-level security may hide rows from the capturing role: a snapshot would be empty in silence",
                "ALTER ROLE … BYPASSRLS",
            )
        )
    if may_read:
        there = {
            name
            for (name,) in connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped", [oid]
            )
        }
        gone = [column for column in table.columns if column not in there and column not in table.optional]
        if gone:
            found.append(
                Finding(
                    "column-missing",
                    where,
                    f"the dictionary reads {', '.join(gone)}, which it does not have",
                    "correct dictionary.yaml",
                    "input",
                )
            )
        if estimate > 0 and connection.execute(
            f'SELECT NOT EXISTS (SELECT FROM "{schema}"."{relation}")'.encode()
        ).fetchone() == (True,):
            found.append(
                Finding(
                    "table-empty",
                    where,
                    f"the role sees no row, the catalogue estimates {estimate:,}",
                    "check rights and policies",
                    severe=secured,
                )
            )
    return found
