"""What passes between the deliverer and an adapter."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from streams.errors import OpshubError
from streams.writeback.failures import Ahead
from streams.writeback.rules import WritebackRule


class Work(msgspec.Struct, frozen=True):
    """An intent as the hub's `planned_intents` and `lease_intents` return it."""

    id: int
    key: str
    rule: str
    target: str
    entity: str
    entity_id: str
    aggregate_id: str
    subject_id: str
    customer_id: str | None
    version: int
    cause_us: int
    given: dict[str, Any]
    state: str
    decisions: list[dict[str, Any]]
    attempts: int
    failures: int
    age_s: float
    incomplete_s: float = 0.0
    """Seconds for which delivery has waited for the hub or the target."""
    unsure: bool = False
    """It may have been done."""
    reasons: list[dict[str, Any]] = []
    """Why people were last asked."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One intent made ready for its adapter.

    `params` and each of `lines` are what statements and requests name. `wanted`: canonical field → value, for an update; the row must
    have one of the states of `expected` (each canonical field → value). `tried`: it may have been done before. `doubtful`: it failed
    before. `force`: a person said to overwrite whatever is there. `makes`: (entity, canonical values) of the record that it adds, where
    the rule tells.
    """

    key: str
    rule: WritebackRule
    params: dict[str, Any]
    lines: list[dict[str, Any]] = []
    subject_key: str | None = None
    wanted: dict[str, Any] = {}
    expected: list[dict[str, Any]] = []
    tried: bool = False
    doubtful: bool = False
    force: bool = False
    makes: tuple[str, dict[str, Any]] | None = None


class Outcome(msgspec.Struct, frozen=True):
    """`done` it was written now; `found` it had been; `unchanged` the target says so already. `result`: what the target returned, by
    step; `written`: the values of an update as the target has them now.
    """

    what: Literal["done", "found", "unchanged"]
    result: dict[str, Any] = {}
    written: dict[str, Any] | None = None


Settled = tuple[Job, Outcome | OpshubError]
"""A job and what came of it: an error when the target, or the adapter, said no to this one, or gave no answer."""

Hold = Callable[[Sequence[Job]], Awaitable[list[Job]]]
"""Asked right before something is done: those of these jobs that are still this deliverer's, with time enough to do one more thing."""


def ahead(what: str, job: Job, there: dict[str, Any]) -> Ahead:
    """The record is neither what the rule saw nor what it is to be."""
    return Ahead(
        f"{what} says {there}, the rule saw {' or '.join(map(str, job.expected))}",
        ask=f"somebody changed {what} to {there}: overwrite it with {job.wanted}?",
    )


class Adapter(Protocol):
    """One kind of target. Methods raise the errors of failures.py."""

    async def open(self) -> bool:
        """Be ready to deliver; returns at once when it is already. True when from now on nobody else can have work on its way there."""

    def deliver(self, jobs: Sequence[Job], hold: Hold) -> AsyncGenerator[list[Settled]]:
        """Do each that `hold` leaves, once, whatever happened before; in portions, as they are done. One that the target does not answer
        has TargetDown as its outcome; whoever asks may end it then, with the rest not done."""

    async def current(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """What the target says now, by the `now` of each job's rule. Raises TargetDown, Refused."""

    def describe(self, job: Job) -> list[dict[str, Any]]:
        """The exact statements or requests, for shadow mode and the audit log."""

    async def close(self) -> None:
        """Give up what is held."""
