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
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from streams.flow.charges import charges
from streams.flow.goods import GONE, NOTHING_SHIPPED, Goods, Shipped, order_goods, shipped_lines, together
from streams.flow.money import (
    INVOICED,
    INVOICED_NET,
    OPEN,
    ORDERED,
    ORDERED_GROSS,
    PAID,
    SHIPPED,
    Amounts,
    Settled,
    Sums,
    add,
    is_billed,
    payments_of,
    settle_bills,
    sums_in,
)
from streams.flow.shares import SHARE, SHARES_SENT, documents_here
from streams.flow.stages import payment_status, shipment_status, stage
from streams.flow.supply import SUPPLIES, in_flow, supply_of, supply_record
from streams.flow.timeline import DAY_US, OTHERS, timeline
from streams.model.state import EntityState

_WITH_EVENTS = frozenset(OTHERS)

MONEY_SCALE = 4
CENT = 100
"""A cent as unscaled money, the tolerance: shipped amounts are computed here, those of documents were rounded by their
system.
"""


class Joined(NamedTuple):
    """What is computed of one order_flow aggregate."""

    flow: dict[str, Any] | None
    """The joined record; None while there is neither an opportunity nor an order."""
    supplies: dict[str, dict[str, Any]]
    """Order line → its record `supply`, of each line that anything supplies."""
    cases: Sequence[EntityState] = ()
    """The service cases that live here: they tell of this flow."""


NOTHING_JOINED = Joined(None, {})


def join(members: Collection[EntityState]) -> dict[str, Any] | None:
    """The joined record alone; see `join_all`."""
    return join_all(members).flow


def join_all(members: Collection[EntityState]) -> Joined:
    """What these members give together. Deleted and merged members are ignored, and computed records if they are among
    them.
    """
    of = _live_members(members)
    if SHARE in of or SHARES_SENT in of:
        of = _live_members(documents_here(members))
    deals, orders = _by_age(of["opportunity"]), _by_age(of["sales_order"])
    if not deals and not orders:
        return NOTHING_JOINED
    live = [order for order in orders if order.record.get("status") != "cancelled"]
    firm = [order for order in live if is_firm(order)]
    first = next(iter(firm or live or orders), None)
    head = first.record if first is not None else {}
    deal = deals[0].record if deals else {}
    invoices, shipments = _by_age(of["invoice"]), _by_age(of["shipment"])
    bills = [invoice for invoice in invoices if is_billed(invoice)]
    currency = head.get("currency") or deal.get("currency") or _first_currency(bills) or _first_currency(invoices)
    totals: Sums = [0, 0, 0, 0, 0, 0, 0]
    amounts: Amounts = {currency: totals}

    credited = bool(bills) and any([invoice.record.get("kind") == "credit_note" for invoice in bills])
    lines, counted, goods, shipped = _goods(of, live, shipments, credited, currency, amounts)
    supplied = supply_of(firm, of, shipped) if not SUPPLIES.isdisjoint(of) else []
    sent = [shipment for shipment in counted if shipment.record.get("status") in GONE]
    payments = payments_of(_by_age(of["payment"]), invoices, currency)
    settled = settle_bills(bills, payments, currency, amounts) if bills or payments else NOTHING_SETTLED
    cleared = [paid for paid in payments if paid.is_cleared]
    incoming = [paid.payment for paid in cleared if not paid.is_refund]
    cases = of.get("service_case", ())
    requests = of["service_request"]
    from_elsewhere = stories_of(cases, of) if cases else ()
    closed = bool(firm) and all([order.record.get("status") == "closed" for order in firm])
    invoiced, paid_amount, still_open = totals[INVOICED], totals[PAID], totals[OPEN]

    goods_status = shipment_status(
        needed=goods.to_ship or not lines,
        any_sent=goods.any_sent,
        all_sent=goods.complete,
        all_arrived=bool(sent) and all([shipment.record["status"] == "delivered" for shipment in sent]),
    )
    is_open = any([(left := sums[OPEN]) is None or left > 0 for sums in amounts.values()])
    complete = closed
    if bills and not closed and (not is_open or settled.credit > CENT):
        complete = _all_invoiced(bills, settled, totals, goods, lines, of["invoice_line"])
    ordered_gross = totals[ORDERED_GROSS]
    exceeds = bool(firm) and ordered_gross is not None and (paid_amount or 0) > ordered_gross + CENT
    money_status = payment_status(
        billed=bool(bills),
        credited=credited and all([(sums[INVOICED] or 0) <= 0 for sums in amounts.values()]),
        is_open=is_open,
        is_paid=bool(cleared) and any([(sums[PAID] or 0) > 0 for sums in amounts.values()]),
        complete=complete,
        overpaid=settled.credit > CENT and (not live or exceeds or (bool(bills) and complete)),
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
        "ordered_amount": totals[ORDERED] if firm or (orders and not live) else None,
        "ordered_gross_amount": totals[ORDERED_GROSS] if firm or (orders and not live) else None,
        "shipped_amount": totals[SHIPPED],
        "invoiced_amount": invoiced,
        "invoiced_net_amount": totals[INVOICED_NET],
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
        "service_request_count": len(requests) + (_requests_in(from_elsewhere) if cases else 0),
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
        **in_flow(supplied),
        "timeline": timeline(
            deals,
            orders,
            shipments,
            invoices,
            payments,
            requests,
            () if _WITH_EVENTS.isdisjoint(of) else [member for entity in OTHERS for member in of.get(entity, ())],
            from_elsewhere,
        ),
    }
    record["stage_since"] = _since(record, deal, head, sent, bills, incoming)
    order_of = {order.id: order for order in firm}
    supplies = {s.line.id: supply_record(s, order_of[s.line.parent or ""]) for s in supplied}
    return Joined(record, supplies, cases)


