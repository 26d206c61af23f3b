"""The joined records of an order-to-cash flow, and the sums and service cases that a change makes due. Part of the
second half of settling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streams.flow.money import NOT_BILLED
from streams.flow.order_flow import join_all
from streams.hub.service import SERVICE_CASE
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


def _mark_sums(work: Working, aggregate: AggregateWork, entity: EntityState, record: Fields) -> None:
    """Mark the sums that an entity was part of and those that it is part of with its new `record`."""
    kind, field = SUMMED[entity.entity]
    _mark(work, kind, entity.record.get(field), record.get(field))


def _mark_purchased(work: Working, aggregate: AggregateWork, entity: EntityState, record: Fields) -> None:
    """Mark the sums of all products that the purchase or production order of this aggregate is about."""
    for member in aggregate.state.members.values():
        if member.entity in ("purchase_order_line", "production_order"):
            _mark(work, "product", member.record.get("product_id"))


def _mark_payer(work: Working, aggregate: AggregateWork, payment: EntityState, record: Fields) -> None:
    """Mark the sum of the customer of an invoice of which only its payments say what is open."""
    members = aggregate.state.members
    for reference in {payment.parent, payment.record.get("invoice_id"), record.get("invoice_id")}:
        invoice = members.get(reference or "")
        if invoice is not None:
            owed = invoice.record
            if owed.get("open_amount") is None or owed.get("status") in NOT_BILLED:
                _mark(work, "customer", owed.get("customer_id"))


def _mark_request(work: Working, aggregate: AggregateWork, request: EntityState, record: Fields) -> None:
    _mark_sums(work, aggregate, request, record)
    _mark(work, SERVICE_CASE, request.id)


def _mark_of_request(work: Working, aggregate: AggregateWork, entity: EntityState, record: Fields) -> None:
    """Mark the cases of a return or repair: its own, and those of the request that it names and named."""
    _mark(work, SERVICE_CASE, entity.id, entity.record.get("service_request_id"), record.get("service_request_id"))


def _mark_answered(work: Working, aggregate: AggregateWork, order: EntityState, record: Fields) -> None:
    """Mark the cases of the requests that an order answers and answered."""
    _mark(work, SERVICE_CASE, order.record.get("service_request_id"), record.get("service_request_id"))


def _mark_returned(work: Working, aggregate: AggregateWork, line: EntityState, record: Fields) -> None:
    _mark(work, SERVICE_CASE, line.parent)


def _mark_item(work: Working, aggregate: AggregateWork, item: EntityState, record: Fields) -> None:
    _mark(work, SERVICE_CASE, item.id)


def _mark_of_customer(work: Working, aggregate: AggregateWork, contract: EntityState, record: Fields) -> None:
    _mark(work, SERVICE_CASE, contract.record.get("customer_id"), record.get("customer_id"))


def _mark_case(work: Working, aggregate: AggregateWork, case: EntityState, record: Fields) -> None:
    """Mark a case that changed: what it concerns may have changed while it was on its way."""
    _mark(work, SERVICE_CASE, _root_of(record))


def _root_of(case: Fields) -> str | None:
    """The request or return whose case this is."""
    return case.get("service_request_id") or case.get("return_order_id")


def _mark(work: Working, kind: str, *ids: str | None) -> None:
    for id in ids:
        if id:
            work.out.sums_due.add((kind, id))


Mark = Callable[[Working, AggregateWork, EntityState, Fields], None]

DUE_OF: dict[str, Mark] = {
    "invoice": _mark_sums,
    "service_request": _mark_request,
    "inventory_level": _mark_sums,
    "purchase_order_line": _mark_sums,
    "production_order": _mark_sums,
    "payment": _mark_payer,
    "purchase_order": _mark_purchased,
    "goods_receipt": _mark_purchased,
    "goods_receipt_line": _mark_purchased,
    "production_order_line": _mark_purchased,
    "sales_order": _mark_answered,
    "return_order": _mark_of_request,
    "return_order_line": _mark_returned,
    "repair": _mark_of_request,
    "installed_item": _mark_item,
    "contract": _mark_of_customer,
    SERVICE_CASE: _mark_case,
}
"""Entity → the function that marks the sums and cases that depend on it; it is given the new record."""


def join_flow(work: Working, aggregate: AggregateWork) -> None:
    """Compute the joined record of an order_flow aggregate and how its order lines are supplied; write and emit what
    changed.
    """
    state = aggregate.state
    flow_id = flow_record_id(state)
    joined = join_all(state.members.values())
    if joined.flow is not None or flow_id in state.members:
        _write_joined(work, aggregate, flow_id, "order_flow", None, joined.flow)
    if joined.cases:
        _mark_cases(work, aggregate, joined.cases)
    supplies = {source_id(HUB, SUPPLY, line): record for line, record in joined.supplies.items()}
    for entity_id, record in supplies.items():
        _write_joined(work, aggregate, entity_id, SUPPLY, record["sales_order_id"], record)
    over = [member.id for member in state.members.values() if member.entity == SUPPLY and not member.deleted]
    for entity_id in over:
        if entity_id not in supplies:
            _write_joined(work, aggregate, entity_id, SUPPLY, None, None)


def _mark_cases(work: Working, aggregate: AggregateWork, cases: Sequence[EntityState]) -> None:
    """Mark the service cases of this order, unless nothing but cases changed."""
    members = aggregate.state.members
    if aggregate.members_moved or any(
        [members[id].entity != SERVICE_CASE for id in aggregate.changed if id in members]
    ):
        for case in cases:
            _mark(work, SERVICE_CASE, _root_of(case.record))


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
