"""What passes between the deliverer and an adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, Protocol

import msgspec

from streams.errors import OpshubError
from streams.writeback.rules import Rule


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


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One intent made ready for its adapter.

    `params` and each of `lines` are what statements and requests name. `wanted`: canonical field → value, for an update; the row must
    have one of the states of `expected` (each canonical field → value). `tried`: it may have been done before. `force`: a person said to
    overwrite whatever is there.
    """

    key: str
    rule: Rule
    params: dict[str, Any]
    lines: list[dict[str, Any]] = []
    subject_key: str | None = None
    wanted: dict[str, Any] = {}
    expected: list[dict[str, Any]] = []
    tried: bool = False
    force: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """`done` it was written now; `found` it had been; `unchanged` the target says so already. `result`: what the target returned, by
    step; `written`: the values of an update as the target has them now.
    """

    what: Literal["done", "found", "unchanged"]
    result: dict[str, Any] = {}
    written: dict[str, Any] | None = None


Settled = tuple[Job, Outcome | OpshubError]
"""A job and what came of it: an error when the target, or the adapter, said no to this one."""


class Adapter(Protocol):
    """One kind of target. Methods raise the errors of failures.py."""

    async def open(self) -> bool:
        """Be ready to deliver; returns at once when it is already. True when from now on nobody else can have work on its way there."""

    def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[list[Settled]]:
        """Do each, once, whatever happened before; in portions, as they are done. Raises TargetDown with the rest not done."""

    def describe(self, job: Job) -> list[dict[str, Any]]:
        """The exact statements or requests, for shadow mode and the audit log."""

    async def close(self) -> None:
        """Give up what is held."""
