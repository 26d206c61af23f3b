"""Pictures that pages draw as SVG: where things stand, computed here; how they look, in the style sheets.

Pure. Lengths are units of the picture's own coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from streams.hub.intent_review import IntentView

WIDTH = 1000
LEFT = 120
RIGHT = 30
LANE = 46
TOP = 26
SMALLEST_GAP = 26
LONG_GAP_US = 86_400_000_000


class Event(NamedTuple):
    """Something that happened in a flow."""

    at_us: int
    is_day: bool
    """Only the day is known."""
    what: str
    entity: str
    id: str | None
    number: str | None
    system: str
    gap_us: int | None
    """Since the event before; None of the first."""

    @property
    def is_long(self) -> bool:
        return self.gap_us is not None and self.gap_us >= LONG_GAP_US


class Dot(NamedTuple):
    """An event in the picture."""

    event: Event
    x: float
    y: float
    number: int


class Gap(NamedTuple):
    """The time between two events, as a label over the axis."""

    x: float
    seconds: float


class TimelinePicture(NamedTuple):
    """A lane for each system, dots in the order of time, and the longer gaps."""

    height: int
    lanes: list[tuple[str, int]]
    dots: list[Dot]
    gaps: list[Gap]
    path: str
    """From dot to dot, as `points` of a polyline."""


class Bar(NamedTuple):
    """One amount of several on one scale. `share`: of the largest, 0 to 1."""

    name: str
    value: int
    share: float


def events_of(
    timeline: Iterable[Mapping[str, Any]], numbers: Mapping[str, str | None], intents: Iterable[IntentView]
) -> list[Event]:
    """What happened in a flow, with what was written back, in the order of the timeline. `numbers`: id → number."""
    events = [
        (event["at"], event.get("precision") == "date", event["what"], event["entity"], event["id"], event["system"])
        for event in timeline
    ]
    for intent in intents:
        if intent.state == "delivered" and intent.done_at:
            at = int(intent.done_at.timestamp() * 1e6)
            # The order of the events stands, also where one has a day and no time.
            place = next((n for n, event in enumerate(events) if not event[1] and event[0] > at), len(events))
            events.insert(place, (at, False, "written back", intent.rule, str(intent.id), intent.target))
    made: list[Event] = []
    for at, is_day, what, entity, id, system in events:
        gap = max(0, at - made[-1].at_us) if made else None
        made.append(Event(at, is_day, what, entity, id, numbers.get(id or ""), system, gap))
    return made


def draw_timeline(events: Sequence[Event]) -> TimelinePicture:
    """The picture of a timeline. A gap is drawn the longer the longer it was, but far from in proportion: minutes and
    months are both to be seen.
    """
    systems = list(dict.fromkeys(event.system for event in events))
    lanes = [(system, TOP + LANE * number + LANE // 2) for number, system in enumerate(systems)]
    y_of = dict(lanes)
    weights = [0.0 if event.gap_us is None else math.log10(1 + event.gap_us / 60e6) + 0.4 for event in events]
    total = sum(weights) or 1.0
    room = WIDTH - LEFT - RIGHT - 20
    spare = max(0.0, room - SMALLEST_GAP * max(0, len(events) - 1))
    dots: list[Dot] = []
    gaps: list[Gap] = []
    x = float(LEFT + 10)
    for number, (event, weight) in enumerate(zip(events, weights, strict=True)):
        before = x
        if number:
            x += min(SMALLEST_GAP, room / max(1, len(events) - 1)) + spare * weight / total
        dots.append(Dot(event, round(x, 1), y_of[event.system], number + 1))
        if event.is_long and x - before > 48:
            gaps.append(Gap(round((before + x) / 2, 1), (event.gap_us or 0) / 1e6))
    path = " ".join(f"{dot.x},{dot.y}" for dot in dots)
    return TimelinePicture(TOP + LANE * len(lanes) + 8, lanes, dots, gaps, path)


def bars_of(amounts: Mapping[str, int | None]) -> list[Bar]:
    """The known amounts on one scale; negative ones have no length."""
    known = {name: value for name, value in amounts.items() if value is not None}
    largest = max([*known.values(), 1])
    return [Bar(name, value, round(max(0, value) / largest, 4)) for name, value in known.items()]
