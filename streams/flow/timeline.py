"""What happened in a flow, when and where. Pure.

Many systems do not store when something was cancelled, returned, lost or reopened (`lost_at`, `closed_at`,
`returned_at`): then the event gets the time of the last change of its record. That an order was cancelled once and is
live again cannot be known: its record no longer shows it. An opportunity that was won and is open again still has its
`won_at`, and an order that was confirmed and is a draft again its `confirmed_at`.
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
    """What happened, oldest first: `{at, what, entity, id, system}`. `payments`: each payment, and whether it is a
    refund.
    """
    events: list[dict[str, Any]] = []

    def add(at: int | None, what: str, member: EntityState) -> None:
        if at is not None:
            events.append({"at": at, "what": what, "entity": member.entity, "id": member.id, "system": _system(member)})

    for deal in opportunities:
        record = deal.record
        add(record.get("created_at"), "opportunity created", deal)
        won_at, stage = record.get("won_at"), record.get("stage")
        add(won_at, "opportunity won", deal)
        if stage == "lost":
            add(record.get("lost_at") or _changed_us(deal), "opportunity lost", deal)
        elif stage != "won" and won_at is not None:
            add(_changed_us(deal), "opportunity reopened", deal)
    for order in orders:
        record = order.record
        add(record.get("created_at"), "order created", order)
        confirmed_at, status = record.get("confirmed_at"), record.get("status")
        add(confirmed_at, "order confirmed", order)
        if status == "cancelled":
            add(record.get("closed_at") or _changed_us(order), "order cancelled", order)
        elif status == "closed":
            add(record.get("closed_at"), "order closed", order)
        elif status == "draft" and confirmed_at is not None:
            add(_changed_us(order), "order reopened", order)
    for shipment in shipments:
        record = shipment.record
        add(record.get("shipped_at"), "shipped", shipment)
        add(record.get("delivered_at"), "delivered", shipment)
        status = record.get("status")
        if status == "returned":
            add(record.get("returned_at") or _changed_us(shipment), "returned", shipment)
        elif status == "cancelled":
            add(_changed_us(shipment), "shipment cancelled", shipment)
    for invoice in invoices:
        record = invoice.record
        status = record.get("status")
        if status == "draft":
            continue
        day = record.get("invoice_date")
        if day is not None:
            add(day * DAY_US, "credited" if record.get("kind") == "credit_note" else "invoiced", invoice)
        if status == "cancelled":
            add(_changed_us(invoice), "invoice cancelled", invoice)
    for payment, refund in payments:
        record = payment.record
        status = record.get("status")
        if status == "pending":
            continue
        add(record.get("paid_at"), "refunded" if refund else "paid", payment)
        if status == "reversed":
            add(_changed_us(payment), "payment reversed", payment)
    for request in requests:
        add(request.record.get("opened_at"), "service requested", request)
        add(request.record.get("closed_at"), "service closed", request)
    events.sort(key=itemgetter("at", "what", "id"))
    return events


def _changed_us(member: EntityState) -> int | None:
    """When a source last changed its row. Not `updated_us`: that depends on the order in which the changes came."""
    return max((c.source_us for c in member.contributions.values() if not c.deleted), default=None)


def _system(member: EntityState) -> str:
    contributions = member.contributions
    if len(contributions) == 1:
        (only,) = contributions.values()
        return only.system
    # The first by name, so that every worker names the same.
    return min((contribution.system for contribution in contributions.values()), default="")
