"""What happened in a flow, when and where. Pure.

Many systems do not say when something was cancelled, returned, lost or reopened (`lost_at`, `closed_at`, `returned_at`): then it is
told with the time of the last change of the record that says so. That an order was cancelled once and is live again can not be known:
its record says nothing of it any more. An opportunity that was won and is open again still has its `won_at`, an order that was
confirmed and is a draft again its `confirmed_at`.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from streams.model.state import EntityState

DAY_US = 86_400_000_000


def timeline(
    opportunities: Iterable[EntityState],
    orders: Iterable[EntityState],
    shipments: Iterable[EntityState],
    invoices: Iterable[EntityState],
    payments: Iterable[tuple[EntityState, bool]],
    requests: Iterable[EntityState],
) -> list[dict[str, Any]]:
    """What happened, oldest first: `{at, what, entity, id, system}`. `payments`: each, and whether it is a refund."""
    told: list[dict[str, Any]] = []

    def tell(at: int | None, what: str, member: EntityState) -> None:
        if at is not None:
            told.append({"at": at, "what": what, "entity": member.entity, "id": member.id, "system": _system(member)})

    for deal in opportunities:
        record = deal.record
        tell(record.get("created_at"), "opportunity created", deal)
        won_at, stage = record.get("won_at"), record.get("stage")
        tell(won_at, "opportunity won", deal)
        if stage == "lost":
            tell(record.get("lost_at") or _changed_us(deal), "opportunity lost", deal)
        elif stage != "won" and won_at is not None:
            tell(_changed_us(deal), "opportunity reopened", deal)
    for order in orders:
        record = order.record
        tell(record.get("created_at"), "order created", order)
        confirmed_at, status = record.get("confirmed_at"), record.get("status")
        tell(confirmed_at, "order confirmed", order)
        if status == "cancelled":
            tell(record.get("closed_at") or _changed_us(order), "order cancelled", order)
        elif status == "closed":
            tell(record.get("closed_at"), "order closed", order)
        elif status == "draft" and confirmed_at is not None:
            tell(_changed_us(order), "order reopened", order)
    for shipment in shipments:
        record = shipment.record
        tell(record.get("shipped_at"), "shipped", shipment)
        tell(record.get("delivered_at"), "delivered", shipment)
        status = record.get("status")
        if status == "returned":
            tell(record.get("returned_at") or _changed_us(shipment), "returned", shipment)
        elif status == "cancelled":
            tell(_changed_us(shipment), "shipment cancelled", shipment)
    for invoice in invoices:
        record = invoice.record
        status = record.get("status")
        if status == "draft":
            continue
        day = record.get("invoice_date")
        if day is not None:
            tell(day * DAY_US, "credited" if record.get("kind") == "credit_note" else "invoiced", invoice)
        if status == "cancelled":
            tell(_changed_us(invoice), "invoice cancelled", invoice)
    for payment, refund in payments:
        record = payment.record
        status = record.get("status")
        if status == "pending":
            continue
        tell(record.get("paid_at"), "refunded" if refund else "paid", payment)
        if status == "reversed":
            tell(_changed_us(payment), "payment reversed", payment)
    for request in requests:
        tell(request.record.get("opened_at"), "service requested", request)
        tell(request.record.get("closed_at"), "service closed", request)
    told.sort(key=itemgetter("at", "what", "id"))
    return told


def _changed_us(member: EntityState) -> int | None:
    """When a source last changed its row; not `updated_us`, which depends on how the changes came in."""
    return max((said.source_us for said in member.contributions.values() if not said.deleted), default=None)


def _system(member: EntityState) -> str:
    contributions = member.contributions
    if len(contributions) == 1:
        (said,) = contributions.values()
        return said.system
    return min((said.system for said in contributions.values()), default="")
