"""What one deliverer has leased, and may do: asked right before each thing that is done."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from streams.model.ids import source_id
from streams.writeback.work import Job, Work


class Leased:
    """A batch that was leased together; `left` is what is not settled yet, by key.

    A lease is renewed once a third of it has passed, so that what is left of it outlasts whatever is done next. Where a target has no lock
    of its own (`over_http`) the hub is asked before each request, in the same statement that notes that it may have been done.
    """

    def __init__(
        self, rows: Callable[..., Awaitable[list[Any]]], name: str, lease: timedelta, *, over_http: bool
    ) -> None:
        self._rows = rows
        self._name = name
        self._lease = lease
        self._over_http = over_http
        self._since = time.monotonic()
        self._lost = 0
        self.left: dict[str, Work] = {}

    def take_lost(self) -> int:
        """How many another deliverer has taken over since this was asked last."""
        lost, self._lost = self._lost, 0
        return lost

    async def hold(self, wanted: Sequence[Job]) -> list[Job]:
        """Those of these jobs that are still ours."""
        third = self._lease.total_seconds() / 3
        asked = self._over_http
        while True:
            began = time.monotonic()
            aged = began - self._since >= third
            if aged or asked:
                await self._keep([job for job in wanted if job.key in self.left], aged)
                if aged:
                    self._since = began
                asked = False
            if time.monotonic() - began < third:
                return [job for job in wanted if job.key in self.left]

    async def _keep(self, jobs: list[Job], every: bool) -> None:
        sending = [self.left[job.key] for job in jobs]
        works = list(self.left.values()) if every else sending
        echoes = [_echo(self.left[job.key], job) for job in jobs] if self._over_http else []
        asking = {
            "lease": self._lease,
            "ids": [work.id for work in works],
            "attempts": [work.attempts for work in works],
            "leased_by": self._name,
            "sending": [work.id for work in sending] if self._over_http else [],
            "echoes": msgspec.json.encode([echo for echo in echoes if echo is not None]).decode(),
        }
        kept = {row[0] for row in await self._rows("keep_leases", asking)}
        for work in works:
            if work.key not in kept:
                del self.left[work.key]
                self._lost += 1


def _echo(work: Work, job: Job) -> dict[str, Any] | None:
    """How the change is known that brings back what this job writes."""
    row = None
    if job.wanted:
        assert job.subject_key is not None
        entity, said = job.rule.subject_entity, nested(job.wanted)
        row = source_id(work.target, entity, job.subject_key)
    elif job.makes is not None:
        entity, said = job.makes
    else:
        return None
    return {"intent_id": work.id, "row_id": row, "entity": entity, "said": said, "from_us": int(time.time() * 1e6)}


def nested(fields: dict[str, Any]) -> dict[str, Any]:
    """`attributes.x` under `attributes`, as records have it."""
    told = {field: value for field, value in fields.items() if not field.startswith("attributes.")}
    attributes = {field.removeprefix("attributes."): value for field, value in fields.items() if field not in told}
    return told | ({"attributes": attributes} if attributes else {})
