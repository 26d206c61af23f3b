"""Business rules that every order-to-cash flow must keep, whichever system its data comes from. Pure.

In: the members of one order_flow aggregate. Out: each rule that is broken, at the record where people would correct it.
The same members give the same result in any order. Systems write a document in pieces, so check a flow only after it
has been quiet for a while. The hub's SQL has the same rules over the whole hub (`broken_rules`);
`tests/integration/test_invariants.py` compares the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from streams.flow.charges import charges
from streams.flow.goods import GONE, GRAIN, quantities, shipped
from streams.flow.order_flow import CENT
from streams.flow.shares import documents_here
from streams.model.state import EntityState

HEADER = "header is not the sum of its lines"
SHIPPED = "more was shipped than ordered"
ORDERED = "a won opportunity has not exactly one order"
INVOICED = "invoiced is not what was shipped"
LOST = "a lost opportunity has a live order"
PAID = "a payment without an invoice"

InvoicePolicy = Literal["at_most_shipped", "equal", "off"]


class Broken(msgspec.Struct, frozen=True):
    """One rule that is broken. `values` has both sides that should agree, unscaled."""

    rule: str
    entity: str
    id: str
    field: str
    values: dict[str, Any]


class InvariantLimits(msgspec.Struct, frozen=True):
    """What each company may set differently."""

    invoiced: InvoicePolicy = "at_most_shipped"
    """How the invoiced amount (without tax, less credit notes) relates to the shipped amount."""
    order_within_us: int = 300_000_000
    """How long a won opportunity may be without its order, and a lost one with it."""
    header_charges: int = 10
    """Percent that an order's header may exceed its lines where it names no freight: charges stand in no line."""


def broken(members: Iterable[EntityState], limits: InvariantLimits, now_us: int) -> tuple[list[Broken], int | None]:
    """(the broken rules, the time in µs at which to check again if that depends on time alone)."""
    of: defaultdict[str, dict[str, EntityState]] = defaultdict(dict)
    for member in documents_here(members):
        if not member.deleted and member.merged_into is None and member.version > 0:
            of[member.entity][member.id] = member
    lines: defaultdict[str, list[EntityState]] = defaultdict(list)
    for line in of["sales_order_line"].values():
        lines[line.parent or ""].append(line)
    sent = {shipment.id for shipment in of["shipment"].values() if shipment.record.get("status") in GONE}
    sent_of = quantities(of["shipment_line"].values(), sent)
    headers = {order.id: _header(order, lines[order.id]) for order in of["sales_order"].values() if order.id in lines}
    orders, check_again_us = _orders(of, limits, now_us)
    invoiced = _invoiced(of, limits, lines, sent_of, headers)
    rules = [*_headers(headers, lines, limits), *_shipped(of, sent_of), *orders, *invoiced, *_paid(of)]
    return sorted(rules, key=lambda rule: (rule.rule, rule.id)), check_again_us


Of = Mapping[str, dict[str, EntityState]]
"""Entity → id → member."""
Lines = Mapping[str, list[EntityState]]
"""Order id → its lines."""


class Header(NamedTuple):
    """The net amount in the header of an order, and the amount expected from its lines, freight and discount."""

    amount: int | None
    expected: int
    without_freight: bool
    """The header names no freight: the amount may include some that no field shows."""


Headers = Mapping[str, Header]
"""Order id → its header, for orders with lines."""


def _header(order: EntityState, lines: list[EntityState]) -> Header:
    record = order.record
    total = sum(line.record.get("net_amount") or 0 for line in lines)
    return Header(record.get("net_amount"), total + charges(record), record.get("freight_amount") is None)


def _slack(lines: list[EntityState]) -> int:
    """The tolerance: amounts of lines and of shipped quantities are computed here, those of documents were rounded by
    their system.
    """
    return CENT * max(1, len(lines))


def _headers(headers: Headers, lines: Lines, limits: InvariantLimits) -> Iterable[Broken]:
    for order, (amount, expected, without_freight) in headers.items():
        slack = _slack(lines[order])
        charges_allowed = max(0, expected) * limits.header_charges // 100 if without_freight else 0
        if amount is None or not expected - slack <= amount <= expected + charges_allowed + slack:
            yield Broken(HEADER, "sales_order", order, "net_amount", {"header": amount, "lines": expected})


def _shipped(of: Of, sent_of: Mapping[str, int]) -> Iterable[Broken]:
    lines = of["sales_order_line"]
    for line, quantity in sent_of.items():
        ordered = lines[line].record.get("quantity") if line in lines else None
        if ordered is not None and quantity > ordered + GRAIN:
            yield Broken(SHIPPED, "sales_order_line", line, "quantity", {"shipped": quantity, "ordered": ordered})


def _orders(of: Of, limits: InvariantLimits, now_us: int) -> tuple[list[Broken], int | None]:
    statuses = [order.record.get("status") for order in of["sales_order"].values()]
    orders = sum(status != "cancelled" for status in statuses)
    binding = sum(status not in ("cancelled", "draft") for status in statuses)
    rules: list[Broken] = []
    due_later: list[int] = []
    for deal in of["opportunity"].values():
        stage = deal.record.get("stage")
        if stage == "won" and orders != 1:
            rule = Broken(ORDERED, deal.entity, deal.id, "stage", {"orders": orders})
        elif stage == "lost" and binding:
            rule = Broken(LOST, deal.entity, deal.id, "stage", {"orders": binding})
        else:
            continue
        due = deal.updated_us + limits.order_within_us
        if due < now_us:
            rules.append(rule)
        else:
            due_later.append(due)
    return rules, min(due_later, default=None)


def _invoiced(
    of: Of, limits: InvariantLimits, lines: Lines, sent_of: Mapping[str, int], headers: Headers
) -> Iterable[Broken]:
    if limits.invoiced == "off":
        return
    orders = of["sales_order"]
    billed: dict[str, int] = {}
    for invoice in of["invoice"].values():
        record, order = invoice.record, orders.get(invoice.parent or "")
        if order is None or record.get("status") in ("draft", "cancelled"):
            continue
        currency = record.get("currency")
        # Amounts in two currencies cannot be compared.
        if currency is not None and order.record.get("currency") not in (None, currency):
            continue
        net = (record.get("net_amount") or 0) - charges(record)
        billed[order.id] = billed.get(order.id, 0) + (-net if record.get("kind") == "credit_note" else net)
    for of_order, amount in billed.items():
        order_lines = lines.get(of_order, [])
        shipped_amount, _ = shipped(order_lines, sent_of)
        header = headers.get(of_order)
        charges_in_header = max(0, (header.amount or 0) - header.expected) if header is not None else 0
        slack = _slack(order_lines)
        too_much = amount > shipped_amount + charges_in_header + slack
        if too_much or (limits.invoiced == "equal" and amount < shipped_amount - slack):
            values = {"invoiced": amount, "shipped": shipped_amount}
            yield Broken(INVOICED, "sales_order", of_order, "net_amount", values)


def _paid(of: Of) -> Iterable[Broken]:
    invoices = of["invoice"]
    for payment in of["payment"].values():
        if payment.record.get("invoice_id") not in invoices:
            yield Broken(PAID, payment.entity, payment.id, "invoice_id", {"invoice": payment.record.get("invoice_id")})
