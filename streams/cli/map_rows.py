"""Rows through a dictionary, for `opshub map try` and `explain`: from a live table or a file. Nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from streams.cli.map_systems import compile_live, dsn_of
from streams.dictionary.try_rows import MappedRow, RecordView, map_row
from streams.errors import ConfigError, EnvironmentFault

if TYPE_CHECKING:
    from streams.dictionary.draft.matching import Samples
    from streams.dictionary.explain import Origin
    from streams.dictionary.language.dictionary import Dictionary
    from streams.dictionary.live_tables import LiveTable
    from streams.mapping.compiled import CompiledDictionary
    from streams.mariadb_session import Source
    from streams.settings import Settings

RowAndKey = tuple[object, object]
"""A row and its key, as the structs of its compiled table."""
_SAMPLE_ROWS = 20
_ROWS_SHOWN, _ROWS_SEARCHED = 3, 200
"""`explain` shows this many rows of a table; it reads more, as not every row makes the entity."""


def rows_of_database(
    settings: Settings, folder: Path, compiled: CompiledDictionary, table: str, dsn: str | None
) -> Iterator[RowAndKey]:
    """The rows of the live table, in the form in which Debezium sends them."""
    from streams.verify.source_rows import source_rows

    return source_rows(dsn_of(settings, folder, compiled, dsn), compiled.tables[table])


def fill_lookups(settings: Settings, folder: Path, compiled: CompiledDictionary, dsn: str | None) -> None:
    """Read the tables that rules look into: without their rows every lookup would be rejected."""
    from streams.verify.source_rows import learn_codes

    if compiled.lookup_tables:
        learn_codes(dsn_of(settings, folder, compiled, dsn), compiled)


def rows_of_file(compiled: CompiledDictionary, table: str, file: Path) -> Iterator[RowAndKey]:
    """The rows of a file with one JSON object a line: a row, or a whole Debezium event."""
    from streams.dictionary.check.examples import row_change

    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read: {error}", remedy="name a file of UTF-8 text with one JSON object a line"
        ) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigError(
                f"{file}:{number}: not JSON: {error}", remedy="write one row a line, as a JSON object"
            ) from None
        if isinstance(row, dict) and isinstance(row.get("after"), dict):
            row = row["after"]  # a whole Debezium event
        if not isinstance(row, dict):
            raise ConfigError(f"{file}:{number}: not a JSON object", remedy="write one row a line, as a JSON object")
        change = row_change(compiled, table, row)
        yield change.after, change.key


def mapping_notes_of_field(settings: Settings, field: str) -> tuple[list[dict[str, Any]], str]:
    """The mapping notes of a field that the workers counted in the hub; or none, and why the hub cannot be read."""
    from streams.monitor.mapping_notes import mapping_notes

    try:
        return [msgspec.to_builtins(note) for note in mapping_notes(settings, field)], ""
    except EnvironmentFault as error:
        return [], str(error)


def values_now(
    settings: Settings, folder: Path, dictionary: Dictionary, origin: Origin, field: str
) -> tuple[list[dict[str, object]], str]:
    """The values that some rows of the live table give for `field` (entity.field) now: `from` (columns) and `to`, or
    `rejected`. Or none, and why the rows cannot be read.
    """
    entity, _, name = field.partition(".")
    try:
        compiled = compile_live(settings, folder, dictionary, None)
        fill_lookups(settings, folder, compiled, None)
        rows = islice(rows_of_database(settings, folder, compiled, origin.table, None), _ROWS_SEARCHED)
        mapped = (map_row(compiled, origin.table, row, key) for row, key in rows)
        shown = list(islice((row for row in mapped if "rejected" in row or _records_of(row, entity)), _ROWS_SHOWN))
    except (EnvironmentFault, ConfigError) as error:
        return [], str(error)
    values = []
    for row in shown:
        value: dict[str, object] = {"from": {column: row["row"].get(column) for column in origin.columns}}
        for record in _records_of(row, entity):
            if name.startswith("attributes."):
                value["to"] = record["fields"].get("attributes", {}).get(name.removeprefix("attributes."))
            else:
                value["to"] = record["fields"].get(name)
        if "rejected" in row:
            value["rejected"] = row["rejected"]
        values.append(value)
    return values, ""


def _records_of(row: MappedRow, entity: str) -> list[RecordView]:
    return [record for record in row.get("records", ()) if record["entity"] == entity]


def samples_of(connection: Source, table: LiveTable) -> tuple[Samples, str]:
    """Up to 20 values of each column, as text or whole numbers; or none, and why the table cannot be read now: a
    missing right, a lock of the application, a statement that takes too long.
    """
    import psycopg
    from psycopg import sql

    from streams.mariadb_session import MariadbSession, backticked
    from streams.provision.source_session import BUSY

    columns = [c for c in table.columns.values() if not c.array and c.type not in ("bytea", "json", "jsonb")]
    if not columns:
        return {}, ""
    if isinstance(connection, MariadbSession):
        chosen = ", ".join(
            backticked(c.name)
            if c.source.form == "whole"
            else f"left({backticked(c.name)}, 200) AS {backticked(c.name)}"
            for c in columns
        )
        try:
            read = connection.rows(f"SELECT {chosen} FROM {backticked(table.name)} LIMIT {_SAMPLE_ROWS}")
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable, *BUSY) as error:
            return {}, str(error)
        return {c.name: [row[c.name] for row in read if row[c.name] is not None] for c in columns}, ""
    wanted = [
        sql.Identifier(c.name)
        if c.type in ("smallint", "integer", "bigint")
        else sql.SQL("left({}::text, 200)").format(sql.Identifier(c.name))
        for c in columns
    ]
    query = sql.SQL("SELECT {} FROM {} LIMIT {}").format(
        sql.SQL(", ").join(wanted), sql.Identifier(*table.name.split(".", 1)), _SAMPLE_ROWS
    )
    try:
        rows = connection.execute(query).fetchall()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable, *BUSY) as error:
        return {}, str(error).strip().splitlines()[0]
    return {c.name: [row[i] for row in rows if row[i] is not None] for i, c in enumerate(columns)}, ""
