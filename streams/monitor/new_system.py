"""Checks a Postgres database before it becomes a system: what keeps it from being captured, and the SQL that mends it.

In: an address with a role, a name, and which tables. Out: findings, each with SQL to copy; what an administrator runs
once; a source.json; the variables that hold the address; the steps that follow. Nothing is changed and nothing is kept:
the session is read only, and the address is in no text that comes out.
"""

from __future__ import annotations

import json
import re

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from streams.capture.captured_tables import TableFacts, quoted
from streams.capture.setup_sql import CaptureRights, setup_sql
from streams.capture.source_sql import SOURCE_SQL
from streams.errors import ConfigError, EnvironmentFault
from streams.mariadb_session import MariadbSession
from streams.monitor.source_preflight import SQL, DatabaseFacts
from streams.named_sql import fetch_rows
from streams.provision.source_session import BUSY, source_session

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
MOST_TABLES = 500


class NewFinding(msgspec.Struct, frozen=True):
    """One thing that is wrong. `sql`: what mends it, to be run by an administrator; '' where SQL cannot."""

    code: str
    where: str
    what: str
    sql: str
    severe: bool = True


class NewTable(msgspec.Struct, frozen=True):
    """A table that could be captured. `rows`: as the catalogue estimates, None before the first ANALYZE."""

    name: str
    rows: int | None
    columns: int
    primary_key: list[str]


class NewSystem(msgspec.Struct, frozen=True):
    """What a database needs before it becomes the system `name`."""

    name: str
    server: str
    role: str
    findings: list[NewFinding]
    tables: list[NewTable]
    setup_sql: str
    source_json: str
    environment: list[str]
    """Variables that hold address, role and password; no file has them."""
    steps: list[str]


class _Table(msgspec.Struct, frozen=True):
    name: str


