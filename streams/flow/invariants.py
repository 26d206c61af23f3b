"""Business rules that every order-to-cash flow must keep, whichever system its data comes from. Pure.

In: the members of one order_flow aggregate. Out: each rule that is broken, at the record where people would correct it.
The same members give the same result in any order. Systems write a document in pieces, so check a flow only after it
has been quiet for a while. A rule begins with the stage at which it can hold, and what is not known breaks none: a
draft has no amount yet, a shipment of other products than were ordered has no value that could be compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from streams.flow.goods import GRAIN, Goods, Shipped, compared, order_goods, shipped_lines
from streams.flow.invoiced import compare_invoiced
from streams.flow.money import is_billed
from streams.flow.order_flow import CENT, expected_net, is_firm, join
from streams.flow.returns import NOT_COMING, coming_back, is_other_serial, returned_too_much, serials_of
from streams.flow.shares import documents_here
from streams.model.names import HUB, PEOPLE
from streams.model.state import EntityState

HEADER = "header is not the sum of its lines"
SHIPPED = "more was shipped than ordered"
ORDERED = "a won opportunity has not exactly one order"
INVOICED = "invoiced is not what was shipped"
LOST = "a lost opportunity has a live order"
PAID = "a payment without an invoice"
OVERPAID = "the customer has paid more than is invoiced"
SETTLED = "an invoice's status contradicts its open amount"
RETURNED = "more comes back than was shipped"
SERIAL = "a piece comes back that was not shipped"
RETURN = "a return names no order"

RULES = {
    "header": HEADER,
    "shipped": SHIPPED,
    "one_order": ORDERED,
    "invoiced": INVOICED,
    "lost": LOST,
    "paid": PAID,
    "overpaid": OVERPAID,
    "settled": SETTLED,
    "returned": RETURNED,
    "serial": SERIAL,
    "return_order": RETURN,
}
"""Short name, as in settings → the rule."""

InvoicePolicy = Literal["at_most_shipped", "equal", "off"]


class Broken(msgspec.Struct, frozen=True):
    """One rule that is broken. `values` has both sides that should agree, unscaled."""

    rule: str
    entity: str
    id: str
    field: str
    values: dict[str, Any]


class InvariantLimits(msgspec.Struct, frozen=True):
    """What each company may set differently, for all systems or for one."""

    invoiced: InvoicePolicy = "at_most_shipped"
    """How the invoiced amount (without tax, less credit notes) relates to the shipped amount."""
    order_within_us: int = 300_000_000
    """How long a won opportunity may be without its order, and a lost one with it."""
    header_charges: int = 10
    """Percent that an order's header may exceed its lines where it names no freight: charges stand in no line."""
    refund_within_us: int = 14 * 86_400_000_000
    """How long a refund may take that a credit note or a cancelled order made due."""
    off: frozenset[str] = frozenset()
    """Rules that are not checked, by their texts."""
    systems: dict[str, InvariantLimits] = {}
    """Limits of the records of single systems, in place of these."""

    def of(self, member: EntityState) -> InvariantLimits:
        """The limits for a record: those of its system, of several the first by name that has its own."""
        if self.systems:
            for system in sorted({contribution.system for contribution in member.contributions.values()}):
                if system in self.systems and system not in (PEOPLE, HUB):
                    return self.systems[system]
        return self


Of = Mapping[str, dict[str, EntityState]]
"""Entity → id → live member."""
Lines = Mapping[str | None, list[EntityState]]
"""Order id → its lines."""
Result = tuple[list[Broken], int | None]
"""The broken rules, and the time in µs at which to check again if that depends on time alone."""


def broken(members: Iterable[EntityState], limits: InvariantLimits, now_us: int) -> Result:
    """(the broken rules, the time in µs at which to check again if that depends on time alone)."""
    of: defaultdict[str, dict[str, EntityState]] = defaultdict(dict)
    for member in documents_here(members):
        if not member.deleted and member.merged_into is None and member.version > 0:
            of[member.entity][member.id] = member
    lines: defaultdict[str | None, list[EntityState]] = defaultdict(list)
    for line in of["sales_order_line"].values():
        lines[line.parent].append(line)
    shipped = shipped_lines([*of["shipment"].values()], of["shipment_line"].values(), of["sales_order_line"].values())
    goods = {order.id: order_goods(order, lines[order.id], shipped, False) for order in of["sales_order"].values()}
    rules = [
        *_headers(of, lines, limits), *_shipped(of, shipped.sent), *_invoiced(of, lines, goods, limits), *_paid(of),
        *_settled(of),
    ]  # fmt: skip
    if of["return_order"]:
        rules += _returned(of, shipped)
    check_again: list[int] = []
    for by_time in (_orders(of, limits, now_us), _overpaid(of, limits, now_us)):
        rules += by_time[0]
        if by_time[1] is not None:
            check_again.append(by_time[1])
    if limits.off or limits.systems:
        rules = [rule for rule in rules if rule.rule not in limits.of(of[rule.entity][rule.id]).off]
    return sorted(rules, key=lambda rule: (rule.rule, rule.id)), min(check_again, default=None)


def slack_of(lines: list[EntityState]) -> int:
    """The tolerance: amounts of lines and of shipped quantities are computed here, those of documents were rounded by
    their system.
    """
    return CENT * max(1, len(lines))


