"""Rows of the hub's table `entity` → entity states, and back.

A contribution that equals the golden record, as of most entities with one source, is stored without its fields.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from streams.model.state import Contribution, EntityState

_decode_contributions = msgspec.json.Decoder(dict[str, Contribution]).decode
_decode_record = msgspec.json.Decoder(dict[str, Any]).decode


class EntityRow(NamedTuple):
    """The columns of `all_entities`, in their order; `load_aggregates` has `handed_over` too. Ids are text, JSON is
    undecoded.
    """

    id: str
    entity: str
    aggregate_id: str
    parent_id: str | None
    merged_into: str | None
    version: int
    revision: int
    deleted: bool
    updated_us: int
    record: str
    contributions: str


class LoadedEntity(NamedTuple):
    """An entity, and the aggregate that it lives in."""

    aggregate_id: str
    entity: EntityState


def loaded_entity(
    id: str,
    entity: str,
    aggregate_id: str,
    parent_id: str | None,
    merged_into: str | None,
    version: int,
    revision: int,
    deleted: bool,
    updated_us: int,
    record: str,
    contributions: str,
    handed_over: bool = False,
) -> LoadedEntity:
    """The columns of `load_aggregates` by position, as `psycopg.rows.args_row` gives them: no row in between, for this
    is a hot path.
    """
    fields = _decode_record(record)
    by_source = _decode_contributions(contributions)
    for contribution in by_source.values():
        if contribution.fields is None:
            contribution.fields = fields
    state = EntityState(
        id, entity, parent_id, merged_into, version, revision, deleted, updated_us, fields, by_source, handed_over
    )  # fmt: skip
    return LoadedEntity(aggregate_id, state)


def entity_of_row(row: Any) -> EntityState:
    """The entity of a row that begins with the columns of `EntityRow`."""
    return loaded_entity(*row[:11]).entity


class EntityToStore(msgspec.Struct, frozen=True):
    """A row as `upsert_entities` takes it, in JSON."""

    id: str
    entity: str
    aggregate_id: str
    parent_id: str | None
    merged_into: str | None
    customer_ref: str | None
    product_ref: str | None
    order_line_ref: str | None
    version: int
    revision: int
    deleted: bool
    updated_us: int
    record: dict[str, Any]
    contributions: dict[str, Contribution]
    handed_over: bool


def stored_entity(entity: EntityState, aggregate_id: str, customer_ref: str | None) -> EntityToStore:
    """The row of an entity. `customer_ref` is the source id of the customer that it refers to."""
    contributions = entity.contributions
    product_ref = next(
        (product for c in contributions.values() if (product := (c.fields or {}).get("product_id"))), None
    )
    if len(contributions) == 1:
        ((source, only),) = contributions.items()
        # `is` first: after resolving one contribution both are usually the same object, and comparing dicts is slow.
        if only.fields is not None and (only.fields is entity.record or only.fields == entity.record):
            contributions = {source: msgspec.structs.replace(only, fields=None)}
    return EntityToStore(
        entity.id, entity.entity, aggregate_id, entity.parent, entity.merged_into, customer_ref, product_ref,
        entity.record.get("order_line_id"), entity.version, entity.revision, entity.deleted, entity.updated_us,
        entity.record, contributions, entity.handed_over,
    )  # fmt: skip
