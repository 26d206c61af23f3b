"""What of an order left the house, line by line. Pure.

A shipment counts once it is shipped or delivered; cancelled and returned ones do not. Quantities decide whether all of an order
is gone, since worths are rounded: three pieces for 100.00 that go one by one are 99.9999. A line without a quantity is gone once a
shipment that counts names it; one of quantity 0 or less, and one without a quantity that costs nothing, need not be shipped.
Where no shipment says what it carried, or the order has no lines, the order's own status is believed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from streams.model.state import EntityState

GONE = ("shipped", "delivered")
"""Status of a shipment that left the house and did not come back."""

GRAIN = 100
"""Quantities are unscaled by six decimals: systems with floats ship a third as 0.333333, three times."""

_GONE_ORDERS = ("shipped", "invoiced", "closed")


def quantities(parts: Iterable[EntityState], shipments: Collection[str]) -> dict[str, int]:
    """Order line → quantity in these shipments; 0 where they name it without a quantity."""
    found: dict[str, int] = {}
    for part in parts:
        if part.parent in shipments:
            record = part.record
            line = record.get("order_line_id")
            if line:
                found[line] = found.get(line, 0) + (record.get("quantity") or 0)
    return found


def shipped(
    lines: Iterable[EntityState], went: Mapping[str, int], back: Mapping[str, int] | None = None
) -> tuple[int, bool]:
    """What went of these lines is worth, as money, and whether nothing of them is left to be shipped. `back`: quantities that came
    back and need not be shipped again."""
    amount, whole, gone = 0, True, went.get
    for line in lines:
        record = line.record
        ordered = record.get("quantity")
        quantity = gone(line.id)
        if not ordered:
            if quantity is not None:
                amount += record.get("net_amount") or 0
            elif ordered is None and record.get("net_amount"):
                whole = False
            continue
        if quantity:
            left = ordered - quantity
            net = record.get("net_amount") or 0
            if -GRAIN <= left <= GRAIN:
                amount += net
                continue
            amount += (net * quantity + (ordered >> 1)) // ordered
        else:
            left = ordered
        if whole and left > 0:
            came_back = back.get(line.id, 0) if back else 0
            whole = came_back > 0 and left - came_back <= GRAIN
    return amount, whole


def said_to_be_gone(orders: Iterable[EntityState]) -> bool:
    """Whether the orders themselves say that all of them was shipped."""
    return all(order.record.get("status") in _GONE_ORDERS for order in orders)
