"""One session of an application: many transactions in flight at once over one connection (libpq's pipeline mode).

A transaction is a list of prepared statements with their values. The outcome of each transaction is reported in the
order in which they were sent. The server commits all statements between two synchronisation points together, or none of
them.

The module uses psycopg's libpq layer directly: a cursor needs several times the CPU, and the simulator shares a small
machine with the pipeline that it tests.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn

from streams.errors import EnvironmentFault

T = TypeVar("T")

Row = list[object]
"""Values of one row, in the order of an insert's columns: text, numbers, booleans, lists of them, or None."""
Statement = tuple[str, Sequence[object]]
"""Name of a prepared statement, and its values."""
Answered = Callable[[T, list[bytes | None], str], None]
"""Called for each transaction with the token that was given to `send`, the first value of each statement that returned
rows, and the server's error ("" = committed)."""

_OK = pq.ExecStatus.COMMAND_OK
_TUPLES = pq.ExecStatus.TUPLES_OK
_SYNC = pq.ExecStatus.PIPELINE_SYNC
_ABORTED = pq.ExecStatus.PIPELINE_ABORTED


class Session(Generic[T]):
    """A connection in pipeline mode, with its statements prepared."""

    def __init__(
        self, dsn: str, statements: dict[str, str], answered: Answered[T], *, timezone: str, application_name: str
    ) -> None:
        """Connect and prepare. Raises EnvironmentFault when the database cannot be reached or lacks what the statements
        name.
        """
        try:
            self._connection = psycopg.connect(
                dsn, autocommit=True, application_name=application_name, connect_timeout=10
            )
        except psycopg.OperationalError as error:
            raise EnvironmentFault(
                f"{application_name} cannot connect: {str(error).strip()}",
                remedy="start the database; `opshub demo systems` makes the demo's roles and tables",
            ) from error
        self._connection.execute("SELECT set_config('TimeZone', %s, false)", [timezone])
        self._pg: PGconn = self._connection.pgconn
        self._names: dict[str, bytes] = {}
        for name, text in statements.items():
            result = self._pg.prepare(name.encode(), text.encode())
            if result.status != _OK:
                problem = result.error_message.decode(errors="replace").strip()
                raise EnvironmentFault(
                    f"{application_name}: {name} cannot be prepared: {problem}", remedy="set the demo up again"
                )
            self._names[name] = name.encode()
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._answered = answered
        self._waiting: deque[T] = deque()
        self._returned: list[bytes | None] = []
        self._failure = ""
        self._unsent = False

    @property
    def outstanding(self) -> int:
        """Number of transactions that were sent and not answered yet."""
        return len(self._waiting)

    def fileno(self) -> int:
        return int(self._pg.socket)

    def send(self, statements: Sequence[Statement], token: T) -> None:
        """Send one transaction; a later `receive` reports its outcome together with `token`."""
        query, names = self._pg.send_query_prepared, self._names
        try:
            for name, values in statements:
                query(names[name], [_text(value) for value in values])
            self._pg.pipeline_sync()
        except psycopg.OperationalError as error:
            raise self._lost(error) from error
        self._waiting.append(token)
        self._unsent = True

    def flush(self) -> None:
        """Write what was sent to the socket, as much as it accepts."""
        if self._unsent:
            try:
                self._unsent = self._pg.flush() != 0
            except psycopg.OperationalError as error:
                raise self._lost(error) from error

    def receive(self) -> None:
        """Read the answers that have arrived, without waiting."""
        pg = self._pg
        try:
            pg.consume_input()
        except psycopg.OperationalError as error:
            raise self._lost(error) from error
        while self._waiting and not pg.is_busy():
            result = pg.get_result()
            if result is None:
                continue
            status = result.status
            if status == _SYNC:
                token = self._waiting.popleft()
                returned, failure = self._returned, self._failure
                if returned:
                    self._returned = []
                self._failure = ""
                self._answered(token, returned, failure)
            elif status == _OK:
                pass
            elif status == _TUPLES:
                self._returned.append(result.get_value(0, 0) if result.ntuples else None)
            elif status != _ABORTED:
                code = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
                self._failure = f"{code.decode()} {result.error_message.decode(errors='replace').strip()}"

    def close(self) -> None:
        self._connection.close()

    def _lost(self, error: Exception) -> EnvironmentFault:
        return EnvironmentFault(
            f"the database went away with {self.outstanding} transactions in flight, whose outcome is not known: "
            f"{str(error).strip()}",
            remedy="start the database again, then the simulator",
        )


def pump(sessions: Sequence[Session[T]], seconds: float) -> None:
    """Send and receive once on all sessions; wait at most `seconds` until a socket is ready."""
    reading = [session for session in sessions if session.outstanding]
    if not reading:
        return
    poll = select.poll()
    for session in reading:
        session.flush()
        poll.register(session.fileno(), select.POLLIN | (select.POLLOUT if session._unsent else 0))
    by_number = {session.fileno(): session for session in reading}
    for number, events in poll.poll(max(0.0, seconds) * 1000):
        session = by_number[number]
        if events & select.POLLOUT:
            session.flush()
        if events & ~select.POLLOUT:
            session.receive()


def _text(value: object) -> bytes | None:
    """A value in Postgres' text format."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, list):
        return (
            "{" + ",".join('"' + str(item).replace("\\", "\\\\").replace('"', '\\"') + '"' for item in value) + "}"
        ).encode()
    return str(value).encode()
