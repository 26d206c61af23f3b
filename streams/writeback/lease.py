"""What one deliverer has leased: asked right before each thing that is sent."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta

from streams.hub.intents import ExpectedEcho, Intent, keep_leases
from streams.hub.store import HubStore
from streams.model.ids import source_id
from streams.writeback.jobs import Job
from streams.writeback.outcomes import nest_attributes


class LeasedBatch:
    """A batch that was leased together; `intents` are those without an outcome yet, by key.

    A lease is renewed once a third of it has passed, so what is left of it outlasts the next thing that is sent. A
    target over HTTP has no lock of its own (`asks_each_time`): there the hub is asked before each request. The same
    statement records that the intent is in doubt from now on, and how its echo will look: both must be in the hub
    before the request leaves, because the deliverer may die right after.
    """

    def __init__(
        self, store: HubStore, deliverer: str, intents: Iterable[Intent], *, lease: timedelta, asks_each_time: bool
    ) -> None:
        self._store = store
        self._deliverer = deliverer
        self._lease = lease
        self._asks_each_time = asks_each_time
        self._renewed = time.monotonic()
        self._lost = 0
        self.intents: dict[str, Intent] = {intent.key: intent for intent in intents}

    def take_lost(self) -> int:
        """How many intents another deliverer has taken over since the last call."""
        lost, self._lost = self._lost, 0
        return lost

    async def still_leased(self, jobs: Sequence[Job]) -> list[Job]:
        """Those of these jobs that this deliverer still has leased, for long enough to do one more thing."""
        # A heartbeat beside the work would go on when the work hangs, so leases are renewed here only (decisions, 70).
        third = self._lease.total_seconds() / 3
        ask = self._asks_each_time
        while True:
            began = time.monotonic()
            is_old = began - self._renewed >= third
            if is_old or ask:
                await self._renew([job for job in jobs if job.key in self.intents], whole_batch=is_old)
                if is_old:
                    self._renewed = began
                ask = False
            # The hub may have answered so late that a third of the lease is gone again: then once more.
            if time.monotonic() - began < third:
                return [job for job in jobs if job.key in self.intents]

    async def _renew(self, jobs: list[Job], *, whole_batch: bool) -> None:
        sending = [self.intents[job.key] for job in jobs]
        intents = list(self.intents.values()) if whole_batch else sending
        echoes = [expected_echo(self.intents[job.key], job) for job in jobs] if self._asks_each_time else []
        kept = await keep_leases(
            self._store,
            self._deliverer,
            intents,
            lease=self._lease,
            sending=[intent.id for intent in sending] if self._asks_each_time else [],
            echoes=[echo for echo in echoes if echo is not None],
        )
        for intent in intents:
            # The caller then sends nothing for it: another deliverer may be sending it now.
            if intent.key not in kept:
                del self.intents[intent.key]
                self._lost += 1


def expected_echo(intent: Intent, job: Job) -> ExpectedEcho | None:
    """How the change will look that brings back what this job writes; None where nobody can say."""
    now_us = int(time.time() * 1e6)
    if job.wanted:
        assert job.subject_key is not None
        entity = job.rule.subject_entity
        row = source_id(intent.target, entity, job.subject_key)
        return ExpectedEcho(intent.id, row, entity, nest_attributes(job.wanted), now_us)
    if job.creates is not None:
        return ExpectedEcho(intent.id, None, job.creates.entity, job.creates.fields, now_us)
    return None
