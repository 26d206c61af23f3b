"""Worker processes of a fault test: started with faults, stopped, killed, and started again when they have ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from streams.kafka.offsets import committed_offsets, topic_offsets
from streams.provision.systems import System
from streams.provision.topics import change_topics
from streams.settings import Settings
from streams.stack import processes
from streams.stack.worker_stats import worker_stats
from streams.stack.workers import worker_environment

ROLES = ("ingest", "assemble", "deliver")


class WorkerProcesses:
    """Workers that nothing but `restart_ended` starts again; they read the topics of `systems`."""

    def __init__(self, settings: Settings, systems: list[System]) -> None:
        self.settings = settings
        self.systems = systems
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._runs: dict[str, tuple[list[str] | None, tuple[str, ...]]] = {}
        self.endings: list[tuple[str, int]] = []
        """Workers that ended by themselves, with their exit codes."""

    @property
    def workers(self) -> list[str]:
        return list(self._workers)

    def pids(self) -> dict[str, int]:
        """Workers that were started, by name."""
        return {name: worker.pid for name, worker in list(self._workers.items())}

    def set(self, **values: object) -> None:
        """Settings of the workers that are started from now on."""
        self.settings = self.settings.model_copy(update=values)

    def work(
        self,
        name: str,
        *,
        fault: str = "",
        command: list[str] | None = None,
        settings: dict[str, object] | None = None,
        env: dict[str, str] | None = None,
        roles: tuple[str, ...] = ROLES,
    ) -> None:
        """Start a worker that nothing starts again; `command` in place of `opshub run`, `settings` in place of the
        field's own, and what `env` says before what the stack's file says.
        """
        number = int(name.removeprefix("w"))
        own = {"metrics_port": self.settings.metrics_port + number, "worker_name": name}
        given = worker_environment(self.settings.model_copy(update=own | (settings or {})))
        given |= {"OPSHUB_FAULT": fault, "PYTHONFAULTHANDLER": "1"} | (env or {})
        log = (self.settings.state_dir / "logs" / f"worker-{name}.log").open("ab")
        run = command or [sys.executable, "-m", "streams.cli", "run", *(f"--role={role}" for role in roles)]
        self._runs[name] = (command, roles)
        self._workers[name] = subprocess.Popen(
            run, env=given, stdout=log, stderr=log, cwd=self.settings.state_dir, start_new_session=True
        )
        log.close()
        # For the stack's watchdog, which ends it when the tests are ended.
        pid = self._workers[name].pid
        processes.write_record(
            self.settings.state_dir / "run",
            processes.ProcessRecord(f"field-{name}", pid, processes.identity(pid) or ""),
        )

    def send(self, name: str, number: signal.Signals) -> None:
        self._workers[name].send_signal(number)

    def kill(self, name: str) -> None:
        worker = self._workers.pop(name, None)
        if worker is not None:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
            worker.wait(10)
            (self.settings.state_dir / "run" / f"worker-{name}.port").unlink(missing_ok=True)

    def ended(self, name: str) -> int | None:
        """The exit code of a worker that is gone."""
        return self._workers[name].poll()

    def restart_ended(self) -> None:
        """As a supervisor: start again what has ended, without its fault."""
        for name, worker in list(self._workers.items()):
            if worker.poll() is not None:
                self.endings.append((name, int(worker.returncode)))
                command, roles = self._runs[name]
                self.kill(name)
                self.work(name, roles=ROLES if command else roles)

    def working(self) -> bool:
        """Whether the workers that there are hold all partitions."""
        told = worker_stats(self.settings)
        held = sum(len(lane["partitions"]) for one in told for lane in one["lanes"].values())
        return len(told) >= 1 and held >= self.partitions()

    def partitions(self) -> int:
        return self.settings.partitions * (sum(len(system.topics) for system in self.systems) + 3)

    def records_in(self) -> int:
        """Records that the workers which answer have taken in."""
        return sum(
            lane["records_in"] for one in worker_stats(self.settings, timeout=1.0) for lane in one["lanes"].values()
        )

    def log(self, name: str) -> Path:
        return self.settings.state_dir / "logs" / f"worker-{name}.log"

    def offsets(self) -> dict[str, dict[tuple[str, int], tuple[int, int]]]:
        """Lane → partition → (offset up to which it was read, end), as the broker sees it, whoever is to read it."""
        raw = [topic for system in self.systems for topic in system.topics]
        told: dict[str, dict[tuple[str, int], tuple[int, int]]] = {}
        for lane, topics in (("ingest", raw), ("assemble", change_topics())):
            read = committed_offsets(self.settings.kafka, f"{self.settings.app_id}-{lane}")
            told[lane] = {
                tp: (read.get(tp, 0), end) for tp, (_, end) in topic_offsets(self.settings.kafka, topics).items()
            }
        return told

    def lag(self) -> int:
        """Records that ingest and assemble have still to read."""
        behind = [end - read for lane in self.offsets().values() for read, end in lane.values()]
        # Two for the markers of transactions, which take offsets and are not read.
        return sum(one for one in behind if one > 2)

    def recovered(self, seconds: float = 90.0) -> float:
        """Seconds until records that came after now are worked on again."""
        began = time.monotonic()
        seen: int | None = None
        end = began + seconds
        while time.monotonic() < end:
            self.restart_ended()
            now = self.records_in()
            if seen is not None and now > seen and self.working():
                return time.monotonic() - began
            seen = now
            time.sleep(0.25)
        raise AssertionError(f"nothing was worked on for {seconds} s; see {self.settings.state_dir}/logs")
