"""Start servers in the order of their needs and wait until they are healthy; stop them.

This module connects the description of a server (server.py) with the processes of the machine (processes.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from streams.errors import EnvironmentFault
from streams.stack import processes
from streams.stack.server import Server

Report = Callable[[str, str, float | None], None]
"""Called with progress: name of a server or archive set, what it does, the fraction that is done (0 to 1) if known."""

QUICK_DEATH = 5.0
"""Seconds after its start within which a server that dies is started once more."""


def silent(name: str, text: str, fraction: float | None) -> None:
    """A report that goes nowhere."""


class Launcher:
    """Starts and stops the servers of one state folder."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._run = state / "run"
        self._cancelled = threading.Event()

    def start_all(self, starting: Sequence[Server], report: Report = silent) -> None:
        """Start `starting` at the same time, each after the servers that it needs; needed servers that are not in
        `starting` run.

        Raises EnvironmentFault when a server does not get healthy, and passes an interrupt on; all are stopped first.
        """
        self._cancelled.clear()
        ready = {need for server in starting for need in server.needs} - {server.name for server in starting}
        waiting = list(starting)
        running: dict[Future[None], Server] = {}
        pool = ThreadPoolExecutor(max(1, len(starting)), thread_name_prefix="start")
        try:
            while waiting or running:
                for server in [server for server in waiting if ready.issuperset(server.needs)]:
                    waiting.remove(server)
                    running[pool.submit(self._start, server, report)] = server
                done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for job in done:
                    job.result()
                    ready.add(running.pop(job).name)
        except BaseException:
            self._cancelled.set()
            pool.shutdown(wait=True)
            self.stop(starting, seconds=5.0)
            raise
        finally:
            pool.shutdown(wait=True)

    def stop(self, servers: Sequence[Server], report: Report = silent, *, seconds: float | None = None) -> None:
        """Stop servers at the same time: a signal, a wait of `seconds` (or each server's own time), then SIGKILL."""
        if not servers:
            return
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(lambda server: self._stop(server, report, seconds), servers))

    def _stop(self, server: Server, report: Report, seconds: float | None) -> None:
        record = processes.read_record(self._run, server.name)
        if record is not None and processes.is_alive(record):
            report(server.name, "stopping", None)
            clean = processes.stop(record, first=server.stop_signal, seconds=seconds or server.stop_seconds)
            report(server.name, "stopped" if clean else "ended by force", 1.0)
        processes.forget(self._run, server.name)

    def _start(self, server: Server, report: Report) -> None:
        began = time.monotonic()
        report(server.name, "starting", None)
        processes.rotate(server.log)
        try:
            server.prepare()
        except OSError as error:
            raise EnvironmentFault(
                f"{server.name} cannot be prepared: {error}",
                remedy="check the disk and the permissions of the state folder",
            ) from error
        if self._cancelled.is_set():
            return
        self._wait_healthy(server, began)
        if self._cancelled.is_set():
            return
        server.after_start()
        report(server.name, f"healthy after {time.monotonic() - began:.1f} s", 1.0)

    def _wait_healthy(self, server: Server, began: float) -> None:
        record = self._spawn(server)
        started_twice = False
        while not server.healthy():
            if self._cancelled.is_set():
                return
            if not processes.is_alive(record):
                # The children of a killed Postgres hold its shared memory for a moment longer: one more start works.
                if started_twice or time.monotonic() - began > QUICK_DEATH:
                    raise EnvironmentFault(
                        f"{server.name} ended while it started; its last log lines:\n{processes.tail(server.log)}",
                        remedy=f"correct what the log names; the whole log is {server.log}",
                    )
                started_twice = True
                time.sleep(1.0)
                record = self._spawn(server)
            elif time.monotonic() - began > server.start_seconds:
                raise EnvironmentFault(
                    f"{server.name} runs but is not healthy after {server.start_seconds:.0f} s; "
                    f"the last lines of its log:\n{processes.tail(server.log)}",
                    remedy=f"the machine may be overloaded: try again; the whole log is {server.log}",
                )
            else:
                time.sleep(0.1)

    def _spawn(self, server: Server) -> processes.ProcessRecord:
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
