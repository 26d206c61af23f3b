"""Figures of quality for each entity and field, computed in the hub and kept there over time.

complete: the field is filled. invalid: its value can not be meant: none of those that there are, no e-mail address, phone number, country,
currency or article number, a tax number with wrong check digits, a day out of reason. repeated: values of a field that should be unique
that others have too. disagreeing: records on which a conflict stands, a match key that two claim among them. orphans: references to what
is not there, or is deleted.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
import time
from typing import Any

import msgspec
import psycopg
from mode.utils.logging import get_logger

from streams.errors import RetryLater
from streams.hub.session import KEEPALIVE, SERVER_SESSION_LIMITS
from streams.hub.statements import SQL
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
"""Field, or the end of its name after `_` → what a value looks like."""

LONG_AGO = dt.date(1950, 1, 1)
AHEAD_YEARS = 30
"""What is planned or due may be so far ahead; what has happened (a time) may not be past tomorrow."""

RESTS = 4.0
"""Seconds that a worker rests for each that it measured: the hub has other work, and large ones are read for minutes."""

_ONE_AT_A_TIME = 0x6F707175
"""Key of the hub's advisory lock under which one worker measures."""


class Quality(msgspec.Struct, frozen=True):
    """One field of one entity; all but `records` count records."""

    entity: str
    field: str
    records: int
    complete: int
    invalid: int
    repeated: int
    disagreeing: int
    orphans: int


class Stopped(Exception):
    """A measuring was told to end."""


class Stop:
    """Ends a measuring that another thread is at, in the middle of a statement or of a rest."""

    def __init__(self) -> None:
        self._told = threading.Event()
        self.connection: psycopg.Connection[Any] | None = None

    def __call__(self) -> None:
        self._told.set()
        if self.connection is not None and not self.connection.closed:
            self.connection.cancel()

    def rest(self, seconds: float) -> None:
        if self._told.wait(seconds):
            raise Stopped


def measure(
    connection: psycopg.Connection[Any], entities: list[str] | None = None, stop: Stop | None = None
) -> list[Quality]:
    """Measure now, and keep the figures in the table `quality`. With `stop` it rests in between, and others have the hub."""
    at = dt.datetime.now(dt.UTC)
    found: list[Quality] = []
    for name in entities or [name for name, entity in ENTITIES.items() if not entity.computed]:
        begun = time.monotonic()
        fields = ENTITIES[name].fields
        unique = [field for field in UNIQUE if field in fields]
        values = {field: list(kind.values) for field, kind in fields.items() if kind.values}
        refs = [field for field, kind in fields.items() if kind.kind == "ref"]
        rows = connection.execute(
            SQL["quality"],
            {
                "entity": name,
                "fields": list(fields),
                "unique": unique,
                "values": json.dumps(values),
                "forms": json.dumps({field: form for field in fields if (form := form_of(field)) is not None}),
                "bounds": json.dumps(
                    {field: bounds_of(kind, at) for field, kind in fields.items() if bounds_of(kind, at)}
                ),
                "more": json.dumps(_wrong_codes(connection, name, fields)),
                "refs": refs,
                "at": at,
            },
        )
        found += [Quality(*row) for row in rows]
        if stop is not None:
            stop.rest((time.monotonic() - begun) * RESTS)
    return sorted(found, key=lambda one: (one.entity, one.field))


def form_of(field: str) -> str | None:
    """What a filled value of this field looks like, where that is known."""
    return FORMS.get(field) or FORMS.get(field.rpartition("_")[2])


def bounds_of(kind: FieldType, now: dt.datetime) -> tuple[int, int] | None:
    """The first and the last value in reason of a date (days) or a time (µs)."""
    first = (LONG_AGO - dt.date(1970, 1, 1)).days
    today = (now.date() - dt.date(1970, 1, 1)).days
    if kind.kind == "date":
        return first, today + 365 * AHEAD_YEARS
    if kind.kind == "timestamp":
        return first * 86_400_000_000, (today + 2) * 86_400_000_000
    return None


def _wrong_codes(connection: psycopg.Connection[Any], entity: str, fields: dict[str, FieldType]) -> dict[str, int]:
    """Field → how many values look right and are not: countries that there are not, tax numbers with wrong check digits."""
    wrong: dict[str, int] = {}
    code_of = country_code()
    for field in fields:
        if field.rpartition("_")[2] == "country":
            rows = connection.execute(
                "SELECT record->>%(field)s, count(*) FROM entity WHERE entity = %(entity)s AND merged_into IS NULL AND NOT deleted"
                " AND version > 0 AND record->>%(field)s ~ '^[A-Z]{2}$' GROUP BY 1",
                {"entity": entity, "field": field},
            )
            wrong[field] = sum(count for value, count in rows if not _passes(code_of, value))
    if "tax_id" in fields:
        proved = tax_id(country_column="billing_country")
        with connection.transaction(), connection.cursor(name="tax_ids") as cursor:
            cursor.itersize = 10_000
            cursor.execute(
                "SELECT record->>'tax_id', record->>'billing_country' FROM entity WHERE entity = %s AND merged_into IS NULL AND NOT deleted"
                " AND version > 0 AND record->>'tax_id' <> ''",
                [entity],
            )
            wrong["tax_id"] = sum(not _passes(proved, number, country) for number, country in cursor)
    return wrong


def _passes(convert: Any, *value: Any) -> bool:
    try:
        convert(*value)
    except BadValue:
        return False
    return True


def measure_if_due(dsn: str, every_s: float, stop: Stop) -> bool:
    """Measure where the last time is so long ago, and no other worker does; whether it was done. Raises RetryLater without a hub."""
    try:
        with psycopg.connect(dsn, application_name="opshub-quality", autocommit=True, **KEEPALIVE) as connection:
            stop.connection = connection
            connection.execute(SERVER_SESSION_LIMITS)
            connection.execute("SET max_parallel_workers_per_gather = 0")
            taken = connection.execute("SELECT pg_try_advisory_lock(%s)", [_ONE_AT_A_TIME]).fetchone()
            due = connection.execute(SQL["quality_due"], [every_s]).fetchone()
            if not (taken and taken[0] and due and due[0]):
                return False
            stop.rest(0)
            measure(connection, stop=stop)
            connection.execute(SQL["thin_quality"])
            return True
    except psycopg.Error as error:
        raise translated(error) from error


async def measuring(dsn: str, every_s: float) -> None:
    """Measure every so many seconds, in a thread, until cancelled; whichever worker comes first does it, once it has been up for a while. 0
    seconds: never.
    """
    while every_s > 0:
        await asyncio.sleep(min(60.0, every_s / 4))
        stop = Stop()
        try:
            await asyncio.to_thread(measure_if_due, dsn, every_s, stop)
        except RetryLater as later:
            logger.info("%s", later)
        finally:
            stop()


def history(
    connection: psycopg.Connection[Any], entities: list[str] | None = None, fields: list[str] | None = None
) -> list[tuple[str, Quality]]:
    """(time, figures) of these fields, field by field, the oldest first."""
    rows = connection.execute(
        "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), entity, field, records, complete, invalid, repeated,"
        " disagreeing, orphans FROM quality WHERE (%(entities)s::text[] IS NULL OR entity = ANY(%(entities)s))"
        " AND (%(fields)s::text[] IS NULL OR field = ANY(%(fields)s)) ORDER BY entity, field, at",
        {"entities": entities or None, "fields": fields or None},
    )
    return [(row[0], Quality(*row[1:])) for row in rows]
