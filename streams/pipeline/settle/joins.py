"""The joined records of an order-to-cash flow, and the sums that a change makes due. Part of the second half of
settling.
"""

from __future__ import annotations

from streams.flow.money import NOT_BILLED
from streams.flow.order_flow import join_all
from streams.model.ids import source_id
from streams.model.names import HUB
from streams.model.state import EntityState
from streams.pipeline.canonical import flow_record_id
from streams.pipeline.settle.batch import Fields
from streams.pipeline.settle.working import AggregateWork, Working, emit, write
from streams.writeback.planner import ChangedEntity
from streams.writeback.rule_inputs import contributed_fields

SUMMED = {
    "invoice": ("customer", "customer_id"),
    "service_request": ("customer", "customer_id"),
    "inventory_level": ("product", "product_id"),
    "purchase_order_line": ("product", "product_id"),
    "production_order": ("product", "product_id"),
}
"""Entity → the kind of the record in which it is summed, and the field that names that record."""

SUPPLY = "supply"
"""Entity of the computed record of an order line that says how it is supplied."""

SUMMED_IN = frozenset(kind for kind, _ in SUMMED.values())


def mark_sums(work: Working, entity: EntityState, record: Fields) -> None:
    """Mark the sums that an entity was part of and those that it is part of with its new `record`."""
    kind, field = SUMMED[entity.entity]
    for reference in (entity.record.get(field), record.get(field)):
        if reference:
            work.out.sums_due.add((kind, reference))


PURCHASES = frozenset(("purchase_order", "goods_receipt", "goods_receipt_line", "production_order_line"))
"""Entities on which depends what is on its way of products that other entities name."""


def mark_purchased(work: Working, aggregate: AggregateWork) -> None:
    """Mark the sums of all products that the purchase or production order of this aggregate is about."""
    for member in aggregate.state.members.values():
        if member.entity in ("purchase_order_line", "production_order") and member.record.get("product_id"):
            work.out.sums_due.add(("product", member.record["product_id"]))


def mark_payer(work: Working, aggregate: AggregateWork, payment: EntityState, record: Fields) -> None:
    """Mark the sum of the customer of an invoice of which only its payments say what is open."""
    members = aggregate.state.members
    for reference in {payment.parent, payment.record.get("invoice_id"), record.get("invoice_id")}:
        invoice = members.get(reference or "")
        if invoice is not None:
            owed = invoice.record
            if owed.get("customer_id") and (owed.get("open_amount") is None or owed.get("status") in NOT_BILLED):
                work.out.sums_due.add(("customer", owed["customer_id"]))


def join_flow(work: Working, aggregate: AggregateWork) -> None:
    """Compute the joined record of an order_flow aggregate and how its order lines are supplied; write and emit what
    changed.
    """
    state = aggregate.state
    flow_id = flow_record_id(state)
    joined = join_all(state.members.values())
    if joined.flow is not None or flow_id in state.members:
        _write_joined(work, aggregate, flow_id, "order_flow", None, joined.flow)
    supplies = {source_id(HUB, SUPPLY, line): record for line, record in joined.supplies.items()}
    for entity_id, record in supplies.items():
        _write_joined(work, aggregate, entity_id, SUPPLY, record["sales_order_id"], record)
    over = [member.id for member in state.members.values() if member.entity == SUPPLY and not member.deleted]
    for entity_id in over:
        if entity_id not in supplies:
            _write_joined(work, aggregate, entity_id, SUPPLY, None, None)


def _write_joined(
    work: Working, aggregate: AggregateWork, entity_id: str, entity: str, parent: str | None, joined: Fields | None
) -> None:
    """Write and emit a computed record, if it changed. `joined` None: it is gone."""
    state = aggregate.state
    known = state.members.get(entity_id)
    if known is None:
        known = state.members[entity_id] = EntityState(entity_id, entity, parent, contributions={}, record={})
    deleted = joined is None
    record = known.record if joined is None else joined
    if deleted == known.deleted and record == known.record and known.version:
        return
    plan_writeback(work, aggregate, known)
    known.record, known.deleted = record, deleted
    known.parent = parent or known.parent
    known.version += 1
    known.updated_us = max([member.updated_us for member in state.members.values()], default=known.updated_us)
    write(work, aggregate, known, state.id)
    emit(work, aggregate, known)


def plan_writeback(work: Working, aggregate: AggregateWork, entity: EntityState) -> None:
    """Keep what an entity was, for the rules of write-back. Call it before the entity is changed."""
    if work.planner.has_rules_for(entity.entity):
        before = entity.record if entity.version and not entity.deleted else None
        contributions = work.contributions_before.get(entity.id)
        if contributions is None:
            contributions = contributed_fields(entity)
        aggregate.plans.append(ChangedEntity(entity, before, contributions))
