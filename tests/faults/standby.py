"""A standby of the hub: streams from it, synchronously, and can take over."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess

import psycopg

from streams.stack import processes
from streams.stack.launch import Launcher
from streams.stack.native import NativeStack
from streams.stack.packages import postgres_programs
from streams.stack.postgres import Postgres
from tests.waiting import came_true


class _Second(Postgres):
    def after_start(self) -> None:
        """A standby has what its primary has."""


class Standby:
    """Made by `pg_basebackup` from the running hub; from `follow` on, no commit of the hub returns before it is here,
    too.
    """

    def __init__(self, stack: NativeStack, port: int) -> None:
        self._stack = stack
        self._settings = stack.settings
        self._password = stack.env()["OPSHUB_HUB_ADMIN_PASSWORD"]
        self.port = port
        self._server = _Second(
            "standby", self._settings.model_copy(update={"hub_port": port}), "hub_port",
            admin_password=self._password, databases={}, logical=False, buffers="256MB",
        )  # fmt: skip
        self._launcher = Launcher(self._settings.state_dir.absolute())
        self._pgdata = self._server.data / "pgdata"

    def sql(self, port: int, *statements: str) -> object:
        """The last value."""
        with psycopg.connect(
            host=self._settings.host, port=port, dbname="postgres", user="postgres", password=self._password, autocommit=True
        ) as connection:  # fmt: skip
            for statement in statements:
                cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]

    def follow(self) -> None:
        user, server = self._server.user, self._server
        server.data.mkdir(parents=True)
        if user is not None:
            os.chown(server.data, user.uid, user.gid)
        subprocess.run(
            [
                str(postgres_programs() / "pg_basebackup"), "-h", self._settings.host, "-p", str(self._settings.hub_port), "-U", "postgres",
                "-D", str(self._pgdata), "-R", "-X", "stream", "-c", "fast",
            ],
            env=server.environment | {"PGPASSWORD": self._password}, cwd=server.data, check=True, capture_output=True,
            user=user.uid if user else None, group=user.gid if user else None, extra_groups=[] if user else None,
        )  # fmt: skip
        self._launcher.start_all([server])
        self.sql(self._settings.hub_port, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        waits = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        assert came_true(lambda: self.sql(self._settings.hub_port, waits) == 1, 30), "the standby does not follow"

    def promote(self) -> None:
        assert self.sql(self.port, "SELECT pg_promote(true, 30)") is True

    def move_in(self) -> None:
        """It takes the hub's place, at the hub's own port; the old hub is gone."""
        self._launcher.stop([self._server])
        home = self._settings.state_dir / "data" / "hub" / "pgdata"
        home.rename(home.with_name("pgdata.dead"))
        if os.stat(home.parent).st_dev == os.stat(self._pgdata.parent).st_dev:
            self._pgdata.rename(home)
        else:
            subprocess.run(["cp", "-a", str(self._pgdata), str(home)], check=True)
        subprocess.run(["rm", "-rf", str(home.with_name("pgdata.dead")), str(self._server.data)], check=True)
        self._stack.start("hub")

    def end(self) -> None:
        """Leave nothing behind, however far it came: a hub that waits for a standby that is gone commits nothing."""
        with contextlib.suppress(psycopg.Error):
            port = self._settings.hub_port
            self.sql(port, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        if processes.read_record(self._settings.state_dir / "run", "standby") is not None:
            self._launcher.stop([self._server], seconds=5.0)
        shutil.rmtree(self._server.data, ignore_errors=True)
