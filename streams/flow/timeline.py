"""What happened in a flow, when and where. Pure.

Many systems do not store when something was cancelled, returned, lost or reopened (`lost_at`, `closed_at`,
`returned_at`): then the event gets the time of the last change of its record. That an order was cancelled once and is
live again cannot be known: its record no longer shows it. An opportunity that was won and is open again still has its
`won_at`, and an order that was confirmed and is a draft again its `confirmed_at`.

Events stand in the order of their times. An invoice has a day and no time, and many systems keep only the day of a
shipment or a payment, as its midnight. What would so come less than a day before the event that it needs (an order
before its shipments, invoices and purchases, an invoice before its payments) comes after that event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from streams.flow.money import Paid
from streams.model.state import EntityState

DAY_US = 86_400_000_000
_MIDNIGHTS_US = 900_000_000
"""Midnight in any time zone is a multiple of a quarter of an hour; a time that is none of these is a real one."""

RANKS = {
    what: rank
    for rank, what in enumerate((
        "opportunity created", "opportunity won", "opportunity reopened", "opportunity lost", "order created",
        "order confirmed", "order reopened", "purchased", "purchase confirmed", "production started", "received",
        "produced", "shipped", "delivered", "returned", "shipment cancelled", "invoiced",
        "credited", "invoice cancelled", "paid", "refunded", "payment reversed", "order closed", "order cancelled",
        "service requested", "return requested", "return approved", "goods came back", "repair started", "repaired",
        "credit note written", "replacement ordered",
        "return closed", "service closed",
    ))
}  # fmt: skip
"""What comes first where two events have one time."""

EVENTS = tuple(RANKS)
"""Everything that may happen, as a timeline has it."""


EVENT_FIELDS = {
    "purchase_order": (
        ("order_date", "purchased"), ("confirmed_at", "purchase confirmed"), ("received_at", "received"),
    ),
    "production_order": (("started_at", "production started"), ("finished_at", "produced")),
    "return_order": (
        ("requested_at", "return requested"), ("approved_at", "return approved"), ("received_at", "goods came back"),
        ("closed_at", "return closed"),
    ),
    "repair": (("started_at", "repair started"), ("finished_at", "repaired")),
}  # fmt: skip
"""Entity → the fields that say when something happened, and what."""

OTHERS = tuple(EVENT_FIELDS)

SUPPLIES = ("purchase_order", "production_order")
"""What is bought or made for an order, so after it."""

_EVENT = ("at", "precision", "what", "entity", "id", "system")
_place = itemgetter(0, 1, 2)


def timeline(
    opportunities: Iterable[EntityState],
    orders: Iterable[EntityState],
    shipments: Iterable[EntityState],
    invoices: Iterable[EntityState],
    payments: Iterable[Paid],
    requests: Iterable[EntityState],
    others: Iterable[EntityState] = (),
    stories: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:
    """What happened, oldest first: `{at, precision, what, entity, id, system}`. `others`: documents whose events stand
    for themselves, see `EVENT_FIELDS`. `stories`: events of service cases about records of other flows.
    """
    events: list[tuple[int, int, str, dict[str, Any]]] = []

    def add(
        at: int | None, what: str, member: EntityState, after: int | None = None, precision: str = "time"
    ) -> int | None:
        """Add an event that comes after the time `after`, where it needs that; its time in the order of events."""
        if at is None:
            return after
        position = at
        if after is not None and at < after and at > after - DAY_US and at % _MIDNIGHTS_US == 0:
            position = after
        contributions = member.contributions
        if len(contributions) == 1:
            (only,) = contributions.values()
            system = only.system
        else:  # the first by name, so that every worker names the same
            system = min((contribution.system for contribution in contributions.values()), default="")
        event = {
            "at": at,
            "precision": precision,
            "what": what,
            "entity": member.entity,
            "id": member.id,
            "system": system,
        }
        events.append((position, RANKS[what], member.id, event))
        return position

    for deal in opportunities:
        record = deal.record
        created = add(record.get("created_at"), "opportunity created", deal)
        won_at, stage = record.get("won_at"), record.get("stage")
        add(won_at, "opportunity won", deal, created)
        if stage == "lost":
            add(record.get("lost_at") or _changed_us(deal), "opportunity lost", deal, created)
        elif stage != "won" and won_at is not None:
            add(_changed_us(deal), "opportunity reopened", deal)
    ordered: dict[str | None, int | None] = {}
    for order in orders:
        record = order.record
        created = add(record.get("created_at"), "order created", order)
        confirmed_at, status = record.get("confirmed_at"), record.get("status")
        confirmed = ordered[order.id] = add(confirmed_at, "order confirmed", order, created)
        if status == "cancelled":
            add(record.get("closed_at") or _changed_us(order), "order cancelled", order, confirmed)
        elif status == "closed":
            add(record.get("closed_at"), "order closed", order, confirmed)
        elif status == "draft" and confirmed_at is not None:
            add(_changed_us(order), "order reopened", order)
    for shipment in shipments:
        record = shipment.record
        gone = add(record.get("shipped_at"), "shipped", shipment, ordered.get(shipment.parent))
        arrived = add(record.get("delivered_at"), "delivered", shipment, gone)
        status = record.get("status")
        if status == "returned":
            add(record.get("returned_at") or _changed_us(shipment), "returned", shipment, arrived)
        elif status == "cancelled":
            add(_changed_us(shipment), "shipment cancelled", shipment)
    billed: dict[str | None, int | None] = {}
    for invoice in invoices:
        record = invoice.record
        status = record.get("status")
        if status == "draft":
            continue
        day = record.get("invoice_date")
        after = ordered.get(invoice.parent)
        corrected = record.get("corrects_invoice_id")
        if corrected is not None:
            after = billed.get(corrected, after)
        billed[invoice.id] = after
        if day is not None:
            what = "credited" if record.get("kind") == "credit_note" else "invoiced"
            billed[invoice.id] = add(day * DAY_US, what, invoice, after, "date")
        if status == "cancelled":
            add(_changed_us(invoice), "invoice cancelled", invoice)
    for paid in payments:
        record = paid.payment.record
        status = record.get("status")
        if status == "pending":
            continue
        what = "refunded" if paid.is_refund else "paid"
        add(record.get("paid_at"), what, paid.payment, billed.get(paid.payment.parent))
        if status == "reversed":
            add(_changed_us(paid.payment), "payment reversed", paid.payment)
    for request in requests:
        opened = add(request.record.get("opened_at"), "service requested", request)
        add(request.record.get("closed_at"), "service closed", request, opened)
    first_order = min((at for at in ordered.values() if at is not None), default=None)
    for other in others:
        record = other.record
        if record.get("status") == "cancelled":
            continue
        before = first_order if other.entity in SUPPLIES else None
        for field, what in EVENT_FIELDS[other.entity]:
            at, precision = record.get(field), "time"
            if field.endswith("_date"):
                at, precision = None if at is None else at * DAY_US, "date"
            before = add(at, what, other, before, precision)
    if stories:
        for event in stories:
            events.append((event["at"], RANKS[event["what"]], event["id"], {name: event[name] for name in _EVENT}))
        events.sort(key=_place)  # an event of a story may have a place in common with another, and dicts do not compare
    else:
        events.sort()  # no two have the first three parts in common
    return [event[3] for event in events]


def _changed_us(member: EntityState) -> int | None:
    """When a source last changed its row. Not `updated_us`: that depends on the order in which the changes came."""
    return max((c.source_us for c in member.contributions.values() if not c.deleted), default=None)
