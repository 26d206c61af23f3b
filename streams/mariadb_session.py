"""A session with a MariaDB or MySQL server, for those who read sources: rows by name, and errors of psycopg's classes.

Rooms that ask a source catch `psycopg.Error` and its kinds (a lock that is held, a right that is missing). A MariaDB
server has numbers of its own for the same things; here they become those classes, so nobody distinguishes engines to
say what went wrong. An address is `mariadb://user:password@host:port/database`, with what a URL reserves as %xx.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

import psycopg
import pymysql
from psycopg import errors
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor, SSDictCursor

Row = TypeVar("Row")
Parameters = Sequence[object] | Mapping[str, object]

MARK = 7365
"""The `server_id` that a session of write-back has in the binlog: so its changes are known when they come back. A user
may not set it; the procedure `opshub_mark`, which an administrator makes, sets it for its caller.
"""

SCHEMES = ("mariadb://", "mysql://")
"""How addresses of these servers begin."""

_CLASSES: dict[int, type[psycopg.Error]] = {
    1044: errors.InsufficientPrivilege,
    1142: errors.InsufficientPrivilege,
    1143: errors.InsufficientPrivilege,
    1227: errors.InsufficientPrivilege,
    1370: errors.InsufficientPrivilege,
    1205: errors.LockNotAvailable,
    1213: errors.DeadlockDetected,
    1317: errors.QueryCanceled,
    1969: errors.QueryCanceled,
    3024: errors.QueryCanceled,
    1054: errors.UndefinedColumn,
    1064: errors.SyntaxError,
    1146: errors.UndefinedTable,
    1062: errors.UniqueViolation,
    1048: errors.NotNullViolation,
    1451: errors.ForeignKeyViolation,
    1452: errors.ForeignKeyViolation,
    4025: errors.CheckViolation,
    1264: errors.NumericValueOutOfRange,
    1265: errors.InvalidTextRepresentation,
    1292: errors.InvalidDatetimeFormat,
    1366: errors.InvalidTextRepresentation,
    1406: errors.StringDataRightTruncation,
    1644: errors.RaiseException,
    1290: errors.ReadOnlySqlTransaction,
    1792: errors.ReadOnlySqlTransaction,
}
"""Number of an error (mysqld_error.h) → the class that Postgres has for it."""


class MariadbSession:
    """One connection in autocommit. Its server speaks the binlog protocol: MariaDB, or MySQL."""

    def __init__(self, connection: pymysql.Connection) -> None:
        self.connection = connection

    def rows(self, statement: bytes | str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """The rows of a statement, by name of column; empty for one that returns none. Raises psycopg.Error."""
        with translated(), self.connection.cursor(DictCursor) as cursor:
            cursor.execute(_text(statement), parameters or None)
            return list(cursor.fetchall())

    def fetch(self, row: type[Row], statement: bytes | str, parameters: Parameters = ()) -> list[Row]:
        """The rows of a statement, one `row` for each."""
        return [row(**values) for values in self.rows(statement, parameters)]

    def stream(self, statement: str) -> Iterator[dict[str, Any]]:
        """The rows of a statement one by one: the server keeps those that were not asked for."""
        with translated(), self.connection.cursor(SSDictCursor) as cursor:
            cursor.execute(statement)
            yield from cursor.fetchall_unbuffered()

    def execute(self, statement: bytes | str, parameters: Parameters = ()) -> int:
        """How many rows a statement changed. Raises psycopg.Error."""
        with translated(), self.connection.cursor() as cursor:
            return int(cursor.execute(_text(statement), parameters or None))

    @property
    def version(self) -> tuple[int, ...]:
        """The release of the server: (11, 4, 5)."""
        digits = str(self.connection.get_server_info()).removeprefix("5.5.5-").split("-", 1)[0]
        return tuple(int(number) for number in digits.split(".") if number.isdigit())

    @property
    def is_mariadb(self) -> bool:
        return "mariadb" in str(self.connection.get_server_info()).lower()


Source = psycopg.Connection[Any] | MariadbSession
"""A session with a source, of whichever engine."""


def is_binlog_address(dsn: str) -> bool:
    """Whether an address names a MariaDB or MySQL server."""
    return dsn.startswith(SCHEMES)


def binlog_address(
    host: str, port: str, user: str, password: str, database: str = "", *, scheme: str = "mariadb", tls: str = ""
) -> str:
    """The address that `open_mariadb` reads. `tls`: `require`, or `verify` for a certificate that is checked, too."""
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    options = f"?tls={tls}" if tls else ""
    return f"{scheme}://{login}@{host}:{port}/{quote(database, safe='')}{options}"


def open_mariadb(dsn: str, *, timeout_s: float = 10.0, found_rows: bool = False) -> MariadbSession:
    """A session with the server at `dsn`. `found_rows`: an UPDATE counts the rows that it found, also those that had
    the values already. Raises psycopg.OperationalError when there is none, or it refuses the login.
    """
    parts = urlsplit(dsn)
    tls = parse_qs(parts.query).get("tls", [""])[0]
    with translated():
        return MariadbSession(
            pymysql.connect(
                host=parts.hostname or "",
                port=parts.port or 3306,
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                database=unquote(parts.path.lstrip("/")) or None,
                connect_timeout=timeout_s,
                autocommit=True,
                client_flag=CLIENT.FOUND_ROWS if found_rows else 0,
                charset="utf8mb4",
                ssl=_tls(tls),
                program_name="opshub-check",
            )
        )


def _tls(mode: str) -> ssl.SSLContext | None:
    if not mode:
        return None
    context = ssl.create_default_context()
    if mode == "require":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def translated() -> Iterator[None]:
    """Raise an error of the server as psycopg's class for it."""
    try:
        yield
    except pymysql.Error as error:
        number = error.args[0] if error.args else 0
        text = str(error.args[1]) if len(error.args) > 1 else str(error)
        usual = psycopg.OperationalError if isinstance(error, pymysql.OperationalError) else psycopg.DatabaseError
        raise _CLASSES.get(number, usual)(text) from error
    except OSError as error:
        raise psycopg.OperationalError(str(error)) from error


def backticked(table: str) -> str:
    """database.table, or the name of a column without a dot, as MariaDB's SQL has it."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in table.split(".", 1))


def _text(statement: bytes | str) -> str:
    return statement.decode() if isinstance(statement, bytes) else statement
