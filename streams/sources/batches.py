"""Schedules of captured tables: a table that is not read at once is paused at the workers, and read in batches.

In: `sync` of source.json, and the pauses and batches in the hub. Out: pauses that begin and end. A batch reads up to
where the raw topic ended when it began; Kafka keeps what comes later, in order, for the next one. A pause that a person
made is left alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

import psycopg
from confluent_kafka import KafkaException

from streams.hub.sources import (
    Hub,
    SyncBatch,
    add_table,
    begin_batch,
    end_batch,
    end_read,
    give_lease,
    source_reads,
    sync_batches,
    take_lease,
)
from streams.hub.systems import CapturePause, capture_pauses, pause_capture, resume_capture
from streams.kafka.offsets import committed_offsets, topic_offsets
from streams.provision.schedule import Sync
from streams.provision.systems import System
from streams.settings import Settings
from streams.sources.reader import LEASE_S, hub_connection

logger = logging.getLogger(__name__)

TICK_S = 2.0
SCHEDULE = "schedule"
"""Who pauses a table, in the hub and on every page."""
_LEASE = "schedules of captured tables"
_OTHER = "other table"


class Batches:
    """The schedules of all captured tables; one process at a time carries them out."""

    def __init__(self, settings: Settings, systems: list[System], holder: str) -> None:
        self._settings = settings
        self._holder = holder
        self._rules = {
            f"{system.name}/{table}": (system, table, sync)
            for system in systems
            if system.has_database
            for table, sync in system.sync.items()
        }

    async def run(self) -> None:
        """Carry them out until cancelled."""
        try:
            while True:
                try:
                    await asyncio.to_thread(self.pass_once)
                except (psycopg.Error, KafkaException) as error:
                    logger.info("schedules wait: %s", str(error).strip())
                await asyncio.sleep(TICK_S)
        finally:
            with suppress(psycopg.Error), hub_connection(self._settings.hub) as hub:
                give_lease(hub, _LEASE, self._holder)

    def pass_once(self, now: datetime | None = None) -> None:
        """Begin and end what is due. Raises psycopg.Error or KafkaException while a server does not answer."""
        now = now or datetime.now(UTC)
        with hub_connection(self._settings.hub) as hub:
            if not take_lease(hub, _LEASE, self._holder, LEASE_S):
                return
            pauses = {pause.scope: pause for pause in capture_pauses(hub)}
            batches = sync_batches(hub)
            for scope, pause in pauses.items():
                if pause.who == SCHEDULE and scope not in self._rules:
                    resume_capture(hub, scope)
            for scope, (system, table, sync) in self._rules.items():
                self._carry_out(hub, scope, system, table, sync, pauses.get(scope), batches.get(scope), now)

    def _carry_out(
        self, hub: Hub, scope: str, system: System, table: str, sync: Sync, pause: CapturePause | None,
        batch: SyncBatch | None, now: datetime,
    ) -> None:  # fmt: skip
        if pause is not None and pause.who != SCHEDULE:
            return
        if not sync.may_run(now):
            _keep_paused(hub, scope, pause, f"black-out: {sync.words}")
        elif sync.is_realtime:
            _keep_running(hub, scope, pause)
        elif batch is not None and batch.ended_at is None:
            if self._is_read(system, table, batch.ends):
                end_batch(hub, scope)
                _keep_paused(hub, scope, pause, sync.words)
            else:
                _keep_running(hub, scope, pause)
        else:
            ends = self._due_ends(hub, system, table, sync, batch, now)
            if ends is None:
                _keep_paused(hub, scope, pause, sync.words)
            else:
                with hub.transaction():
                    begin_batch(hub, scope, ends)
                    end_read(hub, system.name, table, watermark=None, swept=False, began=now)
                    _keep_running(hub, scope, pause)

    def _due_ends(
        self, hub: Hub, system: System, table: str, sync: Sync, batch: SyncBatch | None, now: datetime
    ) -> dict[str, int] | None:
        """Where a batch that is due ends; None where none is due."""
        add_table(hub, system.name, table)
        wanted = source_reads(hub, [system.name])[system.name, table].wanted_at is not None
        due = sync.due_at(None if batch is None else batch.began_at)
        other = None
        if sync.on in system.dictionary.tables:
            other = sum(self._ends(system.topic(str(sync.on))).values())
            wanted = wanted or other > (0 if batch is None else batch.ends.get(_OTHER, 0))
        if not wanted and (due is None or now < due):
            return None
        return self._ends(system.topic(table)) | ({} if other is None else {_OTHER: other})

    def _ends(self, topic: str) -> dict[str, int]:
        offsets = topic_offsets(self._settings.kafka, [topic])
        return {str(partition): end for (_, partition), (_, end) in offsets.items()}

    def _is_read(self, system: System, table: str, ends: Mapping[str, int]) -> bool:
        """Whether workers have taken everything up to there."""
        topic = system.topic(table)
        committed = committed_offsets(self._settings.kafka, f"{self._settings.app_id}-ingest")
        first = {str(number): begin for (_, number), (begin, _) in topic_offsets(self._settings.kafka, [topic]).items()}
        return all(
            end <= max(committed.get((topic, int(number)), 0), first.get(number, 0))
            for number, end in ends.items()
            if number != _OTHER
        )


def _keep_paused(hub: Hub, scope: str, pause: CapturePause | None, reason: str) -> None:
    if pause is None or pause.reason != reason:
        pause_capture(hub, scope, who=SCHEDULE, reason=reason)


def _keep_running(hub: Hub, scope: str, pause: CapturePause | None) -> None:
    if pause is not None:
        resume_capture(hub, scope)
