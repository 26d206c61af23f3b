"""Figures of data quality by entity and field, measured in the hub and kept there."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import psycopg

from streams.hub.intent_review import Hub
from streams.hub.statements import SQL, fetch

VALUES_AT_ONCE = 10_000


class FieldQuality(msgspec.Struct, frozen=True):
    """One field of one entity; all but `records` count records with that property."""

    entity: str
    field: str
    records: int
    complete: int
    invalid: int
    repeated: int
    disagreeing: int
    orphans: int
    anybody: int
    """Values that are no match key: they stand for anybody, or too many records of one system carry them."""


class MeasuredQuality(FieldQuality, frozen=True):
    """The same with its time (2026-11-30T12:00:00Z)."""

    at: str


class RecordExample(msgspec.Struct, frozen=True):
    """A record that shows what a figure counts, and its value."""

    id: str
    value: str | None


class ValueCount(msgspec.Struct, frozen=True):
    """How many records have this value."""

    value: str
    records: int


class FieldChecks(msgspec.Struct, frozen=True):
    """How the fields of an entity are measured."""

    fields: Sequence[str]
    unique: Sequence[str]
    """Fields whose values should be unique."""
    values: Mapping[str, Sequence[str]]
    """Field → the values that it may have."""
    forms: Mapping[str, str]
    """Field → the regular expression that its values match."""
    bounds: Mapping[str, tuple[int, int]]
    """Field → the least and the greatest value."""
    references: Sequence[str]
    """Fields with the id of another record."""


class _Turn(msgspec.Struct, frozen=True):
    has_lock: bool
    is_due: bool


def measure_entity(
    hub: psycopg.Connection[object],
    entity: str,
    checks: FieldChecks,
    invalid: Mapping[str, int],
    anybody: Mapping[str, int],
    at: dt.datetime,
) -> list[FieldQuality]:
    """Measure one entity and keep the figures under the time `at`. `invalid`, `anybody`: values by field that were
    counted elsewhere.
    """
    return fetch(
        hub,
        FieldQuality,
        "measure_entity",
        {
            "entity": entity,
            "fields": list(checks.fields),
            "unique": list(checks.unique),
            "values": json.dumps(checks.values),
            "forms": json.dumps(checks.forms),
            "bounds": json.dumps(checks.bounds),
            "more": json.dumps(invalid),
            "anybody": json.dumps(anybody),
            "refs": list(checks.references),
            "at": at,
        },
    )


def country_values(hub: psycopg.Connection[object], entity: str, field: str) -> list[ValueCount]:
    """Values of a field that look like a country code."""
    return fetch(hub, ValueCount, "country_values", {"entity": entity, "field": field})


def identifying_values(hub: psycopg.Connection, entity: str, field: str) -> Iterator[tuple[str, str | None]]:
    """(value, country) of each record that has a value; read in portions, within one transaction."""
    with hub.transaction(), hub.cursor(name="identifying_values") as cursor:
        cursor.itersize = VALUES_AT_ONCE
        cursor.execute(SQL["identifying_values"], {"entity": entity, "field": field})
        yield from cursor


def may_measure(hub: psycopg.Connection[object], lock_key: int, every_s: float) -> bool:
    """Whether this session holds the lock of measuring, and the last measurement is `every_s` ago or more."""
    (turn,) = fetch(hub, _Turn, "quality_turn", {"lock": lock_key, "every_s": every_s})
    return turn.has_lock and turn.is_due


def thin_history(hub: psycopg.Connection[object]) -> None:
    """Of measurements older than a month, keep the first of each day."""
    hub.execute(SQL["thin_quality"])


def quality_history(
    hub: psycopg.Connection[object], entities: list[str] | None, fields: list[str] | None
) -> list[MeasuredQuality]:
    """Earlier figures, by entity and field, the oldest first; None: of all entities, of all fields."""
    return fetch(hub, MeasuredQuality, "quality_history", {"entities": entities, "fields": fields})


def latest_quality(hub: Hub, entities: Sequence[str]) -> list[MeasuredQuality]:
    """The newest figures of these entities."""
    return fetch(hub, MeasuredQuality, "latest_quality", {"entities": list(entities)})


def quality_trend(
    hub: Hub, *, entity: str | None = None, field: str | None = None, points: int = 12
) -> list[MeasuredQuality]:
    """Figures of the last `points` measurements, and one of each day of the last month, the oldest first."""
    return fetch(hub, MeasuredQuality, "quality_trend", {"entity": entity, "field": field, "points": points})


def records_of_form(hub: Hub, entity: str, field: str, form: str, limit: int) -> list[RecordExample]:
    """Records whose value does not match the regular expression `form`."""
    parameters = {"entity": entity, "field": field, "form": form, "limit": limit}
    return fetch(hub, RecordExample, "records_of_form", parameters)


def records_without(hub: Hub, entity: str, field: str, limit: int) -> list[RecordExample]:
    """Records without a value of this field."""
    return fetch(hub, RecordExample, "records_without", {"entity": entity, "field": field, "limit": limit})
