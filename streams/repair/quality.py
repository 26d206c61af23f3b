"""Figures of quality for each entity and field, computed in the hub and kept there over time.

complete: the field is filled. invalid: its value is none of those that are meant. repeated: values of a field that should be unique that
others have too. disagreeing: records on which a conflict stands. orphans: references to what is not there, or is deleted.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import msgspec
import psycopg

from streams.hub.store import SQL
from streams.model.entities import ENTITIES

UNIQUE = ("number", "tax_id", "sku", "gtin")


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


def measure(connection: psycopg.Connection[Any], entities: list[str] | None = None) -> list[Quality]:
    """Measure now, and keep the figures in the table `quality`."""
    at = dt.datetime.now(dt.UTC)
    found: list[Quality] = []
    for name in entities or [name for name, entity in ENTITIES.items() if not entity.computed]:
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
                "refs": refs,
                "at": at,
            },
        )
        found += [Quality(*row) for row in rows]
    return sorted(found, key=lambda one: (one.entity, one.field))


def history(connection: psycopg.Connection[Any], entity: str, field: str) -> list[tuple[str, Quality]]:
    """(time, figures) of one field, the oldest first."""
    rows = connection.execute(
        "SELECT at::text, entity, field, records, complete, invalid, repeated, disagreeing, orphans FROM quality"
        " WHERE entity = %s AND field = %s ORDER BY at",
        [entity, field],
    )
    return [(row[0], Quality(*row[1:])) for row in rows]
