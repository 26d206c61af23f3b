"""The business figures as people read them: times by week, shares, days sales outstanding, what waits now.

In: what the hub keeps (`streams/hub/figures.py`). Out: one `BusinessFigures` for CLI, API and pages. No flow is read
here. docs/guides/figures.md says what each figure means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from streams.hub.figures import (
    Hub,
    WaitingCounts,
    WeekFigure,
    figure_weeks,
    figures_now,
    open_before,
    waiting_counts,
)

STEPS = (
    "asked_to_approved", "won_to_ordered", "ordered_to_ready", "ready_to_shipped", "ordered_to_shipped",
    "shipped_to_delivered", "shipped_to_invoiced", "invoiced_to_paid", "won_to_paid",
)  # fmt: skip
"""The steps of order to cash whose time is measured: approval, supply, picking and transport among them."""

DSO_WEEKS = 13
"""Days sales outstanding compare what is open with what was invoiced in so many weeks."""


class WeekDuration(msgspec.Struct, frozen=True):
    """How long a step took, of the flows that completed it in this week."""

    week: date
    count: int = 0
    median_s: float | None = None
    p90_s: float | None = None


class WeekShare(msgspec.Struct, frozen=True):
    """A share: `good` of `count`."""

    week: date
    count: int = 0
    good: int = 0

    @property
    def share(self) -> float | None:
        return self.good / self.count if self.count else None

    @property
    def error_share(self) -> float | None:
        return 1 - self.good / self.count if self.count else None


class WeekReceivables(msgspec.Struct, frozen=True):
    """What was open at the end of a week, or is open now. Amounts are unscaled."""

    week: date
    open: float = 0.0
    invoiced: float = 0.0
    """In the thirteen weeks up to this one."""
    days: float | None = None
    """Days sales outstanding: for how many days' sales the open amount stands. None: nothing was invoiced."""


class BusinessFigures(msgspec.Struct, frozen=True, kw_only=True):
    """All figures. Each list has an entry for each week, the oldest first; the last week is not over yet."""

    weeks: list[date]
    measured_at: datetime | None
    """When they were last computed; None: never yet."""
    durations: dict[str, list[WeekDuration]]
    """Step → by week."""
    on_time: list[WeekShare]
    """Of the orders promised for a day of the week that is past: delivered by that day."""
    returned: list[WeekShare]
    """Of the orders whose goods left in the week: `good` is how many of them something was to come back of since."""
    first_contact: list[WeekShare]
    """Of the service cases that were opened in the week and are over: solved at first contact."""
    errors: list[WeekShare]
    """Of the records and write-backs of the week: without error."""
    receivables: dict[str, list[WeekReceivables]]
    """Currency → by week; the currency with most invoiced first."""
    stages: dict[str, int]
    """Stage → flows."""
    flows: int
    customers: int
    stuck: int
    """Flows that have been in their stage for too long."""
    blocked: int
    """Orders that cannot be shipped since goods are missing, as far as the hub knows."""
    blocked_products: int
    late_purchases: int
    """Open purchase orders that should have come before today."""
    waiting_lines: int
    """Order lines that wait for goods, as the documents of supply have it."""
    short_lines: int
    """Of these, those that nobody supplies."""
    late_lines: int
    """Of these, those that come after the promised day."""
    waiting: WaitingCounts


def monday(day: date) -> date:
    """The first day of the week of a day."""
    return day - timedelta(days=day.weekday())


