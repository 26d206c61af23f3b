"""What passes between the deliverer and an adapter: jobs out, answers back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import msgspec

from streams.errors import OpshubError
from streams.hub.intents import Request
from streams.writeback.failures import TargetChanged
from streams.writeback.rules import WritebackRule
from streams.writeback.values import Fields, kind_of, outward, shown

Parameters = dict[str, Any]
"""Name → value, as statements and templates name them. Values have the form that the target wants."""


class CreatedRecord(NamedTuple):
    """The record that a job creates: its entity, and canonical fields by which its echo is recognised."""

    entity: str
    fields: Fields


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One intent, ready for its adapter.

    `params` and each of `lines` are what statements and requests name. A rule with `values` has `wanted` (canonical
    field → value) for the row `subject_key`; the row must be in one of the states `expected`, else somebody else
    changed it.
    """

    key: str
    rule: WritebackRule
    params: Parameters
    lines: list[Parameters] = []
    subject_key: str | None = None
    wanted: Fields = {}
    expected: list[Fields] = []
    in_doubt: bool = False
    """It may have been done before: the adapter looks it up before it sends anything."""
    failed_before: bool = False
    """It is sent by itself, so that it cannot fail others once more."""
    overwrite: bool = False
    """A person decided to overwrite whatever the row has."""
    creates: CreatedRecord | None = None
    about: str = ""
    """The record by the number or name that people know."""
    currency: str | None = None
    tolerance: Decimal = Decimal(0)
    """How much an amount that is read back may differ."""
    accepted: dict[str, Decimal] = {}
    """Parameter → an amount of the target that a person accepted instead."""
    sent_s: float | None = None
    """Seconds since the last request; None where none was sent."""
    sent_at: datetime | None = None
    queued_s: float | None = None
    """Seconds since the target took the last request without doing it."""
    send_again: bool = False
    """A person says that the last request was not done."""


class Written(msgspec.Struct, frozen=True, tag="written"):
    """The target did it now. `result`: what it returned, by step; `values`: the values of an update as the target has
    them now.
    """

    result: Fields = {}
    values: Fields | None = None


class AlreadyDone(msgspec.Struct, frozen=True, tag="already done"):
    """The target had done it before, for this intent or by hand; nothing was sent now. Fields as in `Written`."""

    result: Fields = {}
    values: Fields | None = None


class Unchanged(msgspec.Struct, frozen=True, tag="unchanged"):
    """The target's row has the wanted values already; nothing was sent."""

    values: Fields


Answer = Written | AlreadyDone | Unchanged


class JobAnswer(NamedTuple):
    """A job and its answer: an error when the target or the adapter refused it, or when the target did not answer."""

    job: Job
    answer: Answer | OpshubError


StillLeased = Callable[[Sequence[Job]], Awaitable[list[Job]]]
"""Called right before something is sent. Returns those of the jobs that this deliverer still has leased, for long
enough to do one thing.
"""


def target_changed(row: str, job: Job, current: Fields) -> TargetChanged:
    """The error for a row that is neither what the rule saw nor what it writes. `row` is its name for people."""
    has, wanted = fields_text(job, current), fields_text(job, job.wanted)
    saw = " or ".join(fields_text(job, fields) for fields in job.expected)
    return TargetChanged(
        f"{row} has {has}; the rule saw {saw}", question=f"somebody changed {row} to {has}: overwrite it with {wanted}?"
    )


def fields_text(job: Job, fields: Fields) -> str:
    """Canonical fields of the job's subject as people write them: `list_price 12.35, active true`."""
    kinds = {field: kind_of(job.rule.subject_entity, field) for field in fields}
    texts = [f"{field} {shown(outward(kinds[field], value))}" for field, value in fields.items()]
    return ", ".join(texts) or "nothing"


class Adapter(Protocol):
    """One kind of target. The methods raise the errors of failures.py."""

    async def open(self) -> bool:
        """Connect, if it is not connected.

        True when nobody else can have anything on its way to the target from now on: then the leases of others may
        be taken over.
        """

    def deliver(self, jobs: Sequence[Job], still_leased: StillLeased) -> AsyncGenerator[list[JobAnswer]]:
        """Do each job that `still_leased` leaves exactly once, whatever happened before. Answers come in portions, as
        jobs are done.

        A job that the target does not answer has TargetDown as its answer. The caller may then stop; the other jobs
        are not done.
        """

    async def read_current(self, jobs: Sequence[Job]) -> list[Fields]:
        """What the target has now, by the `now` of each job's rule. Raises TargetDown, Refused."""

    def describe(self, job: Job) -> Request:
        """The exact statements or requests, for shadow mode and the audit log. Raises Refused for one that cannot be
        formed.
        """

    async def close(self) -> None:
        """Close the connection."""
