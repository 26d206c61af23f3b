"""Order flows as people see them: a class for each row, a function for each statement of `sql/order_flows.sql` that
commands use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import msgspec

from streams.hub.entity_rows import entity_of_row
from streams.hub.intent_review import Hub, IntentView, intents_of_aggregate
from streams.hub.statements import SQL, fetch_structs
from streams.hub.verification import ENTITIES_AT_ONCE
from streams.model.entities import ENTITIES
from streams.model.state import EntityState


class FlowMember(msgspec.Struct, frozen=True):
    """One document of an order flow, or its joined record."""

    id: str
    entity: str
    version: int
    record: dict[str, Any]


class OrderFlow(msgspec.Struct, frozen=True):
    """An order flow: its joined record, its live documents without lines, and the intents that it caused."""

    aggregate_id: str
    record: dict[str, Any]
    members: list[FlowMember]
    intents: list[IntentView]


class StuckFlow(msgspec.Struct, frozen=True):
    """A flow that has been in its stage for too long."""

    id: str
    stage: str
    number: str | None
    in_stage_s: int


class _Id(msgspec.Struct, frozen=True):
    id: str


class FoundFlow(msgspec.Struct, frozen=True):
    """An order flow, and one of its documents that was asked for."""

    id: str
    document: str


def find_flow_ids(hub: Hub, name: str) -> list[FoundFlow]:
    """The order flows with this id, or with a document of this number; system:number looks in one system only."""
    system, colon, number = name.partition(":")
    if not colon:
        parameters = {"number": name, "id": _uuid(name), "system": None}
    else:
        parameters = {"number": number, "id": None, "system": system}
    return fetch_structs(hub, FoundFlow, "find_flow", parameters)


def find_flows(hub: Hub, name: str) -> list[OrderFlow]:
    """As `find_flow_ids`, with all that belongs to each flow."""
    flows = []
    for row in find_flow_ids(hub, name):
        members = fetch_structs(hub, FlowMember, "flow_members", {"id": row.id})
        joined = next((member.record for member in members if member.entity == "order_flow"), None)
        if joined is not None:
            documents = [member for member in members if member.entity != "order_flow"]
            flows.append(OrderFlow(row.id, joined, documents, intents_of_aggregate(hub, row.id)))
    return flows


def all_flows(hub: Hub) -> Iterator[list[EntityState]]:
    """The live members of each order flow."""
    others = [name for name, entity in ENTITIES.items() if entity.aggregate != "order_flow"]
    with hub.transaction(), hub.cursor(name="flow_entities") as cursor:
        cursor.itersize = ENTITIES_AT_ONCE
        cursor.execute(SQL["flow_entities"], [others])
        for _, rows in groupby(cursor, key=itemgetter(2)):
            yield [entity_of_row(row) for row in rows]


def waiting_subjects(hub: Hub) -> set[str]:
    """Records with an intent that waits for people."""
    return {row.id for row in fetch_structs(hub, _Id, "waiting_subjects")}


def stuck_flows(hub: Hub, limits: Mapping[str, float], *, limit: int = 1000) -> list[StuckFlow]:
    """Flows that have been in their stage for longer than `limits` (stage → seconds), the longest first."""
    parameters = {"limits": msgspec.json.encode(limits).decode(), "limit": limit}
    return fetch_structs(hub, StuckFlow, "stuck_flows", parameters)


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None
