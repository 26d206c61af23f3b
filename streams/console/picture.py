"""The picture of what flows: systems → workers → hub → systems, laid out for any number of systems. Pure.

In: names of systems and targets. Out: boxes and arrows in the units of one SVG, which a template draws. The figures in
it come by `streams/console/live.py`; the layout does not move when they change.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

WIDTH = 1160
BOX_WIDTH = 190
BOX_HEIGHT = 68
GAP = 22
MIDDLE_HEIGHT = 92
MARGIN = 12
LABEL_ABOVE = 8
LABEL_BELOW = 18


class Box(msgspec.Struct, frozen=True):
    """A rectangle with its key: source:<system>, workers, hub, target:<system>."""

    key: str
    name: str
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


class Arrow(msgspec.Struct, frozen=True):
    """A curve from box to box; `label_x`, `label_y` is where its figure stands."""

    key: str
    path: str
    label_x: float
    label_y: float


class Picture(msgspec.Struct, frozen=True):
    """All of it; the view is `width` by `height`."""

    width: int
    height: float
    sources: list[Box]
    workers: Box
    hub: Box
    targets: list[Box]
    arrows: list[Arrow]


def lay_out(sources: Sequence[str], targets: Sequence[str]) -> Picture:
    """Boxes and arrows: sources on the left, targets on the right, one below the other, in the order given."""
    rows = max(len(sources), len(targets), 1)
    height = max(rows * (BOX_HEIGHT + GAP) - GAP, MIDDLE_HEIGHT) + 2 * MARGIN
    left = _column("source", sources, MARGIN, height)
    right = _column("target", targets, WIDTH - MARGIN - BOX_WIDTH, height)
    top = (height - MIDDLE_HEIGHT) / 2
    workers = Box("workers", "", 340, top, 196, MIDDLE_HEIGHT)
    hub = Box("hub", "", 636, top, 196, MIDDLE_HEIGHT)
    arrows = [_arrow(box.key, box, workers) for box in left]
    arrows.append(_arrow("assemble", workers, hub))
    arrows += [_arrow(box.key, hub, box, at_end=True) for box in right]
    return Picture(WIDTH, height, left, workers, hub, right, arrows)


def _column(kind: str, names: Sequence[str], x: float, height: float) -> list[Box]:
    used = len(names) * (BOX_HEIGHT + GAP) - GAP
    top = (height - used) / 2
    return [
        Box(f"{kind}:{name}", name, x, top + number * (BOX_HEIGHT + GAP), BOX_WIDTH, BOX_HEIGHT)
        for number, name in enumerate(names)
    ]


def _arrow(key: str, start: Box, end: Box, *, at_end: bool = False) -> Arrow:
    """`at_end`: the figure stands near the end, where the curves of one start have parted; on the side that the curve
    leaves free.
    """
    x, y, to_x, to_y = start.x + start.width, start.middle, end.x, end.middle
    bend = (to_x - x) / 2
    path = f"M{x:g} {y:g} C{x + bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x:g} {to_y:g}"
    near, far = (to_y, y) if at_end else (y, to_y)
    if y == to_y:
        return Arrow(key, path, (x + to_x) / 2, y - LABEL_ABOVE)
    label_y = near + LABEL_BELOW if near > far else near - LABEL_ABOVE
    return Arrow(key, path, to_x - bend / 2 if at_end else x + bend / 2, label_y)
