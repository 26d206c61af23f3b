"""Identity in the hub: where ids live, which ids are one record, and what people decided about it.

One typed function or row class for each statement of `sql/identity.sql`. Workers call those with a `Lookup`; commands
call those with a connection.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
import psycopg

from streams.hub.save import IdentityLink
from streams.hub.statements import SQL, Lookup, fetch
from streams.model.change import Position


class LinkedId(msgspec.Struct, frozen=True):
    """A source id and what it was linked to."""

    source_id: str
    target: str | None
    is_unmerged: bool
    """A person took it out of another record: nothing links it any more."""
    waits_for: str | None
    """The record that it names with `same_as`, while another row of its system is that record."""


class EntityRow(msgspec.Struct, frozen=True):
    """One entity; `record` and `contributions` are JSON text."""

    entity: str
    merged_into: str | None
    aggregate_id: str
    deleted: bool
    record: str
    contributions: str


class LoggedDecision(msgspec.Struct, frozen=True):
    """What a person did: `what` is merge, unmerge or decline."""

    at: str
    who: str
    what: str
    loser: str
    winner: str
    reason: str


class ComparedCustomer(msgspec.Struct, frozen=True):
    """What is compared of a customer to propose a merge."""

    id: str
    name: str
    tax_id: str | None
    place: str
    """Postal code, or else the town."""
    street: str | None
    email: str | None
    phone: str | None
    sources: list[str]
    """Source ids of its contributions."""


class Sides(msgspec.Struct, frozen=True):
    """All ids of two records that a person compares."""

    left: list[str]
    right: list[str]


async def places(lookup: Lookup, ids: Sequence[str]) -> dict[str, str]:
    """id → the aggregate in which it lives, for those ids that the hub knows."""
    return dict(await lookup("places", ids))


async def newest_generation(lookup: Lookup) -> int:
    """The generation of the link that was written last; 0 without any."""
    ((generation,),) = await lookup("generation")
    return int(generation)


async def linked_targets(lookup: Lookup, source_ids: Sequence[str]) -> dict[str, str]:
    """source id → the id that it is linked to, for each step of each chain that begins at these ids."""
    return dict(await lookup("same", source_ids))


async def known_links(lookup: Lookup, ids: Collection[str]) -> dict[str, IdentityLink]:
    """id → its link, of those that were linked to another record, or taken out of one."""
    rows = await lookup("known_links", list(ids)) if ids else ()
    return {row[0]: IdentityLink(row[0], row[1], row[2], Position(*row[3]), row[4], left=tuple(row[5])) for row in rows}


def links_of_ids(connection: psycopg.Connection, ids: Sequence[str]) -> list[LinkedId]:
    """In the order of `ids`. Raises psycopg.errors.InvalidTextRepresentation for what is no UUID."""
    return fetch(connection, LinkedId, "links_of_ids", [list(ids)])


def entity_by_id(connection: psycopg.Connection, entity_id: str) -> EntityRow | None:
    """The row of this id, also of one that was merged into another; None if the hub has none."""
    rows = fetch(connection, EntityRow, "entity_by_id", [entity_id])
    return rows[0] if rows else None


def ids_linked_to(connection: psycopg.Connection, entity_id: str) -> list[str]:
    """Other ids that are this record."""
    return [source_id for (source_id,) in connection.execute(SQL["ids_linked_to"], [entity_id])]


def match_keys_of(connection: psycopg.Connection, entity_id: str) -> list[str]:
    """The match keys by which others find this record."""
    return [key for (key,) in connection.execute(SQL["match_keys_of"], [entity_id])]


def decisions_about(connection: psycopg.Connection, entity_id: str, canonical: str) -> list[LoggedDecision]:
    """What people did to a record, under any of its two ids; the oldest first."""
    return fetch(connection, LoggedDecision, "decisions_about", {"id": entity_id, "canonical": canonical})


def log_decision(connection: psycopg.Connection, who: str, what: str, loser: str, winner: str, reason: str) -> None:
    """Keep who did what to two records, and why."""
    connection.execute(SQL["log_decision"], [who, what, loser, winner, reason])


def is_merged(connection: psycopg.Connection, loser: str, winner: str, sources: Collection[str]) -> bool:
    """Whether `loser` is `winner` now, which has these contributions."""
    row = connection.execute(SQL["is_merged"], {"loser": loser, "winner": winner, "sources": list(sources)}).fetchone()
    return row is not None and bool(row[0])


def is_unmerged(connection: psycopg.Connection, entity_id: str) -> bool:
    """Whether it is a record of its own."""
    row = connection.execute(SQL["is_unmerged"], [entity_id]).fetchone()
    return row is not None and bool(row[0])


def aggregate_of(connection: psycopg.Connection, entity_id: str) -> str | None:
    """The aggregate in which an entity lives; None if the hub has no such entity."""
    row = connection.execute(SQL["aggregate_of"], [entity_id]).fetchone()
    return None if row is None else str(row[0])


def keep_separate(connection: psycopg.Connection, left: str, right: str, who: str, reason: str) -> None:
    """A person said that these two records are two."""
    connection.execute(SQL["keep_separate"], [*sorted((left, right)), who, reason])


def forget_kept_separate(connection: psycopg.Connection, sides: Sides) -> None:
    """Nobody said any more that these are two."""
    connection.execute(SQL["forget_kept_separate"], {"left": sides.left, "right": sides.right})


def end_match_key_conflicts(connection: psycopg.Connection, sides: Sides, who: str) -> None:
    """Conflicts over match keys between the two are decided: each keeps what it has."""
    connection.execute(SQL["end_match_key_conflicts"], {"left": sides.left, "right": sides.right, "who": who})


def separate_pairs(connection: psycopg.Connection) -> set[frozenset[str]]:
    """Pairs of ids that a person keeps separate."""
    return {frozenset(pair) for pair in connection.execute(SQL["separate_pairs"])}


def customers_to_compare(connection: psycopg.Connection) -> list[ComparedCustomer]:
    """Live customers with a name and a place, but for those that a person took out of another record."""
    return fetch(connection, ComparedCustomer, "customers_to_compare")
