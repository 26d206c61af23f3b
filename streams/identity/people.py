"""What people decide about identities and conflicts, as messages to the aggregates' own writers. Nothing here writes what a writer owns.

In: how a person names a record (its canonical id, or `system:key`), a conflict's id. Out: `Message`s for the topics `changes.<aggregate>`.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec
import psycopg

from streams.errors import ConfigError
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.model.names import PEOPLE, changes_topic
from streams.model.state import Contribution

MASTERS = ("customer", "product")
"""Entities that are roots of their aggregates, of which two can be one."""

_contributions = msgspec.json.Decoder(dict[str, Contribution])


class Message(NamedTuple):
    topic: str
    key: str
    change: Change


class Master(msgspec.Struct):
    """One record as the hub has it. `id` is what was asked for, `canonical` the record that it is now."""

    id: str
    canonical: str
    entity: str
    aggregate_id: str
    deleted: bool
    apart: bool
    record: dict[str, Any]
    contributions: dict[str, Contribution]
    names: list[str]
    """Other ids that are this record."""


def find(connection: psycopg.Connection[Any], name: str) -> Master:
    """The record that a person means: by its id, system:key, or system:entity:key where two entities of a system have that key.

    Raises ConfigError when there is none.
    """
    system, colon, key = name.partition(":")
    entity, _, rest = key.partition(":")
    if entity in MASTERS and rest:
        wanted = [source_id(system, entity, rest)]
    else:
        wanted = [source_id(system, entity, key) for entity in MASTERS] if colon else [name]
    try:
        found = connection.execute(
            "SELECT s.id::text, i.target::text, (i.source_id = i.target) IS TRUE FROM unnest(%s::uuid[]) WITH ORDINALITY s(id, n)"
            " LEFT JOIN identity i ON i.source_id = s.id AND i.same ORDER BY s.n",
            [wanted],
        ).fetchall()
    except psycopg.errors.InvalidTextRepresentation:
        raise ConfigError(f"{name!r} is neither an id nor system:key", remedy="as in demo-erp:1042") from None
    for asked, target, apart in found:
        current, row = target or asked, None
        for _ in range(8):
            row = connection.execute(
                "SELECT entity, merged_into::text, aggregate_id::text, deleted, record::text, contributions::text"
                " FROM entity WHERE id = %s",
                [current],
            ).fetchone()
            if row is None or row[1] is None:
                break
            current = row[1]
        if row is None:
            continue
        record = msgspec.json.decode(row[4])
        contributions = _contributions.decode(row[5])
        for said in contributions.values():
            if said.fields is None:
                said.fields = record
        names = connection.execute(
            "SELECT source_id::text FROM identity WHERE same AND target = %s AND source_id <> target ORDER BY 1",
            [current],
        )
        return Master(asked, current, row[0], row[2], row[3], apart, record, contributions, [one[0] for one in names])
    raise ConfigError(
        f"the hub knows no record {name}", remedy="give its canonical id, or system:key as in demo-erp:1042"
    )


def merge(loser: Master, winner: Master) -> Message:
    """Make two records one: everything that hangs on `loser` follows to `winner`. Raises ConfigError where that can not be."""
    if loser.entity != winner.entity or loser.entity not in MASTERS:
        raise ConfigError(
            f"a {loser.entity} can not be merged into a {winner.entity}",
            remedy=f"two records of one kind, {' or '.join(MASTERS)}: demo-erp:product:7 is the product where a customer has that key, too",
        )
    if loser.canonical == winner.canonical:
        raise ConfigError(
            f"they are one record already: {winner.canonical}", remedy="`opshub identity show` says of what it is made"
        )
    change = Change(
        "link",
        loser.entity,
        loser.canonical,
        PEOPLE,
        same_as=winner.canonical,
        target=winner.canonical,
        source_us=now_us(),
    )
    return Message(changes_topic(ENTITIES[loser.entity].aggregate), loser.canonical, change)


def split(record: Master) -> Message:
    """Take `record.id` out of the record that it is part of. Raises ConfigError where it is not part of another."""
    if record.id == record.canonical:
        parts = [
            f"{said.system}:{said.key}"
            for source, said in record.contributions.items()
            if source != record.id and said.system != PEOPLE
        ]
        raise ConfigError(
            f"{record.id} is the record itself, not a part of another",
            remedy=f"name the part: {' or '.join(parts)}" if parts else "nothing was joined to it",
        )
    others = {
        source: said for source, said in record.contributions.items() if source != record.id and said.system != PEOPLE
    }
    if not others:
        raise ConfigError(f"nothing would be left of {record.canonical}", remedy="it has one source only")
    change = Change("link", record.entity, record.id, PEOPLE, target=record.id, source_us=now_us())
    return Message(changes_topic(ENTITIES[record.entity].aggregate), record.aggregate_id, change)


def told_apart(connection: psycopg.Connection[Any], one: Master, other: Master) -> bool:
    """Whether a person said that these are two."""
    return bool(connection.execute(f"SELECT 1 FROM told_apart WHERE {_APART}", _sides(one, other)).fetchall())


def tell_apart(connection: psycopg.Connection[Any], one: Master, other: Master, who: str, why: str) -> None:
    """Remember that these are two: no match key joins them, none of their conflicts over a key stands, they are not proposed.

    Raises ConfigError where they are one record, or of two kinds.
    """
    if one.canonical == other.canonical or one.entity != other.entity:
        raise ConfigError(
            f"they are {'one record' if one.canonical == other.canonical else f'a {one.entity} and a {other.entity}'}",
            remedy="`opshub identity split` takes a record out of another; `opshub identity show` says of what it is made",
        )
    first, second = sorted((one.canonical, other.canonical))
    connection.execute(
        "INSERT INTO told_apart (one, other, who, why) VALUES (%s, %s, %s, %s) ON CONFLICT (one, other)"
        " DO UPDATE SET who = excluded.who, why = excluded.why, at = now()",
        [first, second, who, why],
    )
    connection.execute(
        "UPDATE conflict SET resolved_at = now(), outcome = 'decided', decided_by = %(who)s"
        " WHERE kind = 'match_key' AND resolved_at IS NULL"
        " AND (entity_id = ANY(%(one)s::uuid[]) AND said->'holder'->>'value' = ANY(%(other)s::text[])"
        " OR entity_id = ANY(%(other)s::uuid[]) AND said->'holder'->>'value' = ANY(%(one)s::text[]))",
        _sides(one, other) | {"who": who},
    )


def take_together(connection: psycopg.Connection[Any], one: Master, other: Master) -> None:
    """Forget that anybody said that these are two."""
    connection.execute(f"DELETE FROM told_apart WHERE {_APART}", _sides(one, other))


_APART = "(one = ANY(%(one)s::uuid[]) AND other = ANY(%(other)s::uuid[]) OR one = ANY(%(other)s::uuid[]) AND other = ANY(%(one)s::uuid[]))"


def _sides(one: Master, other: Master) -> dict[str, list[str]]:
    """All ids of each."""
    return {
        "one": [*{one.id, one.canonical, *one.contributions, *one.names}],
        "other": [*{other.id, other.canonical, *other.contributions, *other.names}],
    }


def decide(entity: str, entity_id: str, aggregate_id: str, fields: dict[str, Any]) -> Message:
    """Let a person's word stand for these fields (canonical values; null takes an earlier word back), whatever the systems say later."""
    at = now_us()
    change = Change(
        "change",
        entity,
        source_id(PEOPLE, entity, entity_id),
        PEOPLE,
        entity_id,
        "u",
        0,
        at,
        0,
        at,
        same_as=entity_id,
        fields=fields,
    )
    return Message(changes_topic(ENTITIES[entity].aggregate), aggregate_id, change)


def now_us() -> int:
    return time.time_ns() // 1000
