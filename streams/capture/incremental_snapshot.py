"""Re-snapshots rows of a source after the dictionary or a code table changed, though the rows did not.

In: a system, tables and a condition. Out: a row in the connector's signal table; Debezium then reads these rows while
it goes on streaming (an incremental snapshot). They come with operation `r` at the present position, so they correct
records and create no intent.
"""

from __future__ import annotations

import json
import uuid

import msgspec
import psycopg
from psycopg import sql

from streams.errors import ConfigError, EnvironmentFault
from streams.named_sql import fetch_rows
from streams.provision.systems import System


class _Count(msgspec.Struct, frozen=True):
    rows: int


def request_snapshot(system: System, dsn: str, tables: list[str], where: str | None = None) -> dict[str, int]:
    """Ask for the rows of these tables that meet `where`; table → how many they are now.

    Raises ConfigError when the system has no signal table, a table is not in the dictionary, or `where` is no
    condition; EnvironmentFault when the database does not answer.
    """
    signals = check_snapshot(system, tables)
    data: dict[str, object] = {"data-collections": tables, "type": "incremental"}
    if where is not None:
        data["additional-conditions"] = [{"data-collection": table, "filter": where} for table in tables]
    # `where` is an operator's own SQL, as Debezium's filter is; the count also shows whether it is valid.
    condition = sql.SQL(where) if where is not None else sql.SQL("true")
    counts: dict[str, int] = {}
    try:
        with psycopg.connect(dsn, connect_timeout=5) as source:
            for table in tables:
                query = sql.SQL("SELECT count(*) AS rows FROM {} WHERE {}").format(_identifier(table), condition)
                (count,) = fetch_rows(source, _Count, query)
                counts[table] = count.rows
            insert = sql.SQL("INSERT INTO {} (id, type, data) VALUES (%s, 'execute-snapshot', %s)")
            source.execute(insert.format(_identifier(signals)), [str(uuid.uuid4()), json.dumps(data)])
    except (psycopg.errors.SyntaxError, psycopg.errors.UndefinedColumn, psycopg.errors.DataError) as error:
        raise ConfigError(
            f"--where {where!r}: {str(error).strip()}", remedy="give an SQL condition on the columns of that table"
        ) from error
    except psycopg.Error as error:
        raise EnvironmentFault(
            f"the snapshot of {system.name} cannot be requested: {str(error).strip()}",
            remedy="`opshub doctor` checks its database",
        ) from error
    return counts


def check_snapshot(system: System, tables: list[str]) -> str:
    """The signal table of a system that may be asked for these tables. Raises ConfigError for one that may not."""
    signals = system.config.get("signal.data.collection")
    if system.dictionary.kind != "postgres" or not signals:
        raise ConfigError(
            f"{system.name} has no signal table, through which its connector could be asked for a snapshot",
            remedy='set "signal.data.collection" in source.json, or `opshub resync` the whole system',
        )
    for table in tables:
        if table not in system.dictionary.tables:
            raise ConfigError(
                f"the dictionary of {system.name} reads no table {table}",
                remedy=f"use one of {', '.join(sorted(system.dictionary.tables))}",
            )
    return str(signals)


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split(".", 1))
