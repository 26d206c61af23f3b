"""Pauses of a source or of one table: how they begin and end, what waits behind them, and until when nothing is lost.

A source is paused at its connector: Debezium reads nothing more, and its slot keeps the WAL in the source. So a pause
is safe until the source reaches `max_slot_wal_keep_size`. A table is paused at the workers: they leave its raw topic
unread, and its offsets stay where they are. So a pause is safe until Kafka deletes the oldest record that waits, which
its topic keeps for `retention.ms`. Rows of other tables go on meanwhile. Both are kept in the hub: a worker that starts
keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin._config import ConfigResource

from streams.capture.finding import Finding
from streams.capture.slot import read_slot
from streams.errors import ConfigError, EnvironmentFault
from streams.hub.intent_review import Hub
from streams.hub.session import hub_session
from streams.hub.source_state import load_alarms
from streams.hub.systems import CapturePause, capture_pauses, pause_capture, resume_capture
from streams.kafka.clients import admin_client, reading_consumer
from streams.kafka.offsets import committed_offsets, topic_offsets
from streams.model.partition import Partition
from streams.provision import connectors
from streams.provision.source_session import source_session
from streams.provision.systems import System, capture_dsn, load_systems
from streams.settings import Settings
from streams.stack.environment import load_env

ENDING = timedelta(days=1)
"""So long before Kafka deletes the first record that waits, an alert is sent."""
ANSWER_S = 5.0
"""How long one question to Kafka may take."""


class PauseQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A pause with what waits behind it."""

    scope: str
    who: str
    reason: str
    at: datetime
    waiting: int | None = None
    """Of a table: records in its raw topic that no worker has taken; None while Kafka does not answer."""
    oldest_at: datetime | None = None
    """Of a table: since when the oldest of them waits."""
    safe_until: datetime | None = None
    """Until when nothing is lost; of a source an estimate by how fast its WAL grew; None: no end is in sight."""
    kept_bytes: int | None = None
    """Of a source: WAL that its slot holds back; None while its database does not answer."""
    left_bytes: int | None = None
    """Of a source: WAL that may still be written; None without a limit."""
    limit_bytes: int | None = None
    grown_bytes: int | None = None
    """Of a source: WAL that came since the pause began."""
    problem: str | None = None
    """Why the rest is not known."""
    is_feed: bool = False
    """Of a source without a database: nothing waits, it is read on from where it was."""

    @property
    def is_table(self) -> bool:
        """Whether it is a table, and not a whole source."""
        return "/" in self.scope

    @property
    def sentence(self) -> str:
        """That nothing is lost, and until when."""
        if self.is_table:
            until = "" if self.safe_until is None else f" until {self.safe_until:%Y-%m-%d %H:%M} UTC"
            return f"Nothing is lost{until}: Kafka keeps the records of this table in order, and workers go on there."
        if self.is_feed:
            return "Nothing is lost: what changes meanwhile is read afterwards."
        if self.limit_bytes is not None and self.limit_bytes < 0:
            return "Nothing is lost as long as the source has room on its disk: no limit is set for the WAL it keeps."
        left = "" if self.left_bytes is None else f" for {max(self.left_bytes, 0) / 1e9:.2f} GB more"
        return f"Nothing is lost: the source keeps its WAL{left}. Past its limit the changes would be gone."


def paused_topics(settings: Settings, systems: list[System]) -> frozenset[str]:
    """The raw topics that workers leave unread now. Raises EnvironmentFault while the hub does not answer."""
    with hub_session(settings.hub) as hub:
        scopes = {pause.scope for pause in capture_pauses(hub)}
    return frozenset(
        topic for system in systems for topic, table in system.topics.items() if f"{system.name}/{table}" in scopes
    )


