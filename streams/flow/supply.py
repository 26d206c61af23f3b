"""What supplies each line of an order, and when it comes: stock, purchases, production. Pure.

In: the lines of a flow's orders, what was shipped of them, and the documents that name them: reservations, purchase
orders, production orders (of other aggregates as shares, see shares.py). Out: for each line that somebody supplies one
`LineSupply`. The same members give the same result in any order.

A line may have several sources, and a source may serve several lines and our stock: each line of a purchase or
production order names one order line, and its quantity is what that order line gets. What came in of a purchase (its
own `received_quantity`, else its goods receipts) or was made goes to its lines in their order.

What cannot be compared with the order line (another product, a unit without a factor) supplies an amount that is not
known: it is taken to be enough, so that nothing is called short that may not be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from streams.flow.goods import GRAIN, Shipped, compared, is_goods
from streams.model.state import EntityState

SupplyStatus = Literal["short", "requested", "on_order", "partly_available", "available", "shipped"]
STATUSES: tuple[SupplyStatus, ...] = ("short", "requested", "on_order", "partly_available", "available", "shipped")
"""The worst first:

short             some of it is neither there nor on its way
requested         all of it will come, but some is not ordered or released yet
on_order          all of it is on its way
partly_available  some of it lies ready, the rest is on its way
available         all that is left to ship lies ready
shipped           nothing is left to ship
"""

SupplyKind = Literal["stock", "purchase", "drop_ship", "production"]

_NOT_ORDERED = ("requested", "draft", "planned")
_OVER = ("received", "finished", "closed", "cancelled")
"""Statuses of a source from which nothing more comes."""

Record = Mapping[str, Any]


class Source(NamedTuple):
    """One thing that supplies an order line. Quantities are in the unit of the order line, unscaled."""

    kind: SupplyKind
    document_id: str
    line_id: str
    number: str | None
    supplier_id: str | None
    status: str | None
    quantity: int | None
    """None: cannot be compared with the order line."""
    arrived: int
    """How much of it came in, was made, or is kept in stock."""
    promised_date: int | None
    """Days since 1970, as first promised."""
    expected_date: int | None
    """As its system now says."""

    @property
    def is_over(self) -> bool:
        return self.status in _OVER

    @property
    def incoming(self) -> int | None:
        """What is still to come; None: not known."""
        if self.is_over or self.kind == "stock":
            return 0
        return None if self.quantity is None else max(0, self.quantity - self.arrived)


class LineSupply(NamedTuple):
    """How one order line is supplied."""

    line: EntityState
    status: SupplyStatus
    left: int
    """What is left to ship, in the unit of the line, unscaled."""
    ready: int
    """What of it lies ready."""
    expected_date: int | None
    """When the last of what is left is there: days since 1970. None where it lies ready, or nobody says."""
    promised_date: int | None
    late_days: int | None
    """Days by which the expected date is after the promised one; None where it is not."""
    waits_for: Source | None
    """The source that comes last of those that are needed."""
    sources: Sequence[Source]


SUPPLIES = frozenset(("reservation", "purchase_order_line", "production_order_line"))
"""The entities that name the order line which they supply."""


def supply_of(
    orders: Iterable[EntityState], of: Mapping[str, Sequence[EntityState]], shipped: Shipped
) -> list[LineSupply]:
    """The lines of these orders that anything supplies, by their ids. `of`: entity → the live members of the flow."""
    lines = of.get("sales_order_line", ())
    sources = _sources(lines, of)
    promised = {order.id: order.record.get("promised_date") for order in orders}
    result = []
    for line in lines:
        of_line = sources.get(line.id)
        if of_line and line.parent in promised and is_goods(line.record):
            result.append(_line_supply(line, of_line, shipped, promised[line.parent]))
    return sorted(result, key=lambda supply: supply.line.id)


def _line_supply(
    line: EntityState, sources: list[Source], shipped: Shipped, promised_by_order: int | None
) -> LineSupply:
    record = line.record
    ordered = record.get("quantity") or 0
    sent = record.get("shipped_quantity")
    if sent is None:
        sent = compared(record, shipped.sent.get(line.id))[0]
    left = max(0, ordered - sent)
    sources.sort(key=_coming_first)
    reserved = sum(source.arrived for source in sources if source.kind == "stock")
    arrived = max(0, sum(source.arrived for source in sources if source.kind != "stock") - sent)
    # What came in is often reserved, too: the greater one lies ready for certain, both together at most.
    ready = min(left, max(reserved, arrived))
    covered, waits_for, unordered, knows_dates = min(left, reserved + arrived), None, False, True
    for source in sources:
        if left - covered <= GRAIN:
            break
        incoming = source.incoming
        if incoming == 0:
            continue
        covered = left if incoming is None else covered + incoming
        waits_for = source
        unordered = unordered or source.status in _NOT_ORDERED
        knows_dates = knows_dates and source.expected_date is not None
    promised_date = record.get("promised_date") or promised_by_order
    status = _status(left, ready, covered, unordered)
    expected = waits_for.expected_date if waits_for is not None and knows_dates and status != "short" else None
    late = expected - promised_date if expected is not None and promised_date is not None else 0
    return LineSupply(
        line, status, left, ready, expected, promised_date, late if late > 0 else None, waits_for, tuple(sources)
    )


def _status(left: int, ready: int, covered: int, unordered: bool) -> SupplyStatus:
    if left <= GRAIN:
        return "shipped"
    if left - ready <= GRAIN:
        return "available"
    if left - covered > GRAIN:
        return "short"
    if unordered:
        return "requested"
    return "partly_available" if ready > GRAIN else "on_order"


def _coming_first(source: Source) -> tuple[bool, int, str]:
    """Those that come first; those without a date last."""
    return (source.expected_date is None, source.expected_date or 0, source.line_id)


def _sources(lines: Iterable[EntityState], of: Mapping[str, Sequence[EntityState]]) -> dict[str, list[Source]]:
    """Order line → its sources."""
    by_id = {line.id: line.record for line in lines}
    sources: dict[str, list[Source]] = {}
    for reservation in of.get("reservation", ()):
        record = reservation.record
        order_line = by_id.get(record.get("order_line_id") or "")
        if order_line is not None and record.get("status") not in ("released", "cancelled"):
            quantity, is_clear = compared(order_line, [dict(record)])
            kept = quantity if is_clear else order_line.get("quantity") or 0
            sources.setdefault(record["order_line_id"], []).append(
                Source(
                    "stock", reservation.id, reservation.id, record.get("warehouse"), None, record.get("status"),
                    quantity if is_clear else None, kept, None, record.get("expected_date"),
                )
            )  # fmt: skip
    documents = {
        document.id: document for entity in ("purchase_order", "production_order") for document in of.get(entity, ())
    }
    for supply_line in (*of.get("purchase_order_line", ()), *of.get("production_order_line", ())):
        document = documents.get(supply_line.parent or "")
        order_line = by_id.get(supply_line.record.get("order_line_id") or "")
        if document is None or order_line is None:
            continue
        source = _source(order_line, supply_line, document.record, document.id)
        if source is not None:
            sources.setdefault(supply_line.record["order_line_id"], []).append(source)
    return sources


def _source(order_line: Record, supply_line: EntityState, document: Record, document_id: str) -> Source | None:
    """The source that a line of a purchase or production order is; None for one that was cancelled."""
    record = supply_line.record
    is_purchase = supply_line.entity == "purchase_order_line"
    status = document.get("status")
    of_line = record.get("status")
    if "cancelled" in (status, of_line):
        return None
    if of_line == "received":
        status = of_line
    quantity, is_clear = compared(dict(order_line), [dict(record)])
    own = record.get("quantity")
    came = record.get("received_quantity") or 0
    if not is_clear:
        arrived = 0
    elif own:
        arrived = int(came * quantity + (own >> 1)) // int(own)
    else:
        arrived = came
    expected = _first(record.get("expected_date"), document.get("expected_date"))
    promised = _first(record.get("promised_date"), document.get("promised_date"))
    kind: SupplyKind = "production"
    if is_purchase:
        kind = "drop_ship" if document.get("kind") == "drop_ship" else "purchase"
    return Source(
        kind, document_id, supply_line.id, document.get("number"), document.get("supplier_id"), status,
        quantity if is_clear and own is not None else None, arrived, promised, _first(expected, promised),
    )  # fmt: skip


def _first(*days: int | None) -> int | None:
    return next((day for day in days if day is not None), None)


def with_arrived(
    document: EntityState, lines: Sequence[EntityState], members: Iterable[EntityState]
) -> Sequence[EntityState]:
    """The lines of a purchase or production order with what arrived of each as `received_quantity`, in the line's unit;
    the same lines of any other document. `members`: all of the document's aggregate.
    """
    if document.entity == "purchase_order":
        arrived = _received(document, lines, members)
    elif document.entity == "production_order":
        arrived = _finished(document.record, lines)
    else:
        return lines
    return [
        msgspec.structs.replace(line, record=line.record | {"received_quantity": arrived[line.id]})
        if line.id in arrived
        else line
        for line in lines
    ]


def with_last_receipt(document: EntityState, members: Iterable[EntityState]) -> EntityState:
    """A purchase order with `received_at`: when goods last came in by its receipts. The same of any other document."""
    if document.entity != "purchase_order":
        return document
    times = [
        member.record["received_at"]
        for member in members
        if member.entity == "goods_receipt"
        and member.parent == document.id
        and _counts(member)
        and member.record.get("received_at") is not None
    ]
    return (
        msgspec.structs.replace(document, record=document.record | {"received_at": max(times)}) if times else document
    )


def _counts(receipt: EntityState) -> bool:
    is_live = bool(receipt.version) and not receipt.deleted and receipt.merged_into is None
    return is_live and receipt.record.get("status") == "received"


def _received(purchase: EntityState, lines: Iterable[EntityState], members: Iterable[EntityState]) -> dict[str, int]:
    """Purchase order line → what its goods receipts say came in. Only of lines whose own system does not say it."""
    receipts: set[str] = set()
    received_lines: list[EntityState] = []
    for member in members:
        if member.entity == "goods_receipt":
            if member.parent == purchase.id and _counts(member):
                receipts.add(member.id)
        elif member.entity == "goods_receipt_line" and member.version and not member.deleted:
            received_lines.append(member)
    of_line: dict[str, list[Record]] = {}
    for line in received_lines:
        if line.parent in receipts and (named := line.record.get("purchase_order_line_id")):
            of_line.setdefault(named, []).append(line.record)
    return {
        line.id: sum(_accepted(line.record, record) for record in of_line[line.id])
        for line in lines
        if line.id in of_line and line.record.get("received_quantity") is None
    }


def _accepted(line: Record, received: Record) -> int:
    """What counts of a received line, in the unit of the purchase order line: what was refused did not come. Where the
    two cannot be compared, all that was ordered.
    """
    quantity, is_clear = compared(dict(line), [dict(received)])
    if not is_clear:
        return int(line.get("quantity") or 0)
    own, refused = received.get("quantity") or 0, received.get("rejected_quantity") or 0
    return quantity if not own or not refused else int(quantity * max(0, own - refused)) // int(own)


def _finished(production: Record, lines: Iterable[EntityState]) -> dict[str, int]:
    """Production order line → how much of it is made: what is finished goes to the lines by their numbers."""
    left = int(production.get("finished_quantity") or 0)
    made: dict[str, int] = {}
    for line in sorted(lines, key=lambda line: (line.record.get("line_no") or 0, line.id)):
        made[line.id] = min(left, int(line.record.get("quantity") or 0))
        left -= made[line.id]
    return made


def worst(supplies: Iterable[LineSupply]) -> LineSupply | None:
    """The line that stands in the way: the worst status, of these the one that comes last."""
    return min(supplies, key=_severity, default=None)


def _severity(supply: LineSupply) -> tuple[int, bool, int, str]:
    date = supply.expected_date
    return (STATUSES.index(supply.status), date is not None, -(date or 0), supply.line.id)


def in_flow(supplies: Sequence[LineSupply]) -> Record:
    """The fields of the joined record of a flow that say how it is supplied; none where no line has a source."""
    waiting = [supply for supply in supplies if supply.status not in ("available", "shipped")]
    hindrance = worst(supplies)
    if hindrance is None:
        return {}
    dates = [supply.expected_date for supply in waiting]
    known = [date for date in dates if date is not None]
    source = hindrance.waits_for
    return {
        "supply_status": hindrance.status,
        "expected_date": max(known) if known and len(known) == len(dates) else None,
        "late_days": max((supply.late_days or 0 for supply in waiting), default=0) or None,
        "waits_for": source.number if source is not None else None,
        "supplier_id": source.supplier_id if source is not None else None,
    }


def supply_record(supply: LineSupply, order: EntityState) -> dict[str, Any]:
    """The canonical record `supply` of an order line, without its header."""
    line, source = supply.line.record, supply.waits_for
    return {
        "sales_order_id": order.id,
        "order_line_id": supply.line.id,
        "order_number": order.record.get("number"),
        "line_no": line.get("line_no"),
        "customer_id": order.record.get("customer_id"),
        "product_id": line.get("product_id"),
        "status": supply.status,
        "unit": line.get("unit"),
        "left_quantity": supply.left,
        "ready_quantity": supply.ready,
        "promised_date": supply.promised_date,
        "expected_date": supply.expected_date,
        "late_days": supply.late_days,
        "waits_for": source.number if source is not None else None,
        "waits_for_id": source.document_id if source is not None else None,
        "supplier_id": source.supplier_id if source is not None else None,
        "supplied_by": [
            {
                "kind": source.kind,
                "document_id": source.document_id,
                "number": source.number,
                "supplier_id": source.supplier_id,
                "status": source.status,
                "quantity": source.quantity,
                "arrived_quantity": source.arrived,
                "promised_date": source.promised_date,
                "expected_date": source.expected_date,
            }
            for source in supply.sources
        ],
    }
