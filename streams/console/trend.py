"""Small trend lines by week, and what a tile says of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.monitor.business_figures import WeekDuration, WeekReceivables, WeekShare

WIDTH, HEIGHT = 160.0, 36.0
INSET = 3.0
"""The line's width must not be cut off at the rim."""


class Trend(msgspec.Struct, frozen=True):
    """A line in a view of WIDTH by HEIGHT: a path for each run of weeks that have a value, and its last point."""

    paths: list[str]
    last_x: float | None
    last_y: float | None


class TileFigure(msgspec.Struct, frozen=True):
    """What a tile shows: the value of the newest week that has one, and its change against the week before that has
    one.
    """

    value: float | None
    is_this_week: bool
    change: float | None
    count: int


def trend(values: Sequence[float | None], top: float | None = None) -> Trend:
    """The line of these values, the oldest left, from zero at the bottom to `top` (else the greatest value)."""
    known = [value for value in values if value is not None]
    highest = max([*known, top or 0.0]) or 1.0
    step = (WIDTH - 2 * INSET) / max(1, len(values) - 1)
    paths: list[str] = []
    points: list[str] = []
    last: tuple[float, float] | None = None
    for number, value in enumerate([*values, None]):
        if value is not None:
            last = (round(INSET + number * step, 1), round(HEIGHT - INSET - value / highest * (HEIGHT - 2 * INSET), 1))
            points.append(f"{last[0]:g} {last[1]:g}")
        elif points:
            # A single week is drawn as a point: a line of no length with round ends.
            paths.append("M" + " L".join(points if len(points) > 1 else points * 2))
            points = []
    return Trend(paths, *(last or (None, None)))


def newest(values: Sequence[float | None], counts: Sequence[int]) -> TileFigure:
    """The newest value and its change. `values`, `counts`: by week, the running one last."""
    known = [number for number, value in enumerate(values) if value is not None]
    if not known:
        return TileFigure(None, True, None, 0)
    at = known[-1]
    value = values[at]
    before = values[known[-2]] if len(known) > 1 else None
    change = value - before if value is not None and before is not None else None
    return TileFigure(value, at == len(values) - 1, change, counts[at])


def of_durations(weeks: Sequence[WeekDuration]) -> TileFigure:
    return newest([week.median_s for week in weeks], [week.count for week in weeks])


def of_shares(weeks: Sequence[WeekShare]) -> TileFigure:
    return newest([week.share for week in weeks], [week.count for week in weeks])


def of_receivables(weeks: Sequence[WeekReceivables]) -> TileFigure:
    return newest([week.days for week in weeks], [1 for _ in weeks])
