"""What comes back of an order, against what was shipped of it. Pure.

In: the order lines, shipments and returns of one flow. Out: returned lines that cannot be right: more comes back than
was shipped, or a piece with a serial number that was not shipped. What is not known breaks nothing: an order whose
system keeps no shipments, quantities that cannot be compared, pieces without serial numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from streams.flow.goods import GRAIN, Shipped, compared
from streams.model.state import EntityState

Record = Mapping[str, Any]

NOT_COMING = ("refused", "cancelled")
"""Statuses of a return of which nothing comes back."""


class TooMuch(NamedTuple):
    """Of an order line more comes back than was shipped. Quantities are in the unit of the order line, unscaled."""

    return_line: str
    """The last returned line that names the order line, by its id."""
    returned: int
    shipped: int


def returned_too_much(
    order_lines: Iterable[EntityState], shipped: Shipped, return_lines: Iterable[EntityState]
) -> list[TooMuch]:
    """Order lines of which more comes back than was shipped. `return_lines`: those of returns that count, see
    `coming_back`. A line that names no order line is of the only order line with its product.
    """
    lines = {line.id: line for line in order_lines}
    by_product: dict[str | None, list[str]] = {}
    for line in lines.values():
        by_product.setdefault(line.record.get("product_id"), []).append(line.id)
    returned: dict[str, list[EntityState]] = {}
    for back in return_lines:
        named = back.record.get("order_line_id")
        if named is None:
            of_product = by_product.get(back.record.get("product_id"), ()) if back.record.get("product_id") else ()
            named = of_product[0] if len(of_product) == 1 else None
        if named in lines:
            returned.setdefault(named, []).append(back)
    result = []
    for order_line, items in sorted(returned.items()):
        line = lines[order_line]
        sent = _sent(line, shipped)
        quantity, is_clear = compared(dict(line.record), [dict(item.record) for item in items])
        if sent is not None and is_clear and quantity > sent + GRAIN:
            result.append(TooMuch(max(item.id for item in items), quantity, sent))
    return result


def _sent(line: EntityState, shipped: Shipped) -> int | None:
    """What went of an order line, also what came back since; None where that is not known."""
    quantity, is_clear = compared(line.record, [*shipped.sent.get(line.id, ()), *shipped.came_back.get(line.id, ())])
    counted = line.record.get("shipped_quantity")
    if counted is not None:
        return max(int(counted), quantity)
    if line.parent not in shipped.present or line.parent in shipped.unnamed or not is_clear:
        return None
    return quantity


def coming_back(returns: Iterable[EntityState], lines: Iterable[EntityState]) -> list[EntityState]:
    """The lines of those returns of which something comes back."""
    counted = {back.id for back in returns if back.record.get("status") not in NOT_COMING}
    return [line for line in lines if line.parent in counted]


def serials_of(lines: Iterable[EntityState], items: Iterable[EntityState]) -> dict[str | None, set[str]]:
    """Product → the serial numbers that were shipped, by the lines of shipments and by what is installed."""
    serials: dict[str | None, set[str]] = {}
    for member in (*lines, *items):
        serial = plain_serial(member.record.get("serial_number"))
        if serial is not None:
            serials.setdefault(member.record.get("product_id"), set()).add(serial)
    return serials


def is_other_serial(record: Record, shipped: Mapping[str | None, set[str]]) -> bool:
    """Whether a returned piece has a serial number that was not shipped, though those that were shipped are known."""
    serial = plain_serial(record.get("serial_number"))
    product = record.get("product_id")
    known = (
        set().union(*shipped.values()) if product is None else shipped.get(product, set()) | shipped.get(None, set())
    )
    return serial is not None and bool(known) and serial not in known


def plain_serial(serial: str | None) -> str | None:
    """A serial number as it is compared: without spaces around it, in lower case; None for an empty one."""
    return (serial or "").strip().lower() or None
