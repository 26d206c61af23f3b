"""A stack of its own with load, workers and faults; what all fault tests and the suite are made of."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.capture.connector_health import restart_failed
from streams.capture.epoch import begin_epoch
from streams.demo.drain import MARKERS, drain, insert_lsn, is_confirmed, raw_records
from streams.demo.writeback_check import wait_delivered
from streams.errors import EnvironmentFault
from streams.provision.differences import apply
from streams.provision.systems import System, capture_dsn, load_systems
from streams.simulator.setup import dsn_of, setup_demo
from streams.stack.native import NativeStack
from tests.faults.checker import Findings, check
from tests.faults.clerk import Clerk
from tests.faults.crm_user import CrmUser
from tests.faults.erp_user import ErpUser
from tests.faults.evidence import read_evidence
from tests.faults.goods import stock_up
from tests.faults.supply_user import SupplyUser
from tests.faults.worker_processes import WorkerProcesses
from tests.waiting import came_true

REPOSITORY = Path(__file__).parents[2]


class Field(WorkerProcesses):
    """The servers must be up. Use as a context manager: workers and clerks end with it."""

    def __init__(
        self, stack: NativeStack, *, seed: int = 1, pause: float = 0.02, partitions: int | None = None
    ) -> None:
        self.stack = stack
        # Short sessions: a test can not wait long for a group to give up a member that is stopped.
        settings = stack.settings.model_copy(update={"session_timeout_ms": 6000})
        if partitions is not None:
            settings = settings.model_copy(update={"partitions": partitions})
        self._seed = seed
        self._pause = pause
        self._clerks: list[Clerk] = []
        self._loads = 0
        self._journal: dict[tuple[str, str], bool] = {}
        self._won: dict[str, float] = {}
        self._surely: set[str] = set()
        self._uncaptured: list[tuple[float, float]] = []
        self.env = stack.env()
        setup_demo(self.env, REPOSITORY / "connectors")
        stock_up(dsn_of(self.env, "DEMO_CRM", "APP"), dsn_of(self.env, "DEMO_ERP", "APP"))
        super().__init__(settings, load_systems(settings))
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
    def clerks(self) -> list[Clerk]:
        return self._clerks

    # -- load

    def load(self, *, deletes: bool = True) -> None:
        """Three clerks begin to work; without `deletes` they leave every row where it is."""
        self._loads += 1
        for kind in (CrmUser, ErpUser, SupplyUser):
            system = "demo-crm" if kind is CrmUser else "demo-erp"
            rng = random.Random(f"{self._seed}/{self._loads}/{kind.__name__}")
            user = kind(rng, deletes=deletes)
            clerk = Clerk(user, dsn_of(self.env, MARKERS[system][0], "APP"), kind.__name__, self._pause)
            self._clerks.append(clerk)
            clerk.start()

    def note(self, journal: dict[tuple[str, str], bool]) -> None:
        """Acknowledged commits of others than the clerks."""
        self._journal |= journal

    def uncaptured(self, since: float, until: float) -> None:
        """What was won in the CRM between these times (of time.monotonic) was first seen by a snapshot, of which no
        intent arises.
        """
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

        came_true(runs, 60, 2.0)

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
            assert came_true(lambda: source.execute(idle, [slot]).fetchone() == (1,), 30), f"{slot} is still read"
            source.execute("SELECT pg_drop_replication_slot(%s)", [slot])

    def system(self, name: str) -> System:
        return next(system for system in self.systems if system.name == name)

    def alarm(self, system: str) -> str | None:
        """What the guard says that capture of a system may have lost."""
        return self.hub_value("SELECT alarm FROM source_state WHERE system = %s", [system])

    def delivered(self) -> int:
        """Intents that were delivered so far."""
        return int(self.hub_value("SELECT count(*) FROM intent WHERE state = 'delivered'"))

    def dead_letters(self, condition: str) -> int:
        """Dead letters and parked records, by an SQL condition."""
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
            self.restart_ended()
            query = "SELECT min(swept) FROM sweep WHERE epoch = %s AND topic = ANY(%s)"
            return bool((self.hub_value(query, [epoch, list(one.topics)]) or 0) >= 2)

        assert came_true(is_swept, sweep_after + 90, 1.0), "the new epoch was not swept"

    def settle(self, seconds: float = 120.0) -> Findings:
        """End the load, wait until nothing is in flight, and check everything."""
        for clerk in self._clerks:
            clerk.finish()
            self._journal |= clerk.journal
            self._won |= clerk.user.won
            self._surely |= clerk.user.surely
            for table in clerk.forgotten:
                self._journal = {one: is_row for one, is_row in self._journal.items() if one[0] != table}
            if "public.opportunity" in clerk.forgotten:
                self._won.clear()
        self._clerks.clear()
        end = time.monotonic() + seconds
        while not came_true(self.working, 2):
            self.restart_ended()
            assert time.monotonic() < end, "the workers do not hold all partitions"
        self.drain(seconds)
        # What is delivered comes back as changes, which may give rise to more.
        self._look_again(end)
        while time.monotonic() < end and not wait_delivered(self.settings.hub, seconds=0.0):
            wait_delivered(self.settings.hub, seconds=10.0)
            self.restart_ended()
            self.drain(seconds)
        if self._sweep(max(1.0, end - time.monotonic())):
            self.drain(seconds)
        return self.check(self._journal)

    def _look_again(self, end: float) -> None:
        """Have what waits for a person since it was not ready looked at now; by itself that comes within five
        minutes.
        """
        unready = "state = 'waiting' AND not_ready_since IS NOT NULL"
        with psycopg.connect(self.settings.hub, autocommit=True) as hub:
            asked = hub.execute(
                f"UPDATE intent SET not_before = now() WHERE {unready} RETURNING id".encode()
            ).fetchall()
            left = f"SELECT count(*) FROM intent WHERE id = ANY(%s) AND (state IN ('approved', 'delivering') OR {unready} AND not_before <= now())"

            def is_looked_at() -> bool:
                self.restart_ended()
                return hub.execute(left.encode(), [[one for (one,) in asked]]).fetchone() == (0,)

            assert not asked or came_true(is_looked_at, max(1.0, end - time.monotonic()), 0.5), "nobody looks again"

    def _sweep(self, seconds: float) -> bool:
        """Have tables that were truncated swept once more, now that nothing is in flight: by itself that comes 20 s
        later, and 80, and 320; whether there were any.
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
                self.restart_ended()
                return hub.execute(left, [list(column) for column in zip(*due, strict=True)]).fetchone() == (0,)

            assert not due or came_true(is_swept, seconds, 0.5), "what was truncated is not swept again"
            return bool(due)

    def drain(self, seconds: float = 120.0) -> None:
        """As the demo does, until each connector has confirmed what was committed before. The demo counts the raw
        records of all systems: after an outage of Kafka late records of one make up for what has not come of another.
        """
        marks = {system.name: insert_lsn(self._dsn(system.name)) for system in self.systems}
        self._drain(seconds)
        if not self._confirmed(marks):
            assert came_true(lambda: self._confirmed(marks), seconds, 0.5), "what was committed is not captured"
            self._drain(seconds)

    def _drain(self, seconds: float) -> None:
        # A worker whose producer does not come back from an outage leaves, some 12 s after it, and is started again.
        drain(self.settings, self.systems, self.env, seconds=seconds, on_totals=lambda _: self.restart_ended())

    def _confirmed(self, marks: dict[str, str]) -> bool:
        """Whether the slots that are there have come so far."""
        return all(
            is_confirmed(self._dsn(system.name), system.source["config"]["slot.name"], marks[system.name]) is not False
            for system in self.systems
        )

    def check(self, journal: dict[tuple[str, str], bool]) -> Findings:
        dsns = {system.name: capture_dsn(system, self.env) for system in self.systems}
        return check(read_evidence(self.settings.kafka, self.settings.hub, dsns, journal, self._ordered(dsns)))

    def _ordered(self, dsns: dict[str, str]) -> set[str]:
        """Opportunities that clerks won, each of which is to have its order: those of which the acknowledgement was
        lost, if they are won.
        """
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
