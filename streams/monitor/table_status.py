"""The state of each captured table and each source: what is healthy, what is not, what waits.

In: hub, Kafka, Connect and the databases as they are; each may be away. Out: one `SystemStatus` for each system, with
one `TableStatus` for each table, worst first. What a server that is away would have said is None, and is reported as
the system's problem: a wrong state is worse than none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

import msgspec
import psycopg

from streams.capture.progress import raw_offsets, system_problem, waiting_by_topic
from streams.capture.slot import Slot, judge_slot, read_slot
from streams.errors import ConfigError, EnvironmentFault, OpshubError
from streams.hub.intent_review import Hub
from streams.hub.raw_accounts import PartitionAccount, load_raw_accounts
from streams.hub.source_state import TableChangeRow, load_alarms, recent_table_changes
from streams.hub.systems import (
    CapturePause,
    OpenDeadLetters,
    TopicFreshness,
    capture_pauses,
    dead_letters_by_topic,
    table_gaps,
    topic_freshness,
)
from streams.model.partition import Partition
from streams.provision import connectors
from streams.provision.source_session import source_session
from streams.provision.systems import System, capture_dsn
from streams.settings import Settings
from streams.stack.environment import load_env

State = Literal["bad", "warn", "paused", "ok"]
WORST_FIRST: tuple[State, ...] = ("bad", "warn", "paused", "ok")

NEW_CHANGE = timedelta(days=7)
"""For so long a change of a table's columns is shown beside it."""
ANSWERS_WITHIN_S = 3.0
"""Kafka, Connect and each database are given so long, side by side; what comes later is not waited for."""

Answer = TypeVar("Answer")
Other = TypeVar("Other")


class TableStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One captured table. `problem`: what is wrong, in words; `remedy`: what to do."""

    system: str
    table: str
    entities: list[str]
    state: State
    problem: str | None
    remedy: str | None
    waiting: int | None
    """Records in its raw topic that no worker has taken; None while Kafka does not answer, or without a topic."""
    last_at: datetime | None
    """When a worker took its last record."""
    today: int | None
    """Records that were taken today (UTC); None while nothing of it ever came."""
    taken: int
    dead: int
    parked: int
    paused: bool
    change: TableChangeRow | None
    """The newest change of its columns, of the last week."""


class SourceSlot(msgspec.Struct, frozen=True, kw_only=True):
    """The replication slot of a source; what is None is not known."""

    name: str
    active: bool | None = None
    wal_status: str | None = None
    kept_bytes: int | None = None
    left_bytes: int | None = None
    """WAL that may still be written before the source purges what the slot needs; None without a limit."""
    limit_bytes: int | None = None
    heartbeat_age_s: float | None = None
    problem: str | None = None

    @property
    def left_share(self) -> float:
        """Of the limit, from 0 to 1; 1 without one, and where it is not known."""
        if self.left_bytes is None or not self.limit_bytes or self.limit_bytes < 0:
            return 1.0
        return max(0.0, min(1.0, self.left_bytes / self.limit_bytes))


class SystemStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One source: its connector, its slot, its tables, worst first."""

    name: str
    kind: str
    state: State
    connector: str
    """The state that Connect reports: RUNNING, PAUSED, FAILED …; UNKNOWN while Connect does not answer."""
    problem: str | None
    paused: CapturePause | None
    slot: SourceSlot | None
    """None for a database that is no Postgres."""
    tables: list[TableStatus]

    @property
    def worst(self) -> list[TableStatus]:
        """The tables that are not healthy."""
        return [table for table in self.tables if table.state != "ok"]


class _HubFacts(msgspec.Struct, frozen=True):
    accounts: Mapping[Partition, PartitionAccount]
    fresh: Mapping[str, TopicFreshness]
    dead_letters: Mapping[str, OpenDeadLetters]
    gaps: Mapping[tuple[str, str], str]
    pauses: Mapping[str, CapturePause]
    changes: Mapping[tuple[str, str], TableChangeRow]
    alarms: Mapping[str, str]


