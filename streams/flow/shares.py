"""Shares: what of a document belongs to which order, by the order lines that its lines name. Pure.

One document (an invoice, a delivery, a purchase, a production order, a return) may serve several orders. It lives in
one aggregate, that of the order in its header (or its own, where the header names none). What of it belongs to order
lines of other aggregates is sent there as shares:

    shares_of       document, lines, payments → its portion for each order line that lives elsewhere
    documents_here  members of an aggregate → the same members, where each document, line and payment is only what of
                    it belongs to this aggregate: less what was sent, with what was received

`streams/pipeline/settle/sharing.py` sends them. Two entities carry them, and neither leaves the hub:

    share           in the aggregate of the order line, its parent: what of one document belongs to that line
    shares_sent     in the aggregate of the document, its parent: the portions that were sent last, by order line

A document whose lines name no order line belongs wholly to the order in its header; so does a line that names none.
Where the header names no order, such lines are divided among the order lines that others name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from streams.flow.split import MONEY, grain_of, proportional, split_money
from streams.model.ids import source_id
from streams.model.names import HUB
from streams.model.state import Contribution, EntityState

SHARE = "share"
SHARES_SENT = "shares_sent"
CARRIERS = (SHARE, SHARES_SENT)
"""The entities that carry shares. They have no canonical topic, and no dictionary maps them."""

DOCUMENT_OF_LINE = {
    "invoice_line": "invoice",
    "shipment_line": "shipment",
    "purchase_order_line": "purchase_order",
    "production_order_line": "production_order",
    "return_order_line": "return_order",
}
"""Entity of lines that may name lines of several orders → the entity of their document."""

_NOT_IN_SHARES = frozenset("""
    customer_id notes tags attributes owner description customer_reference carrier tracking_number package_count
    weight_kg lot serial_number expiry_date supplier_reference
""".split())  # fmt: skip
_NOT_IN_SHARES_BY_PREFIX = ("billing_", "shipping_")
_PRICES_WE_PAY = frozenset(("net_amount", "gross_amount", "unit_price"))
"""Of a purchase order: what a sales order needs to know of it is when it comes, not what it costs."""

Record = dict[str, Any]
Portion = dict[str, Any]
"""The fields of a share:

    document_id, document    the document, and its entity, such as `invoice`
    number, system, key      for people: the number and the source row of the document
    changed_us               when a source last changed the document
    record                   the header, with the money of this portion
    lines                    line id → record: the lines that name the order line, whole
    payments                 payment id → record, with this portion of the amounts; and its `system` and `changed_us`