def check_new_system(
    name: str, dsn: str, *, password: str | None = None, schemas: list[str] | None = None,
    tables: list[str] | None = None,
) -> NewSystem:  # fmt: skip
    """Check the database at `dsn`. `tables`: only these; else all of `schemas`; else all.

    Raises ConfigError for a name or address that is none, EnvironmentFault when the database does not answer. No
    message has the password.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name of a system", remedy="small letters, digits and hyphens, such as erp-2")
    address, secret = _address(dsn, password)
    try:
        with source_session(address) as source:
            if isinstance(source, MariadbSession):
                raise ConfigError(
                    "only a Postgres database is checked here",
                    remedy="docs/guides/mariadb.md brings in a MariaDB database; `opshub doctor` checks it",
                )
            return _check(source, name, schemas, tables)
    except BUSY as error:
        raise EnvironmentFault("the database did not answer in time", remedy="try again later") from error
    except psycopg.Error as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        shown = text.replace(secret, "…") if secret else text
        raise EnvironmentFault(
            f"the database cannot be reached: {shown}", remedy="check host, port, database, role and password"
        ) from None


def _address(dsn: str, password: str | None) -> tuple[str, str]:
    """(the whole address, the password in it). Raises ConfigError, which does not repeat what was given."""
    wrong = ConfigError("this is not the address of a database", remedy="postgresql://role@host:5432/database")
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise wrong from None
    host = str(parts.get("host") or "")
    # A password with @ or / that is not percent-encoded ends up in the host: it would be shown in an error.
    if not host or "@" in host or (not dsn.startswith(("postgresql://", "postgres://")) and "=" not in dsn):
        raise wrong
    if password:
        parts["password"] = password
    secret = str(parts.get("password") or "")
    return make_conninfo(**{key: str(value) for key, value in parts.items() if value is not None}), secret


def _check(
    source: psycopg.Connection[tuple[object, ...]], name: str, schemas: list[str] | None, tables: list[str] | None
) -> NewSystem:
    slug = name.replace("-", "_")
    publication = f"opshub_{slug}"
    parameters = {"slot": publication, "publication": publication, "signals": None, "heartbeats": None}
    (facts,) = fetch_rows(source, DatabaseFacts, SQL["database_facts"], parameters)
    listed = [row.name for row in fetch_rows(source, _Table, SQL["user_tables"], {"most": MOST_TABLES})]
    if tables:
        missing = sorted(set(tables) - set(listed))
        if missing:
            raise ConfigError(f"the role sees no table {missing[0]}", remedy=f"such as {', '.join(listed[:5])}")
        listed = [table for table in listed if table in tables]
    elif schemas:
        listed = [table for table in listed if table.split(".", 1)[0] in schemas]
    with source.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SOURCE_SQL["captured_tables"], {"publication": publication, "tables": listed}).fetchall()
    known = sorted(msgspec.convert(rows, list[TableFacts]), key=lambda table: table.name)
    findings = judge_server(facts) + [finding for table in known for finding in judge_new_table(table, facts.role)]
    fit = [table for table in known if table.kind in ("r", "p")]
    return NewSystem(
        name=name,
        server=f"PostgreSQL {source.info.server_version // 10_000}",
        role=facts.role,
        findings=sorted(findings, key=lambda finding: not finding.severe),
        tables=[
            NewTable(
                t.name, t.estimated_rows if t.estimated_rows >= 0 else None, len(t.columns), t.primary_key
            )
            for t in fit
        ],
        setup_sql=setup_sql(CaptureRights(facts.role, publication, [table.name for table in fit]), with_role=False),
        source_json=source_json(name),
        environment=environment_of(name),
        steps=steps_of(name),
    )  # fmt: skip


def judge_server(facts: DatabaseFacts) -> list[NewFinding]:
    """What is wrong with the server and the role."""
    role = '"' + facts.role.replace('"', '""') + '"'
    findings = []
    if facts.wal_level != "logical":
        findings.append(
            NewFinding(
                "wal-level", "server", f"wal_level is {facts.wal_level}, not logical: nothing can be captured",
                "ALTER SYSTEM SET wal_level = logical;\n-- then restart the database",
            )
        )  # fmt: skip
    if not facts.may_replicate:
        findings.append(
            NewFinding(
                "role-replication", f"role {facts.role}", "it may not replicate", f"ALTER ROLE {role} REPLICATION;"
            )
        )
    if facts.free_slots <= 0 and not facts.has_slot:
        findings.append(
            NewFinding(
                "slots-used", "server", "no replication slot is free",
                "ALTER SYSTEM SET max_replication_slots = 20;\n-- then restart the database",
            )
        )  # fmt: skip
    if facts.wal_limit == "-1":
        findings.append(
            NewFinding(
                "wal-unbounded", "server",
                "max_slot_wal_keep_size is not set: a slot that nobody reads may fill the disk",
                "ALTER SYSTEM SET max_slot_wal_keep_size = '20GB';\nSELECT pg_reload_conf();", severe=False,
            )
        )  # fmt: skip
    return findings


def judge_new_table(table: TableFacts, role: str) -> list[NewFinding]:
    """What is wrong with one table, before a dictionary reads it."""
    name = quoted(table.name)
    grantee = '"' + role.replace('"', '""') + '"'
    if table.kind not in ("r", "p"):
        kind = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}[table.kind]
        what = f"it is {kind}: Postgres sends no changes of it"
        return [NewFinding("table-kind", table.name, what, "", severe=False)]
    findings = []
    if not table.may_read:
        schema = quoted(table.name.split(".", 1)[0])
        sql = f"GRANT USAGE ON SCHEMA {schema} TO {grantee};\nGRANT SELECT ON {name} TO {grantee};"
        findings.append(NewFinding("table-right", table.name, "the role may not read it", sql))
    if table.has_row_security and not table.bypasses_row_security:
        what = "row-level security may hide rows from the role: a snapshot would lack them without an error"
        findings.append(NewFinding("row-security", table.name, what, f"ALTER ROLE {grantee} BYPASSRLS;"))
    without = [leaf.name for leaf in table.leaves if leaf.identity != "f" and not leaf.identity_columns]
    if without:
        what = "it has no replica identity: once it is published, UPDATE and DELETE fail in the application"
        sql = "\n".join(f"ALTER TABLE {quoted(leaf)} REPLICA IDENTITY FULL;" for leaf in without[:20])
        findings.append(NewFinding("replica-identity", table.name, what, f"{sql}\n-- or add a primary key"))
    unlogged = [leaf.name for leaf in table.leaves if leaf.persistence == "u"]
    if unlogged:
        sql = "\n".join(f"ALTER TABLE {quoted(leaf)} SET LOGGED;" for leaf in unlogged)
        findings.append(
            NewFinding("table-unlogged", table.name, "it is unlogged: Postgres sends no changes of it", sql)
        )
    if table.children:
        what = f"{', '.join(table.children[:3])} inherit from it: their changes come under their own names"
        findings.append(NewFinding("table-inherited", table.name, what, "", severe=False))
    return findings


def source_json(name: str) -> str:
    """A source.json for the system: the variables that hold its address. opshub adds every other option."""
    keys = ("database.hostname", "database.port", "database.dbname", "database.user", "database.password")
    config = {key: f"${{env:{variable}}}" for key, variable in zip(keys, environment_of(name), strict=True)}
    return json.dumps({"config": config}, indent=2)


def environment_of(name: str) -> list[str]:
    """The variables that source.json names: they hold address, role and password."""
    prefix = name.replace("-", "_").upper()
    return [f"{prefix}_{item}" for item in ("HOST", "PORT", "DATABASE", "CAPTURE_USER", "CAPTURE_PASSWORD")]


def steps_of(name: str) -> list[str]:
    """What follows, in order."""
    folder = f"connectors/{name}"
    variables = ", ".join(environment_of(name))
    return [
        "run the SQL of the findings and of the set-up as administrator of the database",
        f"set {variables} where Connect and the workers start (with the native stack: lines of <state_dir>/env)",
        f"write {folder}/source.json, and {folder}/dictionary.yaml: `opshub map draft` proposes one",
        f"`opshub map check {name} --live` until nothing is wrong",
        f"add {name} to OPSHUB_SYSTEMS; `opshub plan` lists the topics and the connector that `opshub apply` creates",
        "restart the workers: the snapshot begins, and this page shows it",
    ]
