"""The rows of a system without a database, as it last said them: its reader keeps them in the hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg

from streams.hub.session import KEEPALIVE
from streams.hub.sources import all_rows
from streams.mapping.compiled import CompiledTable

SCHEME = "feed:"
"""Before the address of a hub: it stands for the rows of feeds that the hub keeps."""


def feed_rows(address: str, table: CompiledTable) -> Iterator[tuple[Any, Any]]:
    """(row, key) of every row that is not deleted, as the table's row_type and key_type. Raises psycopg.Error."""
    decode_row = msgspec.json.Decoder(table.row_type).decode
    with psycopg.connect(address.removeprefix(SCHEME), **KEEPALIVE) as hub:
        for content in all_rows(hub, table.system, table.name):
            columns = msgspec.json.decode(content)
            key = {name: columns.get(name) for name in table.key_columns}
            yield decode_row(content), msgspec.convert(key, table.key_type)
