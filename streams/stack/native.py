"""Start, check and stop the servers of the native stack.

In: settings, and a function that gets progress. Out: `ServerStatus` for each server.
Promised: `up` returns with every server healthy, or raises EnvironmentFault and leaves nothing running that it started.
A server that runs with the right settings is left alone. `down` keeps the data.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from streams.errors import EnvironmentFault
from streams.paths import cache_dir
from streams.settings import Settings
from streams.stack import processes
from streams.stack.apicurio import Registry
from streams.stack.artifacts import ArtifactStore
from streams.stack.connect import Connect
from streams.stack.console import console_status, start_console, stop_console
from streams.stack.environment import load_env, read_environment, write_environment
from streams.stack.kafka import Kafka
from streams.stack.launch import Launcher, Report, silent
from streams.stack.mariadb import PLUGINS, PROGRAMS, MariaDB, asked_for
from streams.stack.packages import require_local_packages
from streams.stack.postgres import Postgres
from streams.stack.server import Server, port_is_free
from streams.stack.watchdog import WATCHDOG, start_watchdog
from streams.stack.workers import stop_all_workers

STOP_ORDER = (("connect",), ("registry", "kafka"), ("crm", "erp", "mariadb", "hub"))
"""Groups in the order in which they are stopped: a server stops after those that use it."""

DISK_NEEDED = 1_000_000_000
"""Bytes that must be free in the state folder: WAL and logs of a short run need that much."""


@dataclass(frozen=True)
class ServerStatus:
    """One server as it is now."""

    name: str
    pid: int | None
    port: int
    healthy: bool
    address: str = ""
    """Where it is, for a server that somebody else runs; it has neither pid nor port here."""


class NativeStack:
    """The servers of one state folder: three Postgres instances, Kafka, Connect, the registry; and MariaDB, where a
    system asks for it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        end_with_parent: bool = False,
        plugins: tuple[str, ...] = (),
        mariadb: bool = False,
    ) -> None:
        """`end_with_parent`: the servers end when this process ends, even by SIGKILL (for tests). `plugins`: further
        archive sets that Connect loads. `mariadb`: start MariaDB, with its connector, though no system asks for it.
        """
        self._given = settings
        needs_server, of_kinds = asked_for(settings)
        # Once it was started it belongs to this state folder: its data are there.
        self._has_mariadb = mariadb or needs_server or (settings.state_dir / "data" / "mariadb").is_dir()
        own = (PLUGINS["mariadb"],) if self._has_mariadb else ()
        self._plugins = tuple(dict.fromkeys((*plugins, *of_kinds, *own)))
        self._state = settings.state_dir.absolute()
        self._run = self._state / "run"
        self._store = ArtifactStore(cache_dir(settings))
        self._end_with_parent = end_with_parent
        self._launcher = Launcher(self._state)

    @property
    def settings(self) -> Settings:
        """The settings with the addresses of this stack, which win over other files and variables."""
        env = read_environment(self._given)
        return self._given.model_copy(
            update={
                "hub_dsn": env.get("OPSHUB_HUB_DSN", ""),
                "bootstrap_servers": env.get("OPSHUB_BOOTSTRAP_SERVERS", ""),
                "registry_url": env.get("OPSHUB_REGISTRY_URL", ""),
                "connect_url": env.get("OPSHUB_CONNECT_URL", ""),
            }
        )

    def env(self) -> dict[str, str]:
        """Addresses, roles and passwords; variables of this process win over the file."""
        return load_env(self._given)

    def install(self, names: tuple[str, ...], report: Report | None = None) -> None:
        """Download archive sets of `artifacts.lock` into the cache, with progress."""
        for name in names:
            if self._store.has(name):
                continue
            report = report or silent
            report(name, "downloading", 0.0)
            self._store.install(name, partial(_report_download, report, name))
            report(name, "installed", 1.0)

    def up(self, progress: Report | None = None) -> list[ServerStatus]:
        """Start the servers that do not run, and wait until all are healthy.

        Raises EnvironmentFault: a package that is not installed, an unwritable folder, a full disk, a taken port, a
        download that fails, a server that dies or does not get healthy. What this call had started is ended before.
        """
        report = progress or silent
        require_local_packages()
        self._make_folders()
        with self._lock():
            values = write_environment(self._given)
            kinds = (Kafka, Connect, Registry, *((MariaDB,) if self._has_mariadb else ()))
            wanted = tuple(dict.fromkeys(name for kind in kinds for name in kind.archives))
            self.install(wanted + self._plugins, report)
            servers = self._servers(values)
            starting = [server for server in servers if not self._runs_as_wanted(server)]
            self._check_ports(starting)
            if self._end_with_parent:
                start_watchdog(self._state)
            self._launcher.start_all(starting, report)
        return self.status()

    def start_console(self, progress: Report | None = None) -> str | None:
        """Start the console unless the settings turn it off; its address. Call it after `up`."""
        if self._given.console == "off":
            return None
        report = progress or silent
        report("console", "starting", None)
        address = start_console(self.settings)
        log = self._state / "logs" / "console.log"
        report("console", f"at {address}" if address else f"does not answer yet: see {log}", 1.0)
        return address

    def down(self, progress: Report | None = None) -> None:
        """Stop every server and worker of this state folder; their data stays."""
        report = progress or silent
        if not self._run.is_dir():
            return
        with self._lock():
            if stop_console(self._given):
                report("console", "stopped", 1.0)
            stop_all_workers(self._given, report)
            servers = self._servers(read_environment(self._given))
            self._stop_others({WATCHDOG, *(server.name for server in servers)}, report)
            for group in STOP_ORDER:
                self._launcher.stop([server for server in servers if server.name in group], report)
            self._stop_watchdog()

    def status(self) -> list[ServerStatus]:
        """Every server: its pid if it runs, its port, whether it answers; and the console, if it was started."""
        servers = self._servers(read_environment(self._given))
        with ThreadPoolExecutor(len(servers)) as pool:
            states = list(pool.map(self._status_of, servers))
        console = console_status(self._given)
        if console is not None:
            states.append(ServerStatus("console", console.pid, console.port, console.healthy))
        return states

    def start(self, name: str) -> None:
        """Start one server that was killed or stopped, waiting until it is healthy. One that runs is left alone."""
        server = self._server(name)
        with self._lock():
            if not self._runs_as_wanted(server):
                self._launcher.start_all([server])

    def start_mariadb(self) -> None:
        """Start MariaDB in a stack that runs without it. Its connector must be among the `plugins` of the stack."""
        self._has_mariadb = True
        self.install(MariaDB.archives)
        self.start("mariadb")

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one server; SIGKILL ends its children too.

        Raises EnvironmentFault when it does not run.
        """
        record = processes.read_record(self._run, self._server(name).name)
        if record is None or not processes.is_alive(record):
            raise EnvironmentFault(f"{name} does not run", remedy="start it with `opshub up`")
        if number == signal.SIGKILL:
            processes.kill_family(record)
        else:
            processes.send(record, number)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    # -- the servers

    def _servers(self, values: dict[str, str]) -> list[Server]:
        settings, store = self._given, self._store
        lib = store.path("kafka")
        plugins = [store.path(name) for name in ("debezium-postgres", *self._plugins)]

        def demo(name: str) -> Postgres:
            password = values.get(f"DEMO_{name.upper()}_ADMIN_PASSWORD", "")
            databases = {name: ("postgres", password)}
            return Postgres(
                name,
                settings,
                f"demo_{name}_port",
                admin_password=password,
                databases=databases,
                logical=True,
                buffers="128MB",
            )

        hub = Postgres(
            "hub",
            settings,
            "hub_port",
            admin_password=values.get("OPSHUB_HUB_ADMIN_PASSWORD", ""),
            databases={
                "opshub": ("opshub", values.get("OPSHUB_HUB_PASSWORD", "")),
                "registry": ("registry", values.get("OPSHUB_REGISTRY_PASSWORD", "")),
            },
            logical=False,
            buffers="512MB",
        )
        registry = Registry(settings, store.path("registry"), values.get("OPSHUB_REGISTRY_PASSWORD", ""))
        servers = [demo("crm"), demo("erp"), hub, Kafka(settings, lib), Connect(settings, lib, plugins), registry]
        if self._has_mariadb:
            password = values.get("DEMO_MARIADB_ADMIN_PASSWORD", "")
            servers.append(MariaDB(settings, store.path(PROGRAMS), password))
        return servers

    def _server(self, name: str) -> Server:
        for server in self._servers(read_environment(self._given)):
            if server.name == name:
                return server
        raise EnvironmentFault(
            f"the stack has no server {name!r}", remedy="one of: crm, erp, hub, kafka, connect, registry, mariadb"
        )

    def _status_of(self, server: Server) -> ServerStatus:
        record = processes.read_record(self._run, server.name)
        alive = record is not None and processes.is_alive(record)
        pid = record.pid if alive and record is not None else None
        return ServerStatus(server.name, pid, server.port, alive and server.healthy())

    def _runs_as_wanted(self, server: Server) -> bool:
        """Whether it runs with these settings. A server with other settings, or an unhealthy one, is stopped."""
        record = processes.read_record(self._run, server.name)
        if record is None or not processes.is_alive(record):
            return False
        if record.fingerprint == server.fingerprint() and server.healthy():
            return True
        self._launcher.stop([server])
        return False

    # -- before a start

    def _make_folders(self) -> None:
        try:
            for folder in ("run", "logs", "data", "etc"):
                (self._state / folder).mkdir(parents=True, exist_ok=True)
            probe = self._run / ".writable"
            probe.write_text("", encoding="utf-8")
            probe.unlink()
        except OSError as error:
            raise EnvironmentFault(
                f"{self._state} cannot be written: {error.strerror}",
                remedy="make it writable, or choose another folder with OPSHUB_STATE_DIR",
            ) from error
        free = shutil.disk_usage(self._state).free
        if free < DISK_NEEDED:
            raise EnvironmentFault(
                f"the disk of {self._state} has {free // 1_000_000} MB free, {DISK_NEEDED // 1_000_000} MB are needed",
                remedy="free some space, or choose another folder with OPSHUB_STATE_DIR",
            )

    def _check_ports(self, servers: list[Server]) -> None:
        for server in servers:
            for setting, port in {server.port_setting: server.port, **server.other_ports}.items():
                if not port_is_free(self._given.host, port):
                    raise EnvironmentFault(
                        f"port {port} on {self._given.host}, which {server.name} needs, is taken by another process",
                        remedy=f"end that process, or choose another port with OPSHUB_{setting.upper()}",
                    )

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One `up` or `down` at a time for a state folder. The lock ends with its process (flock)."""
        with (self._state / "run" / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EnvironmentFault(
                    f"another opshub process is starting or stopping the servers of {self._state}",
                    remedy="wait until it is done",
                ) from None
            yield

    def _stop_others(self, known: set[str], report: Report) -> None:
        """Stop what else was started beside the stack: the real systems of a demo."""
        for record in processes.read_records(self._run):
            if record.name not in known:
                processes.stop(record)
                processes.forget(self._run, record.name)
                report(record.name, "stopped", 1.0)

    def _stop_watchdog(self) -> None:
        record = processes.read_record(self._run, WATCHDOG)
        if record is not None:
            processes.stop(record, seconds=2.0)
            processes.forget(self._run, WATCHDOG)


def _report_download(report: Report, name: str, done: int, total: int) -> None:
    report(name, "downloading", done / total)
