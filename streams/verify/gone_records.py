"""Finds records of the hub that no row of their source makes any more, and the deletes that take them out of the hub.

In: tables that are to be read again. Out: a `Gone` for each record whose row was deleted while changes were lost, or
that the dictionary no longer maps: another `when`, another key, a table that was taken out. A re-snapshot cannot bring
these out by itself: it reads the rows that are there.

Promises: the hub is read before the source, and a delete counts only against the very change of the record that was
seen. So a row that comes back, or comes meanwhile, lives.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import msgspec
import psycopg

from streams.errors import MappingError
from streams.hub.verification import all_entities
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.names import changes_topic
from streams.provision.systems import System
from streams.verify.source_rows import learn_codes, refuse_nul, source_rows


class Gone(msgspec.Struct, frozen=True):
    """A live record of a system that none of its rows makes."""

    entity: str
    key: str
    id: str
    aggregate_id: str
    position: tuple[int, int, int]
    """Of the newest change of the row that made it."""
    source_us: int


def gone_records(hub: psycopg.Connection, system: System, dsn: str, tables: Iterable[str]) -> list[Gone]:
    """The records that these tables made, and those that no table of the dictionary makes any more, without a row.

    Raises EnvironmentFault for the source, also where row-level security hides rows from the role.
    """
    made = {entity for table in system.dictionary.tables.values() for entity in table.own_entities}
    chosen = {entity for name in tables for entity in system.dictionary.tables[name].own_entities}
    mapped = {name for name, entity in ENTITIES.items() if not entity.computed}
    with hub.transaction():
        records = {record.id: record for record in _live(hub, system.name, chosen | (mapped - made))}
    if not records:
        return []
    learn_codes(dsn, system.dictionary)
    for table in system.dictionary.tables.values():
        if chosen.isdisjoint(table.own_entities):
            continue
        for row, key in source_rows(dsn, table, whole=True):
            try:
                refuse_nul(table, row)
                ids = [record.id for record in table.map(row, "r", key) if not record.adds_fields]
            except MappingError:
                # A dead letter: the hub keeps what it knew of the row.
                ids = []
                with contextlib.suppress(MappingError):
                    ids = [record.id for record in table.map(row, "d", key)]
            for record_id in ids:
                records.pop(record_id, None)
    return list(records.values())


def _live(hub: psycopg.Connection, system: str, entities: set[str]) -> Iterator[Gone]:
    for aggregate_id, member in all_entities(hub):
        if member.entity not in entities or member.merged_into is not None:
            continue
        for source, known in member.contributions.items():
            if known.system == system and not known.deleted:
                position = known.main_position
                yield Gone(member.entity, known.key, source, aggregate_id, position, known.source_us)


def deletes(records: Iterable[Gone], system: str) -> list[tuple[str, str, Change]]:
    """(topic, key, change) that delete these records. Each is right behind the change that was seen: newer than it,
    older than any that may follow. As a snapshot's reads they cause no intent.
    """
    return [
        (
            changes_topic(ENTITIES[record.entity].aggregate),
            record.aggregate_id,
            Change(
                "change", record.entity, record.id, system, record.key, "r", *record.position[:2],
                record.position[2] + 1, record.source_us, deleted=True,
            ),
        )
        for record in records
    ]  # fmt: skip