def _headers(of: Of, lines: Lines, limits: InvariantLimits) -> Iterable[Broken]:
    for order in of["sales_order"].values():
        amount, order_lines = order.record.get("net_amount"), lines[order.id]
        if amount is None or not order_lines or not is_firm(order):
            continue
        expected = expected_net(order, order_lines)
        if expected is None:
            continue
        allowed = 0
        if order.record.get("freight_amount") is None:  # the amount may include some that no field shows
            allowed = max(0, expected) * limits.of(order).header_charges // 100
        slack = slack_of(order_lines)
        if not expected - slack <= amount <= expected + allowed + slack:
            yield Broken(HEADER, "sales_order", order.id, "net_amount", {"header": amount, "lines": expected})


def _shipped(of: Of, sent: Mapping[str, list[dict[str, Any]]]) -> Iterable[Broken]:
    for id, parts in sent.items():
        line = of["sales_order_line"].get(id)
        ordered = line.record.get("quantity") if line is not None else None
        if line is None or ordered is None or line.record.get("kind") not in (None, "goods"):
            continue
        quantity, _ = compared(line.record, parts)
        if quantity > ordered + GRAIN:
            yield Broken(SHIPPED, "sales_order_line", id, "quantity", {"shipped": quantity, "ordered": ordered})


def _orders(of: Of, limits: InvariantLimits, now_us: int) -> Result:
    live = [order for order in of["sales_order"].values() if order.record.get("status") != "cancelled"]
    # Call-offs of a blanket order, back orders and replacements follow another order of the flow.
    known = of["sales_order"]
    firm = [order for order in live if is_firm(order)]
    # A draft or a blanket order counts while there is nothing else.
    orders = sum((order.record.get("preceding_order_id") or "") not in known for order in firm or live)
    rules: list[Broken] = []
    due_later: list[int] = []
    for deal in of["opportunity"].values():
        stage = deal.record.get("stage")
        if stage == "won" and orders != 1:
            rule = Broken(ORDERED, deal.entity, deal.id, "stage", {"orders": orders})
        elif stage == "lost" and firm:
            rule = Broken(LOST, deal.entity, deal.id, "stage", {"orders": len(firm)})
        else:
            continue
        due = deal.updated_us + limits.of(deal).order_within_us
        if due < now_us:
            rules.append(rule)
        else:
            due_later.append(due)
    return rules, min(due_later, default=None)


def _invoiced(of: Of, lines: Lines, goods: Mapping[str, Goods], limits: InvariantLimits) -> Iterable[Broken]:
    for compared_orders in compare_invoiced(of, lines, goods):
        order = of["sales_order"][compared_orders.order]
        policy = limits.of(order).invoiced
        if policy == "off":
            continue
        too_much = compared_orders.billed > compared_orders.most
        if too_much or (policy == "equal" and compared_orders.billed < compared_orders.least):
            values = {"invoiced": compared_orders.billed, "shipped": compared_orders.shipped}
            yield Broken(INVOICED, "sales_order", order.id, "net_amount", values)


def _paid(of: Of) -> Iterable[Broken]:
    invoices = of["invoice"]
    for payment in of["payment"].values():
        if payment.record.get("invoice_id") not in invoices:
            yield Broken(PAID, payment.entity, payment.id, "invoice_id", {"invoice": payment.record.get("invoice_id")})


def _settled(of: Of) -> Iterable[Broken]:
    for invoice in of["invoice"].values():
        record = invoice.record
        status, still_open = record.get("status"), record.get("open_amount")
        if still_open is None:
            continue
        if (status == "paid" and abs(still_open) > CENT) or (
            status in ("open", "overdue") and not still_open and record.get("gross_amount")
        ):
            yield Broken(SETTLED, "invoice", invoice.id, "open_amount", {"open": still_open, "status": status})


def _returned(of: Of, shipped: Shipped) -> Iterable[Broken]:
    returns = of["return_order"].values()
    lines = coming_back(returns, of["return_order_line"].values())
    for too_much in returned_too_much(of["sales_order_line"].values(), shipped, lines):
        values = {"returned": too_much.returned, "shipped": too_much.shipped}
        yield Broken(RETURNED, "return_order_line", too_much.return_line, "quantity", values)
    serials = serials_of(of["shipment_line"].values(), of["installed_item"].values())
    for line in lines:
        if is_other_serial(line.record, serials):
            yield Broken(SERIAL, line.entity, line.id, "serial_number", {"serial_number": line.record["serial_number"]})
    for back in returns:
        # Of one that a request asked for, the order may be that of the request: its service case says so.
        if not (back.parent or back.record.get("sales_order_id") or back.record.get("service_request_id")) and (
            back.record.get("status") not in NOT_COMING
        ):
            yield Broken(RETURN, back.entity, back.id, "sales_order_id", {"order": None})


def _overpaid(of: Of, limits: InvariantLimits, now_us: int) -> Result:
    flow = join([member for members in of.values() for member in members.values()])
    if flow is None or flow["payment_status"] != "overpaid":
        return [], None
    entity = "sales_order" if flow["sales_order_id"] is not None else "opportunity"
    id = flow["sales_order_id"] or flow["opportunity_id"]
    values = {"paid": flow["paid_amount"], "invoiced": flow["invoiced_amount"], "open": flow["open_amount"]}
    rule = Broken(OVERPAID, entity, id, "payment_status", values)
    bills = [invoice for invoice in of["invoice"].values() if is_billed(invoice)]
    refund_is_planned = any(bill.record.get("kind") == "credit_note" for bill in bills) or not any(
        order.record.get("status") != "cancelled" for order in of["sales_order"].values()
    )
    due = (flow["stage_since"] or 0) + limits.of(of[entity][id]).refund_within_us
    if refund_is_planned and due >= now_us:
        return [], due
    return [rule], None
