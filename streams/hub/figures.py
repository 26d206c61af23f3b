"""The business figures in the hub: rows of order flows, figures by week, figures of this moment.

One function for each statement of `sql/figures.sql`. docs/guides/figures.md says what each figure means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
import psycopg

from streams.hub.statements import SQL, fetch_structs
from streams.hub.store import HubStore

Hub = psycopg.Connection[Any]


class WeekFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one week; `week` is its Monday. Amounts are unscaled, in `currency`."""

    week: date
    figure: str
    currency: str
    count: int
    median_s: float | None
    p90_s: float | None
    good: int | None
    """Of `count`, those that were on time, or without error."""
    amount: float | None
    measured_at: datetime


class FigureNow(msgspec.Struct, frozen=True):
    """A figure of this moment."""

    figure: str
    value: int
    detail: dict[str, int]
    measured_at: datetime


class BlockedFlow(msgspec.Struct, frozen=True):
    """An order that waits for goods, with the product that it lacks most. Quantities and amounts unscaled."""

    id: str
    since_us: int | None
    number: str | None
    customer: str | None
    sku: str | None
    product: str | None
    needed: int
    on_hand: int
    amount: int | None
    currency: str | None


class _Week(msgspec.Struct, frozen=True):
    week: date


class _Open(msgspec.Struct, frozen=True):
    currency: str
    amount: float | None


class _Turn(msgspec.Struct, frozen=True):
    has_lock: bool


async def save_flow_figures(store: HubStore, records: Mapping[str, str | None]) -> None:
    """Keep what the figures need of these flows. `records`: flow → id of its joined record, None where it has none.
    Raises RetryLater.
    """
    if records:
        await store.rows("save_flow_figures", {"ids": [*records], "records": [*records.values()]})


def may_compute(hub: Hub, lock_key: int) -> bool:
    """Whether this session holds the lock under which one worker computes figures."""
    (turn,) = fetch_structs(hub, _Turn, "figures_turn", {"lock": lock_key})
    return turn.has_lock


def take_due_weeks(hub: Hub) -> list[date]:
    """The weeks whose figures are to be computed again, taken out of the list."""
    return [row.week for row in fetch_structs(hub, _Week, "take_due_weeks")]


def measure_weeks(hub: Hub, weeks: Sequence[date]) -> None:
    """Compute the figures of these weeks."""
    hub.execute(SQL["measure_weeks"], {"weeks": list(weeks)})


def measure_records(hub: Hub) -> None:
    """Count the records and intents of this week, and those that failed."""
    hub.execute(SQL["measure_records"])


def measure_blocked_flows(hub: Hub) -> None:
    """Find the orders that wait for goods."""
    hub.execute(SQL["measure_blocked_flows"])


def measure_now(hub: Hub, limits: Mapping[str, float]) -> None:
    """Count the flows by stage, and those that are stuck: longer in a stage than `limits` (stage → seconds)."""
    hub.execute(SQL["measure_now"], {"limits": msgspec.json.encode(limits).decode()})


class _Number(msgspec.Struct, frozen=True):
    number: str


def longest_stuck(hub: Hub, limits: Mapping[str, float], *, limit: int = 3) -> list[str]:
    """Numbers of the orders, or deals, that are stuck for the longest time."""
    parameters = {"limits": msgspec.json.encode(limits).decode(), "limit": limit}
    return [row.number for row in fetch_structs(hub, _Number, "longest_stuck", parameters)]


def keep_pace(hub: Hub) -> None:
    """Keep a sample of lag and throughput. Samples of the same minute are one."""
    hub.execute(SQL["keep_pace"])


def figure_weeks(hub: Hub, since: date) -> list[WeekFigure]:
    """The figures of the weeks from `since` on, the oldest first."""
    return fetch_structs(hub, WeekFigure, "figure_weeks", {"since": since})


def open_before(hub: Hub, week: date) -> dict[str, float]:
    """Currency → what was open at the start of a week, unscaled."""
    return {row.currency: row.amount or 0.0 for row in fetch_structs(hub, _Open, "open_before", {"week": week})}


def figures_now(hub: Hub) -> dict[str, FigureNow]:
    """Name → figure of this moment."""
    return {row.figure: row for row in fetch_structs(hub, FigureNow, "figures_now")}


def blocked_flows(hub: Hub, *, limit: int) -> list[BlockedFlow]:
    """Orders that wait for goods, the longest first."""
    return fetch_structs(hub, BlockedFlow, "blocked_flows", {"limit": limit})


class WaitingCounts(msgspec.Struct, frozen=True):
    """What waits for people; each is counted up to a limit."""

    approvals: int = 0
    conflicts: int = 0
    dead_letters: int = 0
    """Dead, parked behind a dead one, or marked for a retry."""
    given_up: int = 0
    """Intents that were given up within thirty days and not retried."""


def waiting_counts(hub: Hub, *, most: int = 1000) -> WaitingCounts:
    """What waits for people now."""
    (row,) = fetch_structs(hub, WaitingCounts, "waiting_counts", {"most": most})
    return row
