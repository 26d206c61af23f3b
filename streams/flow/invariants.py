"""What can not be so in an order-to-cash flow, whoever says it. Pure.

In: the live members of one order_flow aggregate. Out: each rule that does not hold, at the record where people would mend it. The same
members give the same result in any order. A document is written in pieces, so ask once the flow has been quiet for a while.
`broken_invariants` of the hub's SQL says the same of the whole hub; `tests/property/test_invariants.py` compares them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from streams.flow.charges import charges
from streams.flow.order_flow import shipped_amount
from streams.model.state import EntityState

HEADER = "header is not the sum of its lines"
SHIPPED = "more was shipped than ordered"
ORDERED = "a won opportunity has not exactly one order"
INVOICED = "invoiced is not what was shipped"
PAID = "a payment without an invoice"

CENT = 100
"""A cent as unscaled money: amounts of shipped parts are worked out, those of invoices were rounded by their system."""

InvoicePolicy = Literal["at_most_shipped", "equal", "off"]


class Broken(msgspec.Struct, frozen=True):
    """One rule that does not hold: `values` has both sides, unscaled."""

    rule: str
    entity: str
    id: str
    field: str
    values: dict[str, Any]


class Policy(msgspec.Struct, frozen=True):
    """What a company may see otherwise. `invoiced`: of what is invoiced, without tax and less credit notes, and what was shipped of it;
    `order_within_us`: how long a won opportunity may be without its order.
    """

    invoiced: InvoicePolicy = "at_most_shipped"
    order_within_us: int = 300_000_000


def broken(members: Iterable[EntityState], policy: Policy, now_us: int) -> tuple[list[Broken], int | None]:
    """Which rules do not hold, and when to ask again where that depends on the time alone."""
    of: dict[str, dict[str, EntityState]] = {}
    for member in members:
        if not member.deleted and member.merged_into is None and member.version > 0:
            of.setdefault(member.entity, {})[member.id] = member
    missing, again_us = _orders(of, policy, now_us)
    found = [*_headers(of), *_shipped(of), *missing, *_invoiced(of, policy), *_paid(of)]
    return sorted(found, key=lambda one: (one.rule, one.id)), again_us


def _headers(of: dict[str, dict[str, EntityState]]) -> Iterable[Broken]:
    totals: dict[str, int] = {}
    for line in of.get("sales_order_line", {}).values():
        parent = line.parent or ""
        totals[parent] = totals.get(parent, 0) + (line.record.get("net_amount") or 0)
    for order in of.get("sales_order", {}).values():
        if order.id in totals:
            says, should = order.record.get("net_amount"), totals[order.id] + charges(order.record)
            if says != should:
                yield Broken(HEADER, order.entity, order.id, "net_amount", {"header": says, "lines": should})


def _shipped(of: dict[str, dict[str, EntityState]]) -> Iterable[Broken]:
    gone = _gone(of)
    quantities: dict[str, int] = {}
    for part in of.get("shipment_line", {}).values():
        line = part.record.get("order_line_id") or ""
        if part.parent in gone:
            quantities[line] = quantities.get(line, 0) + (part.record.get("quantity") or 0)
    lines = of.get("sales_order_line", {})
    for line, quantity in quantities.items():
        ordered = lines[line].record.get("quantity") if line in lines else None
        if ordered is not None and quantity > ordered:
            yield Broken(SHIPPED, "sales_order_line", line, "quantity", {"shipped": quantity, "ordered": ordered})


def _orders(of: dict[str, dict[str, EntityState]], policy: Policy, now_us: int) -> tuple[list[Broken], int | None]:
    orders = sum(order.record.get("status") != "cancelled" for order in of.get("sales_order", {}).values())
    found: list[Broken] = []
    again: list[int] = []
    if orders != 1:
        for deal in of.get("opportunity", {}).values():
            if deal.record.get("stage") != "won":
                continue
            due = deal.updated_us + policy.order_within_us
            if due < now_us:
                found.append(Broken(ORDERED, deal.entity, deal.id, "stage", {"orders": orders}))
            else:
                again.append(due)
    return found, min(again, default=None)


def _invoiced(of: dict[str, dict[str, EntityState]], policy: Policy) -> Iterable[Broken]:
    if policy.invoiced == "off":
        return
    orders = of.get("sales_order", {})
    billed: dict[str, int] = {}
    for invoice in of.get("invoice", {}).values():
        if invoice.record.get("status") not in ("draft", "cancelled") and invoice.parent in orders:
            net = (invoice.record.get("net_amount") or 0) - charges(invoice.record)
            billed[invoice.parent] = billed.get(invoice.parent, 0) + (
                -net if invoice.record.get("kind") == "credit_note" else net
            )
    if not billed:
        return
    lines: dict[str, dict[str, dict[str, Any]]] = {}
    for line in of.get("sales_order_line", {}).values():
        lines.setdefault(line.parent or "", {})[line.id] = line.record
    gone = _gone(of)
    for order, amount in billed.items():
        shipped = shipped_amount(of.get("shipment_line", {}).values(), gone, lines.get(order, {}))
        slack = CENT * max(1, len(lines.get(order, {})))
        if amount > shipped + slack or (policy.invoiced == "equal" and amount < shipped - slack):
            yield Broken(INVOICED, "sales_order", order, "net_amount", {"invoiced": amount, "shipped": shipped})


def _paid(of: dict[str, dict[str, EntityState]]) -> Iterable[Broken]:
    invoices = of.get("invoice", {})
    for payment in of.get("payment", {}).values():
        if payment.record.get("invoice_id") not in invoices:
            yield Broken(PAID, payment.entity, payment.id, "invoice_id", {"invoice": payment.record.get("invoice_id")})


def _gone(of: dict[str, dict[str, EntityState]]) -> set[str]:
    """Shipments that left the house and did not come back."""
    return {one.id for one in of.get("shipment", {}).values() if one.record.get("status") in ("shipped", "delivered")}
