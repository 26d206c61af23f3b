"""Re-resolves records: applies today's ownership rules to the contributions that the hub has already.

In: the hub's contributions and the rules. Out: a `Difference` for each field that the rules resolve otherwise, and for
each record with other match keys by these rules; then refresh messages that bring it about. Reads the hub only: the
aggregates' writers do the rest, so the workers must have read the new rules (restart them) before refreshes are sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import psycopg

from streams.hub.verification import (
    contested_entities,
    final_record,
    load_same_records,
    matched_entities,
    unsent_documents,
)
from streams.model.change import Change, Value
from streams.model.entities import ENTITIES
from streams.model.names import changes_topic
from streams.model.state import EntityState
from streams.pipeline.canonical import REFERENCES
from streams.pipeline.matching import keys_of
from streams.resolve.golden import Ownership, golden, is_deleted


class Difference(msgspec.Struct, frozen=True):
    """One field that the rules resolve otherwise than the hub has it.

    `field` is `*` for whether the record is deleted, or in which flows it is, `match` for its match keys.
    """

    entity: str
    id: str
    aggregate_id: str
    field: str
    now: Value
    """The value in the hub."""
    then: Value
    """The value by the rules."""


def differences(hub: psycopg.Connection, ownership: Ownership) -> Iterator[Difference]:
    """What would change, over all records of more than one source, over the match keys of all records, and over the
    documents that serve orders of several flows.
    """
    yield from _key_differences(hub, ownership)
    for document in unsent_documents(hub):
        yield Difference(
            document.entity, document.id, document.aggregate_id, "*", "whole in one flow", "in several flows"
        )
    with hub.transaction():
        same = load_same_records(hub)
        for aggregate_id, entity in contested_entities(hub):
            yield from _field_differences(entity, aggregate_id, same, ownership)


def _field_differences(
    entity: EntityState, aggregate_id: str, same: dict[str, str], ownership: Ownership
) -> Iterator[Difference]:
    deleted = is_deleted(entity, ownership)
    if deleted != entity.deleted:
        now, then = ("deleted" if gone else "kept" for gone in (entity.deleted, deleted))
        yield Difference(entity.entity, entity.id, aggregate_id, "*", now, then)
    if deleted:
        return
    record = golden(entity, ownership)[0]
    for field in sorted(record.keys() | entity.record.keys()):
        value = record.get(field)
        if value and field in REFERENCES[entity.entity]:
            value = final_record(value, same)
        if value != entity.record.get(field):
            yield Difference(entity.entity, entity.id, aggregate_id, field, entity.record.get(field), value)


def _key_differences(hub: psycopg.Connection, ownership: Ownership) -> Iterator[Difference]:
    with_rules = {name for name, rule in ownership.entities.items() if rule.match}
    roots = [name for name in ENTITIES if ENTITIES[name].aggregate == name]
    with hub.transaction():
        for aggregate_id, entity, held_keys, claimed_keys in matched_entities(hub, roots):
            wanted = set(keys_of(entity, ownership)) if entity.entity in with_rules else set()
            # A key that another record holds, as an open conflict or a person's decision has it, is no difference.
            if held_keys - wanted or wanted - held_keys - claimed_keys:
                yield Difference(entity.entity, entity.id, aggregate_id, "match", sorted(held_keys), sorted(wanted))


def refreshes(differences: Iterable[Difference]) -> list[tuple[str, str, Change]]:
    """(topic, key, change) that let each aggregate's writer resolve it again."""
    return [
        (changes_topic(ENTITIES[entity].aggregate), aggregate, Change("refresh", "", aggregate, target=aggregate))
        for entity, aggregate in sorted({(difference.entity, difference.aggregate_id) for difference in differences})
    ]