"""


def share_id(document: str, order_line: str) -> str:
    """The id of the share of a document that belongs to an order line."""
    return source_id(HUB, SHARE, f"{document}/{order_line}")


def shares_sent_id(document: str) -> str:
    """The id of the record of what was sent of a document."""
    return source_id(HUB, SHARES_SENT, document)


def shares_of(
    document: EntityState, lines: Iterable[EntityState], payments: Iterable[EntityState], elsewhere: Collection[str]
) -> dict[str, Portion]:
    """Order line → its portion of the document, for the order lines in `elsewhere`. `lines` and `payments` are those of
    the document.
    """
    groups: dict[str, list[EntityState]] = {}
    for line in sorted(lines, key=lambda line: line.id):
        groups.setdefault(line.record.get("order_line_id") or "", []).append(line)
    if document.parent is None and len(groups) > 1:
        groups.pop("", None)
    order_lines = sorted(groups)
    money = split_money(document.record, [[line.record for line in groups[key]] for key in order_lines])
    is_invoice = document.entity == "invoice"
    worth = [_first(each["gross_amount"], each["net_amount"]) for each in money]
    paid = {payment.id: _divided(payment, worth) for payment in payments} if is_invoice else {}
    hidden = _PRICES_WE_PAY if document.entity == "purchase_order" else frozenset[str]()
    header = _shared(document.record, hidden)
    portions: dict[str, Portion] = {}
    for at, key in enumerate(order_lines):
        if key in elsewhere:
            portions[key] = {
                "document_id": document.id,
                "document": document.entity,
                "number": document.record.get("number"),
                **_source_of(document),
                "record": header | (money[at] if is_invoice else {}),
                "lines": {line.id: _shared(line.record, hidden) for line in groups[key]},
                "payments": {payment: records[at] for payment, records in paid.items()},
            }
    return portions


def documents_here(members: Iterable[EntityState]) -> Collection[EntityState]:
    """The members of an aggregate, with what of each document belongs here: see above. The same members where nothing
    was sent or received.

    A document of another aggregate becomes a member with its own id, below the order that it serves. A document of
    which nothing belongs here is left out, with its lines and payments.
    """
    everything = members if isinstance(members, Collection) else list(members)
    carriers = [member for member in everything if member.entity in CARRIERS]
    if not carriers:
        return everything
    by_id = {member.id: member for member in everything if member.entity not in CARRIERS}
    result = dict(by_id)
    children: dict[str, list[EntityState]] = {}
    for member in by_id.values():
        children.setdefault(member.parent or "", []).append(member)
    for carrier in carriers:
        if carrier.entity == SHARES_SENT:
            document = by_id.get(carrier.parent or "")
            portions = portions_sent(carrier)
            if document is not None and portions:
                _take_out(result, document, children.get(document.id, []), list(portions.values()))
    received: dict[str, list[EntityState]] = {}
    for carrier in carriers:
        if carrier.entity == SHARE and not carrier.deleted and carrier.version and carrier.parent in by_id:
            document_id = carrier.record["document_id"]
            if document_id not in by_id:  # here is the document itself: the share is about to end
                received.setdefault(document_id, []).append(carrier)
    for document_id, shares in received.items():
        _put_in(result, document_id, shares, by_id)
    return result.values()


def portions_sent(carrier: EntityState) -> dict[str, Portion]:
    """Order line → the portion of the document that was sent last, without those that ended."""
    return {order_line: sent["portion"] for order_line, sent in carrier.record["shares"].items() if sent["portion"]}


def _take_out(
    result: dict[str, EntityState], document: EntityState, of_document: list[EntityState], portions: list[Portion]
) -> None:
    """Leave of a document, with its lines and payments, what is in none of these portions."""
    lines_sent = {line for portion in portions for line in portion["lines"]}
    any_left = False
    for member in of_document:
        if member.id in lines_sent:
            del result[member.id]
        elif DOCUMENT_OF_LINE.get(member.entity) == document.entity and member.version and not member.deleted:
            any_left = True
    if not any_left:
        for member in (document, *of_document):
            result.pop(member.id, None)
        return
    if document.entity == "invoice":  # the money of other documents is in no portion, or whole in each
        records = [portion["record"] for portion in portions]
        result[document.id] = msgspec.structs.replace(document, record=_less(document.record, records, MONEY))
    for member in of_document:
        if member.entity == "payment":
            paid = [
                portion["payments"][member.id]["record"] for portion in portions if member.id in portion["payments"]
            ]
            result[member.id] = msgspec.structs.replace(member, record=_less(member.record, paid, _PAID))


def _put_in(
    result: dict[str, EntityState], document_id: str, shares: list[EntityState], by_id: Mapping[str, EntityState]
) -> None:
    """Add what these shares are of one document."""
    shares.sort(key=lambda share: (*_position(share), share.id))
    portions = [share.record for share in shares]
    newest = portions[-1]
    orders = sorted(order for share in shares if (order := by_id[share.parent or ""].parent) is not None)
    header = newest["record"]
    if newest["document"] == "invoice":
        header = _together([portion["record"] for portion in portions], MONEY)
    result[document_id] = _member(document_id, newest["document"], orders[0] if orders else None, newest, header)
    payments: dict[str, list[Portion]] = {}
    for portion in portions:
        for line_id, record in portion["lines"].items():
            result[line_id] = _member(line_id, f"{newest['document']}_line", document_id, portion, record)
        for payment_id, payment in portion["payments"].items():
            payments.setdefault(payment_id, []).append(payment)
    for payment_id, paid in payments.items():
        together = _together([payment["record"] for payment in paid], _PAID)
        result[payment_id] = _member(payment_id, "payment", document_id, paid[-1], together)


_PAID = ("amount", "open_amount")
"""The money fields of a payment."""


def _member(id: str, entity: str, parent: str | None, source: Mapping[str, Any], record: Record) -> EntityState:
    contribution = Contribution(source["system"], source["key"], 0, 0, 0, source["changed_us"], False, None)
    return EntityState(id, entity, parent, version=1, record=record, contributions={id: contribution})


def _less(record: Record, taken: list[Record], fields: Iterable[str]) -> Record:
    """`record` with these fields less what was taken of them."""
    rest = {
        field: record[field] - sum(portion[field] or 0 for portion in taken)
        for field in fields
        if record.get(field) is not None
    }
    return record | rest


def _together(records: list[Record], fields: Iterable[str]) -> Record:
    """The last record, with the sum of these fields over all. A field that is empty in the last is empty."""
    last = records[-1]
    return last | {
        field: sum(record[field] or 0 for record in records) for field in fields if last.get(field) is not None
    }


def _position(share: EntityState) -> tuple[int, int, int]:
    return max(((c.epoch, c.major, c.minor) for c in share.contributions.values()), default=(0, 0, 0))


def _shared(record: Record, hidden: Collection[str] = ()) -> Record:
    """What of a header or line the flow of another order may need: no addresses, no texts."""
    return {
        name: value
        for name, value in record.items()
        if value is not None
        and name not in _NOT_IN_SHARES
        and name not in hidden
        and not name.startswith(_NOT_IN_SHARES_BY_PREFIX)
    }


def _source_of(member: EntityState) -> dict[str, Any]:
    """The system and key of a member, the first by name, and when a source last changed it."""
    live = sorted((c.system, c.key, c.source_us) for c in member.contributions.values() if not c.deleted)
    system, key = live[0][:2] if live else ("", "")
    return {"system": system, "key": key, "changed_us": max((us for _, _, us in live), default=0)}


def _first(*amounts: int | None) -> int:
    """The first of these that is known; 0 where none is."""
    return next((amount for amount in amounts if amount is not None), 0)


def _divided(payment: EntityState, worth: list[int]) -> list[dict[str, Any]]:
    """A payment in portions like `worth`."""
    record = _shared(payment.record)
    grain = grain_of(record.get("currency"))
    amounts = {field: proportional(record[field], worth, grain) for field in _PAID if field in record}
    source = _source_of(payment)
    return [
        source | {"record": record | {field: portions[at] for field, portions in amounts.items()}}
        for at in range(len(worth))
    ]
