"""The joined record of an order-to-cash flow, and the sums that a change makes due. Part of the second half of
settling.
"""

from __future__ import annotations

from streams.flow.money import NOT_BILLED
from streams.flow.order_flow import join
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
}
"""Entity → the kind of the record in which it is summed, and the field that names that record."""

SUMMED_IN = frozenset(kind for kind, _ in SUMMED.values())


def mark_sums(work: Working, entity: EntityState, record: Fields) -> None:
    """Mark the sums that an entity was part of and those that it is part of with its new `record`."""
    kind, field = SUMMED[entity.entity]
    for reference in (entity.record.get(field), record.get(field)):
        if reference:
            work.out.sums_due.add((kind, reference))


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
    """Compute the joined record of an order_flow aggregate; write and emit it if it changed."""
    state = aggregate.state
    flow_id = flow_record_id(state)
    flow = state.members.get(flow_id)
    joined = join(state.members.values())
    if joined is None and flow is None:
        return
    if flow is None:
        flow = state.members[flow_id] = EntityState(flow_id, "order_flow", contributions={}, record={})
    deleted = joined is None
    record = flow.record if joined is None else joined
    if deleted == flow.deleted and record == flow.record and flow.version:
        return
    plan_writeback(work, aggregate, flow)
    flow.record, flow.deleted = record, deleted
    flow.version += 1
    flow.updated_us = max([member.updated_us for member in state.members.values()], default=flow.updated_us)
    write(work, aggregate, flow, state.id)
    emit(work, aggregate, flow)


def plan_writeback(work: Working, aggregate: AggregateWork, entity: EntityState) -> None:
    """Keep what an entity was, for the rules of write-back. Call it before the entity is changed."""
    if work.planner.has_rules_for(entity.entity):
        before = entity.record if entity.version and not entity.deleted else None
        contributions = work.contributions_before.get(entity.id)
        if contributions is None:
            contributions = contributed_fields(entity)
        aggregate.plans.append(ChangedEntity(entity, before, contributions))
