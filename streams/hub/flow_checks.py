"""Statements of the checks of order flows (`sql/flow_checks.sql`). All raise RetryLater while the hub is away."""

from __future__ import annotations

from collections.abc import Mapping

from streams.hub.store import HubStore


async def overdue_flows(store: HubStore, most: int) -> list[str]:
    """Flows that the worker which changed them did not check in time."""
    return [id for (id,) in await store.rows("overdue_flows", most)]


async def flows_with_open_invariants(store: HubStore) -> list[str]:
    """Flows for which a broken rule is recorded."""
    return [id for (id,) in await store.rows("flows_with_open_invariants")]


async def subjects_waiting_for_approval(store: HubStore, ids: list[str]) -> set[str]:
    """Of these records, those with an intent that waits for people."""
    return {id for (id,) in await store.rows("subjects_waiting_for_approval", ids)}


async def resolve_invariants(store: HubStore, flows: list[str], but: list[str]) -> None:
    """Close the recorded broken rules of these flows, but for the conflicts that are still there."""
    await store.rows("resolve_invariants", flows, but)


async def flows_checked(
    store: HubStore, next_us: Mapping[str, int | None], *, take_over_s: float, since_s: float
) -> None:
    """Record that flows were checked. `next_us`: flow → µs since 1970 of its next check, or None. If this worker does
    not make that check, others take it over `take_over_s` seconds later. Marks newer than `since_s` seconds stay.
    """
    parameters = {"ids": [*next_us], "next_us": [*next_us.values()], "within": take_over_s, "since": since_s}
    await store.rows("flows_checked", parameters)
