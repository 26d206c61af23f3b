"""Guided tours: for each role a few steps; each opens a real page and points at a part of it.

The tours are in tours.yaml. Where a person is in a tour stands in the cookie `tour` (role:number); every page shows the
step's hint while it is set.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
from starlette.requests import Request

COOKIE = "tour"


class Step(msgspec.Struct, frozen=True):
    """`page` is a path, or `late_flow`: the flow that is stuck longest. `target` is a CSS selector of what is meant."""

    page: str
    text: str
    target: str = "main h1"


class Tour(msgspec.Struct, frozen=True):
    """The tour of one role: for whom it is, what it shows, its steps."""

    title: str
    about: str
    steps: list[Step]


class TourStep(NamedTuple):
    """The step that a person is at. `number` counts from 1."""

    role: str
    title: str
    number: int
    last: int
    step: Step


LATE_FLOW = "late_flow"

TOURS: dict[str, Tour] = msgspec.yaml.decode(Path(__file__).with_name("tours.yaml").read_bytes(), type=dict[str, Tour])
"""Role → its tour, in the order of the file."""


def tour_texts() -> set[str]:
    """Every text of the tours, for the catalogs."""
    texts = {text for tour in TOURS.values() for text in (tour.title, tour.about)}
    return texts | {step.text for tour in TOURS.values() for step in tour.steps}


def step_at(role: str, number: int) -> TourStep | None:
    """The step of a tour, None where there is none."""
    tour = TOURS.get(role)
    if tour is None or not 1 <= number <= len(tour.steps):
        return None
    return TourStep(role, tour.title, number, len(tour.steps), tour.steps[number - 1])


def step_of(request: Request) -> TourStep | None:
    """The step that the browser is at, by its cookie."""
    role, _, number = request.cookies.get(COOKIE, "").partition(":")
    return step_at(role, int(number)) if number.isascii() and number.isdigit() and len(number) < 4 else None
