"""The order-to-cash join: opportunity → order and lines → shipments → invoices → payments, and service requests.

In: the members of one order_flow aggregate. Out: the fields of the joined record, or None while there is neither an
opportunity nor an order. The result depends only on the members, not on the order in which they came. A document that
is half written gives half a flow, and the next change completes it. docs/guides/order-to-cash.md explains the fields.

Amounts are in the currency of the order (else of the opportunity, else of the first invoice). Amounts in other
currencies stand in fields of their own and are never added. A document without a currency is in that of the flow, a
payment in that of its invoice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from operator import itemgetter
from typing import Any

from streams.flow.goods import GONE, quantities, shipped, shipped_by_status
from streams.flow.shares import documents_here
from streams.flow.stages import payment_status, shipment_status, stage
from streams.flow.timeline import DAY_US, timeline
from streams.model.state import EntityState

MONEY_SCALE = 4
CENT = 100
"""A cent as unscaled money, the tolerance: shipped amounts are computed here, those of documents were rounded by their
system.
"""

_ORDERED, _SHIPPED, _INVOICED, _PAID = range(4)

Amounts = dict[str | None, list[int]]
"""Currency → the ordered, shipped, invoiced and paid amount, at the indexes above."""


def join(members: Iterable[EntityState]) -> dict[str, Any] | None:
    """The joined record of these members. Deleted and merged members are ignored, and the joined record itself if it is
    among them.
    """
    of: defaultdict[str, list[EntityState]] = defaultdict(list)
    for member in documents_here(members):
        if member.version > 0 and not member.deleted and member.merged_into is None:
            of[member.entity].append(member)
    deals, orders = sorted(of["opportunity"], key=_age), sorted(of["sales_order"], key=_age)
    if not deals and not orders:
        return None
    live = [order for order in orders if order.record.get("status") != "cancelled"]
    head = (live or orders)[0].record if orders else {}
    deal = deals[0].record if deals else {}
    invoices, shipments = sorted(of["invoice"], key=_age), sorted(of["shipment"], key=_age)
    bills = [invoice for invoice in invoices if invoice.record.get("status") not in ("draft", "cancelled")]
    credited = any(invoice.record.get("kind") == "credit_note" for invoice in bills)
    currency = head.get("currency") or deal.get("currency") or _first_currency(bills)
    amounts: Amounts = defaultdict(lambda: [0, 0, 0, 0])

    lines, counted, nothing_left = _goods(of, live, shipments, credited, currency, amounts)
    sent = [shipment for shipment in counted if shipment.record.get("status") in GONE]
    all_arrived = all(shipment.record["status"] == "delivered" for shipment in sent)
    goods = shipment_status(bool(sent), nothing_left, all_arrived)
    net = _bills(bills, currency, amounts)
    payments = _payments(of["payment"], invoices, currency, amounts)
    cleared = [(payment, refund) for payment, refund in payments if is_cleared(payment)]
    incoming = [payment for payment, refund in cleared if not refund]
    ordered, shipped_amount, invoiced, paid = amounts[currency]
    reached = bool(bills) and bool(live) and net >= ordered - CENT * max(1, lines)
    closed = bool(live) and all(order.record.get("status") == "closed" for order in live)
    money = payment_status(
        billed=bool(bills),
        credited=credited and all(totals[_INVOICED] <= 0 for totals in amounts.values()),
        is_open=any(totals[_INVOICED] > totals[_PAID] for totals in amounts.values()),
        is_paid=any(totals[_PAID] > 0 for totals in amounts.values()),
        complete=nothing_left or reached or closed,
    )
    record: dict[str, Any] = {
        "customer_id": head.get("customer_id") or deal.get("customer_id"),
        "opportunity_id": deals[0].id if deals else None,
        "sales_order_id": (live or orders)[0].id if orders else None,
        "stage": stage(deal.get("stage"), bool(orders), bool(live), closed, goods, money),
        "stage_since": None,  # one of the times below, once they are known
        "shipment_status": goods,
        "payment_status": money,
        "currency": currency,
        "ordered_amount": ordered if orders else None,
        "ordered_gross_amount": None,
        "shipped_amount": shipped_amount,
        "invoiced_amount": invoiced,
        "invoiced_net_amount": None,
        "paid_amount": paid,
        "settled_otherwise_amount": None,
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
    """(lines of these orders, the shipments that count, whether nothing is left to be shipped).

    Adds the ordered and shipped amounts to `amounts`. `credited`: there is a credit note, so that returned goods need
    no replacement.
    """
    currency_of: dict[str | None, str | None] = {}
    for order in orders:
        of_order = currency_of[order.id] = order.record.get("currency") or currency
        amounts[of_order][_ORDERED] += order.record.get("net_amount") or 0
    counted, sent, returned = [], set(), set()
    for shipment in shipments:
        if shipment.parent in currency_of:
            status = shipment.record.get("status")
            if status in GONE:
                sent.add(shipment.id)
            if status == "returned":
                returned.add(shipment.id)
            elif status != "cancelled":
                counted.append(shipment)
    shipment_lines = of["shipment_line"]
    sent_of = quantities(shipment_lines, sent) if sent else {}
    returned_of = quantities(shipment_lines, returned) if returned and credited else {}
    lines, nothing_left = 0, True
    for of_lines, order_lines in _by_currency(of["sales_order_line"], currency_of):
        amount, complete = shipped(order_lines, sent_of, returned_of)
        amounts[of_lines][_SHIPPED] += amount
        lines += len(order_lines)
        nothing_left = nothing_left and complete
    if not lines or not (sent_of or returned_of):
        nothing_left = bool(sent) and shipped_by_status(orders)
    return lines, counted, nothing_left


def _by_currency(
    lines: list[EntityState], currency_of: dict[str | None, str | None]
) -> Iterable[tuple[str | None, list[EntityState]]]:
    """The lines of the orders in `currency_of` (order id → currency), by currency."""
    if len(currency_of) == 1:
        ((order, currency),) = currency_of.items()
        return [(currency, [line for line in lines if line.parent == order])]
    by_currency: dict[str | None, list[EntityState]] = {}
    for line in lines:
        if line.parent in currency_of:
            by_currency.setdefault(currency_of[line.parent], []).append(line)
    return by_currency.items()


def _bills(bills: list[EntityState], currency: str | None, amounts: Amounts) -> int:
    """The amount invoiced in `currency`, without tax and less credit notes. Adds the amounts with tax to `amounts`."""
    net = 0
    for invoice in bills:
        record = invoice.record
        gross, without_tax = record.get("gross_amount") or 0, record.get("net_amount")
        sign = -1 if record.get("kind") == "credit_note" else 1
        invoice_currency = record.get("currency") or currency
        amounts[invoice_currency][_INVOICED] += sign * gross
        if invoice_currency == currency:
            net += sign * (gross if without_tax is None else without_tax)
    return net


def _payments(
    payments: list[EntityState], invoices: list[EntityState], currency: str | None, amounts: Amounts
) -> list[tuple[EntityState, bool]]:
    """All payments, oldest first, and whether each is a refund. Adds cleared payments to `amounts`."""
    bills = {invoice.id: invoice.record for invoice in invoices}
    with_direction = []
    for payment in sorted(payments, key=_age):
        record = payment.record
        bill = bills.get(payment.parent or "", {})
        amount = record.get("amount") or 0
        if bill.get("kind") == "credit_note":
            amount = -abs(amount)
        with_direction.append((payment, amount < 0))
        if is_cleared(payment):
            amounts[record.get("currency") or bill.get("currency") or currency][_PAID] += amount
    return with_direction


def is_cleared(payment: EntityState) -> bool:
    """Whether the money arrived. A system without a status only stores payments that did."""
    return payment.record.get("status") not in ("pending", "reversed")


def _others(currency: str | None, amounts: Amounts) -> dict[str, dict[str, str] | None]:
    """The amounts in other currencies: code → amount, as text."""
    others = sorted((code or "", totals) for code, totals in amounts.items() if code != currency)
    return {
        field: {code: _text(amount_of(totals)) for code, totals in others if amount_of(totals)} or None
        for field, amount_of in _OTHERS.items()
    }


_OTHERS: dict[str, Callable[[list[int]], int]] = {
    "other_ordered_amounts": itemgetter(_ORDERED),
    "other_shipped_amounts": itemgetter(_SHIPPED),
    "other_invoiced_amounts": itemgetter(_INVOICED),
    "other_paid_amounts": itemgetter(_PAID),
    "other_open_amounts": lambda totals: totals[_INVOICED] - totals[_PAID],
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
    """When the flow reached its stage, if its documents say so."""
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
    return next((code for invoice in bills if (code := invoice.record.get("currency"))), None)


def _first(members: list[EntityState], field: str) -> int | None:
    return min((at for member in members if (at := member.record.get(field)) is not None), default=None)


def _last(members: list[EntityState], field: str) -> int | None:
    return max((at for member in members if (at := member.record.get(field)) is not None), default=None)


def _day(day: int | None) -> int | None:
    return day * DAY_US if day is not None else None
