"""Statements over refreshes that were put off (`sql/refreshes.sql`)."""

from __future__ import annotations

from typing import NamedTuple

from streams.hub.store import HubStore


class DueRefresh(NamedTuple):
    """An aggregate that is to read itself from the hub: `ref`, which it refers to, was linked to another record."""

    number: int
    aggregate_id: str
    ref: str
    entity: str
    """Kind of a record of the aggregate that refers to it."""


async def due_refreshes(store: HubStore, most: int) -> list[DueRefresh]:
    """The oldest ones. Raises RetryLater while the hub is away."""
    return [DueRefresh(*row) for row in await store.rows("due_refreshes", most)]


async def delete_refreshes(store: HubStore, numbers: list[int]) -> None:
    """These were emitted."""
    await store.rows("delete_refreshes", numbers)