def business_figures(hub: Hub, *, weeks: int = 13, today: date | None = None) -> BusinessFigures:
    """The figures of so many weeks, the running one included. Raises psycopg.Error."""
    today = today or datetime.now(UTC).date()
    first = monday(today) - timedelta(weeks=weeks - 1)
    # Invoices of earlier weeks count for days sales outstanding of the first ones.
    earliest = first - timedelta(weeks=DSO_WEEKS - 1)
    rows = figure_weeks(hub, earliest)
    now = figures_now(hub)
    shown = [first + timedelta(weeks=number) for number in range(weeks)]

    def value(name: str) -> int:
        return now[name].value if name in now else 0

    return BusinessFigures(
        weeks=shown,
        measured_at=now["flows"].measured_at if "flows" in now else None,
        durations={step: _durations(rows, step, shown) for step in STEPS},
        on_time=_shares(rows, ("on_time",), shown),
        returned=_shares(rows, ("returned",), shown),
        first_contact=_shares(rows, ("first_contact",), shown),
        errors=_shares(rows, ("records", "written"), shown),
        receivables=receivables(rows, open_before(hub, earliest), earliest, shown, today),
        stages=dict(now["flows"].detail) if "flows" in now else {},
        flows=value("flows"),
        customers=value("customers"),
        stuck=value("stuck"),
        blocked=value("blocked"),
        blocked_products=now["blocked"].detail.get("products", 0) if "blocked" in now else 0,
        late_purchases=value("late_purchases"),
        waiting_lines=value("waiting_lines"),
        short_lines=now["waiting_lines"].detail.get("short", 0) if "waiting_lines" in now else 0,
        late_lines=now["waiting_lines"].detail.get("late", 0) if "waiting_lines" in now else 0,
        waiting=waiting_counts(hub),
    )


def _durations(rows: Iterable[WeekFigure], step: str, shown: Sequence[date]) -> list[WeekDuration]:
    known = {row.week: WeekDuration(row.week, row.count, row.median_s, row.p90_s) for row in rows if row.figure == step}
    return [known.get(week, WeekDuration(week)) for week in shown]


def _shares(rows: Iterable[WeekFigure], figures: Sequence[str], shown: Sequence[date]) -> list[WeekShare]:
    """The sums of these figures by week."""
    count = dict.fromkeys(shown, 0)
    good = dict.fromkeys(shown, 0)
    for row in rows:
        if row.figure in figures and row.week in count:
            count[row.week] += row.count
            good[row.week] += row.good or 0
    return [WeekShare(week, count[week], good[week]) for week in shown]


def receivables(
    rows: Iterable[WeekFigure], open_at: Mapping[str, float], earliest: date, shown: Sequence[date], today: date
) -> dict[str, list[WeekReceivables]]:
    """Days sales outstanding by currency and week. `open_at`: currency → what was open at the start of `earliest`.

    At the end of a week is open what was invoiced before and settled later. The running week ends today: its thirteen
    weeks are shorter by the days that are still to come.
    """
    amounts: dict[str, dict[tuple[str, date], float]] = {currency: {} for currency in open_at}
    for row in rows:
        if row.figure in ("invoiced", "receivable", "settled"):
            amounts.setdefault(row.currency, {})[row.figure, row.week] = row.amount or 0.0
    last = shown[-1]
    by_currency: dict[str, list[WeekReceivables]] = {}
    for currency, known in amounts.items():
        is_open = open_at.get(currency, 0.0)
        weeks: list[WeekReceivables] = []
        week = earliest
        while week <= last:
            is_open += known.get(("receivable", week), 0.0) - known.get(("settled", week), 0.0)
            if week >= shown[0]:
                span = [week - timedelta(weeks=number) for number in range(DSO_WEEKS)]
                invoiced = sum(known.get(("invoiced", past), 0.0) for past in span)
                to_come = max(0, (week + timedelta(days=6) - today).days)
                days = is_open / invoiced * (DSO_WEEKS * 7 - to_come) if invoiced > 0 else None
                weeks.append(WeekReceivables(week, is_open, invoiced, days))
            week += timedelta(weeks=1)
        if any(entry.open or entry.invoiced for entry in weeks):
            by_currency[currency] = weeks
    return dict(sorted(by_currency.items(), key=lambda item: (-item[1][-1].invoiced, item[0])))