def systems_status(
    settings: Settings, hub: Hub, systems: Sequence[System], *, within: float = ANSWERS_WITHIN_S
) -> list[SystemStatus]:
    """One entry for each system, `within` seconds after the hub has answered: a server that is later does not answer.
    Raises psycopg.Error while the hub does not answer.
    """
    topics = [topic for system in systems for topic in system.topics]
    # The hub before Kafka: records that arrive in between count as waiting, and none is counted twice.
    facts = _read_hub(hub, topics)
    end = time.monotonic() + within
    pool = ThreadPoolExecutor(1 + 2 * len(systems))
    try:
        offsets = pool.submit(_ask, lambda: raw_offsets(settings, topics))
        states = {s.name: pool.submit(_ask, _connector_question(settings, s, within)) for s in systems}
        slots = {s.name: pool.submit(source_slot, settings, s) for s in systems if s.has_database}
        ends = _in_time(offsets, end, _late("Kafka", within))
        waiting = None if isinstance(ends, OpshubError) else waiting_by_topic(topics, ends, facts.accounts)
        connect_is_late = _late("Connect", within)
        return [
            _system(
                s, facts, waiting, _in_time(states[s.name], end, connect_is_late),
                _in_time(slots[s.name], end, _late_slot(s, within)) if s.name in slots else None,
            )
            for s in systems
        ]  # fmt: skip
    finally:
        pool.shutdown(wait=False)  # a server that hangs must not hold up whoever asks


def _in_time(future: Future[Answer], end: float, late: Other) -> Answer | Other:
    """The answer, or `late` where there is none at `end`."""
    try:
        return future.result(max(0.0, end - time.monotonic()))
    except TimeoutError:
        return late


def _late(server: str, within: float) -> OpshubError:
    return EnvironmentFault(f"{server} did not answer within {within:g} s", remedy="`opshub status` shows the servers")


def _late_slot(system: System, within: float) -> SourceSlot:
    return SourceSlot(name=system.slot_name, problem=f"its database did not answer within {within:g} s")


def source_slot(settings: Settings, system: System) -> SourceSlot:
    """The slot of a source with what is wrong with it. A database that does not answer is its problem."""
    try:
        with source_session(capture_dsn(system, load_env(settings)), statement_s=3) as source:
            slot = read_slot(source, system)
    except (psycopg.Error, ConfigError) as error:
        return SourceSlot(name=system.slot_name, problem=f"its database does not answer: {str(error).strip()}")
    if slot is None:
        return SourceSlot(name=system.slot_name, problem="there is no such slot: nothing is captured yet")
    wrong = [finding.what for finding in judge_slot(settings, system, slot)]
    return SourceSlot(
        name=system.slot_name,
        active=slot.active,
        wal_status=slot.wal_status,
        kept_bytes=slot.kept_bytes,
        left_bytes=slot.left_bytes,
        limit_bytes=slot.limit_bytes,
        heartbeat_age_s=_finite(slot),
        problem="; ".join(wrong) or None,
    )


def _finite(slot: Slot) -> float | None:
    age = slot.heartbeat_age_s
    return None if age is None or age == float("inf") else age


def _ask(question: Callable[[], Answer]) -> Answer | OpshubError:
    try:
        return question()
    except OpshubError as error:
        return error


def _connector_question(settings: Settings, system: System, within: float) -> Callable[[], tuple[str, str]]:
    return lambda: connectors.state_of(settings, system, within)


def _read_hub(hub: Hub, topics: list[str]) -> _HubFacts:
    changes: dict[tuple[str, str], TableChangeRow] = {}
    oldest = f"{datetime.now(UTC) - NEW_CHANGE:%Y-%m-%d %H:%M:%S}"
    for change in recent_table_changes(hub):
        if change.at >= oldest:
            changes.setdefault((change.system, change.table), change)
    return _HubFacts(
        load_raw_accounts(hub, topics),
        topic_freshness(hub),
        dead_letters_by_topic(hub),
        table_gaps(hub),
        {pause.scope: pause for pause in capture_pauses(hub)},
        changes,
        load_alarms(hub),
    )


