"""One application's session: many transactions on their way at once over one connection (libpq's pipeline mode).

In go transactions, each a list of prepared statements with their values; out comes, in the same order, each transaction's fate.
What is sent between two synchronisation points of the pipeline is one transaction of the server: all of it or nothing.

It uses psycopg's libpq layer itself: a cursor costs several times the CPU, and the simulator shares a small machine with what it tests.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import pq

from streams.errors import EnvironmentFault

Statement = tuple[str, Sequence[Any]]
Answered = Callable[[Any, list[bytes | None], str], None]
"""Called for each transaction with what was given to `send`, the first value of each statement that returned some, and what
went wrong ("" = committed)."""

_OK = pq.ExecStatus.COMMAND_OK
_TUPLES = pq.ExecStatus.TUPLES_OK
_SYNC = pq.ExecStatus.PIPELINE_SYNC
_ABORTED = pq.ExecStatus.PIPELINE_ABORTED


class Session:
    """A connection in pipeline mode, with its statements prepared."""

    def __init__(
        self, dsn: str, statements: dict[str, str], answered: Answered, *, timezone: str, application_name: str
    ) -> None:
        """Connect and prepare. Raises EnvironmentFault when the database cannot be reached or lacks what the statements name."""
        try:
            self._connection = psycopg.connect(
                dsn, autocommit=True, application_name=application_name, connect_timeout=10
            )
        except psycopg.OperationalError as error:
            raise EnvironmentFault(
                f"{application_name} cannot connect: {str(error).strip()}",
                remedy="`opshub up` starts the databases; then set the demo up",
            ) from error
        self._connection.execute("SELECT set_config('TimeZone', %s, false)", [timezone])
        self._pg: Any = self._connection.pgconn
        self._names: dict[str, bytes] = {}
        for name, text in statements.items():
            result = self._pg.prepare(name.encode(), text.encode())
            if result.status != _OK:
                said = result.error_message.decode(errors="replace").strip()
                raise EnvironmentFault(
                    f"{application_name}: {name} cannot be prepared: {said}", remedy="set the demo up again"
                )
            self._names[name] = name.encode()
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._answered = answered
        self._waiting: deque[Any] = deque()
        self._returned: list[bytes | None] = []
        self._failure = ""
        self._unsent = False

    @property
    def outstanding(self) -> int:
        """Transactions that were sent and whose fate is not known yet."""
        return len(self._waiting)

    def fileno(self) -> int:
        return int(self._pg.socket)

    def send(self, statements: Sequence[Statement], token: Any) -> None:
        """Put one transaction into the pipeline; a later `receive` gives `token` back with its fate."""
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
        """Hand what was sent to the network, as far as it takes it."""
        if self._unsent:
            try:
                self._unsent = self._pg.flush() != 0
            except psycopg.OperationalError as error:
                raise self._lost(error) from error

    def receive(self) -> None:
        """Take what has come, without waiting."""
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
            f"the database went away with {self.outstanding} transactions on their way, whose fate is not known: {str(error).strip()}",
            remedy="start the database again (`opshub up`), then the simulator",
        )


def pump(sessions: Sequence[Session], seconds: float) -> None:
    """Send and receive on all sessions once: waits at most `seconds` for something to move."""
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


def _text(value: Any) -> bytes | None:
    """A value in Postgres' text format."""
    if value is None:
        return None
    kind = type(value)
    if kind is str:
        return value.encode()  # type: ignore[no-any-return]
    if kind is bool:
        return b"t" if value else b"f"
    if kind is list:
        return (
            "{" + ",".join('"' + str(item).replace("\\", "\\\\").replace('"', '\\"') + '"' for item in value) + "}"
        ).encode()
    return str(value).encode()
