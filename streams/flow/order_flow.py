"""The order-to-cash join: opportunity → order and lines → shipments → invoices → payments, and service requests.

In: the live members of one order_flow aggregate. Out: the fields of the joined record, or None while there is neither an
opportunity nor an order. The result depends only on the members, not on the order in which they came; a document that is half
written gives a flow that is half told, and the next change completes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.flow.charges import charges
from streams.model.state import EntityState

MONEY = 10_000
"""Money is unscaled by four decimals, quantities by six."""
QUANTITY = 1_000_000

DAY_US = 86_400_000_000


def join(members: Iterable[EntityState]) -> dict[str, Any] | None:
    """The order_flow record of these members."""
    of: dict[str, list[EntityState]] = {}
    for member in members:
        if not member.deleted and member.merged_into is None and member.version > 0:
            of.setdefault(member.entity, []).append(member)
    opportunity = _first(of.get("opportunity"))
    orders = sorted(of.get("sales_order", ()), key=_age)
    if opportunity is None and not orders:
        return None
    order = next((o for o in orders if o.record.get("status") != "cancelled"), orders[0] if orders else None)
    live_orders = {o.id for o in orders if o.record.get("status") != "cancelled"}
    lines = [line for line in of.get("sales_order_line", ()) if line.parent in live_orders]
    shipments = sorted(of.get("shipment", ()), key=_age)
    invoices = sorted(
        (i for i in of.get("invoice", ()) if i.record.get("status") not in ("draft", "cancelled")), key=_age
    )
    payments = sorted((p for p in of.get("payment", ()) if p.record.get("status") != "reversed"), key=_age)

    ordered = sum(_amount(o, "net_amount") for o in orders if o.id in live_orders)
    invoiced = sum(_sign(i) * _amount(i, "gross_amount") for i in invoices)
    paid = sum(_amount(p, "amount") for p in payments)
    head = order.record if order is not None else {}
    deal = opportunity.record if opportunity is not None else {}
    sent = [s for s in shipments if s.record.get("status") in ("shipped", "delivered")]
    delivered = [s for s in shipments if s.record.get("status") == "delivered"]
    shipped = shipped_amount(
        of.get("shipment_line", ()), {s.id for s in sent}, {line.id: line.record for line in lines}
    )
    record: dict[str, Any] = {
        "customer_id": head.get("customer_id") or deal.get("customer_id"),
        "opportunity_id": opportunity.id if opportunity is not None else None,
        "sales_order_id": order.id if order is not None else None,
        "currency": head.get("currency") or deal.get("currency"),
        "ordered_amount": ordered if orders else None,
        "shipped_amount": shipped,
        "invoiced_amount": invoiced,
        "paid_amount": paid,
        "open_amount": invoiced - paid,
        "line_count": len(lines),
        "shipment_count": len(shipments),
        "invoice_count": len(invoices),
        "payment_count": len(payments),
        "service_request_count": len(of.get("service_request", ())),
        "opportunity_number": deal.get("number"),
        "opportunity_stage": deal.get("stage"),
        "order_number": head.get("number"),
        "order_status": head.get("status"),
        "promised_date": head.get("promised_date"),
        "won_at": deal.get("won_at"),
        "ordered_at": head.get("confirmed_at") or head.get("created_at"),
        "shipped_at": _latest(sent, "shipped_at"),
        "delivered_at": _latest(delivered, "delivered_at") if len(delivered) == len(shipments) else None,
        "invoiced_at": _day(invoices, "invoice_date"),
        "paid_at": _latest(payments, "paid_at"),
        "timeline": timeline(opportunity, orders, shipments, invoices, payments, of.get("service_request", ())),
    }
    goods = ordered - sum(charges(o.record) for o in orders if o.id in live_orders)
    record["stage"] = _stage(record, deal, bool(orders), bool(live_orders), sent, delivered, shipments, goods)
    return record


def timeline(
    opportunity: EntityState | None,
    orders: list[EntityState],
    shipments: list[EntityState],
    invoices: list[EntityState],
    payments: list[EntityState],
    requests: Iterable[EntityState],
) -> list[dict[str, Any]]:
    """What happened when and where, oldest first: `{at, what, entity, id, system}`."""
    told: list[dict[str, Any]] = []

    def tell(at: int | None, what: str, member: EntityState) -> None:
        if at is not None:
            told.append({"at": at, "what": what, "entity": member.entity, "id": member.id, "system": _system(member)})

    if opportunity is not None:
        tell(opportunity.record.get("created_at"), "opportunity created", opportunity)
        tell(opportunity.record.get("won_at"), "opportunity won", opportunity)
        tell(opportunity.record.get("lost_at"), "opportunity lost", opportunity)
    for order in orders:
        tell(order.record.get("created_at"), "order created", order)
        tell(order.record.get("confirmed_at"), "order confirmed", order)
        cancelled = order.record.get("status") == "cancelled"
        tell(order.record.get("closed_at"), "order cancelled" if cancelled else "order closed", order)
    for shipment in shipments:
        tell(shipment.record.get("shipped_at"), "shipped", shipment)
        tell(shipment.record.get("delivered_at"), "delivered", shipment)
        tell(shipment.record.get("returned_at"), "returned", shipment)
    for invoice in invoices:
        day = invoice.record.get("invoice_date")
        what = "credited" if invoice.record.get("kind") == "credit_note" else "invoiced"
        tell(day * DAY_US if day is not None else None, what, invoice)
    for payment in payments:
        tell(payment.record.get("paid_at"), "paid", payment)
    for request in requests:
        tell(request.record.get("opened_at"), "service requested", request)
        tell(request.record.get("closed_at"), "service closed", request)
    told.sort(key=lambda event: (event["at"], event["what"], event["id"]))
    return told


def _stage(
    record: dict[str, Any],
    deal: dict[str, Any],
    ordered: bool,
    live: bool,
    sent: list[EntityState],
    delivered: list[EntityState],
    shipments: list[EntityState],
    goods: int,
) -> str:
    if ordered and not live:
        return "cancelled"
    if not ordered:
        stage = deal.get("stage")
        return stage if stage in ("won", "lost") else "opportunity"
    if record["invoice_count"] and record["open_amount"] <= 0 and record["paid_amount"] > 0:
        return "paid"
    if record["payment_count"]:
        return "partially_paid"
    if record["invoice_count"]:
        return "invoiced"
    if delivered and len(delivered) == len(shipments) and record["shipped_amount"] >= goods:
        return "delivered"
    if sent:
        return "shipped" if record["shipped_amount"] >= goods else "partially_shipped"
    return "ordered"


def shipped_amount(shipped: Iterable[EntityState], gone: set[str], lines: dict[str, dict[str, Any]]) -> int:
    """What the shipped parts of these order lines are worth. `gone`: shipments that left the house."""
    total = 0
    for part in shipped:
        line = lines.get(part.record.get("order_line_id") or "")
        if part.parent not in gone or line is None:
            continue
        quantity = line.get("quantity") or 0
        if quantity:
            total += round((line.get("net_amount") or 0) * (part.record.get("quantity") or 0) / quantity)
    return total


def _amount(member: EntityState, field: str) -> int:
    return member.record.get(field) or 0


def _sign(invoice: EntityState) -> int:
    return -1 if invoice.record.get("kind") == "credit_note" else 1


def _first(members: list[EntityState] | None) -> EntityState | None:
    return min(members, key=_age) if members else None


def _age(member: EntityState) -> tuple[int, str]:
    return (member.record.get("created_at") or 0, member.id)


def _latest(members: list[EntityState], field: str) -> int | None:
    return max((at for m in members if (at := m.record.get(field)) is not None), default=None)


def _day(members: list[EntityState], field: str) -> int | None:
    latest = _latest(members, field)
    return latest * DAY_US if latest is not None else None


def _system(member: EntityState) -> str:
    return min((said.system for said in member.contributions.values()), default="")