def _system(
    system: System,
    facts: _HubFacts,
    waiting: Mapping[str, int | None] | None,
    connector: tuple[str, str] | OpshubError,
    slot: SourceSlot | None,
) -> SystemStatus:
    state, cause = ("UNKNOWN", str(connector)) if isinstance(connector, OpshubError) else connector
    pause = facts.pauses.get(system.name)
    tables = [_table(system, topic, name, facts, waiting) for topic, name in system.topics.items()]
    tables.sort(key=lambda table: (WORST_FIRST.index(table.state), table.table))
    problem = _problem(system, facts, tables, waiting, state, cause)
    worst: State = "ok"
    if problem is not None:
        worst = "warn" if state in ("RUNNING", "STARTING", "UNKNOWN") and system.name not in facts.alarms else "bad"
    if pause is not None and system.name not in facts.alarms and state == "PAUSED":
        worst, problem = "paused", None
    if slot is not None and slot.problem and worst == "ok":
        worst = "warn"
    return SystemStatus(
        name=system.name,
        kind=system.dictionary.kind,
        state=worst,
        connector=state,
        problem=problem,
        paused=pause,
        slot=slot,
        tables=tables,
    )


def _problem(
    system: System,
    facts: _HubFacts,
    tables: list[TableStatus],
    waiting: Mapping[str, int | None] | None,
    state: str,
    cause: str,
) -> str | None:
    if system.name in facts.alarms:
        return f"changes may be missing: {facts.alarms[system.name]}; `opshub resync {system.name}` reads it again"
    if state == "UNKNOWN":
        return cause
    if waiting is None:
        return "Kafka does not answer: what waits is not known"
    without_topic = [table.table for table in tables if table.waiting is None]
    waits = sum(table.waiting or 0 for table in tables if not table.paused)
    return system_problem(system, state, cause, sum(table.taken for table in tables), waits, without_topic)


def _table(
    system: System, topic: str, name: str, facts: _HubFacts, waiting: Mapping[str, int | None] | None
) -> TableStatus:
    dead_letters, fresh = facts.dead_letters.get(topic), facts.fresh.get(topic)
    gap, change = facts.gaps.get((system.name, name)), facts.changes.get((system.name, name))
    paused = f"{system.name}/{name}" in facts.pauses
    taken = sum(account.counted for (t, _), account in facts.accounts.items() if t == topic)
    waits = None if waiting is None else waiting.get(topic)
    state, problem, remedy = judge_table_status(
        system.name,
        name,
        gap=gap,
        dead_letters=dead_letters,
        change=change,
        paused=paused,
        has_topic=waiting is None or waits is not None,
    )
    return TableStatus(
        system=system.name,
        table=name,
        entities=sorted(system.dictionary.tables[name].entities),
        state=state,
        problem=problem,
        remedy=remedy,
        waiting=waits,
        last_at=None if fresh is None or not taken else fresh.counted_at,
        today=None if fresh is None else fresh.today,
        taken=taken,
        dead=0 if dead_letters is None else dead_letters.dead,
        parked=0 if dead_letters is None else dead_letters.parked,
        paused=paused,
        change=change,
    )


def judge_table_status(
    system: str,
    table: str,
    *,
    gap: str | None,
    dead_letters: OpenDeadLetters | None,
    change: TableChangeRow | None,
    paused: bool,
    has_topic: bool,
) -> tuple[State, str | None, str | None]:
    """(state, what is wrong, what to do) of one table: the worst of what is known."""
    if gap is not None:
        return "bad", f"changes may be missing: {gap}", f"opshub resync {system} --table {table}"
    if not has_topic:
        return "bad", "it has no raw topic: nothing of it can come", "opshub apply"
    if dead_letters is not None and dead_letters.dead:
        behind = f", and {dead_letters.parked:,} are parked behind them" if dead_letters.parked else ""
        return "warn", f"{dead_letters.dead:,} records could not be processed{behind}", "opshub dlq list"
    if change is not None and change.kind in ("dropped", "renamed", "retyped"):
        return "warn", f"{change.what}: {change.effect}", "opshub map check --live"
    if paused:
        return "paused", "it is paused: its records wait in order", f"opshub systems resume {system}/{table}"
    return "ok", None, None
