"""Which goods of an order were shipped, line by line. Pure.

A shipment counts once it is shipped or delivered; cancelled and returned shipments do not count. Quantities decide
whether an order is shipped completely, since amounts are rounded: three pieces for 100.00 that are shipped one by one
are 99.9999. Only goods are shipped: see `is_goods`. A line without a quantity is shipped once a shipment that counts
names it. A line of quantity 0 or less, and a line without a quantity and without a price, need not be shipped.

A shipped line is compared with its order line only where both name the same product, and the same unit or quantities
in one base unit. What cannot be compared (the parts of a kit), and shipments that name no order line, leave open
whether the goods went in part or as a whole; then the order's own status decides, and without its word the amount is
unknown, never a guess.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from streams.model.state import EntityState

GONE = ("shipped", "delivered")
"""Statuses of a shipment that left and did not come back."""

GRAIN = 100
"""The least quantity that counts, unscaled (six decimals): systems with floats ship a third as 0.333333, three
times.
"""

_SHIPPED_STATUSES = ("shipped", "invoiced", "closed")
"""Statuses by which an order says that all of it was shipped, where its shipments do not say what was in them."""

_STATUSES_WITHOUT_SHIPMENT = ("shipped", "partially_shipped")
"""Statuses by which an order without any shipment says that goods went: a supplier shipped them."""

Record = dict[str, Any]


class Shipped(NamedTuple):
    """What the shipments of a flow say."""

    sent: dict[str, list[Record]]
    """Order line → the lines that name it, of shipments that are gone."""
    came_back: dict[str, list[Record]]
    """Order line → the lines that name it, of shipments that were returned."""
    orders: set[str | None]
    """Orders with something gone."""
    unnamed: set[str | None]
    """Of these, the ones with something gone that names no line."""
    present: set[str | None]
    """Orders with a shipment, a cancelled one too: their system keeps shipments."""
    served: dict[str | None, set[str | None]]
    """Shipment → the orders, other than the one in its header, whose lines it names."""


NOTHING_SHIPPED = Shipped({}, {}, set(), set(), set(), {})
"""What a flow without shipments says. Never changed."""


class Goods(NamedTuple):
    """How far the goods of one order are, or of several."""

    to_ship: bool = False
    """There are goods to be shipped."""
    any_sent: bool = False
    complete: bool | None = True
    """Whether nothing is left to be shipped; None: cannot be known."""
    amount: int | None = 0
    """Value of what was shipped, unscaled; None: cannot be known."""
    others: Sequence[EntityState] = ()
    """Lines that are no goods and have a price: services, freight."""


def is_goods(line: Record) -> bool:
    """Whether a line of an order is to be shipped: by its kind, else by its having a product. A system whose lines name
    no products at all sells goods.
    """
    kind = line.get("kind")
    if kind is not None:
        return bool(kind == "goods")
    return line.get("product_id") is not None or "product_id" not in line


def order_goods(order: EntityState, lines: Sequence[EntityState], shipped: Shipped, credited: bool) -> Goods:
    """How far the goods of one order are. `credited`: there is a credit note, so that returned goods need no
    replacement.
    """
    status = order.record.get("status")
    sent, came_back = shipped.sent, shipped.came_back
    any_sent, unnamed = order.id in shipped.orders, order.id in shipped.unnamed
    if status in _STATUSES_WITHOUT_SHIPMENT and order.id not in shipped.present:
        any_sent = unnamed = True
    by_status = status in _SHIPPED_STATUSES
    to_ship, amount, known, complete, open_ended = False, 0, True, True, False
    others: list[EntityState] = []
    for line in lines:
        record = line.record
        items = sent.get(line.id)
        kind = record.get("kind")
        if kind != "goods" and (kind is not None or (items is None and not is_goods(record))):
            if (record.get("net_amount") or 0) > 0:
                others.append(line)
            continue
        ordered, net = record.get("quantity"), record.get("net_amount")
        if ordered is None or ordered <= 0:
            if items is not None:
                any_sent = True
                amount, known = (amount + net, known) if net is not None else (amount, False)
            elif ordered is None and net:
                to_ship = True
                complete, amount = (complete, amount + net) if unnamed and by_status else (False, amount)
            continue
        to_ship = True
        counted = record.get("shipped_quantity")  # by its own system: that goes before the shipments
        if counted is not None:
            quantity, clear = counted, True
        else:
            quantity, clear = compared(record, items) if items is not None else (0, True)
        left = ordered - quantity
        if left > GRAIN and (unnamed or not clear):
            # Documents leave it open how much of this line went.
            if by_status:
                left, quantity = 0, ordered
            else:
                known = False
                open_ended = True
                continue
        if quantity:
            any_sent = True
            if net is None:
                known = False
            elif -GRAIN <= left <= GRAIN:
                amount += net
            else:
                amount += (net * quantity + (ordered >> 1)) // ordered  # its share of the line, rounded
        if left > GRAIN and (not credited or left - compared(record, came_back.get(line.id))[0] > GRAIN):
            complete = False
    if not lines and any_sent:
        known, open_ended = False, not by_status
    if open_ended and status == "partially_shipped":
        complete = False
    unclear = open_ended and complete
    return Goods(to_ship, any_sent, None if unclear else complete, amount if known else None, others)


def together(goods: Iterable[Goods]) -> Goods:
    """The goods of several orders, without their amount."""
    complete: bool | None = True
    to_ship = any_sent = False
    others: list[EntityState] = []
    for of_order in goods:
        to_ship |= of_order.to_ship
        any_sent |= of_order.any_sent
        others += of_order.others
        if complete is not False and of_order.complete is not True:
            complete = of_order.complete
    return Goods(to_ship, any_sent, complete, None, others)


def compared(line: Record, items: Sequence[Record] | None) -> tuple[int, bool]:
    """(the sum of those items that can be compared with the line, whether all can)."""
    if not items:
        return 0, True
    total, clear = 0, True
    ordered_in, ordered_product = line.get("unit"), line.get("product_id")
    for item in items:
        unit, product = item.get("unit"), item.get("product_id")
        if (unit is None or unit == ordered_in) and (product is None or product == ordered_product):
            quantity: int | None = item.get("quantity")
        else:
            quantity = _in_unit_of(line, item)
        if quantity is None:
            clear = False
        else:
            total += quantity
    return total, clear


def _in_unit_of(line: Record, item: Record) -> int | None:
    """The quantity of a shipped line in the unit of its order line; None where the two cannot be compared. A product or
    unit that one of them does not name is no difference.
    """
    quantity: int | None = item.get("quantity")
    unit, product = item.get("unit"), item.get("product_id")
    if product is not None and line.get("product_id") not in (None, product):
        return None
    ordered_in = line.get("unit")
    if unit is None or ordered_in is None or unit == ordered_in:
        return quantity
    shipped_base: int | None = item.get("base_quantity")
    if item.get("base_unit") == ordered_in:
        return shipped_base
    ordered, base, base_unit = line.get("quantity"), line.get("base_quantity"), line.get("base_unit")
    if not ordered or not base:
        return None
    if unit == base_unit:
        shipped_base = quantity
    elif item.get("base_unit") not in (None, base_unit):
        return None
    return None if shipped_base is None else int(shipped_base * ordered + (base >> 1)) // int(base)


def shipped_lines(
    shipments: Iterable[EntityState], shipment_lines: Collection[EntityState], order_lines: Collection[EntityState]
) -> Shipped:
    """What these shipments say. A shipped line is of the order whose line it names, whatever its shipment names.

    `order_lines` may be left empty where there is one order.
    """
    gone: dict[str | None, str | None] = {}
    back: dict[str | None, str | None] = {}
    present: set[str | None] = set()
    for shipment in shipments:
        status = shipment.record.get("status")
        present.add(shipment.parent)
        if status in GONE:
            gone[shipment.id] = shipment.parent
        elif status == "returned":
            back[shipment.id] = shipment.parent
    shipped = Shipped({}, {}, set(gone.values()), set(), present, {})
    if not gone and not back:
        return shipped
    sent = shipped.sent
    without_lines = set(gone)
    for line in shipment_lines:
        shipment_id, record = line.parent, line.record
        items_of = sent if shipment_id in gone else shipped.came_back if shipment_id in back else None
        if items_of is None:
            continue
        without_lines.discard(shipment_id)
        named = record.get("order_line_id")
        if named:
            if named in items_of:
                items_of[named].append(record)
            else:
                items_of[named] = [record]
        elif items_of is sent:
            shipped.unnamed.add(gone[shipment_id])
    for shipment_id in without_lines:
        shipped.unnamed.add(gone[shipment_id])
    if order_lines:
        _serve(shipped, gone, back, shipment_lines, {line.id: line.parent for line in order_lines})
    return shipped


def _serve(
    shipped: Shipped,
    gone: dict[str | None, str | None],
    back: dict[str | None, str | None],
    shipment_lines: Iterable[EntityState],
    order_of: dict[str, str | None],
) -> None:
    """Find shipments that serve other orders than the one in their header. `gone`, `back`: shipment → that order."""
    for line in shipment_lines:
        if line.parent in gone or line.parent in back:
            order = gone[line.parent] if line.parent in gone else back[line.parent]
            of_order = order_of.get(line.record.get("order_line_id") or "", order)
            if of_order != order:
                shipped.present.add(of_order)
                shipped.served.setdefault(line.parent, set()).add(of_order)
                if line.parent in gone:
                    shipped.orders.add(of_order)
