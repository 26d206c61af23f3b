"""`opshub figures`: the business figures by week."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.context import load_settings
from streams.inbox.sending import connect

if TYPE_CHECKING:
    from streams.monitor.business_figures import BusinessFigures

TITLES = {
    "asked_to_approved": "waits for approval",
    "won_to_ordered": "won → order",
    "ordered_to_ready": "waits for supply",
    "ready_to_shipped": "picking",
    "ordered_to_shipped": "order → shipped",
    "shipped_to_delivered": "transport",
    "shipped_to_invoiced": "shipped → invoiced",
    "invoiced_to_paid": "invoiced → paid",
    "won_to_paid": "won → paid",
}


def figures(
    weeks: Annotated[int, typer.Option(min=1, max=260, help="Weeks to show, the running one included.")] = 6,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, as the API gives it.")] = False,
) -> None:
    """Show how long orders take from won to paid, how many came on the promised day, what is open, what waits.

    The workers compute them every half minute; docs/guides/figures.md says what each means.

    Examples:

    opshub figures --weeks 13

    opshub figures --json | jq '.durations.won_to_ordered[-1]'
    """
    from streams.monitor.business_figures import business_figures

    with connect(load_settings()) as hub:
        by_week = business_figures(hub, weeks=weeks)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(by_week)))
        return
    if by_week.measured_at is None:
        typer.echo("The figures were never computed: they need a worker that runs (`opshub status`).")
        return
    _show(by_week)


def _show(by_week: BusinessFigures) -> None:
    _line("week of (UTC)", [week.isoformat() for week in by_week.weeks])
    for step, title in TITLES.items():
        weeks = by_week.durations[step]
        _line(title, [_both(week.median_s, week.p90_s) for week in weeks])
    _line("on the promised day", [_percent(week.share) for week in by_week.on_time])
    _line("came back", [_percent(week.share, 1) for week in by_week.returned])
    _line("first contact", [_percent(week.share) for week in by_week.first_contact])
    _line("errors", [_percent(None if week.share is None else 1 - week.share, 3) for week in by_week.errors])
    for currency, owed in by_week.receivables.items():
        _line(f"days outstanding {currency}", ["-" if week.days is None else f"{week.days:.0f} d" for week in owed])
        _line(f"open {currency}", [f"{week.open / 10_000:,.0f}" for week in owed])
    waiting = by_week.waiting
    typer.echo(
        f"now: {by_week.flows:,} order flows, {by_week.stuck:,} stuck, {by_week.blocked:,} wait for goods; "
        f"{waiting.approvals:,} approvals, {waiting.conflicts:,} open conflicts, {waiting.dead_letters:,} dead letters"
    )
    typer.echo(
        f"supply: {by_week.late_purchases:,} purchases late; {by_week.waiting_lines:,} order lines wait for goods, "
        f"{by_week.short_lines:,} of them short, {by_week.late_lines:,} late"
    )
    typer.echo(f"computed at {by_week.measured_at:%Y-%m-%d %H:%M:%S} UTC; times are median (90 % took no longer)")


def _line(title: str, cells: list[str]) -> None:
    typer.echo(f"{title:22}" + "".join(f"{cell:>20}" for cell in cells))


def _both(median: float | None, p90: float | None) -> str:
    return "-" if median is None or p90 is None else f"{duration(median)} ({duration(p90)})"


def _percent(share: float | None, digits: int = 0) -> str:
    return "-" if share is None else f"{share * 100:.{digits}f} %"


def duration(seconds: float) -> str:
    """Seconds in the unit that says enough: 0.3 s, 12 min, 5 h, 3.2 d."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 86_400:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.1f} d"
