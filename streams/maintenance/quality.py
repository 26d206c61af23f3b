"""Measures data quality by entity and field, in the hub, and keeps the figures over time.

- complete: the field is filled.
- invalid: the value cannot be meant: it is none of the allowed values, no e-mail address, phone number, country,
currency or
  article number, a tax number with wrong check digits, an unreasonable date.
- repeated: values of a field that should be unique, and that other records have, too.
- disagreeing: records with an open conflict; a match key that two records claim is one.
- orphans: references to a record that does not exist or is deleted.
- anybody: values that are no match key, because they stand for anybody or too many records of one system carry them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import psycopg
from mode.utils.logging import get_logger

from streams.errors import RetryLater
from streams.hub.quality import (
    FieldChecks,
    FieldQuality,
    MeasuredQuality,
    country_values,
    identifying_values,
    may_measure,
    measure_entity,
    quality_history,
    thin_history,
)
from streams.hub.session import KEEPALIVE, SERVER_SESSION_LIMITS
from streams.hub.shared_keys import free_shared_keys, shared_keys
from streams.hub.store import translated
from streams.mapping.conversions.countries import country_code
from streams.mapping.conversions.tax_ids import tax_id
from streams.mapping.placeholders import stands_for_anybody
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
    free_shared_keys(hub)
    for name in entities or [name for name, entity in ENTITIES.items() if not entity.computed]:
        began = time.monotonic()
        fields = ENTITIES[name].fields
        identifiers = _identifiers(hub, name, fields)
        invalid = _invalid_countries(hub, name, fields) | identifiers.invalid
        figures += measure_entity(hub, name, checks_of(fields, at), invalid, identifiers.anybody, at)
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


def _invalid_countries(hub: psycopg.Connection, entity: str, fields: dict[str, FieldType]) -> dict[str, int]:
    """Field → values that look like the code of a country and are none."""
    to_country = country_code()
    return {
        field: sum(row.records for row in country_values(hub, entity, field) if not _is_valid(to_country, row.value))
        for field in fields
        if field.rpartition("_")[2] == "country"
    }


class _Identifiers(NamedTuple):
    """Values of identifying fields, counted by field."""

    invalid: dict[str, int]
    """Those with wrong check digits."""
    anybody: dict[str, int]
    """Those that are no match key."""


def _identifiers(hub: psycopg.Connection, entity: str, fields: dict[str, FieldType]) -> _Identifiers:
    invalid: Counter[str] = Counter()
    anybody: Counter[str] = Counter()
    check_tax_id = tax_id(country_column="billing_country")
    for field in ("tax_id", "gtin"):
        for value, country in identifying_values(hub, entity, field) if field in fields else ():
            anybody[field] += stands_for_anybody(field, value)
            invalid[field] += field == "tax_id" and not _is_valid(check_tax_id, value, country)
    for key in shared_keys(hub, [entity]):
        anybody[key.key.partition("=")[0].replace("email_domain", "email")] += key.records
    # Check digits of article numbers are part of the field's form.
    return _Identifiers({field: count for field, count in invalid.items() if field == "tax_id"}, dict(anybody))


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
