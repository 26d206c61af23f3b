"""The pages of quality."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.console.handling import ask, wanted_of
from streams.console.operations.quality import (
    FieldScore,
    WantedField,
    WantedQuality,
    list_quality,
    list_quality_examples,
    score_of,
    show_quality,
)
from streams.console.render import page
from streams.model.entities import ENTITIES

WIDTH, HEIGHT = 120.0, 28.0


def quality(request: Request) -> Response:
    """All fields, the worst first."""
    wanted = wanted_of(request, WantedQuality)
    listed = ask(request, list_quality, wanted)
    entities = sorted(name for name, entity in ENTITIES.items() if not entity.computed)
    worst = _by_entity(listed.fields)
    return page(
        request, "quality.html", calls=[(list_quality, wanted)], listed=listed, wanted=wanted, entities=entities,
        spark=spark, worst=worst,
    )  # fmt: skip


def field(request: Request) -> Response:
    """One field over time."""
    wanted = wanted_of(request, WantedField)
    report = ask(request, show_quality, wanted)
    scores = [score_of(figures) for figures in report.history]
    calls = [(show_quality, wanted), (list_quality_examples, wanted)]
    return page(
        request, "quality_field.html", calls=calls, report=report, wanted=wanted, spark=spark,
        scores=scores, newest=report.history[-1] if report.history else None,
    )  # fmt: skip


def examples(request: Request) -> Response:
    """The part of a field's page that takes longest: it comes after the page."""
    wanted = wanted_of(request, WantedField)
    return page(request, "quality_examples.html", found=ask(request, list_quality_examples, wanted))


def spark(values: list[float], width: float = WIDTH, height: float = HEIGHT) -> str:
    """Points of a polyline for these values; its height is what they span, at least five percent."""
    if not values:
        return ""
    points = values if len(values) > 1 else values * 2
    low, high = min(points), max(points)
    span = max(high - low, 0.05)
    middle = (low + high) / 2
    step = width / (len(points) - 1)
    return " ".join(
        f"{number * step:.1f},{height / 2 - (value - middle) / span * (height - 6):.1f}"
        for number, value in enumerate(points)
    )


def _by_entity(fields: list[FieldScore]) -> list[tuple[str, int, float]]:
    """(entity, faults, mean share that is right), the entity with most faults first."""
    sums: dict[str, list[FieldScore]] = {}
    for score in fields:
        sums.setdefault(score.figures.entity, []).append(score)
    rows = [
        (name, sum(s.faults for s in scores), sum(s.right for s in scores) / len(scores))
        for name, scores in sums.items()
    ]
    return sorted(rows, key=lambda row: (-row[1], row[2]))


ROUTES = [
    Route("/quality", quality),
    Route("/quality/{entity}/{field}", field),
    Route("/quality/{entity}/{field}/examples", examples),
]
