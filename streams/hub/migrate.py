"""Bring the hub's tables to this version of opshub."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from urllib.parse import urlencode

import psycopg

from streams.errors import EnvironmentFault
from streams.postgres_login import login_fault

MIGRATIONS = Path(__file__).with_name("migrations")
LOCK_KEY = 7365710005
"""Key of the advisory lock of the one process that migrates. It ends with that process's session."""


def migrate(dsn: str) -> list[str]:
    """Apply what is not applied yet; the names of what was. Safe to run from several processes at once.

    Raises EnvironmentFault when the hub can not be reached or refuses.
    """
    return _migrations(dsn, apply=True)


def pending(dsn: str) -> list[str]:
    """The names of the migrations that `migrate` would apply."""
    return _migrations(dsn, apply=False)


def _migrations(dsn: str, *, apply: bool) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from yoyo import get_backend, read_migrations
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    try:
        _refuse_unknown(dsn)
        with psycopg.connect(dsn, autocommit=True) as alone:
            alone.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
            backend = get_backend(_migration_url(dsn))
            try:
                backend.break_lock()  # yoyo's lock is a row: a process that was killed left it
                todo = backend.to_apply(read_migrations(str(MIGRATIONS)))
                if apply:
                    with backend.lock():
                        backend.apply_migrations(todo)
                return [migration.id for migration in todo]
            finally:
                backend.connection.close()
    except psycopg.OperationalError as error:
        raise login_fault(dsn, error, "the hub", variables="OPSHUB_HUB_DSN") from error
    except psycopg.Error as error:
        raise EnvironmentFault(
            f"the hub database does not serve: {str(error).strip()}",
            remedy="check OPSHUB_HUB_DSN, and that its role owns the schema",
        ) from error


def _migration_url(dsn: str) -> str:
    """The URL for yoyo of a connection string in any form of libpq. yoyo itself reads one host with one port only; what
    stands behind the question mark it hands to psycopg as it is, several hosts of a hub with a standby, too.
    """
    parts = {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(dsn).items() if value is not None}
    return f"postgresql+psycopg:///{parts.pop('dbname', '')}?{urlencode(parts)}"


def require_same_version(dsn: str) -> None:
    """Return when the hub has exactly the tables that this version of opshub expects.

    Raises EnvironmentFault else: a worker of a rolling upgrade waits for `opshub apply`, and one of the old version
    that starts after it for its successor. ServerAway or AccessDenied when there is no session.
    """
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            applied = _applied(connection)
    except psycopg.OperationalError as error:
        raise login_fault(dsn, error, "the hub", variables="OPSHUB_HUB_DSN") from error
    if unknown := _unknown(applied):
        raise EnvironmentFault(
            f"the hub is newer than this worker: it has the migration {unknown[-1]}", remedy="run the new version"
        )
    if missing := sorted(_ours() - applied):
        raise EnvironmentFault(
            f"the hub is older than this worker: it lacks the migration {missing[0]}",
            remedy="run `opshub apply` of this version",
        )


def _ours() -> set[str]:
    return {file.stem for file in MIGRATIONS.glob("*.sql")}


def _applied(connection: psycopg.Connection) -> set[str]:
    row = connection.execute("SELECT to_regclass('_yoyo_migration') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return set()
    return {str(name) for (name,) in connection.execute("SELECT migration_id FROM _yoyo_migration")}


def _unknown(applied: set[str]) -> list[str]:
    """Migrations that another version of opshub made."""
    return sorted(applied - _ours())


def _refuse_unknown(dsn: str) -> None:
    """Raise EnvironmentFault for a hub that another version of opshub made: its tables are not those that this one
    expects.
    """
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        unknown = _unknown(_applied(connection))
    if unknown:
        raise EnvironmentFault(
            "the hub database was made by another version of opshub: this one does not know the migration "
            f"{unknown[-1]}",
            remedy="run the version that made it, or point OPSHUB_HUB_DSN at a new database (hubs from before 0.1.0 "
            "are not migrated: everything in them is captured again)",
        )
