"""What people decide about identities and values, as messages to the aggregates' own writers.

In: records that `masters` found. Out: `Message`s for the topics `changes.<aggregate>`. Nothing here writes what a
writer owns; only that two records are two is written to the hub here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import psycopg

from streams.errors import ConfigError
from streams.hub import identity as hub
from streams.identity.masters import MASTERS, Master, sides
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.model.names import PEOPLE, changes_topic


class Message(NamedTuple):
    """A change for the writer of one aggregate."""

    topic: str
    key: str
    change: Change


def merge(loser: Master, winner: Master) -> Message:
    """Make two records one: everything that refers to `loser` follows to `winner`. Raises ConfigError where that cannot
    be.
    """
    if loser.entity != winner.entity or loser.entity not in MASTERS:
        raise ConfigError(
            f"a {loser.entity} cannot be merged into a {winner.entity}",
            remedy=f"name two records of one kind, {' or '.join(MASTERS)}; "
            "demo-erp:product:7 is the product where a customer has that key, too",
        )
    if loser.canonical == winner.canonical:
        raise ConfigError(
            f"they are one record already: {winner.canonical}", remedy="`opshub identity show` lists its sources"
        )
    change = Change(
        "link",
        loser.entity,
        loser.canonical,
        PEOPLE,
        same_as=winner.canonical,
        target=winner.canonical,
        source_us=_now_us(),
    )
    return Message(changes_topic(ENTITIES[loser.entity].aggregate), loser.canonical, change)


def unmerge(record: Master) -> Message:
    """Take `record.id` out of the record that it was merged into. Raises ConfigError where it is the record itself."""
    others = [
        contribution
        for source, contribution in record.contributions.items()
        if source != record.id and contribution.system != PEOPLE
    ]
    if record.id == record.canonical:
        names = [f"{contribution.system}:{contribution.key}" for contribution in others]
        raise ConfigError(
            f"{record.id} is the record itself, not a part of another",
            remedy=f"name the part: {' or '.join(names)}" if names else "nothing was merged into it",
        )
    if not others:
        raise ConfigError(f"nothing would be left of {record.canonical}", remedy="it has one source only")
    change = Change("link", record.entity, record.id, PEOPLE, target=record.id, source_us=_now_us())
    return Message(changes_topic(ENTITIES[record.entity].aggregate), record.aggregate_id, change)


def keep_separate(connection: psycopg.Connection, left: Master, right: Master, who: str, reason: str) -> list[Message]:
    """Remember that these are two: no match key joins them, their conflicts over a key end, no merge of them is
    proposed. To send: what keeps a record of its own that names the other and waits for it.

    Raises ConfigError where they are one record, or of two kinds.
    """
    if left.canonical == right.canonical or left.entity != right.entity:
        raise ConfigError(
            "they are one record"
            if left.canonical == right.canonical
            else f"they are a {left.entity} and a {right.entity}",
            remedy="`opshub identity unmerge` takes a record out of another; `opshub identity show` lists its sources",
        )
    hub.keep_separate(connection, left.canonical, right.canonical, who, reason)
    both = sides(left, right)
    hub.end_match_key_conflicts(connection, both, who)
    waiting = [
        record
        for record, others in ((left, both.right), (right, both.left))
        if record.waits_for is not None and record.waits_for in others
    ]
    return [_stay_alone(record) for record in waiting]


def _stay_alone(record: Master) -> Message:
    change = Change("link", record.entity, record.canonical, PEOPLE, target=record.canonical, source_us=_now_us())
    return Message(changes_topic(ENTITIES[record.entity].aggregate), record.canonical, change)


def forget_kept_separate(connection: psycopg.Connection, left: Master, right: Master) -> None:
    """Take back that these are two."""
    hub.forget_kept_separate(connection, sides(left, right))


def decide(entity: str, entity_id: str, aggregate_id: str, fields: Mapping[str, object]) -> Message:
    """Let a person's values stand for these fields, whatever the systems give later.

    `fields`: canonical values; None takes an earlier decision back.
    """
    now = _now_us()
    change = Change(
        "change", entity, source_id(PEOPLE, entity, entity_id), PEOPLE, entity_id, "u", 0, now, 0, now,
        same_as=entity_id, fields=dict(fields),
    )  # fmt: skip
    return Message(changes_topic(ENTITIES[entity].aggregate), aggregate_id, change)


def _now_us() -> int:
    return time.time_ns() // 1000
