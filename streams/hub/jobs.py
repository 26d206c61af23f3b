"""Bulk work in the hub: a class for each row, a function for each statement of `sql/jobs.sql`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from streams.hub.intent_review import Hub
from streams.hub.statements import SQL, fetch_structs

JobState = Literal["queued", "running", "done", "cancelled", "failed"]
ItemState = Literal["waiting", "done", "failed", "skipped"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Work over what a filter matched when the job was made. `done`, `failed`, `skipped` count items."""

    id: int
    action: str
    wanted: dict[str, Any]
    """The filter, and what is to be done."""
    who: str
    reason: str
    state: JobState
    total: int
    done: int
    failed: int
    skipped: int
    problem: str | None
    """Why it failed as a whole."""
    cancelled_by: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.state in ("queued", "running")

    @property
    def handled(self) -> int:
        """Items that have an outcome."""
        return self.done + self.failed + self.skipped


class JobItem(msgspec.Struct, frozen=True):
    """One item of a job, and what became of it."""

    number: int
    item: str
    state: ItemState
    detail: str
    at: datetime | None


class WaitingItem(msgspec.Struct, frozen=True):
    """An item that has no outcome yet."""

    number: int
    item: str


class Outcome(NamedTuple):
    """What became of an item."""

    number: int
    state: ItemState
    detail: str = ""


class _Id(msgspec.Struct, frozen=True):
    id: int


def create_job(hub: Hub, *, action: str, wanted: dict[str, Any], who: str, reason: str, items: Sequence[str]) -> int:
    """Queue a job over these items, at least one; its number."""
    text = msgspec.json.encode(wanted).decode()
    parameters = {"action": action, "wanted": text, "who": who, "reason": reason, "items": list(items)}
    return fetch_structs(hub, _Id, "create_job", parameters)[0].id


def lease_job(hub: Hub, worker: str, seconds: float) -> Job | None:
    """The oldest job that nobody works on; None where there is none."""
    jobs = fetch_structs(hub, Job, "lease_job", {"worker": worker, "seconds": seconds})
    return jobs[0] if jobs else None


def waiting_items(hub: Hub, job_id: int, limit: int) -> list[WaitingItem]:
    """The next items without an outcome, in order."""
    return fetch_structs(hub, WaitingItem, "waiting_items", {"id": job_id, "limit": limit})


def save_outcomes(hub: Hub, job_id: int, worker: str, outcomes: Sequence[Outcome], seconds: float) -> Job | None:
    """Keep outcomes and renew the lease; the job as it is then. None: another console has the job."""
    parameters = {
        "id": job_id, "worker": worker, "seconds": seconds, "numbers": [o.number for o in outcomes],
        "states": [o.state for o in outcomes], "details": [o.detail[:2_000] for o in outcomes],
    }  # fmt: skip
    jobs = fetch_structs(hub, Job, "save_outcomes", parameters)
    return jobs[0] if jobs else None


def end_job(hub: Hub, job_id: int, worker: str, state: JobState, problem: str | None = None) -> None:
    """Nothing of it is left, or it cannot go on."""
    hub.execute(SQL["end_job"], {"id": job_id, "worker": worker, "state": state, "problem": problem})


def release_jobs(hub: Hub, worker: str) -> None:
    """Let another console take over at once."""
    hub.execute(SQL["release_job"], {"worker": worker})


def cancel_job(hub: Hub, job_id: int, who: str) -> bool:
    """Stop before the next item; False where the job has ended."""
    return bool(fetch_structs(hub, _Id, "cancel_job", {"id": job_id, "who": who}))


def list_jobs(hub: Hub, *, before: int | None = None, limit: int = 50) -> list[Job]:
    """The newest first; `before`: those with a smaller number."""
    return fetch_structs(hub, Job, "jobs", {"id": None, "before": before, "limit": limit})


def get_job(hub: Hub, job_id: int) -> Job | None:
    jobs = fetch_structs(hub, Job, "jobs", {"id": job_id, "before": None, "limit": 1})
    return jobs[0] if jobs else None


def job_items(hub: Hub, job_id: int, *, after: int = 0, state: str | None = None, limit: int = 100) -> list[JobItem]:
    """Items in order, after the one with this number."""
    return fetch_structs(hub, JobItem, "job_items", {"id": job_id, "after": after, "state": state, "limit": limit})
