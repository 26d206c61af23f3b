"""A stack of its own with load, workers and faults; what all fault tests and the suite are made of."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.capture.guard import begin_epoch, restart_failed
from streams.demo.drain import MARKERS, drain, insert_lsn, is_confirmed, raw_records
from streams.demo.writeback_check import wait_delivered
from streams.errors import EnvironmentFault
from streams.kafka.offsets import committed_offsets, topic_offsets
from streams.provision.differences import apply
from streams.provision.systems import System, capture_dsn, load_systems
from streams.provision.topics import change_topics
from streams.simulator.setup import dsn_of, setup_demo
from streams.stack import processes
from streams.stack.native import NativeStack
from streams.stack.worker_stats import worker_stats
from streams.stack.workers import worker_environment
from tests.faults.checker import Findings, check, gather
from tests.faults.clerk import Clerk, wait_for
from tests.faults.crm_desk import CrmDesk
from tests.faults.erp_desk import ErpDesk
from tests.faults.goods import stock_up

ROLES = ("ingest", "assemble", "deliver")
REPOSITORY = Path(__file__).parents[2]


class Field:
    """The servers must be up. Use as a context manager: workers and clerks end with it."""

    def __init__(
        self, stack: NativeStack, *, seed: int = 1, pause: float = 0.02, partitions: int | None = None
    ) -> None:
        self.stack = stack
        # Short sessions: a test can not wait long for a group to give up a member that stands still.
        self.settings = stack.settings.model_copy(update={"session_timeout_ms": 6000})
        if partitions is not None:
            self.settings = self.settings.model_copy(update={"partitions": partitions})
        self._seed = seed
        self._pause = pause
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._runs: dict[str, tuple[list[str] | None, tuple[str, ...]]] = {}
        self._clerks: list[Clerk] = []
        self._loads = 0
        self.endings: list[tuple[str, int]] = []
        """Workers that ended by themselves, with their exit codes."""
        self._journal: dict[tuple[str, str], bool] = {}
        self._won: dict[str, float] = {}
        self._surely: set[str] = set()
        self._uncaptured: list[tuple[float, float]] = []
        self.env = stack.env()
        setup_demo(self.env, REPOSITORY / "connectors")
        stock_up(dsn_of(self.env, "DEMO_CRM", "APP"), dsn_of(self.env, "DEMO_ERP", "APP"))
        self.systems = load_systems(self.settings)
        apply(self.settings, self.systems)

    def __enter__(self) -> Field:
        return self

    def __exit__(self, *_: object) -> None:
        for clerk in self._clerks:
            clerk.stop()
        for name in list(self._workers):
            self.kill(name)

    # -- what is there

    @property
    def workers(self) -> list[str]:
        return list(self._workers)

    @property
    def clerks(self) -> list[Clerk]:
        return self._clerks

    def pids(self) -> dict[str, int]:
        """Workers that were started, by name."""
        return {name: worker.pid for name, worker in list(self._workers.items())}

    # -- workers

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
        """Start a worker that nothing starts again; `command` in place of `opshub run`, `settings` in place of the field's own, and
        what `env` says before what the stack's file says.
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
            self.settings.state_dir / "run", processes.Record(f"field-{name}", pid, processes.identity(pid) or "")
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

    def tend(self) -> None:
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

    def delivered(self) -> int:
        """Intents that were delivered so far."""
        return int(self.hub_value("SELECT count(*) FROM intent WHERE state = 'delivered'"))

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
            self.tend()
            now = self.records_in()
            if seen is not None and now > seen and self.working():
                return time.monotonic() - began
            seen = now
            time.sleep(0.25)
        raise AssertionError(f"nothing was worked on for {seconds} s; see {self.settings.state_dir}/logs")

    # -- load

    def load(self, *, deletes: bool = True) -> None:
        """Two clerks begin to work; without `deletes` they leave every row where it is."""
        self._loads += 1
        for system, (prefix, _) in MARKERS.items():
            rng = random.Random(f"{self._seed}/{self._loads}/{system}")
            desk = (CrmDesk if system == "demo-crm" else ErpDesk)(rng, deletes=deletes)
            clerk = Clerk(desk, dsn_of(self.env, prefix, "APP"), system, self._pause)
            self._clerks.append(clerk)
            clerk.start()

    def note(self, journal: dict[tuple[str, str], bool]) -> None:
        """Acknowledged commits of others than the clerks."""
        self._journal |= journal

    def uncaptured(self, since: float, until: float) -> None:
        """What was won in the CRM between these times (of time.monotonic) was first seen by a snapshot, of which no intent arises."""
        self._uncaptured.append((since, until))

    def commits(self) -> int:
        return sum(clerk.commits for clerk in self._clerks)

    def revive_capture(self) -> None:
        """As the guard does: restart the tasks that failed, until all run."""

        def runs() -> bool:
            try:
                return all(not restart_failed(self.settings, system) for system in self.systems)
            except EnvironmentFault:
                return False  # Connect is not itself yet

        wait_for(runs, 60, 2.0)

    def rewind(self, prefix: str = "raw.demo-") -> bool:
        """Set ingest's offsets of these topics to the beginning; False while the group still has members."""
        admin = AdminClient({"bootstrap.servers": self.settings.kafka, "log_level": 0})
        topics = admin.list_topics(timeout=10).topics
        wanted = [
            TopicPartition(topic, one, 0)
            for topic in topics
            if topic.startswith(prefix)
            for one in topics[topic].partitions
        ]
        group = f"{self.settings.app_id}-ingest"
        try:
            admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, wanted)])[group].result(20)
        except KafkaException:
            return False
        return True

    # -- sources

    def admin(self, system: str) -> psycopg.Connection[Any]:
        """The database of a system, as its superuser; autocommit."""
        return psycopg.connect(self._dsn(system), autocommit=True)

    def _dsn(self, system: str) -> str:
        return dsn_of(self.env, MARKERS[system][0], "ADMIN")

    def drop_slot(self, system: str) -> None:
        """Nobody may read it any more: Connect is down, or its connector stopped."""
        slot = self.system(system).source["config"]["slot.name"]
        with self.admin(system) as source:
            idle = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s AND NOT active"
            assert wait_for(lambda: source.execute(idle, [slot]).fetchone() == (1,), 30), f"{slot} is still read"
            source.execute("SELECT pg_drop_replication_slot(%s)", [slot])

    def system(self, name: str) -> System:
        return next(system for system in self.systems if system.name == name)

    def alarm(self, system: str) -> str | None:
        """What the guard says that capture of a system may have lost."""
        return self.hub_value("SELECT alarm FROM source_seen WHERE system = %s", [system])

    def letters(self, condition: str) -> int:
        """Records that were put aside, by an SQL condition."""
        return int(self.hub_value(f"SELECT count(*) FROM dead_letter WHERE {condition}"))

    def hub_value(self, query: str, values: list[Any] | None = None) -> Any:
        """The first value of the first row, or None."""
        with psycopg.connect(self.settings.hub) as hub:
            row = hub.execute(query.encode(), values or []).fetchone()
        return None if row is None else row[0]

    def resync(self, system: str, *, sweep_after: float) -> None:
        """As `opshub resync`, and wait until what the new snapshot did not bring was swept twice."""
        one = self.system(system)
        epoch = begin_epoch(self.settings, one, capture_dsn(one, self.env), sweep_after=sweep_after)

        def is_swept() -> bool:
            self.tend()
            query = "SELECT min(swept) FROM sweep WHERE epoch = %s AND topic = ANY(%s)"
            return bool((self.hub_value(query, [epoch, list(one.topics)]) or 0) >= 2)

        assert wait_for(is_swept, sweep_after + 90, 1.0), "the new epoch was not swept"

    def settle(self, seconds: float = 120.0) -> Findings:
        """End the load, wait until nothing is in flight, and check everything."""
        for clerk in self._clerks:
            clerk.finish()
            self._journal |= clerk.journal
            self._won |= clerk.desk.won
            self._surely |= clerk.desk.surely
            for table in clerk.forgotten:
                self._journal = {one: is_row for one, is_row in self._journal.items() if one[0] != table}
            if "public.opportunity" in clerk.forgotten:
                self._won.clear()
        self._clerks.clear()
        end = time.monotonic() + seconds
        while not wait_for(self.working, 2):
            self.tend()
            assert time.monotonic() < end, "the workers do not hold all partitions"
        self.drain(seconds)
        # What is delivered comes back as changes, which may give rise to more.
        self._look_again(end)
        while time.monotonic() < end and not wait_delivered(self.settings.hub, seconds=0.0):
            wait_delivered(self.settings.hub, seconds=10.0)
            self.tend()
            self.drain(seconds)
        if self._sweep(max(1.0, end - time.monotonic())):
            self.drain(seconds)
        return self.check(self._journal)

    def _look_again(self, end: float) -> None:
        """Have what waits for a person since it was not ready looked at now; by itself that comes within five minutes."""
        unready = "state = 'waiting' AND incomplete_since IS NOT NULL"
        with psycopg.connect(self.settings.hub, autocommit=True) as hub:
            asked = hub.execute(
                f"UPDATE intent SET not_before = now() WHERE {unready} RETURNING id".encode()
            ).fetchall()
            left = f"SELECT count(*) FROM intent WHERE id = ANY(%s) AND (state IN ('approved', 'delivering') OR {unready} AND not_before <= now())"

            def is_looked_at() -> bool:
                self.tend()
                return hub.execute(left.encode(), [[one for (one,) in asked]]).fetchone() == (0,)

            assert not asked or wait_for(is_looked_at, max(1.0, end - time.monotonic()), 0.5), "nobody looks again"

    def _sweep(self, seconds: float) -> bool:
        """Have tables that were truncated swept once more, now that nothing is in flight: by itself that comes 20 s later, and 80, and 320;
        whether there were any.
        """
        with psycopg.connect(self.settings.hub, autocommit=True) as hub:
            due = hub.execute(
                "UPDATE sweep SET next_at = now() WHERE swept < 6 AND major <> 0 RETURNING topic, epoch, major, minor, swept"
            ).fetchall()
            left = (
                "SELECT count(*) FROM sweep s JOIN unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[]) d (topic, epoch, major, minor, swept) "
                "USING (topic, epoch, major, minor) WHERE s.swept <= d.swept"
            )

            def is_swept() -> bool:
                self.tend()
                return hub.execute(left, [list(column) for column in zip(*due, strict=True)]).fetchone() == (0,)

            assert not due or wait_for(is_swept, seconds, 0.5), "what was truncated is not swept again"
            return bool(due)

    def drain(self, seconds: float = 120.0) -> None:
        """As the demo does, until each connector has confirmed what was committed before. The demo counts the raw records of all systems:
        after an outage of Kafka late records of one make up for what has not come of another.
        """
        marks = {system.name: insert_lsn(self._dsn(system.name)) for system in self.systems}
        self._drain(seconds)
        if not self._confirmed(marks):
            assert wait_for(lambda: self._confirmed(marks), seconds, 0.5), "what was committed is not captured"
            self._drain(seconds)

    def _drain(self, seconds: float) -> None:
        # A worker whose producer does not come back from an outage leaves, some 12 s after it, and is started again.
        drain(self.settings, self.systems, self.env, seconds=seconds, tick=lambda _: self.tend())

    def _confirmed(self, marks: dict[str, str]) -> bool:
        """Whether the slots that are there have come so far."""
        return all(
            is_confirmed(self._dsn(system.name), system.source["config"]["slot.name"], marks[system.name]) is not False
            for system in self.systems
        )

    def check(self, journal: dict[tuple[str, str], bool]) -> Findings:
        dsns = {system.name: capture_dsn(system, self.env) for system in self.systems}
        return check(gather(self.settings.kafka, self.settings.hub, dsns, journal, self._ordered(dsns)))

    def _ordered(self, dsns: dict[str, str]) -> set[str]:
        """Opportunities that clerks won, each of which is to have its order: those of which the acknowledgement was lost, if they are won."""
        tried = [
            one for one, at in self._won.items() if not any(since <= at <= until for since, until in self._uncaptured)
        ]
        with psycopg.connect(dsns["demo-crm"]) as crm:
            query = "SELECT id::text FROM opportunity WHERE id = ANY(%s::uuid[]) AND stage = 'Closed Won'"
            won = {row[0] for row in crm.execute(query, [tried]).fetchall()}
        return won | {one for one in tried if one in self._surely}

    def raw(self) -> int:
        return raw_records(self.settings, self.systems)

    def raw_of(self, system: System) -> int:
        return raw_records(self.settings, [system])
