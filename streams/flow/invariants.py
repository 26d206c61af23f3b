"""What can not be so in an order-to-cash flow, whoever says it. Pure.

In: the live members of one order_flow aggregate. Out: each rule that does not hold, at the record where people would mend it. The same
members give the same result in any order. A document is written in pieces, so ask once the flow has been quiet for a while.
`broken_rules` of the hub's SQL says the same of the whole hub; `tests/integration/test_invariants.py` compares them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from streams.flow.charges import charges
from streams.flow.goods import GONE, GRAIN, quantities, shipped
from streams.flow.order_flow import CENT
from streams.model.state import EntityState

HEADER = "header is not the sum of its lines"
SHIPPED = "more was shipped than ordered"
ORDERED = "a won opportunity has not exactly one order"
INVOICED = "invoiced is not what was shipped"
LOST = "a lost opportunity has a live order"
PAID = "a payment without an invoice"

InvoicePolicy = Literal["at_most_shipped", "equal", "off"]


class Broken(msgspec.Struct, frozen=True):
    """One rule that does not hold: `values` has both sides, unscaled."""

    rule: str
    entity: str
    id: str
    field: str
    values: dict[str, Any]


class InvariantLimits(msgspec.Struct, frozen=True):
    """What a company may see otherwise. `invoiced`: of what is invoiced, without tax and less credit notes, and what was shipped of it;
    `order_within_us`: how long a won opportunity may be without its order, and a lost one with it; `header_charges`: percent of its lines
    that an order's header may say beyond them where it names no freight, since charges stand in no line.
    """

    invoiced: InvoicePolicy = "at_most_shipped"
    order_within_us: int = 300_000_000
    header_charges: int = 10


def broken(members: Iterable[EntityState], limits: InvariantLimits, now_us: int) -> tuple[list[Broken], int | None]:
    """Which rules do not hold, and when to ask again where that depends on the time alone."""
    of: defaultdict[str, dict[str, EntityState]] = defaultdict(dict)
    for member in members:
        if not member.deleted and member.merged_into is None and member.version > 0:
            of[member.entity][member.id] = member
    lines: defaultdict[str, list[EntityState]] = defaultdict(list)
    for line in of["sales_order_line"].values():
        lines[line.parent or ""].append(line)
    gone = {one.id for one in of["shipment"].values() if one.record.get("status") in GONE}
    went = quantities(of["shipment_line"].values(), gone)
    headers = {order.id: _header(order, lines[order.id]) for order in of["sales_order"].values() if order.id in lines}
    missing, again_us = _orders(of, limits, now_us)
    found = [
        *_headers(headers, lines, limits), *_shipped(of, went), *missing, *_invoiced(of, limits, lines, went, headers), *_paid(of),
    ]  # fmt: skip
    return sorted(found, key=lambda one: (one.rule, one.id)), again_us


Of = Mapping[str, dict[str, EntityState]]
Lines = Mapping[str, list[EntityState]]
"""Order → its lines."""


class Header(NamedTuple):
    """What the header of an order says, and what it should: its lines, and the freight and discount that it names."""

    says: int | None
    should: int
    unnamed: bool
    """It names no freight, so what it says beyond its lines may be some."""


Headers = Mapping[str, Header]
"""Order that has lines → its header."""


def _header(order: EntityState, lines: list[EntityState]) -> Header:
    record = order.record
    total = sum(line.record.get("net_amount") or 0 for line in lines)
    return Header(record.get("net_amount"), total + charges(record), record.get("freight_amount") is None)


def _slack(lines: list[EntityState]) -> int:
    """Amounts of lines and of shipped parts are worked out, those of documents were rounded by their system."""
    return CENT * max(1, len(lines))


def _headers(headers: Headers, lines: Lines, limits: InvariantLimits) -> Iterable[Broken]:
    for order, (says, should, unnamed) in headers.items():
        slack = _slack(lines[order])
        beyond = max(0, should) * limits.header_charges // 100 if unnamed else 0
        if says is None or not should - slack <= says <= should + beyond + slack:
            yield Broken(HEADER, "sales_order", order, "net_amount", {"header": says, "lines": should})


def _shipped(of: Of, went: Mapping[str, int]) -> Iterable[Broken]:
    lines = of["sales_order_line"]
    for line, quantity in went.items():
        ordered = lines[line].record.get("quantity") if line in lines else None
        if ordered is not None and quantity > ordered + GRAIN:
            yield Broken(SHIPPED, "sales_order_line", line, "quantity", {"shipped": quantity, "ordered": ordered})


def _orders(of: Of, limits: InvariantLimits, now_us: int) -> tuple[list[Broken], int | None]:
    statuses = [order.record.get("status") for order in of["sales_order"].values()]
    orders = sum(status != "cancelled" for status in statuses)
    binding = sum(status not in ("cancelled", "draft") for status in statuses)
    found: list[Broken] = []
    again: list[int] = []
    for deal in of["opportunity"].values():
        stage = deal.record.get("stage")
        if stage == "won" and orders != 1:
            wrong = Broken(ORDERED, deal.entity, deal.id, "stage", {"orders": orders})
        elif stage == "lost" and binding:
            wrong = Broken(LOST, deal.entity, deal.id, "stage", {"orders": binding})
        else:
            continue
        due = deal.updated_us + limits.order_within_us
        if due < now_us:
            found.append(wrong)
        else:
            again.append(due)
    return found, min(again, default=None)


def _invoiced(
    of: Of, limits: InvariantLimits, lines: Lines, went: Mapping[str, int], headers: Headers
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
        if currency is not None and order.record.get("currency") not in (None, currency):
            continue
        net = (record.get("net_amount") or 0) - charges(record)
        billed[order.id] = billed.get(order.id, 0) + (-net if record.get("kind") == "credit_note" else net)
    for of_order, amount in billed.items():
        some = lines.get(of_order, [])
        worth, _ = shipped(some, went)
        header = headers.get(of_order)
        beyond = max(0, (header.says or 0) - header.should) if header is not None else 0
        slack = _slack(some)
        if amount > worth + beyond + slack or (limits.invoiced == "equal" and amount < worth - slack):
            yield Broken(INVOICED, "sales_order", of_order, "net_amount", {"invoiced": amount, "shipped": worth})


def _paid(of: Of) -> Iterable[Broken]:
    invoices = of["invoice"]
    for payment in of["payment"].values():
        if payment.record.get("invoice_id") not in invoices:
            yield Broken(PAID, payment.entity, payment.id, "invoice_id", {"invoice": payment.record.get("invoice_id")})
