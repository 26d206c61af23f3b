"""The timeline: what happened to the installation, beside lag and throughput."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.console.handling import ask, wanted_of
from streams.console.operations.overview import WantedEvents, WantedPace, pace, timeline
from streams.console.render import page
from streams.hub.timeline import EVENT_KINDS, Pace

SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=31)}


class WantedTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """What the page's address asks for."""

    kind: list[str] | None = None
    span: str = "day"
    until: datetime | None = None
    after: int | None = None


def show(request: Request) -> Response:
    """Events of a time, with a chart of the same time above them."""
    wanted = wanted_of(request, WantedTimeline)
    until = wanted.until or datetime.now(UTC)
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    since = until - SPANS.get(wanted.span, SPANS["day"])
    events = WantedEvents(kind=wanted.kind, since=since, until=until, after=wanted.after)
    listed = ask(request, timeline, events)
    samples = ask(request, pace, WantedPace(since, until)).samples
    moments = [[event.at.timestamp(), event.kind, f"{event.what} {event.about}"] for event in listed.events]
    chart = msgspec.json.encode({"rows": chart_rows(samples), "moments": moments}).decode()
    return page(
        request, "timeline.html", calls=[(timeline, events)], wanted=wanted, listed=listed, kinds=EVENT_KINDS,
        spans=SPANS, chart=chart if samples else "",
    )  # fmt: skip


def chart_rows(samples: list[Pace]) -> list[list[float | None]]:
    """Columns of the chart: seconds since 1970, records a second, records that wait, p99 in ms."""
    times: list[float | None] = []
    rates: list[float | None] = []
    for before, sample in zip([None, *samples], samples, strict=False):
        times.append(sample.at.timestamp())
        seconds = (sample.at - before.at).total_seconds() if before is not None else 0.0
        # A hub that was restored counts from less: no rate is better than a negative one.
        came = sample.taken - before.taken if before is not None else 0
        rates.append(round(came / seconds, 2) if seconds and came >= 0 else None)
    return [times, rates, [sample.lag for sample in samples], [sample.p99_ms for sample in samples]]


ROUTES = [Route("/timeline", show)]
