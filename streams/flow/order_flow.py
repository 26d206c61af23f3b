"""The order-to-cash join: opportunity → order and lines → shipments → invoices → payments, and service requests.

In: the members of one order_flow aggregate. Out: the fields of the joined record, or None while there is neither an
opportunity nor an order. The result depends only on the members, not on the order in which they came. A document that
is half written gives half a flow, and the next change completes it. docs/guides/order-to-cash.md explains the fields.

Amounts are in the currency of the order (else of the opportunity, else of the first invoice). Amounts in other
currencies stand in fields of their own and are never added. A document without a currency is in that of the flow, a
payment in that of its invoice. What a system does not say is not known, and a sum with a part that is not known is
empty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from streams.flow.charges import charges
from streams.flow.goods import GONE, Goods, order_goods, shipped_lines
from streams.flow.money import Bill, Paid, bills_of, is_billed, payments_of
from streams.flow.shares import documents_here
from streams.flow.stages import payment_status, shipment_status, stage
from streams.flow.timeline import DAY_US, timeline
from streams.model.state import EntityState

MONEY_SCALE = 4
CENT = 100
"""A cent as unscaled money, the tolerance: shipped amounts are computed here, those of documents were rounded by their
system.
"""

_ORDERED, _ORDERED_GROSS, _SHIPPED, _INVOICED, _INVOICED_NET, _PAID, _OPEN = range(7)

Amounts = dict[str | None, list[int | None]]
"""Currency → sums, at the indexes above; None: not known."""


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
    firm = [order for order in live if is_firm(order)]
    first = next(iter(firm or live or orders), None)
    head = first.record if first is not None else {}
    deal = deals[0].record if deals else {}
    invoices, shipments = sorted(of["invoice"], key=_age), sorted(of["shipment"], key=_age)
    bills = [invoice for invoice in invoices if is_billed(invoice)]
    currency = head.get("currency") or deal.get("currency") or _first_currency(bills) or _first_currency(invoices)
    amounts: Amounts = defaultdict(lambda: [0, 0, 0, 0, 0, 0, 0])

    credited = any(invoice.record.get("kind") == "credit_note" for invoice in bills)
    lines, counted, goods = _goods(of, live, shipments, credited, currency, amounts)
    sent = [shipment for shipment in counted if shipment.record.get("status") in GONE]
    payments = payments_of(sorted(of["payment"], key=_age), invoices, currency)
    billed = bills_of(bills, payments, currency)
    credit = _money(billed, payments, amounts)
    cleared = [paid for paid in payments if paid.is_cleared]
    incoming = [paid.payment for paid in cleared if not paid.is_refund]
    closed = bool(firm) and all(order.record.get("status") == "closed" for order in firm)
    totals = amounts[currency]
    invoiced, paid_amount, still_open = totals[_INVOICED], totals[_PAID], totals[_OPEN]

    goods_status = shipment_status(
        needed=goods.to_ship or not lines,
        any_sent=goods.any_sent,
        all_sent=goods.complete,
        all_arrived=bool(sent) and all(shipment.record["status"] == "delivered" for shipment in sent),
    )
    complete = closed or _all_invoiced(billed, currency, totals, goods, lines, of["invoice_line"])
    ordered_gross = totals[_ORDERED_GROSS]
    exceeds = bool(firm) and ordered_gross is not None and (paid_amount or 0) > ordered_gross + CENT
    money_status = payment_status(
        billed=bool(billed),
        credited=credited and all((sums[_INVOICED] or 0) <= 0 for sums in amounts.values()),
        is_open=any(_is_open(sums[_OPEN]) for sums in amounts.values()),
        is_paid=any((sums[_PAID] or 0) > 0 for sums in amounts.values()),
        complete=complete,
        overpaid=credit > CENT and (not live or exceeds or (bool(billed) and complete)),
    )
    record: dict[str, Any] = {
        "customer_id": head.get("customer_id") or deal.get("customer_id"),
        "opportunity_id": deals[0].id if deals else None,
        "sales_order_id": first.id if first is not None else None,
        "stage": stage(
            deal.get("stage"),
            ordered=bool(orders),
            live=bool(live),
            firm=bool(firm),
            closed=closed,
            goods=goods_status,
            money=money_status,
        ),
        "stage_since": None,  # one of the times below, once they are known
        "shipment_status": goods_status,
        "payment_status": money_status,
        "currency": currency,
        "ordered_amount": totals[_ORDERED] if firm or (orders and not live) else None,
        "ordered_gross_amount": totals[_ORDERED_GROSS] if firm or (orders and not live) else None,
        "shipped_amount": totals[_SHIPPED],
        "invoiced_amount": invoiced,
        "invoiced_net_amount": totals[_INVOICED_NET],
        "paid_amount": paid_amount,
        "settled_otherwise_amount": (
            invoiced - paid_amount - still_open
            if invoiced is not None and paid_amount is not None and still_open is not None
            else None
        ),
        "open_amount": still_open,
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
        "ordered_at": (head.get("confirmed_at") or head.get("created_at")) if firm or not live else None,
        "shipped_at": _last(sent, "shipped_at"),
        "delivered_at": _last(sent, "delivered_at") if goods_status == "delivered" else None,
        "invoiced_at": _day(_last(bills, "invoice_date")),
        "paid_at": _last(incoming, "paid_at"),
        "timeline": timeline(deals, orders, shipments, invoices, payments, of["service_request"]),
    }
    record["stage_since"] = _since(record, deal, head, sent, bills, incoming)
    return record


_NONE: frozenset[str] = frozenset()


def is_firm(order: EntityState) -> bool:
    """Whether something is ordered with it: not with a draft, and not with a blanket order."""
    record = order.record
    return record.get("status") not in ("draft", "cancelled") and record.get("kind") != "blanket"


def _goods(
    of: dict[str, list[EntityState]],
    orders: list[EntityState],
    shipments: list[EntityState],
    credited: bool,
    currency: str | None,
    amounts: Amounts,
) -> tuple[int, list[EntityState], Goods]:
    """(number of lines of these orders, the shipments that count, the goods of all orders together).

    Adds the ordered and shipped amounts to `amounts`.
    """
    lines_of: dict[str | None, list[EntityState]] = {order.id: [] for order in orders}
    for line in of["sales_order_line"]:
        of_order = lines_of.get(line.parent)
        if of_order is not None:
            of_order.append(line)
    shipped = shipped_lines(shipments, of["shipment_line"], of["sales_order_line"])
    here = [s for s in shipments if s.parent in lines_of or not shipped.served.get(s.id, _NONE).isdisjoint(lines_of)]
    lines = 0
    to_ship, any_sent = False, False
    others: list[EntityState] = []
    complete: bool | None = True
    for order in orders:
        order_lines = lines_of[order.id]
        lines += len(order_lines)
        sums = amounts[order.record.get("currency") or currency]
        if is_firm(order):
            _add(sums, _ORDERED, _ordered_net(order, order_lines))
            _add(sums, _ORDERED_GROSS, order.record.get("gross_amount"))
        elif order.record.get("kind") == "blanket":
            continue
        goods = order_goods(order, order_lines, shipped, credited)
        _add(sums, _SHIPPED, goods.amount)
        to_ship |= goods.to_ship
        any_sent |= goods.any_sent
        others += goods.others
        if complete is not False and goods.complete is not True:
            complete = goods.complete
    counted = [shipment for shipment in here if shipment.record.get("status") not in ("returned", "cancelled")]
    return lines, counted, Goods(to_ship, any_sent, complete, None, others)


def _money(bills: Sequence[Bill], payments: Sequence[Paid], amounts: Amounts) -> int:
    """Add what is invoiced, paid and open to `amounts`. Returns the largest credit balance in one currency."""
    credits: dict[str | None, int] = {}
    for bill in bills:
        sums = amounts[bill.currency]
        _add(sums, _INVOICED, bill.gross)
        _add(sums, _INVOICED_NET, bill.net)
        _add(sums, _OPEN, bill.open)
        if bill.overpaid:
            credits[bill.currency] = credits.get(bill.currency, 0) + bill.overpaid
    for paid in payments:
        if paid.is_cleared:
            sums = amounts[paid.currency]
            _add(sums, _PAID, paid.amount)
            if paid.invoice is None or not is_billed(paid.invoice):
                # Paid before there is an invoice, or for one that was cancelled: it stands against what will be open.
                left = paid.payment.record.get("open_amount")
                _add(sums, _OPEN, -(paid.amount if left is None else left))
    return max((credits.get(code, 0) + max(0, -(sums[_OPEN] or 0)) for code, sums in amounts.items()), default=0)


def _all_invoiced(
    bills: Sequence[Bill],
    currency: str | None,
    totals: Sequence[int | None],
    goods: Goods,
    lines: int,
    invoice_lines: Iterable[EntityState],
) -> bool:
    """Whether no invoice is to come: the invoices reach what was ordered, or all goods went and nothing else that was
    ordered is left to be invoiced.
    """
    invoices = [bill for bill in bills if bill.currency == currency and not bill.is_credit]
    slack = CENT * max(1, lines)
    if invoices:
        for ordered, billed in (
            (totals[_ORDERED], [bill.net for bill in invoices]),
            (totals[_ORDERED_GROSS], [bill.gross for bill in invoices]),
        ):
            if ordered is not None and None not in billed:
                if sum(amount or 0 for amount in billed) >= ordered - slack:
                    return True
                break
    if not (goods.complete and goods.any_sent):
        return False
    if not goods.others:
        return True
    counted = {bill.invoice.id for bill in bills if not bill.is_credit}
    billed_of: dict[str, int] = {}
    for line in invoice_lines:
        if line.parent in counted:
            of_line = line.record.get("order_line_id") or ""
            billed_of[of_line] = billed_of.get(of_line, 0) + (line.record.get("net_amount") or 0)
    return all(line.record["net_amount"] <= billed_of.get(line.id, 0) + CENT for line in goods.others)


def _ordered_net(order: EntityState, lines: Sequence[EntityState]) -> int | None:
    """The net amount of an order: its own, else that of its lines where all say theirs."""
    amount: int | None = order.record.get("net_amount")
    if amount is not None or not lines:
        return amount
    return expected_net(order, lines)


def expected_net(order: EntityState, lines: Iterable[EntityState]) -> int | None:
    """The net amount of an order by its lines, freight and discount; None where a line does not say its amount."""
    total = charges(order.record)
    for line in lines:
        record = line.record
        net = record.get("net_amount")
        if net is not None:
            total += net
        elif record.get("quantity") and record.get("kind") != "text":
            return None
    return total


def _add(sums: list[int | None], at: int, amount: int | None) -> None:
    """Add to a sum; what is not known makes it not known."""
    so_far = sums[at]
    sums[at] = None if so_far is None or amount is None else so_far + amount


def _others(currency: str | None, amounts: Amounts) -> dict[str, dict[str, str] | None]:
    """The amounts in other currencies: code → amount, as text. Those that are not known are left out."""
    others = sorted((code or "", sums) for code, sums in amounts.items() if code != currency)
    return {
        field: {code: _text(amount) for code, sums in others if (amount := sums[at])} or None
        for field, at in _OTHERS.items()
    }


_OTHERS = {
    "other_ordered_amounts": _ORDERED,
    "other_shipped_amounts": _SHIPPED,
    "other_invoiced_amounts": _INVOICED,
    "other_paid_amounts": _PAID,
    "other_open_amounts": _OPEN,
}
_NO_OTHERS = dict.fromkeys(_OTHERS)


def _is_open(amount: int | None) -> bool:
    return amount is None or amount > 0


def _text(amount: int) -> str:
    return f"{Decimal(amount).scaleb(-MONEY_SCALE).normalize():f}"


def _since(
    record: dict[str, Any],
    deal: dict[str, Any],
    head: dict[str, Any],
    sent: list[EntityState],
    bills: list[EntityState],
    incoming: list[EntityState],
) -> int | None:
    """When the flow reached its stage, if its documents say so."""
    stage = record["stage"]
    if stage in ("partially_shipped", "shipped_in_part_or_whole"):
        return _first(sent, "shipped_at")
    if stage == "invoiced":
        return _day(_first(bills, "invoice_date"))
    if stage == "credited":
        return _day(_last(bills, "invoice_date"))
    if stage == "partially_paid":
        return _first(incoming, "paid_at")
    if stage == "overpaid":
        times = [at for at in (_last(incoming, "paid_at"), _day(_last(bills, "invoice_date"))) if at is not None]
        return max(times, default=None)
    if stage == "opportunity":
        return deal.get("created_at")
    if stage == "draft":
        return head.get("created_at")
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
