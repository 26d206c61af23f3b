"""Which goods of an order were shipped, line by line. Pure.

A shipment counts once it is shipped or delivered; cancelled and returned shipments do not count. Quantities decide
whether an order is shipped completely, since amounts are rounded: three pieces for 100.00 that are shipped one by one
are 99.9999. A line without a quantity is shipped once a shipment that counts names it. A line of quantity 0 or less,
and a line without a quantity and without a price, need not be shipped. Where no shipment has lines, or the order has
none, the order's own status decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from streams.model.state import EntityState

GONE = ("shipped", "delivered")
"""Statuses of a shipment that left and did not come back."""

GRAIN = 100
"""The least quantity that counts, unscaled (six decimals): systems with floats ship a third as 0.333333, three
times.
"""

_SHIPPED_STATUSES = ("shipped", "invoiced", "closed")


def quantities(shipment_lines: Iterable[EntityState], shipments: Collection[str]) -> dict[str, int]:
    """Order line → quantity in these shipments; 0 where a shipment names the line without a quantity."""
    shipped_of: dict[str, int] = {}
    for shipment_line in shipment_lines:
        if shipment_line.parent in shipments:
            record = shipment_line.record
            line = record.get("order_line_id")
            if line:
                shipped_of[line] = shipped_of.get(line, 0) + (record.get("quantity") or 0)
    return shipped_of


def shipped(
    lines: Iterable[EntityState], sent: Mapping[str, int], returned: Mapping[str, int] | None = None
) -> tuple[int, bool]:
    """(amount of money that was shipped of these order lines, whether nothing of them is left to be shipped).

    `sent`: order line → quantity that was shipped. `returned`: quantities that came back and need not be shipped again.
    """
    amount, complete, sent_of = 0, True, sent.get
    for line in lines:
        record = line.record
        ordered = record.get("quantity")
        quantity = sent_of(line.id)
        if not ordered:
            if quantity is not None:
                amount += record.get("net_amount") or 0
            elif ordered is None and record.get("net_amount"):
                complete = False
            continue
        if quantity:
            left = ordered - quantity
            net = record.get("net_amount") or 0
            if -GRAIN <= left <= GRAIN:
                amount += net
                continue
            amount += (net * quantity + (ordered >> 1)) // ordered  # its share of the line, rounded
        else:
            left = ordered
        if complete and left > 0:
            came_back = returned.get(line.id, 0) if returned else 0
            complete = came_back > 0 and left - came_back <= GRAIN
    return amount, complete


def shipped_by_status(orders: Iterable[EntityState]) -> bool:
    """Whether the status of each order says that it was shipped completely."""
    return all(order.record.get("status") in _SHIPPED_STATUSES for order in orders)
