"""Reads all records of the hub, in portions: for `opshub verify` and for re-resolving."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import psycopg

from streams.hub.entity_rows import entity_of_row
from streams.hub.statements import SQL, fetch
from streams.model.state import EntityState

ENTITIES_AT_ONCE = 5000

LONGEST_CHAIN = 8
"""Links that are followed from one record to the record that it is the same as."""


class StoredEntity(NamedTuple):
    """A record with the aggregate that it is stored in."""

    aggregate_id: str
    state: EntityState


class MatchedEntity(NamedTuple):
    """A record with its match keys: those that it holds, and those that it claimed and another record holds."""

    aggregate_id: str
    state: EntityState
    held_keys: set[str]
    claimed_keys: set[str]


class UnsentDocument(msgspec.Struct, frozen=True):
    """An invoice or shipment whose lines name an order, and the order's flow got nothing of it."""

    entity: str
    id: str
    aggregate_id: str


class _Link(msgspec.Struct, frozen=True):
    source_id: str
    target: str


def load_same_records(hub: psycopg.Connection[object]) -> dict[str, str]:
    """Source id → the record that it is the same as, one step; see `final_record`."""
    return {link.source_id: link.target for link in fetch(hub, _Link, "same_records")}


def final_record(record_id: str, same: dict[str, str]) -> str:
    """The record at the end of the links that begin at `record_id`."""
    for _ in range(LONGEST_CHAIN):
        record_id = same.get(record_id, record_id)
    return record_id


def all_entities(hub: psycopg.Connection) -> Iterator[StoredEntity]:
    """Every record. Needs a transaction: it reads through a cursor of the server."""
    for row in _rows(hub, "all_entities"):
        yield StoredEntity(row[2], entity_of_row(row))


def contested_entities(hub: psycopg.Connection) -> Iterator[StoredEntity]:
    """Records of more than one source. Needs a transaction."""
    for row in _rows(hub, "contested_entities"):
        yield StoredEntity(row[2], entity_of_row(row))


def matched_entities(hub: psycopg.Connection, kinds: Sequence[str]) -> Iterator[MatchedEntity]:
    """Records of these entities, which may be found by match keys. Needs a transaction."""
    for row in _rows(hub, "matched_entities", [list(kinds)]):
        yield MatchedEntity(row[2], entity_of_row(row), set(row[11]), set(row[12]))


def unsent_documents(hub: psycopg.Connection[object]) -> list[UnsentDocument]:
    """Documents that serve orders of other flows, whose writers do not know it yet."""
    return fetch(hub, UnsentDocument, "unsent_shares")


def _rows(hub: psycopg.Connection, name: str, parameters: Sequence[object] = ()) -> Iterator[psycopg.rows.TupleRow]:
    with hub.cursor(name=name) as cursor:
        cursor.itersize = ENTITIES_AT_ONCE
        cursor.execute(SQL[name], parameters)
        yield from cursor