def pause(settings: Settings, hub: Hub, scope: str, *, who: str, reason: str) -> None:
    """Pause a source or a table. Raises ConfigError for a scope that does not exist, or a source whose changes are lost
    already; EnvironmentFault when Connect does not answer.
    """
    system, table = find_scope(settings, scope)
    if table is not None:
        pause_capture(hub, scope, who=who, reason=reason)
        return
    if system.name in load_alarms(hub):
        raise ConfigError(
            f"{system.name} is stopped already: changes of it may be missing", remedy=f"`opshub resync {system.name}`"
        )
    if not system.has_database:
        pause_capture(hub, scope, who=who, reason=reason)
        return
    if connectors.status(settings, system.connector_name)[0] == "MISSING":
        raise ConfigError(f"{system.name} is not captured yet", remedy="`opshub apply` registers its connector")
    # The hub first: the watcher must not take the pause for a fault.
    pause_capture(hub, scope, who=who, reason=reason, kept_bytes=_kept_bytes(settings, system))
    try:
        connectors.pause(settings, system.connector_name)
    except EnvironmentFault:
        resume_capture(hub, scope)
        raise


def resume(settings: Settings, hub: Hub, scope: str) -> bool:
    """Go on where the pause began; False when there was none. Raises as `pause`."""
    if scope not in {paused.scope for paused in capture_pauses(hub)}:
        find_scope(settings, scope)
        return False
    system_name, _, table = scope.partition("/")
    if not table:
        if system_name in load_alarms(hub):
            raise ConfigError(
                f"changes of {system_name} may be missing meanwhile", remedy=f"`opshub resync {system_name}`"
            )
        system, _ = find_scope(settings, scope)
        if system.has_database:
            connectors.resume(settings, system.connector_name)
    return resume_capture(hub, scope)


def find_scope(settings: Settings, scope: str, systems: Sequence[System] | None = None) -> tuple[System, str | None]:
    """The system of a scope, and its table where it names one. Raises ConfigError where there is none. `systems`: those
    of the settings, where they are read already.
    """
    name, _, table = scope.partition("/")
    known = {system.name: system for system in (load_systems(settings) if systems is None else systems)}
    system = known.get(name)
    if system is None:
        raise ConfigError(f"there is no system {name!r}", remedy=f"one of {', '.join(known)}")
    if not table:
        return system, None
    if table not in system.dictionary.tables:
        tables = ", ".join(f"{name}/{captured}" for captured in system.dictionary.tables)
        raise ConfigError(f"{name} has no table {table!r} that is captured", remedy=f"one of {tables}")
    return system, table


def refuse_paused(hub: Hub, system: str) -> None:
    """Raises ConfigError for a paused source: what begins now would make it run."""
    if system in {paused.scope for paused in capture_pauses(hub)}:
        raise ConfigError(f"{system} is paused", remedy=f"`opshub systems resume {system}`, then once more")


def queues(settings: Settings, hub: Hub, systems: Sequence[System] | None = None) -> list[PauseQueue]:
    """Everything that is paused, with what waits behind it; `systems` as for `find_scope`."""
    pauses = capture_pauses(hub)
    if not pauses:
        return []
    known = load_systems(settings) if systems is None else systems
    with ThreadPoolExecutor(min(len(pauses), 8)) as pool:
        return list(pool.map(lambda paused: _queue_of(settings, paused, known), pauses))


def _queue_of(settings: Settings, paused: CapturePause, systems: Sequence[System]) -> PauseQueue:
    try:
        system, table = find_scope(settings, paused.scope, systems)
    except ConfigError as error:
        return _queue(paused, problem=str(error))
    if table is None and not system.has_database:
        return _queue(paused, is_feed=True)
    return _source_queue(settings, system, paused) if table is None else _table_queue(settings, system, paused)


def ending_pauses(settings: Settings, hub: Hub) -> list[Finding]:
    """A finding for each paused table whose oldest record Kafka deletes within a day. What ends a pause of a source is
    a finding of its slot (`wal-ending`).
    """
    if not any("/" in paused.scope for paused in capture_pauses(hub)):
        return []
    soon = datetime.now(UTC) + ENDING
    return [
        Finding(
            "pause-ending",
            queue.scope,
            f"Kafka deletes records of this paused table from {queue.safe_until:%Y-%m-%d %H:%M} UTC on",
            f"`opshub systems resume {queue.scope}`, or raise retention.ms of its raw topic",
        )
        for queue in queues(settings, hub)
        if queue.is_table and queue.oldest_at is not None and queue.safe_until is not None and queue.safe_until < soon
    ]


