"""One reading of what flows now: counters of the hub, what is away, and the `Live` that pages show of both."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Literal

import httpx
import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.console.server_answers import ServerAnswers
from streams.errors import EnvironmentFault, OpshubError
from streams.hub.alerts import OpenAlert, load_open_alerts
from streams.hub.figures import Hub, WaitingCounts, waiting_counts
from streams.hub.live import TargetCount, TopicCount, live_targets, live_topics, open_dead_letters_by_topic
from streams.hub.workers import WorkerReport, load_workers
from streams.provision.connectors import state_of
from streams.provision.systems import System, load_systems
from streams.settings import Settings

State = Literal["ok", "warn", "bad", "off"]

CHECK_EVERY_S = 5.0
"""Between two looks at Kafka and Connect, which are asked beside the hub."""

ANSWER_WITHIN_S = 2.0
LOOK_WITHIN_S = 0.2
"""A reading waits so long for a look that is due: the picture has rates at once, and a moment later what is away."""

KAFKA_REMEDY = "`opshub status` shows the servers; workers go on by themselves when it is back"
CONNECT_REMEDY = "`opshub status` shows the servers; nothing is lost, it reads on from its slots"


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub counts, at one moment (`at`: time.monotonic)."""

    at: float
    topics: list[TopicCount]
    targets: list[TargetCount]
    workers: list[WorkerReport]
    dead_letters: dict[str, int]
    """Topic → records that failed and wait."""
    alerts: list[OpenAlert]
    waiting: WaitingCounts


class Away(msgspec.Struct, frozen=True):
    """A server that does not answer."""

    name: str
    what: str
    remedy: str
    since: float
    """Seconds since 1970 at which the console first saw it."""


class SystemNow(msgspec.Struct, frozen=True):
    """One system as a source."""

    name: str
    rate: float | None
    """Records a second, None before two readings."""
    quiet_s: float | None
    today: int
    dead: int
    state: State
    problem: str | None


class TargetNow(msgspec.Struct, frozen=True):
    """One system as a target of write-back."""

    name: str
    per_minute: float
    on_the_way: int
    given_up: int
    approvals: int
    state: State
    problem: str | None


class WorkersNow(msgspec.Struct, frozen=True):
    """All workers together."""

    running: int
    silent: int
    """Reported within a day, and not any more."""
    lag: int
    rate: float | None
    """Changes a second into the hub."""
    p50_ms: float | None
    p99_ms: float | None
    state: State
    problem: str | None


class Live(msgspec.Struct, frozen=True):
    """What flows now. `digest` changes whenever sections of the page are to be read again."""

    at: float
    hub: bool
    systems: list[SystemNow]
    workers: WorkersNow
    targets: list[TargetNow]
    away: list[Away]
    digest: str


def read_counters(hub: Hub, systems: Sequence[str]) -> Counters:
    """One reading of the hub: six small statements. Raises psycopg.Error."""
    return Counters(
        at=time.monotonic(),
        topics=live_topics(hub),
        targets=live_targets(hub, systems),
        workers=load_workers(hub),
        dead_letters=open_dead_letters_by_topic(hub),
        alerts=load_open_alerts(hub),
        waiting=waiting_counts(hub),
    )


class Servers(msgspec.Struct, frozen=True):
    """What is beside the hub, at one look."""

    away: list[Away]
    connectors: dict[str, tuple[str, str]]
    """System → (state, cause); empty while Connect is away."""


class ServerLooks:
    """Looks at Kafka and Connect every few seconds, and remembers since when which is away. A reading does not wait for
    them: one that does not answer at once is as the look before saw it.
    """

    def __init__(self, settings: Settings, answers: ServerAnswers) -> None:
        self._settings = settings
        self._answers = answers
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()
        self._kafka: AdminClient | None = None

    def read(self, systems: Sequence[System], hub_error: OpshubError | None) -> Servers:
        """What the last looks saw. `hub_error`: why the hub does not answer, which was asked already."""
        questions = {"kafka": self._ask_kafka, "connectors": lambda: self._ask_connect(systems)}
        seen = self._answers.ask(questions, within=LOOK_WITHIN_S, fresh=CHECK_EVERY_S)
        errors = {
            "hub": hub_error,
            "Kafka": seen["kafka"].problem if seen["kafka"].is_known else None,
            "Connect": seen["connectors"].problem if seen["connectors"].is_known else None,
        }
        with self._lock:
            self._since = {name: at for name, at in self._since.items() if errors[name] is not None}
            away = [
                Away(name, str(error), error.remedy or "", self._since.setdefault(name, time.time()))
                for name, error in errors.items()
                if error is not None
            ]
        return Servers(away, seen["connectors"].value or {})

    def _ask_kafka(self) -> None:
        if self._kafka is None:
            self._kafka = AdminClient({"bootstrap.servers": self._settings.kafka, "log_level": 0})
        try:
            self._kafka.list_topics(timeout=ANSWER_WITHIN_S)
        except KafkaException as error:
            raise EnvironmentFault(str(error), remedy=KAFKA_REMEDY) from error

    def _ask_connect(self, systems: Sequence[System]) -> dict[str, tuple[str, str]]:
        """System → state and cause of its connector."""
        try:
            return {system.name: state_of(self._settings, system, ANSWER_WITHIN_S) for system in systems}
        except (OpshubError, httpx.HTTPError, TimeoutError, ValueError) as error:
            raise EnvironmentFault(str(error) or type(error).__name__, remedy=CONNECT_REMEDY) from error


