"""Measures data quality by entity and field, in the hub, and keeps the figures over time.

- complete: the field is filled.
- invalid: the value cannot be meant: it is none of the allowed values, no e-mail address, phone number, country,
currency or
  article number, a tax number with wrong check digits, an unreasonable date.
- repeated: values of a field that should be unique, and that other records have, too.
- disagreeing: records with an open conflict; a match key that two records claim is one.
- orphans: references to a record that does not exist or is deleted.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterable

import psycopg
from mode.utils.logging import get_logger

from streams.errors import RetryLater
from streams.hub.quality import (
    FieldChecks,
    FieldQuality,
    MeasuredQuality,
    country_values,
    may_measure,
    measure_entity,
    quality_history,
    tax_numbers,
    thin_history,
)
from streams.hub.session import KEEPALIVE, SERVER_SESSION_LIMITS
from streams.hub.store import translated
from streams.mapping.conversions.contact import country_code
from streams.mapping.conversions.identifiers import tax_id
from streams.mapping.row_errors import BadValue
from streams.model.entities import ENTITIES, FieldType

logger = get_logger(__name__)

UNIQUE = ("number", "tax_id", "sku", "gtin")

FORMS = {
    "email": r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$",
    "phone": r"^\+[1-9][0-9]{5,14}(;ext=[0-9]+)?$",
    "currency": "^[A-Z]{3}$",
    "gtin": "^([0-9]{8}|[0-9]{12,14})$",
    "country": "^[A-Z]{2}$",
}
"""Field, or the last word of its name after `_` → what its values look like."""

EPOCH = dt.date(1970, 1, 1)
EARLIEST = dt.date(1950, 1, 1)
YEARS_AHEAD = 30
"""A date (planned, due) may be so far ahead; a time (something happened) may not be later than tomorrow."""

REST_RATIO = 4.0
"""Seconds of rest for each second of measuring: the hub has other work, and measuring a large one takes minutes."""

LOCK_KEY = 0x6F707175
"""Key of the hub's advisory lock under which one worker measures."""


class Cancelled(Exception):
    """The measurement was cancelled."""


class Cancellation:
    """Ends a measurement in another thread, in the middle of a statement or of a rest."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.connection: psycopg.Connection | None = None
        """The session that measures."""

    def cancel(self) -> None:
        """End the measurement now."""
        self._event.set()
        if self.connection is not None and not self.connection.closed:
            self.connection.cancel()

    def rest(self, seconds: float) -> None:
        """Wait; raises Cancelled as soon as the measurement is cancelled."""
        if self._event.wait(seconds):
            raise Cancelled


def measure(
    hub: psycopg.Connection, entities: Iterable[str] | None = None, cancellation: Cancellation | None = None
) -> list[FieldQuality]:
    """Measure now and keep the figures. With `cancellation` it rests after each entity, so that others get the hub."""
    at = dt.datetime.now(dt.UTC)
    figures: list[FieldQuality] = []
    for name in entities or [name for name, entity in ENTITIES.items() if not entity.computed]:
        began = time.monotonic()
        fields = ENTITIES[name].fields
        figures += measure_entity(hub, name, checks_of(fields, at), _invalid_codes(hub, name, fields), at)
        if cancellation is not None:
            cancellation.rest((time.monotonic() - began) * REST_RATIO)
    return sorted(figures, key=lambda figure: (figure.entity, figure.field))


def checks_of(fields: dict[str, FieldType], at: dt.datetime) -> FieldChecks:
    """How these fields are measured at the time `at`."""
    return FieldChecks(
        fields=list(fields),
        unique=[field for field in UNIQUE if field in fields],
        values={field: list(kind.values) for field, kind in fields.items() if kind.values},
        forms={field: form for field in fields if (form := form_of(field)) is not None},
        bounds={field: bounds for field, kind in fields.items() if (bounds := bounds_of(kind, at)) is not None},
        references=[field for field, kind in fields.items() if kind.kind == "ref"],
    )


def form_of(field: str) -> str | None:
    """The regular expression that filled values of this field match, where there is one."""
    return FORMS.get(field) or FORMS.get(field.rpartition("_")[2])


def bounds_of(kind: FieldType, at: dt.datetime) -> tuple[int, int] | None:
    """The first and the last reasonable value of a date (days since 1970) or a time (µs since 1970)."""
    first = (EARLIEST - EPOCH).days
    today = (at.date() - EPOCH).days
    if kind.kind == "date":
        return first, today + 365 * YEARS_AHEAD
    if kind.kind == "timestamp":
        return first * 86_400_000_000, (today + 2) * 86_400_000_000
    return None


def _invalid_codes(hub: psycopg.Connection, entity: str, fields: dict[str, FieldType]) -> dict[str, int]:
    """Field → values that match their form and are invalid: unknown countries, tax numbers with wrong check digits."""
    invalid: dict[str, int] = {}
    to_country = country_code()
    for field in fields:
        if field.rpartition("_")[2] == "country":
            values = country_values(hub, entity, field)
            invalid[field] = sum(row.records for row in values if not _is_valid(to_country, row.value))
    if "tax_id" in fields:
        check_tax_id = tax_id(country_column="billing_country")
        numbers = tax_numbers(hub, entity)
        invalid["tax_id"] = sum(not _is_valid(check_tax_id, number, country) for number, country in numbers)
    return invalid


def _is_valid(convert: Callable[..., object], *value: str | None) -> bool:
    try:
        convert(*value)
    except BadValue:
        return False
    return True


def measure_if_due(dsn: str, every_s: float, cancellation: Cancellation) -> bool:
    """Measure if the last measurement is old enough and no other worker does it now; whether it was done.

    Raises RetryLater while the hub does not answer, Cancelled when it was cancelled.
    """
    try:
        with psycopg.connect(dsn, application_name="opshub-quality", autocommit=True, **KEEPALIVE) as hub:
            cancellation.connection = hub
            hub.execute(SERVER_SESSION_LIMITS)
            # Parallel workers would take the hub's cores from the pipeline.
            hub.execute("SET max_parallel_workers_per_gather = 0")
            if not may_measure(hub, LOCK_KEY, every_s):
                return False
            cancellation.rest(0)
            measure(hub, cancellation=cancellation)
            thin_history(hub)
            return True
    except psycopg.Error as error:
        raise translated(error) from error


async def measure_periodically(dsn: str, every_s: float) -> None:
    """Measure every `every_s` seconds, in a thread, until cancelled. 0: never.

    Every worker runs it; whichever is first measures. The first try comes after a while: a worker that has just started
    has more urgent work.
    """
    while every_s > 0:
        await asyncio.sleep(min(60.0, every_s / 4))
        cancellation = Cancellation()
        try:
            await asyncio.to_thread(measure_if_due, dsn, every_s, cancellation)
        except RetryLater as error:
            logger.info("%s", error)
        finally:
            # When this task is cancelled, the thread is still measuring.
            cancellation.cancel()


def history(
    hub: psycopg.Connection, entities: list[str] | None = None, fields: list[str] | None = None
) -> list[MeasuredQuality]:
    """Earlier figures of these entities and fields, field by field, the oldest first."""
    return quality_history(hub, entities or None, fields or None)