def _queue(paused: CapturePause, **known: Any) -> PauseQueue:
    return PauseQueue(scope=paused.scope, who=paused.who, reason=paused.reason, at=paused.at, **known)


def _source_queue(settings: Settings, system: System, paused: CapturePause) -> PauseQueue:
    try:
        with source_session(capture_dsn(system, load_env(settings))) as source:
            slot = read_slot(source, system)
    except (psycopg.Error, ConfigError) as error:
        return _queue(paused, problem=f"its database does not answer: {str(error).strip()}")
    if slot is None:
        return _queue(paused, problem=f"the slot {system.slot_name} is gone")
    grown = None
    if slot.kept_bytes is not None and paused.kept_bytes is not None:
        grown = max(0, slot.kept_bytes - paused.kept_bytes)
    until = wal_lasts_until(paused.at, datetime.now(UTC), grown, slot.left_bytes)
    return _queue(
        paused, kept_bytes=slot.kept_bytes, left_bytes=slot.left_bytes, limit_bytes=slot.limit_bytes,
        grown_bytes=grown, safe_until=until,
    )  # fmt: skip


def wal_lasts_until(since: datetime, now: datetime, grown: int | None, left: int | None) -> datetime | None:
    """When `left` bytes of WAL will be written, if it goes on as since `since`; None: no end is in sight."""
    seconds = (now - since).total_seconds()
    if left is None or not grown or seconds < 60:
        return None
    return now + timedelta(seconds=min(left * seconds / grown, 3.0e8))


def _kept_bytes(settings: Settings, system: System) -> int | None:
    try:
        with source_session(capture_dsn(system, load_env(settings))) as source:
            slot = read_slot(source, system)
    except (psycopg.Error, ConfigError):
        return None
    return None if slot is None else slot.kept_bytes


def _table_queue(settings: Settings, system: System, paused: CapturePause) -> PauseQueue:
    topic = system.topic(paused.scope.partition("/")[2])
    try:
        ends = topic_offsets(settings.kafka, [topic])
        committed = committed_offsets(settings.kafka, f"{settings.app_id}-ingest")
        read = {tp: max(first, committed.get(tp, first)) for tp, (first, _) in ends.items()}
        waiting = sum(end - read[tp] for tp, (_, end) in ends.items())
        oldest = _oldest(settings.kafka, {tp: read[tp] for tp, (_, end) in ends.items() if end > read[tp]})
        retention = retention_ms(settings.kafka, topic)
    except (KafkaException, TimeoutError) as error:
        return _queue(paused, problem=f"Kafka does not answer: {error}")
    begin = oldest or datetime.now(UTC)
    until = None if retention is None else begin + timedelta(milliseconds=retention)
    return _queue(paused, waiting=waiting, oldest_at=oldest, safe_until=until)


def _oldest(bootstrap: str, offsets: dict[Partition, int]) -> datetime | None:
    """When the oldest of the records at these offsets was written; None where there is none."""
    if not offsets:
        return None
    consumer = reading_consumer(bootstrap, "opshub-offsets")
    try:
        consumer.assign([TopicPartition(*tp, offset) for tp, offset in offsets.items()])
        unread, stamps = set(offsets), []
        deadline = datetime.now(UTC) + timedelta(seconds=ANSWER_S)
        while unread and datetime.now(UTC) < deadline:
            message = consumer.poll(0.2)
            if message is None or message.error() is not None:
                continue
            tp = (str(message.topic()), int(message.partition() or 0))
            if tp in unread:
                unread.discard(tp)
                stamps.append(message.timestamp()[1])
                consumer.incremental_unassign([TopicPartition(*tp)])
        return datetime.fromtimestamp(min(stamps) / 1000, UTC) if stamps else None
    finally:
        consumer.close()


def retention_ms(bootstrap: str, topic: str) -> int | None:
    """For how long Kafka keeps records of a topic; None: for ever. Raises KafkaException."""
    admin = admin_client(bootstrap)
    (future,) = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
    value = int(future.result(ANSWER_S)["retention.ms"].value)
    return None if value < 0 else value
