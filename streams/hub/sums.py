"""Statements over sums that are due, and what they are made of (`sql/sums.sql`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.hub.store import HubStore


class TakenSum(NamedTuple):
    """A sum that this worker took. It is its own until the time `lease`, as the hub writes it."""

    id: str
    changes: int
    """How many changes it has to take in."""
    lease: str


class MadeSum(NamedTuple):
    """The sum of one customer or product, made at `at_us` (µs since 1970, by the hub's clock)."""

    id: str
    at_us: int
    record: str | None
    """The sums as a JSON object; None when the id is no customer or product any more."""


class EmittedSum(NamedTuple):
    """A sum as it was emitted last. `key` differs from `aggregate_id` after the customer or product `key` was merged
    into it.
    """

    aggregate_id: str
    key: str
    record: str
    at_us: int


async def take_sums(store: HubStore, kind: str, *, lease_s: float, most: int) -> list[TakenSum]:
    """Take at most so many sums of a kind that are due. Raises RetryLater, as all here do, while the hub is away."""
    rows = await store.rows("take_sums", {"kind": kind, "lease": lease_s, "most": most})
    return [TakenSum(*row) for row in rows]


async def make_sums(store: HubStore, kind: str, ids: list[str]) -> list[MadeSum]:
    """`kind` is customer or product."""
    return [MadeSum(*row) for row in await store.rows(f"sum_{kind}", ids)]


async def last_sums(store: HubStore, entity: str, ids: list[str]) -> list[EmittedSum]:
    """`entity` is receivables or stock."""
    return [EmittedSum(*row) for row in await store.rows("last_sums", ids, entity)]


async def finish_sums(store: HubStore, kind: str, taken: Sequence[TakenSum], *, next_after_s: float) -> None:
    """Take emitted sums off the list; those that were marked meanwhile are due after so many seconds."""
    ids, changes, leases = [[*column] for column in zip(*taken, strict=True)] if taken else ([], [], [])
    await store.rows("sums_emitted", ids, changes, leases, kind, next_after_s, kind)


async def customers_overdue_since_yesterday(store: HubStore) -> list[str]:
    """Ids of customers with an invoice that became overdue by itself."""
    return [id for (id,) in await store.rows("customers_overdue_since_yesterday")]
