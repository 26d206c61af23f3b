"""What was invoiced of the goods of an order beside what was shipped of them. Pure.

Services, freight and deposits are invoiced when the company likes, and are left out on both sides. Orders that share
an invoice are compared together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from streams.flow.charges import charges
from streams.flow.goods import Goods, is_goods
from streams.flow.money import is_billed
from streams.flow.order_flow import CENT, expected_net
from streams.model.state import EntityState


class Invoiced(NamedTuple):
    """The goods of one order, or of several that share invoices. Amounts are unscaled and without tax."""

    order: str
    """The first of the orders, by id."""
    billed: int
    shipped: int
    least: int
    """What must at least be billed, where it must equal what was shipped."""
    most: int


def compare_invoiced(
    of: Mapping[str, Mapping[str, EntityState]],
    lines: Mapping[str | None, list[EntityState]],
    goods: Mapping[str, Goods],
) -> Iterable[Invoiced]:
    """Each group of orders with an invoice that counts and whose amounts can be compared: all are known, and in one
    currency.
    """
    orders = of["sales_order"]
    order_lines = of["sales_order_line"]
    bill_lines: dict[str | None, list[EntityState]] = {}
    for line in of["invoice_line"].values():
        bill_lines.setdefault(line.parent, []).append(line)
    group_of = {id: id for id in orders}
    bills_of: dict[str, list[EntityState]] = {}
    for invoice in sorted(of["invoice"].values(), key=lambda invoice: invoice.id):
        if not is_billed(invoice):
            continue
        named = {
            order_lines[line_id].parent or ""
            for line in bill_lines.get(invoice.id, ())
            if (line_id := line.record.get("order_line_id") or "") in order_lines
        }
        touched = sorted((named & orders.keys()) or ({invoice.parent or ""} & orders.keys()))
        currencies = {invoice.record.get("currency"), *(orders[id].record.get("currency") for id in touched)} - {None}
        if not touched or len(currencies) > 1:
            continue  # amounts in two currencies cannot be compared
        for id in touched:
            _unite(group_of, touched[0], id)
        bills_of.setdefault(touched[0], []).append(invoice)
    groups: dict[str, list[str]] = {}
    for id in sorted(orders):
        groups.setdefault(_root(group_of, id), []).append(id)
    for members in groups.values():
        bills = [bill for id in members for bill in bills_of.get(id, ())]
        if bills:
            compared = _compared([orders[id] for id in members], lines, goods, bills, bill_lines, order_lines)
            if compared is not None:
                yield compared


def _compared(
    orders: list[EntityState],
    lines: Mapping[str | None, list[EntityState]],
    goods: Mapping[str, Goods],
    bills: list[EntityState],
    bill_lines: Mapping[str | None, list[EntityState]],
    order_lines: Mapping[str, EntityState],
) -> Invoiced | None:
    shipped, in_header, without_goods, less, count = 0, 0, 0, 0, 0
    for order in orders:
        amount = goods[order.id].amount
        if amount is None:
            return None
        shipped += amount
        of_order = lines.get(order.id, [])
        count += len(of_order)
        expected = expected_net(order, of_order)
        if of_order and expected is not None:
            in_header += max(0, (order.record.get("net_amount") or 0) - expected)
        for line in of_order:
            if not is_goods(line.record):
                net = line.record.get("net_amount") or 0
                without_goods += max(0, net)
                less += min(0, net)
    billed, has_headers_only = 0, False
    for bill in bills:
        net = bill.record.get("net_amount")
        if net is None:
            return None
        net -= charges(bill.record)
        of_bill = bill_lines.get(bill.id, [])
        has_headers_only |= not of_bill
        net -= sum(line.record.get("net_amount") or 0 for line in of_bill if not _is_of_goods(line.record, order_lines))
        billed += -abs(net) if bill.record.get("kind") == "credit_note" else net
    slack = CENT * max(1, count)
    if not has_headers_only:
        without_goods = less = 0
    return Invoiced(orders[0].id, billed, shipped, shipped + less - slack, shipped + in_header + without_goods + slack)


def _is_of_goods(line: Mapping[str, Any], order_lines: Mapping[str, EntityState]) -> bool:
    """Whether a line of an invoice bills goods: by its own kind, else by its order line, else by its product."""
    ordered = order_lines.get(line.get("order_line_id") or "")
    if line.get("kind") is None and ordered is not None:
        return is_goods(ordered.record)
    return is_goods(dict(line))


def _root(group_of: dict[str, str], id: str) -> str:
    while group_of[id] != id:
        id = group_of[id]
    return id


def _unite(group_of: dict[str, str], first: str, second: str) -> None:
    first, second = sorted((_root(group_of, first), _root(group_of, second)))
    group_of[second] = first
