"""Finds the record that a person names: by its canonical id, or by system and key. Reads the hub only."""

from __future__ import annotations

import msgspec
import psycopg

from streams.errors import ConfigError
from streams.hub.identity import EntityRow, LinkedId, Sides, entity_by_id, ids_linked_to, links_of_ids
from streams.model.ids import source_id
from streams.model.state import Contribution

MASTERS = ("customer", "product")
"""Entities that are roots of their aggregates: two records of one can be the same."""

_MOST_MERGES = 8
"""Steps of a chain of merges that are followed; a longer chain is a circle."""

decode_contributions = msgspec.json.Decoder(dict[str, Contribution]).decode
"""The hub's JSON of `entity.contributions` → source id → contribution."""


class Master(msgspec.Struct):
    """One record as the hub has it. `id` is what the person named, `canonical` the record that it is now."""

    id: str
    canonical: str
    entity: str
    aggregate_id: str
    deleted: bool
    is_unmerged: bool
    """A person took it out of another record: nothing links it any more."""
    waits_for: str | None
    """The record that it names, while another row of its system is that record."""
    record: dict[str, object]
    contributions: dict[str, Contribution]
    other_ids: list[str]
    """Other ids that are this record."""


def find_master(connection: psycopg.Connection, name: str) -> Master:
    """The record that a person means: by its id, system:key, or system:entity:key where two entities of a system have
    that key.

    Raises ConfigError when there is none.
    """
    try:
        links = links_of_ids(connection, _ids_of_name(name))
    except psycopg.errors.InvalidTextRepresentation:
        raise ConfigError(f"{name!r} is neither an id nor system:key", remedy="as in demo-erp:1042") from None
    for link in links:
        current, row = _follow_merges(connection, link)
        if row is None:
            continue
        record = msgspec.json.decode(row.record)
        contributions = decode_contributions(row.contributions)
        for contribution in contributions.values():
            if contribution.fields is None:
                contribution.fields = record
        others = ids_linked_to(connection, current)
        return Master(
            link.source_id,
            current,
            row.entity,
            row.aggregate_id,
            row.deleted,
            link.is_unmerged,
            link.waits_for,
            record,
            contributions,
            others,
        )
    raise ConfigError(
        f"the hub knows no record {name}", remedy="give its canonical id, or system:key as in demo-erp:1042"
    )


def sides(left: Master, right: Master) -> Sides:
    """All ids of each of two records."""
    return Sides(*([*{side.id, side.canonical, *side.contributions, *side.other_ids}] for side in (left, right)))


def _ids_of_name(name: str) -> list[str]:
    """The ids that a name may mean, the likeliest first."""
    system, colon, key = name.partition(":")
    if not colon:
        return [name]
    entity, _, rest = key.partition(":")
    if entity in MASTERS and rest:
        return [source_id(system, entity, rest)]
    return [source_id(system, entity, key) for entity in MASTERS]


def _follow_merges(connection: psycopg.Connection, link: LinkedId) -> tuple[str, EntityRow | None]:
    """(id, row) of the record that a source id is now; no row where the hub knows none."""
    current, row = link.target or link.source_id, None
    for _ in range(_MOST_MERGES):
        row = entity_by_id(connection, current)
        if row is None or row.merged_into is None:
            break
        current = row.merged_into
    return current, row
