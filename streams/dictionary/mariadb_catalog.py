"""The tables, columns, keys and references of a MariaDB or MySQL server, from its information_schema.

Types get the names of `streams/mapping/source_types.py`: its own where Postgres has one of the same form (`varchar` is
`character varying`), MariaDB's where the form differs (`tinyint(1)`, `date not null`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import groupby
from pathlib import Path
from typing import Any

from streams.dictionary.live_tables import ForeignKey, LiveColumn, LiveTable
from streams.mariadb_session import MariadbSession
from streams.named_sql import load_statements

SQL = load_statements(Path(__file__).parent / "sql" / "mariadb")

_TYPES = {
    "tinyint": "tinyint", "smallint": "smallint", "mediumint": "mediumint", "int": "integer", "bigint": "bigint",
    "decimal": "numeric", "float": "real", "double": "double precision", "char": "character",
    "varchar": "character varying", "tinytext": "text", "text": "text", "mediumtext": "text", "longtext": "text",
    "enum": "enum", "set": "set", "date": "date", "datetime": "datetime", "timestamp": "timestamp", "time": "time",
    "year": "year", "json": "json", "uuid": "uuid", "binary": "bytea", "varbinary": "bytea", "tinyblob": "bytea",
    "blob": "bytea", "mediumblob": "bytea", "longblob": "bytea", "geometry": "geometry", "point": "point",
    "polygon": "polygon", "linestring": "geometry", "multipoint": "geometry", "multilinestring": "geometry",
    "multipolygon": "geometry", "geometrycollection": "geometry",
}  # fmt: skip
"""data_type → name of the type here. A type that is not listed is sent under no form that is known."""

_MAY_BE_ZERO = frozenset({"date", "datetime", "timestamp"})
"""Types with a zero date ('0000-00-00'), which Debezium sends as null where the column may be null."""

_LABEL = re.compile(r"'((?:[^']|'')*)'")
_JSON_COLUMN = re.compile(r"json_valid\(`(.+)`\)", re.IGNORECASE)


def read_binlog_catalog(source: MariadbSession, only: Collection[str] | None = None) -> dict[str, LiveTable]:
    """Every table that the user may see, by its name database.table; with `only`, those of these names. Raises
    psycopg.Error.
    """
    chosen = {"everything": only is None, "tables": list(only or [""])}
    tables = {
        # A row comes whole with every change (binlog_row_image=FULL), as with Postgres's identity `full`.
        row["name"]: LiveTable(row["name"], "full", int(row["estimate"]), row["comment"] or "")
        for row in source.rows(SQL["tables"], chosen)
        if only is None or row["name"] in only  # information_schema compares without case
    }

    def rows_of(statement: str) -> list[dict[str, Any]]:
        rows = source.rows(SQL[statement], {"tables": list(tables) or [""]})
        return [row for row in rows if row["of_table"] in tables]

    # MySQL's JSON is a type of its own.
    is_json = _json_columns(rows_of("json_columns")) if source.is_mariadb else set()
    for row in rows_of("columns"):
        column = _column(row, is_json=(row["of_table"], row["name"]) in is_json)
        tables[row["of_table"]].columns[column.name] = column
    for (name, key), parts in groupby(rows_of("keys"), key=lambda row: (row["of_table"], row["key_name"])):
        columns = tuple(row["column_name"] for row in parts)
        if key == "PRIMARY":
            tables[name].primary_key = columns
        else:
            tables[name].unique.append(columns)
    for (name, _), parts in groupby(rows_of("foreign_keys"), key=lambda row: (row["of_table"], row["key_name"])):
        rows = list(parts)
        columns, referenced = (tuple(row[side] for row in rows) for side in ("column_name", "target_column"))
        tables[name].foreign_keys.append(ForeignKey(columns, rows[0]["target"], referenced))
    return dict(sorted(tables.items()))


def _json_columns(checks: list[dict[str, Any]]) -> set[tuple[str, str]]:
    named = [(row["of_table"], _JSON_COLUMN.fullmatch(row["clause"])) for row in checks]
    return {(table, match.group(1)) for table, match in named if match is not None}


def type_name(data_type: str, declared: str, *, nullable: bool, is_json: bool = False) -> str:
    """The name of a type. `declared` is its column_type: `tinyint(1) unsigned`."""
    if is_json:
        return "json"
    if data_type == "bit":
        return "bit" if declared == "bit(1)" else "bit varying"
    if declared in ("tinyint(1)", "float"):
        return declared
    if data_type == "bigint" and "unsigned" in declared:
        return "bigint unsigned"
    name = _TYPES.get(data_type, f"{data_type} of MariaDB")
    return f"{name} not null" if data_type in _MAY_BE_ZERO and not nullable else name


def _column(row: dict[str, Any], *, is_json: bool) -> LiveColumn:
    kind, declared, nullable = row["type"].lower(), row["declared"].lower(), bool(row["nullable"])
    labels = [label.replace("''", "'") for label in _LABEL.findall(row["declared"])] if kind in ("enum", "set") else []
    is_decimal = kind == "decimal"
    length = row["length"]
    return LiveColumn(
        row["name"],
        type_name(kind, declared, nullable=nullable, is_json=is_json),
        nullable,
        precision=int(row["numeric_size"]) if is_decimal else None,
        scale=int(row["scale"]) if is_decimal else None,
        comment=row["comment"] or "",
        labels=tuple(labels),
        length=int(length) if length is not None and kind in ("char", "varchar") else None,
        may_be_out_of_line=False,
    )
