"""The SQL that an administrator runs once in a database that is to be captured: role, grants, heartbeats, publication.

In: the tables that the dictionary reads, the role, the names that source.json gives. Out: statements that may be run
again, also after the dictionary reads other tables. No password is in them.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streams.capture.captured_tables import publication_name, quoted
from streams.capture.mariadb_setup import mariadb_setup_sql
from streams.capture.slot import heartbeat_table
from streams.errors import ConfigError
from streams.provision.systems import System
from streams.stack.environment import resolve_placeholders

HEARTBEATS, SIGNALS = "public.opshub_heartbeat", "public.opshub_signal"


class CaptureRights(msgspec.Struct, frozen=True):
    """What capture needs in a database. `full`: tables of Postgres whose old rows must come whole."""

    role: str
    publication: str
    tables: list[str]
    full: list[str] = []
    heartbeats: str = HEARTBEATS
    signals: str = SIGNALS
    kind: str = "postgres"


def rights_of(system: System, env: dict[str, str]) -> CaptureRights:
    """What the system needs, by its source.json and its dictionary. Raises ConfigError where there is no such SQL."""
    if not system.has_database:
        raise ConfigError(f"{system.name}: there is no SQL for {system.dictionary.kind}", remedy="see its README.md")
    user = resolve_placeholders(str(system.config.get("database.user", "")), env, f"{system.name}/source.json")
    tables = system.dictionary.tables
    return CaptureRights(
        role=user or f"opshub_capture_{system.name.replace('-', '_')}",
        publication=publication_name(system),
        tables=list(tables),
        full=[name for name, table in tables.items() if table.before_full],
        heartbeats=heartbeat_table(system) or HEARTBEATS,
        signals=str(system.config.get("signal.data.collection", SIGNALS)),
        kind=system.dictionary.kind,
    )


def setup_sql(rights: CaptureRights, *, with_role: bool = True) -> str:
    """The statements. `with_role=False`: the role exists, and may replicate."""
    if rights.kind != "postgres":
        return mariadb_setup_sql(rights.role, rights.tables, rights.heartbeats, rights.signals, with_role=with_role)
    grantee, name = _identifier(rights.role), _text(rights.role)
    schemas = sorted({table.split(".", 1)[0] for table in [*rights.tables, rights.heartbeats, rights.signals]})
    heartbeats, signals, publication = quoted(rights.heartbeats), quoted(rights.signals), rights.publication
    listed = _list([*rights.tables, rights.heartbeats, rights.signals])
    role = [
        "-- The role of the connector: it streams and reads these tables, and no others.",
        f"DO $opshub$ BEGIN\n    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) THEN\n"
        f"        CREATE ROLE {grantee};\n    END IF;\nEND $opshub$;",
        f"ALTER ROLE {grantee} LOGIN REPLICATION;",
        f"-- and its password, once: ALTER ROLE {grantee} PASSWORD '…';",
    ]
    return "\n".join(
        [
            *(role if with_role else []),
            f"GRANT USAGE ON SCHEMA {', '.join(map(_identifier, schemas))} TO {grantee};",
            *([f"GRANT SELECT ON\n    {_list(rights.tables)}\n    TO {grantee};"] if rights.tables else []),
            "-- A row that is written now and then, so that the slot moves on while the database is idle.",
            f"CREATE TABLE IF NOT EXISTS {heartbeats} (id integer PRIMARY KEY, beat_at timestamptz NOT NULL);",
            "-- Where a snapshot of a table is asked for while the stream goes on.",
            f"CREATE TABLE IF NOT EXISTS {signals} (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, "
            "data varchar(4096));",
            f"GRANT SELECT, INSERT, UPDATE ON {heartbeats} TO {grantee};",
            f"GRANT SELECT, INSERT, DELETE ON {signals} TO {grantee};",
            *(["-- Tables with `before: full`: old rows come whole."] if rights.full else []),
            *(f"ALTER TABLE {quoted(table)} REPLICA IDENTITY FULL;" for table in rights.full),
            "-- Only what the dictionary reads: FOR ALL TABLES would break updates of tables without a key.",
            "DO $opshub$ BEGIN\n"
            f"    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = {_text(publication)}) THEN\n"
            f"        CREATE PUBLICATION {_identifier(publication)};\n    END IF;\nEND $opshub$;",
            f"ALTER PUBLICATION {_identifier(publication)} SET (publish_via_partition_root = true);",
            f"ALTER PUBLICATION {_identifier(publication)} SET TABLE\n    {listed};",
        ]
    )


def _list(tables: Iterable[str]) -> str:
    return ",\n    ".join(map(quoted, tables))


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
