"""Apply today's ownership rules to what the systems have said already: first what would differ, then refreshes that make it so.

In: the hub's contributions and the rules. Out: a `Difference` for each field of each record that the rules would settle otherwise, and for
each record whose match keys are others by today's rules. Reads the hub only; the aggregates' writers do the rest, so the workers must have
read the new rules (restart them) before refreshes are sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg

from streams.hub.statements import SQL
from streams.hub.store import entity_of_row
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.names import changes_topic
from streams.pipeline.canonical import REFERENCES
from streams.pipeline.matching import keys_of
from streams.resolve.golden import Ownership, golden, is_deleted


class Difference(msgspec.Struct, frozen=True):
    """One field that the rules settle otherwise than the hub has it; `*`: whether it is deleted; `match`: its match keys."""

    entity: str
    id: str
    aggregate_id: str
    field: str
    now: Any
    then: Any


def differences(connection: psycopg.Connection[Any], ownership: Ownership) -> Iterator[Difference]:
    """What would change, over all records of more than one source, and over the match keys of all."""
    yield from _keys(connection, ownership)
    with connection.transaction():
        same: dict[str, str] = dict(
            connection.execute("SELECT source_id::text, target::text FROM identity WHERE same").fetchall()
        )
        with connection.cursor(name="again") as cursor:
            cursor.itersize = 2000
            for row in cursor.execute(SQL["contested_entities"]):
                entity = entity_of_row(row)
                gone = is_deleted(entity, ownership)
                if gone != entity.deleted:
                    yield Difference(
                        entity.entity,
                        entity.id,
                        row[2],
                        "*",
                        "deleted" if entity.deleted else "kept",
                        "deleted" if gone else "kept",
                    )
                if gone:
                    continue
                record = golden(entity, ownership)[0]
                for field in sorted(record.keys() | entity.record.keys()):
                    then = record.get(field)
                    if then and field in REFERENCES[entity.entity]:
                        for _ in range(8):
                            then = same.get(then, then)
                    now = entity.record.get(field)
                    if then != now:
                        yield Difference(entity.entity, entity.id, row[2], field, now, then)


def _keys(connection: psycopg.Connection[Any], ownership: Ownership) -> Iterator[Difference]:
    matched = [name for name, rule in ownership.entities.items() if rule.match]
    with connection.transaction(), connection.cursor(name="keys") as cursor:
        cursor.execute(SQL["matched_entities"], [[name for name in ENTITIES if ENTITIES[name].aggregate == name]])
        while rows := cursor.fetchmany(2000):
            for row in rows:
                entity, held, asked = entity_of_row(row), set(row[11]), set(row[12])
                wanted = set(keys_of(entity, ownership)) if entity.entity in matched else set()
                # A key that another holds, as a conflict says or a person decided, is no difference.
                if held - wanted or wanted - held - asked:
                    yield Difference(entity.entity, entity.id, row[2], "match", sorted(held), sorted(wanted))


def refreshes(found: list[Difference]) -> list[tuple[str, str, Change]]:
    """(topic, key, change) that let each aggregate's writer resolve it again."""
    return [
        (changes_topic(ENTITIES[entity].aggregate), aggregate, Change("refresh", "", aggregate, target=aggregate))
        for entity, aggregate in sorted({(one.entity, one.aggregate_id) for one in found})
    ]
