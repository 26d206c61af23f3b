"""What the deliverer reads about the record of an intent: functions for the statements of `sql/documents.sql`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from streams.hub.entity_rows import entity_of_row
from streams.hub.store import HubStore
from streams.model.state import EntityState


class OnOrder(msgspec.Struct, frozen=True):
    """What the customer of an intent has ordered and was not invoiced yet, in one currency: unscaled, without tax."""

    intent_id: int
    currency: str | None
    amount: int


async def entities_by_id(store: HubStore, ids: Collection[str]) -> dict[str, EntityState]:
    """Id → entity. The id of a merged entity leads to the entity that it was merged into."""
    return {row[0]: entity_of_row(row[1:]) for row in await store.rows("entities_by_id", sorted(ids))}


async def lines_of(store: HubStore, documents: Mapping[str, str]) -> dict[str, list[EntityState]]:
    """Id of a document → its live lines. `documents`: id → entity of its lines."""
    lines: dict[str, list[EntityState]] = {}
    for document, *row in await store.rows("lines_of", list(documents), list(documents.values())):
        lines.setdefault(document, []).append(entity_of_row(row))
    return lines


async def on_order(store: HubStore, amount_fields: Mapping[int, str]) -> list[OnOrder]:
    """What the customers of these intents have on order. `amount_fields`: number of an intent → the field that has
    its amount.
    """
    parameters = {"ids": list(amount_fields), "fields": list(amount_fields.values())}
    return await store.fetch(OnOrder, "on_order", parameters)


async def load_members(store: HubStore, aggregate_ids: Collection[str]) -> dict[str, list[EntityState]]:
    """Id of an aggregate → all its entities."""
    members: dict[str, list[EntityState]] = {}
    if aggregate_ids:
        for row in await store.rows("load_aggregates", list(aggregate_ids)):
            members.setdefault(row[2], []).append(entity_of_row(row))
    return members
