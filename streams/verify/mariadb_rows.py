"""Reads a table of MariaDB or MySQL as it is now, each row in the form in which Debezium would send it.

Source of the forms: Debezium's MariaDB connector documentation, "Data type mappings", for decimal.handling.mode=string
and time.precision.mode=microseconds; and what it was seen to send (`tests/integration/test_mariadb_types.py`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from streams.dictionary.source_catalog import read_catalog
from streams.mapping.compiled import CompiledTable
from streams.mariadb_session import MariadbSession, backticked

_MICROS = "timestampdiff(MICROSECOND, '1970-01-01', {c})"
_MOMENT = "date_format({c}, '%Y-%m-%dT%H:%i:%s.%fZ')"

_FORMS = {
    "numeric": "CAST({c} AS CHAR)",
    "bigint unsigned": "CAST({c} AS SIGNED)",
    "bit": "{c} = b'1'",
    # A zero date has no difference to any day: it is null, and 0 where the column may not be null.
    "date": "datediff({c}, '1970-01-01')",
    "date not null": "coalesce(datediff({c}, '1970-01-01'), 0)",
    "datetime": _MICROS,
    "datetime not null": f"coalesce({_MICROS}, 0)",
    "timestamp": f"IF({{c}} = 0, NULL, {_MOMENT})",
    "timestamp not null": f"IF({{c}} = 0, '1970-01-01T00:00:00Z', {_MOMENT})",
    "time": "truncate(time_to_sec({c}), 0) * 1000000 + IF({c} < 0, -1, 1) * microsecond({c})",
    "year": "IF({c} = 0, 1900, {c} + 0)",
    "point": "NULL",
    "polygon": "NULL",
    "geometry": "NULL",
}
"""Type → the expression that gives Debezium's form; other types come as JSON has them, bytes as base64."""

_BOOLEANS = frozenset({"bit"})
_WHOLE = frozenset({"date", "date not null", "datetime", "datetime not null", "time", "year"})


def binlog_rows(source: MariadbSession, table: CompiledTable) -> Iterator[tuple[Any, Any]]:
    """(row, key) of every row, as the table's row_type and key_type. Raises psycopg.Error."""
    decode_row = msgspec.json.Decoder(table.row_type).decode
    decode_key = msgspec.json.Decoder(table.key_type).decode
    catalog = read_catalog(source, [table.name])
    types = {} if table.name not in catalog else {c.name: c.source.name for c in catalog[table.name].columns.values()}
    columns = [column for column in dict.fromkeys((*table.columns, *table.key_columns)) if column in types]
    chosen = ", ".join(
        f"{_FORMS.get(types[column], '{c}').format(c=backticked(column))} AS {backticked(column)}" for column in columns
    )
    for row in source.stream(f"SELECT {chosen} FROM {backticked(table.name)}"):
        values = {column: _plain(value, types[column]) for column, value in row.items()}
        key = {column: values[column] for column in table.key_columns if column in values}
        yield decode_row(msgspec.json.encode(values)), decode_key(msgspec.json.encode(key))


def _plain(value: object, name: str) -> object:
    if value is None:
        return None
    if name in _BOOLEANS:
        return bool(value)
    if name in _WHOLE:
        return int(str(value).split(".", 1)[0])
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, int | float | str) else str(value)
