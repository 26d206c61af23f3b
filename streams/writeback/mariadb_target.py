"""A session with a MariaDB or MySQL target: what `sql.py` needs of a connection, over PyMySQL in a thread.

A session that writes holds a named lock of the server (GET_LOCK). It ends with its session: whoever has it knows that
no other deliverer has a transaction on its way, as a replication origin says with Postgres. Its changes carry the mark
that the procedure `opshub_mark` sets (`streams/capture/mariadb_setup.py`). Statements are strict: a value that does not
fit is refused, and never cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from psycopg import errors
from pymysql.cursors import DictCursor

from streams.mariadb_session import MariadbSession, Parameters, backticked, binlog_address, open_mariadb, translated

if TYPE_CHECKING:
    from streams.writeback.rules import SqlTarget

T = TypeVar("T")

MARKER = "opshub_mark"


class Effect(NamedTuple):
    """What a statement did: its first row, if it returns rows, and how many rows it returned or changed."""

    row: dict[str, Any] | None
    affected: int
    returns_rows: bool


class MariadbTarget:
    """One session, in autocommit outside of `transaction`. Its methods raise psycopg.Error."""

    def __init__(self, session: MariadbSession, lock_s: float) -> None:
        self._session = session
        self._lock_s = lock_s
        self._locks: list[str] = []
        self._is_whole = True

    @classmethod
    async def open(cls, target: SqlTarget, *, lock_ms: int, idle_ms: int) -> MariadbTarget:
        """A session with its limits. Raises psycopg.Error when there is none."""
        address = binlog_address(
            target.host, target.port, target.user, target.password, target.dbname, scheme=target.engine
        )
        session = await asyncio.to_thread(lambda: open_mariadb(address, timeout_s=5.0, found_rows=True))
        made = cls(session, lock_ms / 1000)
        statement_s = target.statement_timeout.total_seconds()
        limit = f"max_statement_time = {statement_s:g}" if session.is_mariadb else "max_execution_time = 0"
        await made.execute(
            f"SET SESSION sql_mode = 'TRADITIONAL', {limit}, innodb_lock_wait_timeout = {max(1, lock_ms // 1000)},"
            f" lock_wait_timeout = {max(1, lock_ms // 1000)}, wait_timeout = {idle_ms // 1000}"
        )
        # As with Postgres: a statement sees what was committed before it.
        await made.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return made

    @property
    def is_usable(self) -> bool:
        """Whether the session is open and ready for the next statement."""
        return self._is_whole and bool(self._session.connection.open)

    async def take(self, origin: str, dbname: str) -> bool:
        """Whether this session is the one that writes as `origin`; what it writes is marked then."""
        if await self._get_lock(f"opshub-deliver/{origin}", 0) is False:
            return False
        await self.execute(f"CALL {backticked(f'{dbname}.{MARKER}')}()")
        return True

    async def lock(self, name: str) -> None:
        """Wait for a lock that ends with the transaction. Raises LockNotAvailable when it is held for too long."""
        if not await self._get_lock(name, self._lock_s):
            raise errors.LockNotAvailable(f"another session holds the lock for {name}")
        self._locks.append(name)

    async def execute(self, statement: str, parameters: Parameters = ()) -> Effect:
        return (await self.run([(statement, parameters)]))[0]

    async def run(self, statements: Sequence[tuple[str, Parameters]]) -> list[Effect]:
        """What each statement did, one after the other."""
        return await self._in_thread(lambda: [self._one(statement, given) for statement, given in statements])

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All statements within, or none of them. An error at the commit leaves it open which."""
        await self.execute("START TRANSACTION")
        try:
            yield
            await self._in_thread(self._session.connection.commit)
        except BaseException:
            if self.is_usable:
                await self._in_thread(self._session.connection.rollback)
            raise
        finally:
            locks, self._locks = self._locks, []
            if self.is_usable and locks:
                await self.run([("DO RELEASE_LOCK(sha1(%s))", [name]) for name in locks])

    async def close(self) -> None:
        self._is_whole = False
        await asyncio.to_thread(self._session.connection._force_close)

    def _one(self, statement: str, parameters: Parameters) -> Effect:
        with translated(), self._session.connection.cursor(DictCursor) as cursor:
            cursor.execute(statement, parameters or None)
            returns_rows = cursor.description is not None
            row = cursor.fetchone() if returns_rows else None
            effect = Effect(row, int(cursor.rowcount), returns_rows)
            while cursor.nextset():  # a procedure answers with several results
                pass
            return effect

    async def _get_lock(self, name: str, seconds: float) -> bool:
        effect = await self.execute("SELECT GET_LOCK(sha1(%s), %s) AS has_it", [name, seconds])
        return bool(effect.row and effect.row["has_it"])

    async def _in_thread(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            with translated():
                return work()

        try:
            return await asyncio.to_thread(guarded)
        except asyncio.CancelledError:
            # The thread may still be at work: nobody else may use its session.
            self._is_whole = False
            raise
