"""Reads a captured table as it is now, each row in the form in which Debezium would send it. Of MariaDB and MySQL:
`mariadb_rows.py`.

Source of the forms: Debezium's PostgreSQL connector documentation, "Data type mappings", for
decimal.handling.mode=string and time.precision.mode=microseconds (`streams/capture/connector_config.py` requires both).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from streams.errors import MappingError
from streams.mapping.compiled import CompiledDictionary, CompiledTable
from streams.mariadb_session import MariadbSession
from streams.model.change import Position, RowChange
from streams.named_sql import fetch_rows, load_statements
from streams.provision.source_session import source_fault, source_session
from streams.verify.feed_rows import SCHEME, feed_rows
from streams.verify.mariadb_rows import binlog_rows

SQL = load_statements(Path(__file__).with_name("sql"))

_FORMS = {
    "numeric": "{c}::text",
    "timestamp with time zone": """CASE WHEN {c} >= '0001-01-01 00:00Z' AND {c} < '10000-01-01 00:00Z'
        THEN to_char({c} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') ELSE {c}::text END""",
    "timestamp without time zone": """CASE WHEN isfinite({c}) THEN (extract(epoch FROM {c}) * 1000000)::bigint
        WHEN {c} = 'infinity' THEN 9223372036825200000
        WHEN {c} = '-infinity' THEN -9223372036832400000 END""",
    "date": """CASE WHEN isfinite({c}) THEN {c} - DATE '1970-01-01'
        WHEN {c} = 'infinity' THEN -2147472693
        WHEN {c} = '-infinity' THEN -2147472692 END""",
    "json": "{c}::text",
    "jsonb": "{c}::text",
    "uuid": "{c}::text",
    "time without time zone": "(extract(epoch FROM {c}) * 1000000)::bigint",
    "time with time zone": "replace(({c} AT TIME ZONE 'UTC')::text, '+00', 'Z')",
    "interval": "{c}::text",
    "money": "{c}::numeric::text",
    "bit": "({c}::text = '1')",
    "bytea": "encode({c}, 'base64')",
    "_numeric": "{c}::text[]",
    "_json": "{c}::text[]",
    "_jsonb": "{c}::text[]",
}
"""Postgres type → the expression that gives Debezium's form; other types come as JSON has them. Infinity and years that
no record can hold come as Debezium sends them or in a form that is rejected alike: they do not end the comparison.
"""

READ_S = 3600.0
"""What the server may take to read one table."""

COLUMNS_AT_ONCE = 40
"""A function of Postgres takes at most a hundred arguments, and a column is two of them."""


class _Column(msgspec.Struct, frozen=True):
    column_name: str
    data_type: str


def source_rows(dsn: str, table: CompiledTable, *, whole: bool = False) -> Iterator[tuple[Any, Any]]:
    """(row, key) of every row, as the table's row_type and key_type. Raises EnvironmentFault for the database. An
    address of feeds (`feed_rows.py`) stands for what the hub keeps of a system without one.

    `whole`: refuse a table of which row-level security hides rows from the role, instead of taking them for deleted.
    """
    if dsn.startswith(SCHEME):
        yield from feed_rows(dsn, table)
        return
    schema, name = table.name.split(".", 1)
    decode_row = msgspec.json.Decoder(table.row_type).decode
    decode_key = msgspec.json.Decoder(table.key_type).decode
    try:
        with source_session(dsn, statement_s=READ_S) as source:
            if isinstance(source, MariadbSession):
                yield from binlog_rows(source, table)
                return
            if whole:
                source.execute("SET row_security = off")
            source.execute("SET intervalstyle = iso_8601")
            columns = fetch_rows(source, _Column, SQL["column_types"], {"schema": schema, "table": name})
            types = {column.column_name: column.data_type for column in columns}
            row = _json_object(table.columns, types)
            key = _json_object(table.key_columns, types)
            query = sql.SQL("SELECT ({})::text, ({})::text FROM {}").format(row, key, sql.Identifier(schema, name))
            # WITH HOLD: the server keeps the rows, and their table's lock ends before they are mapped here.
            with source.cursor(name="opshub_rows", withhold=True) as cursor:
                cursor.itersize = 5000
                for row_text, key_text in cursor.execute(query):
                    yield decode_row(row_text), decode_key(key_text)
    except psycopg.Error as error:
        raise source_fault(error, f"{table.name} of {table.system} cannot be read") from error


def refuse_nul(table: CompiledTable, row: Any) -> None:
    """Treat NUL characters of a row as the decoder does: remove them where the dictionary says so, else raise
    MappingError. Postgres has none.
    """
    for column in table.columns:
        attribute = table.attribute(column)
        value = getattr(row, attribute, None)
        if value.__class__ is str and "\0" in value:
            if table.nul != "strip":
                raise MappingError(
                    f"{table.name}: {column} holds a NUL character", remedy="say `nul: strip`, or mend it"
                )
            setattr(row, attribute, value.replace("\0", ""))


def learn_codes(dsn: str, dictionary: CompiledDictionary) -> list[MappingError]:
    """Read the code tables of a dictionary as they are now: without them, rows that look up a code are rejected.
    Returns why rows of them cannot be looked into; all others are.
    """
    rejected: list[MappingError] = []
    for name in dictionary.lookup_tables:
        for row, key in source_rows(dsn, dictionary.tables[name]):
            try:
                dictionary.update_lookups(
                    RowChange(dictionary.system, name, "r", key, None, row, Position(0, 0, 0), 0, None, None)
                )
            except MappingError as error:
                rejected.append(error)
    return rejected


def _json_object(columns: tuple[str, ...], types: dict[str, str]) -> sql.Composed:
    members: list[sql.Composable] = []
    for column in columns:
        if column not in types:
            continue
        form = _FORMS.get(types[column], "{c}")
        members.append(sql.Literal(column) + sql.SQL(", ") + sql.SQL(form).format(c=sql.Identifier(column)))
    chunks = [
        sql.SQL(", ").join(members[start : start + COLUMNS_AT_ONCE])
        for start in range(0, len(members), COLUMNS_AT_ONCE)
    ] or [sql.Composed([])]
    objects = [sql.SQL("jsonb_build_object(") + chunk + sql.SQL(")") for chunk in chunks]
    return sql.SQL(" || ").join(objects)
