"""Have rows of a source read again: what the dictionary makes of them changed, though they did not (a code table, a rule).

In: a system, tables and a condition. Out: a row in the connector's signal table, on which Debezium reads these rows beside the stream
(an incremental snapshot). They come as read, at the present position: they correct records and give rise to no intent.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import psycopg
from psycopg import sql

from streams.errors import ConfigError, EnvironmentFault
from streams.provision.systems import System


def reread(system: System, dsn: str, tables: list[str], where: str | None = None) -> dict[str, int]:
    """Ask for rows of these tables; table → how many rows meet `where` now. Raises ConfigError or EnvironmentFault."""
    config = system.source["config"]
    signals = config.get("signal.data.collection")
    if system.dictionary.kind != "postgres" or not signals:
        raise ConfigError(
            f"{system.name} has no signal table, through which its connector could be told to read rows again",
            remedy='say "signal.data.collection" in source.json, or `opshub resync` the whole system',
        )
    for table in tables:
        if table not in system.dictionary.tables:
            raise ConfigError(
                f"the dictionary of {system.name} reads no table {table}",
                remedy=f"one of {', '.join(sorted(system.dictionary.tables))}",
            )
    data: dict[str, Any] = {"data-collections": tables, "type": "incremental"}
    if where is not None:
        data["additional-conditions"] = [{"data-collection": table, "filter": where} for table in tables]
    found: dict[str, int] = {}
    try:
        with psycopg.connect(dsn, connect_timeout=5) as source:
            for table in tables:
                condition = sql.SQL(where) if where is not None else sql.SQL("true")
                query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
                    sql.Identifier(*table.split(".", 1)), condition
                )
                row = source.execute(query).fetchone()
                found[table] = int(row[0]) if row else 0
            source.execute(
                sql.SQL("INSERT INTO {} (id, type, data) VALUES (%s, 'execute-snapshot', %s)").format(
                    sql.Identifier(*signals.split(".", 1))
                ),
                [str(uuid.uuid4()), json.dumps(data)],
            )
    except (psycopg.errors.SyntaxError, psycopg.errors.UndefinedColumn, psycopg.errors.DataError) as error:
        raise ConfigError(
            f"--where {where!r}: {str(error).strip()}", remedy="a condition of SQL on that table"
        ) from error
    except psycopg.Error as error:
        raise EnvironmentFault(
            f"{system.name} can not be told to read rows again: {str(error).strip()}",
            remedy="`opshub doctor` checks it",
        ) from error
    return found
