"""A record with all that the hub knows of it: what each source says, conflicts, intents, what belongs to it.

A class for each row, a function for each statement of `sql/record_views.sql`. Each reads an index and is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from streams.hub.entity_rows import EntityRow, entity_of_row
from streams.hub.finding import FoundDeadLetter
from streams.hub.flow_lists import FlowLine
from streams.hub.identity import ids_linked_to
from streams.hub.intent_review import Hub, IntentView
from streams.hub.statements import SQL, fetch_structs
from streams.model.state import Contribution, EntityState

MOST = 50
"""Rows of a list beside a record."""

_contributions = msgspec.json.Decoder(dict[str, Contribution]).decode


class _StoredRecord(msgspec.Struct, frozen=True):
    given: str
    id: str
    entity: str
    aggregate_id: str
    parent_id: str | None
    version: int
    revision: int
    deleted: bool
    updated_us: int
    record: dict[str, Any]
    contributions: str


class RecordView(msgspec.Struct, frozen=True):
    """One record as the hub has it. `given`: the id that was asked for; `id`: the record that it is now."""

    given: str
    id: str
    entity: str
    aggregate_id: str
    parent_id: str | None
    version: int
    """Of the golden record, as the canonical topic carries it."""
    revision: int
    """Of the hub's row: how often it was written."""
    deleted: bool
    updated_us: int
    """Commit time at the source of its newest change, µs since 1970."""
    record: dict[str, Any]
    contributions: dict[str, Contribution]
    """By source id."""
    other_ids: list[str]
    """Other ids that are this record."""

    @property
    def all_ids(self) -> list[str]:
        return sorted({self.id, self.given, *self.contributions, *self.other_ids})

    @property
    def state(self) -> EntityState:
        """As the rules of ownership take it."""
        return EntityState(
            self.id, self.entity, self.parent_id, None, self.version, self.revision, self.deleted, self.updated_us,
            self.record, self.contributions,
        )  # fmt: skip


class StandingConflict(msgspec.Struct, frozen=True):
    """A conflict that stands."""

    id: str
    entity_id: str
    entity: str
    field: str
    kind: str
    values: dict[str, Any]
    """System → {value, position, us, tx}."""
    winner: str | None
    rule: str
    outcome: str
    seen_at: datetime
    decided_by: str | None


class Member(msgspec.Struct, frozen=True):
    """A record that belongs to another."""

    id: str
    record: dict[str, Any]


class RecordName(msgspec.Struct, frozen=True):
    """What a record is called that another refers to."""

    id: str
    name: str | None
    entity: str
    record_id: str
    """The record that the id is now: another one after a merge."""


class _Id(msgspec.Struct, frozen=True):
    id: str


def record_view(hub: Hub, record_id: str) -> RecordView | None:
    """The record that this id is now; None where the hub has none. `record_id` must be a UUID."""
    rows = fetch_structs(hub, _StoredRecord, "record_view", {"id": record_id})
    if not rows:
        return None
    (row,) = rows
    contributions = _contributions(row.contributions)
    for contribution in contributions.values():
        if contribution.fields is None:
            contribution.fields = row.record
    return RecordView(
        row.given, row.id, row.entity, row.aggregate_id, row.parent_id, row.version, row.revision, row.deleted,
        row.updated_us, row.record, contributions, ids_linked_to(hub, row.id),
    )  # fmt: skip


def record_conflicts(hub: Hub, ids: Sequence[str]) -> list[StandingConflict]:
    """Conflicts of these records that stand, the newest first."""
    return fetch_structs(hub, StandingConflict, "record_conflicts", {"ids": list(ids), "limit": MOST})


def flow_conflicts(hub: Hub, aggregate_id: str) -> list[StandingConflict]:
    """Business rules that do not hold in a flow."""
    return fetch_structs(hub, StandingConflict, "flow_conflicts", {"id": aggregate_id, "limit": MOST})


def intents_of_subject(hub: Hub, record_id: str) -> list[IntentView]:
    """The newest intents that write this record."""
    return fetch_structs(hub, IntentView, "intents_of_subject", {"id": record_id, "limit": MOST})


def members_of_kind(hub: Hub, aggregate_id: str, entity: str) -> list[Member]:
    """Live records of a kind in an aggregate."""
    return fetch_structs(hub, Member, "members_of_kind", {"id": aggregate_id, "entity": entity, "limit": MOST})


def requests_of_customer(hub: Hub, ids: Sequence[str]) -> list[Member]:
    """Service requests of a customer, of any of its ids."""
    return fetch_structs(hub, Member, "requests_of_customer", {"ids": list(ids), "limit": MOST})


def suppliers_of_customer(hub: Hub, ids: Sequence[str]) -> list[Member]:
    """The suppliers that a customer is, too; `ids`: all of its ids."""
    return fetch_structs(hub, Member, "suppliers_of_customer", {"ids": list(ids), "limit": MOST})


def flows_with_product(hub: Hub, ids: Sequence[str]) -> list[FlowLine]:
    """Some of the flows in which a product was ordered."""
    limit = {"ids": list(ids), "limit": 20}
    aggregates = [row.id for row in fetch_structs(hub, _Id, "flows_with_product", limit)]
    if not aggregates:
        return []
    records = [row.id for row in fetch_structs(hub, _Id, "flow_records_of", {"ids": aggregates})]
    return fetch_structs(hub, FlowLine, "flow_lines", {"ids": records})


def dead_letters_of_keys(hub: Hub, topics: Sequence[str], keys: Sequence[bytes]) -> list[FoundDeadLetter]:
    """Open dead letters with one of these keys in one of these topics."""
    if not topics or not keys:
        return []
    wanted = {"topics": list(topics), "keys": list(keys), "limit": MOST}
    return fetch_structs(hub, FoundDeadLetter, "dead_letters_of_keys", wanted)


def names_of_ids(hub: Hub, ids: Sequence[str]) -> dict[str, RecordName]:
    """Id → what the record is called."""
    rows = fetch_structs(hub, RecordName, "names_of_ids", {"ids": list(ids)}) if ids else []
    return {row.id: row for row in rows}


def members_of_flow(hub: Hub, aggregate_id: str) -> list[EntityState]:
    """All entities of an aggregate, deleted ones too, as the rules of the join take them."""
    rows = hub.execute(SQL["members_of_flow"], [aggregate_id]).fetchall()
    return [entity_of_row(EntityRow(*row)) for row in rows]
