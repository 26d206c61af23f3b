"""The order-to-cash join: opportunity → order and lines → shipments → invoices → payments, and service requests.

In: the live members of one order_flow aggregate. Out: the fields of the joined record, or None while there is neither an
opportunity nor an order. The result depends only on the members, not on the order in which they came; a document that is half
written gives a flow that is half told, and the next change completes it. docs/guides/order-to-cash.md says what its words mean.

Amounts are those in the currency of the order (else the opportunity, else the first invoice); those in other currencies stand beside
them, never in them. A document that names no currency is in that of the flow, a payment in that of its invoice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from operator import itemgetter
from typing import Any

from streams.flow.goods import GONE, quantities, said_to_be_gone, shipped
from streams.flow.stages import payment_status, shipment_status, stage
from streams.flow.timeline import DAY_US, timeline
from streams.model.state import EntityState

MONEY_SCALE = 4
CENT = 100
"""A cent as unscaled money: amounts of shipped parts and of lines are worked out, those of documents were rounded by their system."""

_ORDERED, _SHIPPED, _INVOICED, _PAID = range(4)

Amounts = dict[str | None, list[int]]
"""Currency → what is ordered, shipped, invoiced and paid in it."""


def join(members: Iterable[EntityState]) -> dict[str, Any] | None:
    """The order_flow record of these members; one that is among them is passed over."""
    of: defaultdict[str, list[EntityState]] = defaultdict(list)
    for member in members:
        if member.version > 0 and not member.deleted and member.merged_into is None:
            of[member.entity].append(member)
    deals, orders = sorted(of["opportunity"], key=_age), sorted(of["sales_order"], key=_age)
    if not deals and not orders:
        return None
    live = [order for order in orders if order.record.get("status") != "cancelled"]
    head = (live or orders)[0].record if orders else {}
    deal = deals[0].record if deals else {}
    invoices, shipments = sorted(of["invoice"], key=_age), sorted(of["shipment"], key=_age)
    bills = [one for one in invoices if one.record.get("status") not in ("draft", "cancelled")]
    credited = any(one.record.get("kind") == "credit_note" for one in bills)
    currency = head.get("currency") or deal.get("currency") or _first_currency(bills)
    amounts: Amounts = defaultdict(lambda: [0, 0, 0, 0])

    lines, counted, nothing_left = _goods(of, live, shipments, credited, currency, amounts)
    sent = [one for one in counted if one.record.get("status") in GONE]
    goods = shipment_status(bool(sent), nothing_left, all(one.record["status"] == "delivered" for one in sent))
    net = _bills(bills, currency, amounts)
    payments = _payments(of["payment"], invoices, currency, amounts)
    cleared = [one for one in payments if is_cleared(one[0])]
    incoming = [payment for payment, refund in cleared if not refund]
    ordered, worth, invoiced, paid = amounts[currency]
    reached = bool(bills) and bool(live) and net >= ordered - CENT * max(1, lines)
    closed = bool(live) and all(order.record.get("status") == "closed" for order in live)
    money = payment_status(
        billed=bool(bills),
        credited=credited and all(one[_INVOICED] <= 0 for one in amounts.values()),
        is_open=any(one[_INVOICED] > one[_PAID] for one in amounts.values()),
        is_paid=any(one[_PAID] > 0 for one in amounts.values()),
        complete=nothing_left or reached or closed,
    )
    record: dict[str, Any] = {
        "customer_id": head.get("customer_id") or deal.get("customer_id"),
        "opportunity_id": deals[0].id if deals else None,
        "sales_order_id": (live or orders)[0].id if orders else None,
        "stage": stage(deal.get("stage"), bool(orders), bool(live), closed, goods, money),
        "stage_since": None,  # one of the times below
        "shipment_status": goods,
        "payment_status": money,
        "currency": currency,
        "ordered_amount": ordered if orders else None,
        "shipped_amount": worth,
        "invoiced_amount": invoiced,
        "paid_amount": paid,
        "open_amount": invoiced - paid,
        **(_NO_OTHERS if len(amounts) == 1 else _others(currency, amounts)),
        "line_count": lines,
        "shipment_count": len(counted),
        "invoice_count": len(bills),
        "payment_count": len(cleared),
        "service_request_count": len(of["service_request"]),
        "opportunity_number": deal.get("number"),
        "opportunity_stage": deal.get("stage"),
        "order_number": head.get("number"),
        "order_status": head.get("status"),
        "promised_date": head.get("promised_date"),
        "won_at": deal.get("won_at"),
        "ordered_at": head.get("confirmed_at") or head.get("created_at"),
        "shipped_at": _last(sent, "shipped_at"),
        "delivered_at": _last(sent, "delivered_at") if goods == "delivered" else None,
        "invoiced_at": _day(_last(bills, "invoice_date")),
        "paid_at": _last(incoming, "paid_at"),
        "timeline": timeline(deals, orders, shipments, invoices, payments, of["service_request"]),
    }
    record["stage_since"] = _since(record, deal, sent, bills, incoming)
    return record


def _goods(
    of: dict[str, list[EntityState]],
    orders: list[EntityState],
    shipments: list[EntityState],
    credited: bool,
    currency: str | None,
    amounts: Amounts,
) -> tuple[int, list[EntityState], bool]:
    """Of these orders: how many lines, the shipments that count, and whether nothing is left to be shipped.

    What is ordered and shipped is added to `amounts`.
    """
    named: dict[str | None, str | None] = {}
    for order in orders:
        of_order = named[order.id] = order.record.get("currency") or currency
        amounts[of_order][_ORDERED] += order.record.get("net_amount") or 0
    counted, sent, returned = [], set(), set()
    for one in shipments:
        if one.parent in named:
            status = one.record.get("status")
            if status in GONE:
                sent.add(one.id)
            if status == "returned":
                returned.add(one.id)
            elif status != "cancelled":
                counted.append(one)
    parts = of["shipment_line"]
    went = quantities(parts, sent) if sent else {}
    back = quantities(parts, returned) if returned and credited else {}
    lines, nothing_left = 0, True
    for of_lines, some in _by_currency(of["sales_order_line"], named):
        worth, whole = shipped(some, went, back)
        amounts[of_lines][_SHIPPED] += worth
        lines += len(some)
        nothing_left = nothing_left and whole
    if not lines or not (went or back):
        nothing_left = bool(sent) and said_to_be_gone(orders)
    return lines, counted, nothing_left


def _by_currency(
    lines: list[EntityState], named: dict[str | None, str | None]
) -> Iterable[tuple[str | None, list[EntityState]]]:
    """The lines of the orders that `named` gives a currency, by currency."""
    if len(named) == 1:
        ((order, currency),) = named.items()
        return [(currency, [line for line in lines if line.parent == order])]
    found: dict[str | None, list[EntityState]] = {}
    for line in lines:
        if line.parent in named:
            found.setdefault(named[line.parent], []).append(line)
    return found.items()


def _bills(bills: list[EntityState], currency: str | None, amounts: Amounts) -> int:
    """What is invoiced in `currency` without tax, less credit notes. What is invoiced with tax is added to `amounts`."""
    net = 0
    for one in bills:
        record = one.record
        gross, without_tax = record.get("gross_amount") or 0, record.get("net_amount")
        sign = -1 if record.get("kind") == "credit_note" else 1
        named = record.get("currency") or currency
        amounts[named][_INVOICED] += sign * gross
        if named == currency:
            net += sign * (gross if without_tax is None else without_tax)
    return net


def _payments(
    payments: list[EntityState], invoices: list[EntityState], currency: str | None, amounts: Amounts
) -> list[tuple[EntityState, bool]]:
    """All payments, oldest first, and whether each is a refund. What is cleared is added to `amounts`."""
    bills = {one.id: one.record for one in invoices}
    told = []
    for payment in sorted(payments, key=_age):
        record = payment.record
        bill = bills.get(payment.parent or "", {})
        amount = record.get("amount") or 0
        if bill.get("kind") == "credit_note":
            amount = -abs(amount)
        told.append((payment, amount < 0))
        if is_cleared(payment):
            amounts[record.get("currency") or bill.get("currency") or currency][_PAID] += amount
    return told


def is_cleared(payment: EntityState) -> bool:
    """Whether the money is there: a system that keeps no status only knows payments that are."""
    return payment.record.get("status") not in ("pending", "reversed")


def _others(currency: str | None, amounts: Amounts) -> dict[str, dict[str, str] | None]:
    """The amounts in other currencies: code → amount, as text."""
    others = sorted((named or "", told) for named, told in amounts.items() if named != currency)
    return {
        field: {named: _text(amount(told)) for named, told in others if amount(told)} or None
        for field, amount in _OTHERS.items()
    }


_OTHERS: dict[str, Callable[[list[int]], int]] = {
    "other_ordered_amounts": itemgetter(_ORDERED),
    "other_shipped_amounts": itemgetter(_SHIPPED),
    "other_invoiced_amounts": itemgetter(_INVOICED),
    "other_paid_amounts": itemgetter(_PAID),
    "other_open_amounts": lambda told: told[_INVOICED] - told[_PAID],
}
_NO_OTHERS = dict.fromkeys(_OTHERS)


def _text(amount: int) -> str:
    return f"{Decimal(amount).scaleb(-MONEY_SCALE).normalize():f}"


def _since(
    record: dict[str, Any],
    deal: dict[str, Any],
    sent: list[EntityState],
    bills: list[EntityState],
    incoming: list[EntityState],
) -> int | None:
    """When the flow came to its stage, as far as its documents say."""
    stage = record["stage"]
    if stage == "partially_shipped":
        return _first(sent, "shipped_at")
    if stage == "invoiced":
        return _day(_first(bills, "invoice_date"))
    if stage == "credited":
        return _day(_last(bills, "invoice_date"))
    if stage == "partially_paid":
        return _first(incoming, "paid_at")
    if stage == "opportunity":
        return deal.get("created_at")
    at: int | None = record.get(f"{stage}_at")
    return at


def _age(member: EntityState) -> tuple[int, str]:
    return (member.record.get("created_at") or 0, member.id)


def _first_currency(bills: list[EntityState]) -> str | None:
    return next((named for one in bills if (named := one.record.get("currency"))), None)


def _first(members: list[EntityState], field: str) -> int | None:
    return min((at for one in members if (at := one.record.get(field)) is not None), default=None)


def _last(members: list[EntityState], field: str) -> int | None:
    return max((at for one in members if (at := one.record.get(field)) is not None), default=None)


def _day(day: int | None) -> int | None:
    return day * DAY_US if day is not None else None
