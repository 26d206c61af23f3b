"""SQL in files: each statement of a .sql file stands under a line `-- name: <name>`. And rows as typed records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.sql import Composed

from streams.mariadb_session import MariadbSession

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)

Row = TypeVar("Row")


def load_statements(folder: Path) -> dict[str, bytes]:
    """Name → statement, of all .sql files of a folder. Raises ValueError for a name that stands twice."""
    statements: dict[str, bytes] = {}
    for file in sorted(folder.glob("*.sql")):
        parts = _NAME.split(file.read_text(encoding="utf-8"))
        for name, sql in zip(parts[1::2], parts[2::2], strict=True):
            if name in statements:
                raise ValueError(f"{file}: a statement named {name} stands in another file of {folder}")
            statements[name] = sql.strip().encode()
    return statements


def fetch_rows(
    connection: Connection[object] | MariadbSession,
    row: type[Row],
    statement: bytes | Composed,
    parameters: Sequence[object] | Mapping[str, object] = (),
) -> list[Row]:
    """All rows of one statement, one `row` for each, built by column name.

    Raises psycopg.Error as the connection does, TypeError for a column without a field or a field without a column.
    """
    if isinstance(connection, MariadbSession):
        return connection.fetch(row, cast(bytes, statement), parameters)
    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(statement, parameters).fetchall()
