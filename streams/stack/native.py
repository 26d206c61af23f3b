"""Start, watch and stop the servers of the stack.

Comes in: settings, and a place to report progress to. Goes out: `ServerStatus` for each server.
Promised: `up` returns with every server healthy, or raises EnvironmentFault with none left running that it
started; a server that runs already and is as it should be is left alone; data is kept by `down`.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.errors import EnvironmentFault
from streams.paths import cache_dir
from streams.settings import Settings
from streams.stack import processes
from streams.stack.artifacts import ArtifactStore
from streams.stack.connect import Connect
from streams.stack.environment import load_env, read_environment, write_environment
from streams.stack.kafka import Kafka
from streams.stack.postgres import Postgres
from streams.stack.registry import Registry
from streams.stack.server import Server, port_is_free

Report = Callable[[str, str, float | None], None]
"""Told of progress: name of the server or archive set, what it is doing, and the part that is done (0 to 1) if known."""

DISK_NEEDED = 1_000_000_000
"""Bytes that must be free in the state folder: WAL and logs of a short run."""

EXTRA_PLUGINS = ("debezium-mariadb", "debezium-mysql")
"""Archive sets that Connect loads too when they are installed (`NativeStack.install`)."""


@dataclass(frozen=True)
class ServerStatus:
    """One server as it is now."""

    name: str
    pid: int | None
    port: int
    healthy: bool


class NativeStack:
    """The servers of one state folder: three Postgres instances, Kafka, Connect, the registry."""

    def __init__(self, settings: Settings, *, end_with_parent: bool = False) -> None:
        """`end_with_parent`: the servers end when this process does, however it ends (for tests)."""
        self._given = settings
        self._state = settings.state_dir.absolute()
        self._run = self._state / "run"
        self._store = ArtifactStore(cache_dir(settings))
        self._end_with_parent = end_with_parent
        self._cancelled = threading.Event()

    @property
    def settings(self) -> Settings:
        """The settings with the addresses of this stack filled in, whatever other files and variables say."""
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
        """Addresses, roles and passwords; the variables of this process go before them."""
        return load_env(self._given)

    def install(self, names: tuple[str, ...], report: Report | None = None) -> None:
        """Get archive sets of `artifacts.lock` into the cache, with progress."""
        for name in names:
            if self._store.has(name):
                continue
            say = report or _silent
            say(name, "downloading", 0.0)
            self._store.install(name, lambda done, total, name=name: say(name, "downloading", done / total))  # type: ignore[misc]
            say(name, "installed", 1.0)

    def up(self, progress: Report | None = None) -> list[ServerStatus]:
        """Start what does not run and wait until all are healthy.

        Raises EnvironmentFault: an unwritable folder, a full disk, a taken port, a download that fails, a server that
        dies or does not get healthy; what this call had started is ended before.
        """
        report = progress or _silent
        self._make_folders()
        with self._lock():
            values = write_environment(self._given)
            wanted = tuple(dict.fromkeys(name for kind in (Kafka, Connect, Registry) for name in kind.archives))
            self.install(wanted, report)
            servers = self._servers(values)
            starting = [server for server in servers if not self._runs_as_wanted(server)]
            self._check_ports(starting)
            if self._end_with_parent:
                self._start_watchdog()
            self._start_all(servers, starting, report)
        return self.status()

    def down(self, progress: Report | None = None) -> None:
        """Stop every server and worker of this state folder; their data stays."""
        report = progress or _silent
        if not self._run.is_dir():
            return
        with self._lock():
            self._stop_others(report)
            for group in (("connect",), ("registry", "kafka"), ("crm", "erp", "hub")):
                self._stop_group(group, report)

    def status(self) -> list[ServerStatus]:
        """Every server: its pid if it runs, its port, whether it answers."""
        servers = self._servers(read_environment(self._given))
        with ThreadPoolExecutor(len(servers)) as pool:
            return list(pool.map(self._status_of, servers))

    def restart(self, name: str) -> None:
        """Stop one server cleanly and start it again, waiting until it is healthy."""
        server = self._server(name)
        with self._lock():
            self._stop_group((name,), _silent)
            self._cancelled.clear()
            self._start(server, _silent)

    def start(self, name: str) -> None:
        """Start one server that was killed or stopped, waiting until it is healthy."""
        with self._lock():
            self._cancelled.clear()
            self._start(self._server(name), _silent)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one server (SIGKILL also ends its children). Raises EnvironmentFault when it does not run."""
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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.down()

    # -- what is there

    def _servers(self, values: dict[str, str]) -> list[Server]:
        settings, store = self._given, self._store
        lib = store.path("kafka")
        plugins = [store.path(name) for name in ("debezium-postgres", *(p for p in EXTRA_PLUGINS if store.has(p)))]

        def demo(name: str) -> Postgres:
            password = values.get(f"DEMO_{name.upper()}_ADMIN_PASSWORD", "")
            databases = {name: ("postgres", password)}
            return Postgres(
                name, settings, f"{name}_port", admin_password=password, databases=databases, logical=True, buffers="128MB"
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
            buffers="256MB",
        )
        registry = Registry(settings, store.path("registry"), values.get("OPSHUB_REGISTRY_PASSWORD", ""))
        return [demo("crm"), demo("erp"), hub, Kafka(settings, lib), Connect(settings, lib, plugins), registry]

    def _server(self, name: str) -> Server:
        for server in self._servers(read_environment(self._given)):
            if server.name == name:
                return server
        raise EnvironmentFault(f"the stack has no server {name!r}", remedy="one of: crm, erp, hub, kafka, connect, registry")

    def _status_of(self, server: Server) -> ServerStatus:
        record = processes.read_record(self._run, server.name)
        alive = record is not None and processes.is_alive(record)
        pid = record.pid if alive and record is not None else None
        return ServerStatus(server.name, pid, server.port, alive and server.healthy())

    def _runs_as_wanted(self, server: Server) -> bool:
        """Whether it runs and is as these settings want it; one that is out of date is stopped."""
        record = processes.read_record(self._run, server.name)
        if record is None or not processes.is_alive(record):
            return False
        if record.fingerprint == server.fingerprint() and server.healthy():
            return True
        self._stop_one(server)
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
        """One `up` or `down` at a time for a state folder; the lock goes with the process that holds it."""
        with (self._state / "run" / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EnvironmentFault(
                    f"another opshub process is starting or stopping the servers of {self._state}", remedy="wait until it is done"
                ) from None
            yield

    def _start_watchdog(self) -> None:
        from streams.stack.watchdog import start_watchdog

        start_watchdog(self._state)

    # -- start

    def _start_all(self, servers: list[Server], starting: list[Server], report: Report) -> None:
        """Start in the order of their needs, side by side where they can."""
        self._cancelled.clear()
        ready = {server.name for server in servers} - {server.name for server in starting}
        waiting = list(starting)
        running: dict[Future[None], Server] = {}
        pool = ThreadPoolExecutor(max(1, len(starting)), thread_name_prefix="start")
        try:
            while waiting or running:
                for server in [s for s in waiting if ready.issuperset(s.needs)]:
                    waiting.remove(server)
                    running[pool.submit(self._start, server, report)] = server
                done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for job in done:
                    job.result()
                    ready.add(running.pop(job).name)
        except BaseException:
            self._cancelled.set()
            pool.shutdown(wait=True)
            for server in reversed(starting):
                self._stop_one(server, seconds=5.0)
            raise
        finally:
            pool.shutdown(wait=True)

    def _start(self, server: Server, report: Report) -> None:
        began = time.monotonic()
        report(server.name, "starting", None)
        processes.rotate(server.log)
        try:
            server.prepare()
        except OSError as error:
            raise EnvironmentFault(
                f"{server.name} cannot be prepared: {error}", remedy="look at the disk and at the rights of the state folder"
            ) from error
        if self._cancelled.is_set():
            return
        record = self._spawn(server)
        tries = 1
        while not server.healthy():
            if self._cancelled.is_set():
                return
            if not processes.is_alive(record):
                # Killed children of a Postgres that was killed hold its shared memory for a moment.
                if tries < 2 and time.monotonic() - began < 5:
                    tries += 1
                    time.sleep(1.0)
                    record = self._spawn(server)
                    continue
                raise EnvironmentFault(
                    f"{server.name} ended while it started; the last lines of its log:\n{processes.tail(server.log)}",
                    remedy=f"mend what it says; the whole log is {server.log}",
                )
            if time.monotonic() - began > server.start_seconds:
                raise EnvironmentFault(
                    f"{server.name} runs but did not get healthy in {server.start_seconds:.0f} s; the last lines of its log:\n"
                    f"{processes.tail(server.log)}",
                    remedy=f"the machine may be overloaded: try again; the whole log is {server.log}",
                )
            time.sleep(0.1)
        server.after_start()
        report(server.name, f"healthy after {time.monotonic() - began:.1f} s", 1.0)

    def _spawn(self, server: Server) -> processes.Record:
        record = processes.spawn(
            server.name,
            server.command(),
            log=server.log,
            cwd=server.data if server.data.is_dir() else self._state,
            env=server.environment,
            user=server.user,
            port=server.port,
            fingerprint=server.fingerprint(),
        )
        processes.write_record(self._run, record)
        return record

    # -- stop

    def _stop_group(self, names: tuple[str, ...], report: Report) -> None:
        servers = [server for server in self._servers(read_environment(self._given)) if server.name in names]
        with ThreadPoolExecutor(len(servers)) as pool:
            for _ in pool.map(lambda server: self._stop_one(server, report=report), servers):
                pass

    def _stop_one(self, server: Server, *, seconds: float | None = None, report: Report | None = None) -> None:
        record = processes.read_record(self._run, server.name)
        if record is not None and processes.is_alive(record):
            say = report or _silent
            say(server.name, "stopping", None)
            clean = processes.stop(record, first=server.stop_signal, seconds=seconds or server.stop_seconds)
            say(server.name, "stopped" if clean else "ended by force", 1.0)
        processes.forget(self._run, server.name)

    def _stop_others(self, report: Report) -> None:
        from streams.stack.workers import stop_all_workers

        stop_all_workers(self._given, report)


def _silent(name: str, text: str, part: float | None) -> None:
    return


