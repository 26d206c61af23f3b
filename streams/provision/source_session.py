"""Short sessions on source databases: a check must never hold up the application whose tables it reads.

Each statement is a transaction of its own (autocommit), so no lock outlives it. It waits at most two seconds for a lock
and ends after a limit. Otherwise a check could queue behind a migration of the application, and everything else behind
the check.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from streams.errors import ConfigError, EnvironmentFault, OpshubError
from streams.hub.session import KEEPALIVE
from streams.mariadb_session import MariadbSession, Source, is_binlog_address, open_mariadb

LOCK_MS = 2_000
"""A statement waits no longer than this for a lock of the application."""

STATEMENT_S = 30.0
"""What a look at the catalogue may take; whoever reads tables allows more."""

BUSY = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected)
"""The database answers, and other sessions keep it from answering in time."""


@contextmanager
def source_session(dsn: str, *, statement_s: float = STATEMENT_S, may_write: bool = False) -> Iterator[Source]:
    """A session with autocommit and limits; read only, unless `may_write`. Raises psycopg.Error.

    Its engine is that of the address: a `MariadbSession`, or else one of Postgres.
    """
    if is_binlog_address(dsn):
        mariadb = open_mariadb(dsn)
        try:
            _limit_mariadb(mariadb, statement_s, may_write)
            yield mariadb
        finally:
            mariadb.connection.close()
        return
    limits = f"SET lock_timeout = {LOCK_MS}; SET statement_timeout = {int(statement_s * 1000)}"
    read_only = "" if may_write else "; SET default_transaction_read_only = on"
    with psycopg.connect(dsn, autocommit=True, application_name="opshub-check", **KEEPALIVE) as source:
        source.execute((limits + read_only).encode())
        yield source


def _limit_mariadb(source: MariadbSession, statement_s: float, may_write: bool) -> None:
    source.execute(f"SET SESSION lock_wait_timeout = {LOCK_MS // 1000}, innodb_lock_wait_timeout = {LOCK_MS // 1000}")
    # MariaDB counts seconds, MySQL milliseconds of a SELECT.
    limit = (
        f"max_statement_time = {statement_s:g}"
        if source.is_mariadb
        else f"max_execution_time = {statement_s * 1000:.0f}"
    )
    source.execute(f"SET SESSION {limit}, time_zone = '+00:00'")
    if not may_write:
        source.execute("SET SESSION TRANSACTION READ ONLY")


def source_fault(error: psycopg.Error, what: str) -> OpshubError:
    """The error for people, in one line. `what` could not be done: "public.orders cannot be read"."""
    cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, BUSY):
        remedy = "another session holds a lock or the database is busy (a migration?): try again later"
        return EnvironmentFault(f"{what}: {cause}", remedy=remedy)
    if isinstance(error, errors.InsufficientPrivilege):
        return EnvironmentFault(f"{what}: {cause}", remedy="GRANT the right to the role, or give another role")
    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        return ConfigError(
            f"{what}: not a connection string: {cause}", remedy="write postgresql://user:password@host:port/name"
        )
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        cause = str(error).strip().replace("\n", " ")
        remedy = "check that the database runs, its address, role and password"
        return EnvironmentFault(f"{what}: the database cannot be reached: {cause}", remedy=remedy)
    return EnvironmentFault(f"{what}: {cause}", remedy="`opshub doctor` checks the database")
