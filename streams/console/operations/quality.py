"""Quality: how good the records are, field by field, and how that changed."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streams.console.masking import is_masked, mask_value
from streams.console.operation import Context, operation
from streams.console.problems import NotFound
from streams.errors import EnvironmentFault
from streams.hub.mapping_notes import MappingNoteCount, load_mapping_notes
from streams.hub.quality import (
    MeasuredQuality,
    RecordExample,
    latest_quality,
    quality_trend,
    records_of_form,
    records_without,
)
from streams.hub.shared_keys import SharedKeyUse, shared_keys
from streams.maintenance.quality import form_of
from streams.model.entities import ENTITIES

EXAMPLES_MS = 1_500
"""What looking for examples may take: they are a help, and the hub has workers to serve."""


class WantedQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Which fields to list. `every`: also those that are filled everywhere or nowhere and have no fault."""

    entity: str | None = None
    every: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 500


class WantedField(msgspec.Struct, frozen=True):
    """A field of an entity."""

    entity: str
    field: str


class FieldScore(msgspec.Struct, frozen=True):
    """The newest figures of a field. `faults`: records with a fault; `right`: of the records that have a value, the
    share without, from 0 to 1.
    """

    figures: MeasuredQuality
    faults: int
    right: float
    trend: list[float]
    """The share of all records whose value is there and right, at each measurement, the oldest first."""


class QualityList(msgspec.Struct, frozen=True):
    """Fields, the worst first; keys that link nothing; when it was measured."""

    fields: list[FieldScore]
    hidden: int
    """Fields that were left out: filled everywhere or nowhere, without a fault."""
    shared: list[SharedKeyUse]
    at: str | None


class FieldReport(msgspec.Struct, frozen=True):
    """One field: its figures over time, and what dictionaries did to its values."""

    entity: str
    field: str
    history: list[MeasuredQuality]
    notes: list[MappingNoteCount]


class FieldExamples(msgspec.Struct, frozen=True):
    """Records that show what the figures of a field count."""

    badly_formed: list[RecordExample]
    empty: list[RecordExample]
    note: str = ""
    """Why examples are missing."""


@operation("GET", "/quality", permission="see", command=lambda w: _command(w))
def list_quality(context: Context, wanted: WantedQuality) -> QualityList:
    """Show the figures of each field as they were last measured, the worst first, with their trend."""
    if wanted.entity is not None and wanted.entity not in ENTITIES:
        raise NotFound(f"there is no entity {wanted.entity!r}", remedy=f"one of {', '.join(sorted(ENTITIES))}")
    entities = [wanted.entity] if wanted.entity else [n for n, entity in ENTITIES.items() if not entity.computed]
    with context.place.hub() as hub:
        newest = latest_quality(hub, entities)
        trend = quality_trend(hub, entity=wanted.entity)
        shared = shared_keys(hub, entities)
    earlier: dict[tuple[str, str], list[float]] = {}
    for figures in trend:
        earlier.setdefault((figures.entity, figures.field), []).append(score_of(figures))
    fields = [
        FieldScore(f, faults_of(f), right_of(f), earlier.get((f.entity, f.field), []))
        for f in newest
        if wanted.every or 0 < f.complete < f.records or faults_of(f)
    ]
    fields.sort(key=lambda field: (-field.faults, score_of(field.figures), field.figures.entity, field.figures.field))
    at = max((figures.at for figures in newest), default=None)
    return QualityList(fields[: wanted.limit], len(newest) - len(fields), shared, at)


@operation(
    "GET", "/quality/{entity}/{field}", permission="see",
    command=lambda w: f"opshub quality --history --entity {w.entity} --field {w.field}",
)  # fmt: skip
def show_quality(context: Context, wanted: WantedField) -> FieldReport:
    """Show one field over time, and the values that dictionaries changed or refused."""
    _check_field(wanted)
    with context.place.hub() as hub:
        history = quality_trend(hub, entity=wanted.entity, field=wanted.field, points=48)
        notes = load_mapping_notes(hub, f"{wanted.entity}.{wanted.field}")
    if is_masked(wanted.entity, wanted.field, context.person):
        notes = [msgspec.structs.replace(known, reason="•••") for known in notes]  # a reason may quote the value
    return FieldReport(wanted.entity, wanted.field, history, notes)


@operation("GET", "/quality/{entity}/{field}/examples", permission="see")
def list_quality_examples(context: Context, wanted: WantedField) -> FieldExamples:
    """Show a few records without a value of a field, and whose value has another form. Takes a second in a large hub
    where such records are rare.
    """
    _check_field(wanted)
    badly_formed: list[RecordExample] = []
    empty: list[RecordExample] = []
    note = ""
    form = form_of(wanted.field)
    try:
        with context.place.hub() as hub:
            history = quality_trend(hub, entity=wanted.entity, field=wanted.field, points=1)
        with context.place.hub() as hub, hub.transaction():
            hub.execute(f"SET LOCAL statement_timeout = {EXAMPLES_MS}".encode())
            if history and history[-1].complete < history[-1].records:
                empty = records_without(hub, wanted.entity, wanted.field, 5)
            if form is not None and not (history and history[-1].invalid == 0):
                badly_formed = records_of_form(hub, wanted.entity, wanted.field, form, 5)
    except EnvironmentFault:
        note = "looking for more examples would take too long"
    shown = [
        RecordExample(e.id, mask_value(e.value, wanted.entity, wanted.field, context.person)) for e in badly_formed
    ]
    return FieldExamples(shown, empty, note)


def _check_field(wanted: WantedField) -> None:
    kind = ENTITIES.get(wanted.entity)
    if kind is None or wanted.field not in kind.fields:
        raise NotFound(f"there is no field {wanted.entity}.{wanted.field}", remedy="`opshub quality` lists them")


def faults_of(figures: MeasuredQuality) -> int:
    """Records with a fault in this field; one that has several counts several times."""
    return figures.invalid + figures.repeated + figures.disagreeing + figures.orphans + figures.anybody


def right_of(figures: MeasuredQuality) -> float:
    """Of the records that have a value, the share without fault."""
    return max(0.0, 1 - faults_of(figures) / figures.complete) if figures.complete else 1.0


def score_of(figures: MeasuredQuality) -> float:
    """The share of records whose value is there and without fault."""
    if not figures.records:
        return 1.0
    return max(0.0, (figures.complete - faults_of(figures)) / figures.records)


def _command(wanted: WantedQuality) -> str:
    entity = f" --entity {wanted.entity}" if wanted.entity else ""
    return f"opshub quality{entity}" + (" --all" if wanted.every else "")
