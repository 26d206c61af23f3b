"""Bulk work: preview what a filter matches, do it in the background, see the result of each item, cancel."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streams.console.operation import Context, Scope, operation
from streams.console.people import Permission
from streams.console.place import Hub
from streams.console.problems import NotAllowed, NotFound
from streams.hub import jobs
from streams.hub.jobs import ItemState, Job, JobItem
from streams.inbox import bulk
from streams.inbox.bulk import Action, Bulk, Preview
from streams.inbox.progress import DecidedBefore

PERMISSIONS: dict[Action, Permission] = {
    "retry_dead_letters": "operate",
    "drop_dead_letters": "operate",
    "approve": "approve",
    "reject": "approve",
    "resolve_conflicts": "decide",
    "keep_separate": "decide",
    "retry_write_backs": "operate",
    "search_matches": "decide",
}


class NewJob(Bulk, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be done to all that match."""

    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class WantedJobs(msgspec.Struct, frozen=True, kw_only=True):
    before: int | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class JobList(msgspec.Struct, frozen=True):
    """Jobs, the newest first. `before` gives the next page; null: this is the last one."""

    jobs: list[Job]
    before: int | None


class WantedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job, and which of its items."""

    id: int
    state: ItemState | None = None
    after: int = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class ShownJob(msgspec.Struct, frozen=True):
    """A job with items. `after` gives more items."""

    job: Job
    items: list[JobItem]
    after: int | None


class CancelJob(msgspec.Struct, frozen=True):
    id: int


@operation("POST", "/jobs/preview", permission="see", writes=False)
def preview_job(context: Context, wanted: NewJob) -> Preview:
    """Count what a job would be over, with examples. Nothing is done."""
    with context.place.hub() as hub:
        return bulk.preview(_place(context, hub), wanted)


@operation("POST", "/jobs", permission="see", command=lambda w: _command(w))
def start_job(context: Context, wanted: NewJob) -> Job:
    """Do something to all that match, in the background. Needs the right that one of them needs, for all systems."""
    _require(context, wanted.action)
    with context.place.hub() as hub:
        number = bulk.start(_place(context, hub), wanted, who=context.person.name, reason=wanted.reason.strip())
        context.place.jobs.wake()
        return _get(hub, number)


@operation("GET", "/jobs", permission="see", command="opshub jobs list")
def list_jobs(context: Context, wanted: WantedJobs) -> JobList:
    """List jobs, the newest first."""
    with context.place.hub() as hub:
        listed = jobs.list_jobs(hub, before=wanted.before, limit=wanted.limit)
    return JobList(listed, listed[-1].id if len(listed) == wanted.limit else None)


@operation("GET", "/jobs/{id}", permission="see", command=lambda w: f"opshub jobs show {w.id}")
def show_job(context: Context, wanted: WantedJob) -> ShownJob:
    """Show a job, how far it is, and the result of each item."""
    with context.place.hub() as hub:
        items = jobs.job_items(hub, wanted.id, after=wanted.after, state=wanted.state, limit=wanted.limit)
        return ShownJob(_get(hub, wanted.id), items, items[-1].number if len(items) == wanted.limit else None)


@operation("POST", "/jobs/{id}/cancel", permission="see", command=lambda w: f"opshub jobs cancel {w.id}")
def cancel_job(context: Context, wanted: CancelJob) -> Job:
    """Stop a job before its next batch. What is done stays done."""
    with context.place.hub() as hub:
        job = _get(hub, wanted.id)
        _require(context, _action(job))
        if not jobs.cancel_job(hub, wanted.id, context.person.name):
            by = f" by {job.cancelled_by}" if job.cancelled_by else ""
            raise DecidedBefore(f"job {job.id} is {job.state} already{by}")
        return _get(hub, wanted.id)


def _get(hub: Hub, number: int) -> Job:
    job = jobs.get_job(hub, number)
    if job is None:
        raise NotFound(f"there is no job {number}", remedy="`opshub jobs list` lists them")
    return job


def _action(job: Job) -> Action:
    action: Action = msgspec.convert(job.action, Action)
    return action


def _place(context: Context, hub: Hub) -> bulk.Place:
    return bulk.Place(context.place.settings, hub, context.place.dictionaries)


def _require(context: Context, action: Action) -> None:
    """Bulk work reaches all systems, so a right for one system is not enough."""
    permission = PERMISSIONS[action]
    scope = Scope()
    if not context.person.may(permission, system=scope.system, entity=scope.entity, anywhere=False):
        raise NotAllowed(
            f"{context.person.name} may not do this: it needs the right to {permission} for all systems",
            remedy="ask an admin for a role that has it",
        )


def _command(wanted: NewJob) -> str:
    given = msgspec.to_builtins(wanted)
    words = ["opshub jobs start", given.pop("action")]
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        words.append(flag if value is True else f"{flag} '{value}'")
    return " ".join(words)
