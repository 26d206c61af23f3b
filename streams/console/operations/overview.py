"""What the overview shows: health in words, what needs a person, what flows now, tables; and the timeline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec

from streams.console.live import reader_of
from streams.console.live_reading import Live, system_of_topic
from streams.console.operation import Context, operation
from streams.console.problems import WrongInput
from streams.hub.alerts import load_open_alerts
from streams.hub.live import live_topics
from streams.hub.timeline import EVENT_KINDS, Event, Pace, events
from streams.hub.timeline import pace as hub_pace
from streams.hub.workers import WorkerReport, load_workers
from streams.monitor.needs import Need, what_needs_a_person

SHOWN_AS_NEEDS = ("parked-keys", "dead-letter-rate", "invariants", "intents-dead", "intents-waiting")
"""Alerts about what the list of needs shows with names: a person reads of each once."""


class Nothing(msgspec.Struct, frozen=True):
    """Nothing is asked for."""


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong, as the watcher's alert has it. `code`: what; `where`: the server or system."""

    code: str
    where: str
    what: str
    remedy: str
    since: datetime


class Health(msgspec.Struct, frozen=True):
    """Whether anybody is needed: open alerts, workers that died, groups of things that wait for people."""

    problems: list[Problem]
    silent_workers: list[WorkerReport]
    needs: list[Need]

    @property
    def count(self) -> int:
        return len(self.problems) + len(self.silent_workers) + len(self.needs)


class TableNow(msgspec.Struct, frozen=True):
    """One captured table."""

    system: str
    table: str
    today: int
    """Records since 00:00 UTC."""
    quiet_s: float | None
    """Seconds since the last one; None: not known."""
    taken: int


class Tables(msgspec.Struct, frozen=True):
    """Tables, those with most records today first."""

    tables: list[TableNow]


class Workers(msgspec.Struct, frozen=True):
    """Workers as they report themselves."""

    workers: list[WorkerReport]


class WantedEvents(msgspec.Struct, frozen=True, kw_only=True):
    """Which events; what is not given does not matter."""

    kind: list[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: int | None = None
    """The `after` of the page before."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class Events(msgspec.Struct, frozen=True):
    """A page of events, the newest first. `after` gives the next page; null: this is the last one."""

    events: list[Event]
    after: int | None


class WantedPace(msgspec.Struct, frozen=True):
    """Between which moments; ISO 8601 with a zone."""

    since: datetime
    until: datetime


class PaceSamples(msgspec.Struct, frozen=True):
    """Samples, the oldest first; of a long time, not each minute."""

    samples: list[Pace]


@operation("GET", "/health", permission="see", command="opshub status")
def health(context: Context, wanted: Nothing) -> Health:
    """Show whether anybody is needed: open alerts, workers that died, what waits for people."""
    with context.place.hub() as hub:
        alerts = {alert.name: alert for alert in load_open_alerts(hub)}
        silent = [worker for worker in load_workers(hub) if not worker.answers]
        needs = what_needs_a_person(hub)
    problems = []
    for name, alert in sorted(alerts.items(), key=lambda item: item[1].since):
        code, _, where = name.partition("/")
        if code not in SHOWN_AS_NEEDS:
            since = datetime.fromtimestamp(alert.since, UTC)
            problems.append(Problem(code, where, alert.what, alert.remedy, since))
    return Health(problems, silent, needs)


@operation("GET", "/live/now", permission="see", command="opshub status")
def live_now(context: Context, wanted: Nothing) -> Live:
    """Show what flows now: rates, freshness and errors of each system, workers and target; what is away."""
    return reader_of(context.place).read()


@operation("GET", "/tables", permission="see", command="opshub status")
def list_tables(context: Context, wanted: Nothing) -> Tables:
    """List the captured tables with their records of today and the age of the last one."""
    with context.place.hub() as hub:
        topics = live_topics(hub)
    tables = []
    for topic in topics:
        system = system_of_topic(topic.topic)
        table = topic.topic.removeprefix(f"raw.{system}.")
        tables.append(TableNow(system, table, topic.today, topic.quiet_s, topic.taken))
    return Tables(sorted(tables, key=lambda table: (-table.today, -table.taken, table.system, table.table)))


@operation("GET", "/workers", permission="see", command="opshub status")
def list_workers(context: Context, wanted: Nothing) -> Workers:
    """List the workers, on whatever machine they run, as they last reported themselves."""
    with context.place.hub() as hub:
        return Workers(load_workers(hub))


@operation("GET", "/timeline", permission="see")
def timeline(context: Context, wanted: WantedEvents) -> Events:
    """List what happened to the installation: workers, changed tables, pauses, resyncs, alerts; the newest first."""
    unknown = [kind for kind in wanted.kind or () if kind not in EVENT_KINDS]
    if unknown:
        raise WrongInput(f"there is no kind {unknown[0]}", remedy=f"one of {', '.join(EVENT_KINDS)}")
    with context.place.hub() as hub:
        listed = events(
            hub, kinds=wanted.kind, since=_aware(wanted.since), until=_aware(wanted.until), before=wanted.after,
            limit=wanted.limit,
        )  # fmt: skip
    return Events(listed, listed[-1].id if len(listed) == wanted.limit else None)


@operation("GET", "/timeline/pace", permission="see")
def pace(context: Context, wanted: WantedPace) -> PaceSamples:
    """Show lag and throughput between two moments, a sample a minute or less."""
    with context.place.hub() as hub:
        return PaceSamples(hub_pace(hub, _aware(wanted.since) or wanted.since, _aware(wanted.until) or wanted.until))


def _aware(moment: datetime | None) -> datetime | None:
    """A moment without a zone is UTC."""
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)