def stories_of(cases: Iterable[EntityState], of: Mapping[str, Sequence[EntityState]]) -> list[dict[str, Any]]:
    """What service cases tell of requests, returns and documents that are no members of the flow."""
    here = {member.id for members in of.values() for member in members}
    events = {
        (event["what"], event["id"]): event
        for case in cases
        for event in case.record.get("story") or ()
        if event["id"] not in here
    }
    return list(events.values())


def _requests_in(stories: Iterable[Mapping[str, Any]]) -> int:
    return len({event["id"] for event in stories if event["what"] == "service requested"})


def _live_members(members: Iterable[EntityState]) -> defaultdict[str, list[EntityState]]:
    """Entity → its live members."""
    of: defaultdict[str, list[EntityState]] = defaultdict(list)
    for member in members:
        if member.version > 0 and not member.deleted and member.merged_into is None:
            of[member.entity].append(member)
    return of


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
) -> tuple[int, list[EntityState], Goods, Shipped]:
    """(number of lines of these orders, the shipments that count, the goods of all orders, what the shipments say).

    Adds the ordered and shipped amounts to `amounts`.
    """
    lines, shipped = of["sales_order_line"], NOTHING_SHIPPED
    ids = {order.id for order in orders}
    if shipments:
        shipped = shipped_lines(shipments, of["shipment_line"], lines if len(of["sales_order"]) > 1 else ())
    counted = []
    for shipment in shipments:
        if shipment.record.get("status") not in ("returned", "cancelled") and (
            shipment.parent in ids or not ids.isdisjoint(shipped.served.get(shipment.id, ()))
        ):
            counted.append(shipment)
    count, all_goods = 0, []
    for order in orders:
        order_lines = [line for line in lines if line.parent == order.id]
        count += len(order_lines)
        record = order.record
        sums = sums_in(amounts, record.get("currency") or currency)
        if is_firm(order):
            add(sums, ORDERED, _ordered_net(order, order_lines))
            add(sums, ORDERED_GROSS, record.get("gross_amount"))
        elif record.get("kind") == "blanket":
            continue
        goods = order_goods(order, order_lines, shipped, credited)
        add(sums, SHIPPED, goods.amount)
        all_goods.append(goods)
    return count, counted, all_goods[0] if len(all_goods) == 1 else together(all_goods), shipped


def _all_invoiced(
    bills: Sequence[EntityState],
    settled: Settled,
    totals: Sums,
    goods: Goods,
    lines: int,
    invoice_lines: Iterable[EntityState],
) -> bool:
    """Whether no invoice is to come: the invoices reach what was ordered, or all goods went and nothing else that was
    ordered is left to be invoiced.
    """
    for ordered, invoiced in ((totals[ORDERED], settled.net), (totals[ORDERED_GROSS], settled.gross)):
        if ordered is not None and invoiced is not None:
            if invoiced >= ordered - CENT * max(1, lines):
                return True
            break
    if not (goods.complete and goods.any_sent):
        return False
    if not goods.others:
        return True
    counted = {bill.id for bill in bills if bill.record.get("kind") != "credit_note"}
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


def _others(currency: str | None, amounts: Amounts) -> dict[str, dict[str, str] | None]:
    """The amounts in other currencies: code → amount, as text. Those that are not known are left out."""
    others = sorted((code or "", sums) for code, sums in amounts.items() if code != currency)
    return {
        field: {code: _text(amount) for code, sums in others if (amount := sums[at])} or None
        for field, at in _OTHERS.items()
    }


NOTHING_SETTLED = Settled(0, 0, 0)

_OTHERS = {
    "other_ordered_amounts": ORDERED,
    "other_shipped_amounts": SHIPPED,
    "other_invoiced_amounts": INVOICED,
    "other_paid_amounts": PAID,
    "other_open_amounts": OPEN,
}
_NO_OTHERS = dict.fromkeys(_OTHERS)


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


def _by_age(members: list[EntityState]) -> list[EntityState]:
    return sorted(members, key=_age) if len(members) > 1 else members


def _age(member: EntityState) -> tuple[int, str]:
    return (member.record.get("created_at") or 0, member.id)


def _first_currency(bills: list[EntityState]) -> str | None:
    return next((code for invoice in bills if (code := invoice.record.get("currency"))), None)


def _first(members: list[EntityState], field: str) -> int | None:
    return min((at for member in members if (at := member.record.get(field)) is not None), default=None)


def _last(members: list[EntityState], field: str) -> int | None:
    last: int | None = None
    for member in members:
        at = member.record.get(field)
        if at is not None and (last is None or at > last):
            last = at
    return last


def _day(day: int | None) -> int | None:
    return day * DAY_US if day is not None else None