def systems_of(settings: Settings) -> list[System]:
    """The configured systems; none where a file of them is wrong, which `opshub map check` explains."""
    try:
        return load_systems(settings)
    except OpshubError:
        return []


def live_of(names: Sequence[str], kept: Sequence[Counters], servers: Servers, hub_answers: bool) -> Live:
    """The reading that pages show. `names`: the configured systems; `kept`: readings of the last seconds, the newest
    last; empty while the hub is away.
    """
    newest = kept[-1] if kept and hub_answers else None
    oldest = kept[0] if newest is not None else None
    seconds = newest.at - oldest.at if newest is not None and oldest is not None else 0.0
    return Live(
        at=time.time(),
        hub=hub_answers,
        systems=[_system(name, newest, oldest, seconds, servers) for name in names],
        workers=_workers(newest, oldest, seconds),
        targets=[_target(target) for target in newest.targets] if newest is not None else [],
        away=servers.away,
        digest=_digest(newest, servers),
    )


def system_of_topic(topic: str) -> str:
    """raw.<system>.<schema>.<table> → the system."""
    return topic.removeprefix("raw.").partition(".")[0]


def _system(name: str, newest: Counters | None, oldest: Counters | None, seconds: float, servers: Servers) -> SystemNow:
    connector, cause = servers.connectors.get(name, ("", ""))
    state, problem = _connector_state(connector, cause)
    if newest is None or oldest is None:
        return SystemNow(name, None, None, 0, 0, state, problem)
    mine = [topic for topic in newest.topics if system_of_topic(topic.topic) == name]
    before = sum(topic.taken for topic in oldest.topics if system_of_topic(topic.topic) == name)
    rate = max(0.0, sum(topic.taken for topic in mine) - before) / seconds if seconds else None
    dead = sum(records for topic, records in newest.dead_letters.items() if system_of_topic(topic) == name)
    quiet = min((topic.quiet_s for topic in mine if topic.quiet_s is not None), default=None)
    return SystemNow(
        name,
        rate,
        quiet,
        sum(topic.today for topic in mine),
        dead,
        "warn" if state == "ok" and dead else state,
        problem,
    )


def _connector_state(connector: str, cause: str) -> tuple[State, str | None]:
    if connector in ("RUNNING", ""):
        return ("ok" if connector else "off"), None
    if connector == "FAILED":
        return "bad", cause or "its connector failed"
    if connector == "MISSING":
        return "off", "its connector is not registered"
    return "warn", f"its connector is {connector.lower()}"


def _workers(newest: Counters | None, oldest: Counters | None, seconds: float) -> WorkersNow:
    if newest is None or oldest is None:
        return WorkersNow(0, 0, 0, None, None, None, "off", None)
    running = [worker for worker in newest.workers if worker.answers]
    silent = len(newest.workers) - len(running)
    rate = max(0.0, _assembled(newest) - _assembled(oldest)) / seconds if seconds else None
    latencies = [worker.latency for worker in running if worker.latency.p50_ms is not None]
    waiting = next((worker.waiting for worker in running if worker.waiting), None)
    state: State = (
        "off" if not running and not silent else "bad" if not running else "warn" if silent or waiting else "ok"
    )
    return WorkersNow(
        running=len(running),
        silent=silent,
        lag=sum(worker.lag for worker in running),
        rate=rate,
        p50_ms=max((latency.p50_ms or 0.0 for latency in latencies), default=None),
        p99_ms=max((latency.p99_ms or 0.0 for latency in latencies), default=None),
        state=state,
        problem=waiting,
    )


def _assembled(counters: Counters) -> int:
    """Changes that assemble took; a worker that started again counts from zero, and then a rate is left out once."""
    return sum(worker.lanes["assemble"].records_in for worker in counters.workers if "assemble" in worker.lanes)


def _target(target: TargetCount) -> TargetNow:
    state: State = "ok"
    if target.problem or target.given_up:
        state = "bad" if target.refuses else "warn"
    elif target.paused is not None:
        state = "warn"
    return TargetNow(
        target.target, target.delivered / 5, target.on_the_way, target.given_up, target.approvals, state,
        target.problem or (f"paused: {target.paused}" if target.paused is not None else None),
    )  # fmt: skip


def _digest(newest: Counters | None, servers: Servers) -> str:
    """Changes when an alert opens or closes, something waits for people, or a server goes away or comes back."""
    away = ",".join(sorted(away.name for away in servers.away))
    if newest is None:
        return away
    alerts = ",".join(sorted({alert.name for alert in newest.alerts}))
    silent = ",".join(sorted(worker.name for worker in newest.workers if not worker.answers))
    waiting = newest.waiting
    return f"{away}|{alerts}|{silent}|{waiting.approvals},{waiting.conflicts},{waiting.dead_letters},{waiting.given_up}"
