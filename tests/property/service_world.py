"""A world in which a customer asks for service, as rows that arrive and as a model that says what the case must be."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st

from streams.model.change import Change
from streams.model.ids import source_id
from tests.factories import changed
from tests.property.stories import of_line, row

PIECE = 1_000_000
DAY_US = 86_400_000_000
ASKED = 100
"""The day of the request."""


class World(NamedTuple):
    """An order with one delivered line, and a request about it."""

    names_order_by: str | None
    """How the request names the order: its id, its number, a wrong number."""
    names_item_by: str | None
    names_product: str | None
    shipped: int
    delivered: int | None
    warranty_until: int | None
    """Of the piece."""
    contract: tuple[str, int, int | None] | None
    """(what it covers: all, product, item, other; first day, last day)"""
    free: int | None
    """Pieces in stock; None: nobody keeps stock."""
    wanted: int | None
    status: str
    returned: int | None
    """Pieces that come back by a return of the request; None: there is none."""
    return_names_order: bool
    return_serial: str | None
    return_status: str
    leads_to: str | None
    answered_by: str | None
    """Status of an order that answers the request, such as one for a spare part; None: there is none."""


WORLDS = st.builds(
    World,
    st.sampled_from([None, "id", "number", "wrong"]),
    st.sampled_from([None, "id", "serial", "wrong"]),
    st.sampled_from([None, "X", "K"]),
    st.integers(1, 3),
    st.none() | st.integers(50, 60),
    st.none() | st.integers(ASKED - 2, ASKED + 2),
    st.none()
    | st.tuples(
        st.sampled_from(["all", "product", "item", "other"]), st.integers(ASKED - 9, ASKED + 1),
        st.none() | st.integers(ASKED - 5, ASKED + 9),
    ),
    st.none() | st.integers(0, 3),
    st.none() | st.integers(1, 3),
    st.sampled_from(["open", "closed"]),
    st.none() | st.integers(1, 4),
    st.booleans(),
    st.sampled_from([None, "S-1", "S-9"]),
    st.sampled_from(["requested", "received", "credited", "cancelled"]),
    st.sampled_from([None, "credit", "replacement"]),
    st.sampled_from([None, "confirmed", "cancelled"]),
)  # fmt: skip


def erp(entity: str, key: str) -> str:
    return source_id("erp", entity, key)


def rows_of(world: World) -> list[Change]:
    order = ("sales_order", "A")
    customer = {"customer_id": erp("customer", "C")}
    changes = [
        row("customer", "C", 1, name="Ada Pumps"),
        row("product", "X", 1, sku="X-1"),
        changed("crm", "product", "K", 1, sku="K-1"),
        row("sales_order", "A", 1, number="SO-1", status="confirmed", currency="EUR", **customer),
        row("sales_order_line", "A1", 1, order, line_no=1, quantity=3 * PIECE, unit="C62", product_id=erp("product", "X")),
        row("shipment", "H", 1, order, number="D-1", status="delivered", shipped_at=49 * DAY_US,
            delivered_at=None if world.delivered is None else world.delivered * DAY_US),
        row("shipment_line", "H1", 1, ("shipment", "H"), order_line_id=of_line("A1"), quantity=world.shipped * PIECE,
            unit="C62", product_id=erp("product", "X"), serial_number="s-1"),
        row("installed_item", "I", 1, order, serial_number="S-1", product_id=erp("product", "X"), sales_order_id=erp("sales_order", "A"),
            shipment_id=erp("shipment", "H"), warranty_until=world.warranty_until, **customer),
        changed("crm", "service_request", "R", 1, parent=_named_order(world), number="R-1", kind="return", status=world.status,
                opened_at=ASKED * DAY_US + 5, quantity=None if world.wanted is None else world.wanted * PIECE,
                sales_order_id=_named_order(world), order_number={"number": " so-1", "wrong": "SO-7"}.get(world.names_order_by or ""),
                installed_item_id=erp("installed_item", "I") if world.names_item_by == "id" else None,
                serial_number={"serial": "s-1 ", "wrong": "S-7"}.get(world.names_item_by or ""), product_id=_named_product(world), **customer),
    ]  # fmt: skip
    if world.contract is not None:
        covers, since, until = world.contract
        names = {"product": {"product_id": erp("product", "X")}, "item": {"installed_item_id": erp("installed_item", "I")},
                 "other": {"product_id": erp("product", "Z")}}.get(covers, {})  # fmt: skip
        changes.append(row("contract", "W", 1, ("customer", "C"), number="W-1", status="active", valid_from=since, valid_to=until,
                           **({"product_id": None, "installed_item_id": None} | names), **customer))  # fmt: skip
    if world.free is not None:
        changes.append(
            row(
                "inventory_level",
                "L",
                1,
                ("product", "X"),
                warehouse="W1",
                available=world.free * PIECE,
                product_id=erp("product", "X"),
            )
        )
    if world.answered_by is not None:
        request = {"service_request_id": source_id("crm", "service_request", "R")}
        changes.append(row("sales_order", "Q", 1, number="SO-3", status=world.answered_by, **request, **customer))
    if world.returned is not None:
        changes += _return(world, customer)
    return changes


def _return(world: World, customer: dict[str, Any]) -> list[Change]:
    order = ("sales_order", "A") if world.return_names_order else None
    return [
        row("return_order", "T", 1, order, number="T-1", status=world.return_status, service_request_id=source_id("crm", "service_request", "R"),
            sales_order_id=erp("sales_order", "A") if order else None, requested_at=(ASKED + 1) * DAY_US,
            received_at=(ASKED + 2) * DAY_US if world.return_status == "received" else None,
            credit_note_id=erp("invoice", "N") if world.leads_to == "credit" else None,
            replacement_order_id=erp("sales_order", "P") if world.leads_to == "replacement" else None, **customer),
        row("return_order_line", "T1", 1, ("return_order", "T"), line_no=1, quantity=(world.returned or 0) * PIECE, unit="C62",
            order_line_id=of_line("A1") if order else None, product_id=erp("product", "X"), serial_number=world.return_serial),
        row("invoice", "N", 1, ("sales_order", "A"), number="N-1", kind="credit_note", status="open", invoice_date=ASKED + 3),
        row("sales_order", "P", 1, number="SO-2", status="confirmed", created_at=(ASKED + 3) * DAY_US, **customer),
    ]  # fmt: skip


def _named_order(world: World) -> str | None:
    return erp("sales_order", "A") if world.names_order_by == "id" else None


def _named_product(world: World) -> str | None:
    return {"X": erp("product", "X"), "K": source_id("crm", "product", "K")}.get(world.names_product or "")


def model(world: World) -> dict[str, Any]:
    """What the case must say."""
    has_item = world.names_item_by in ("id", "serial")
    has_return = world.returned is not None
    comes_back = has_return and world.return_status != "cancelled"
    has_order = world.names_order_by in ("id", "number") or has_item or (has_return and world.return_names_order)
    product = world.names_product or ("X" if has_item or has_return else None)
    is_open = world.status == "open" or (has_return and world.return_status in ("requested", "received"))
    problems = set()
    if world.names_order_by == "wrong":
        problems.add("order_unknown")
    if world.names_item_by == "wrong":
        problems.add("item_unknown")
        if has_order and product != "K":  # of K no serial number was delivered
            problems.add("other_serial")
    if product == "K":
        problems.add("product_unknown")
        if has_order:
            problems.add("product_not_in_order")
    if comes_back and not has_order:
        problems.add("return_without_order")
    if comes_back and has_order:
        if (world.returned or 0) > world.shipped:
            problems.add("more_returned_than_shipped")
        if world.return_serial == "S-9":
            problems.add("other_serial")
    stock = None
    if is_open and product is not None:
        known = world.free is not None and product == "X"
        stock = ("yes" if (world.free or 0) >= (world.wanted or 1) else "no") if known else "unknown"
    return {
        "order_number": "SO-1" if has_order else "SO-7" if world.names_order_by == "wrong" else None,
        "is_open": is_open,
        "has_flow": has_order,
        "shipment_number": "D-1" if has_order and (product != "K" or has_item) else None,
        "delivered": world.delivered if has_order and (product != "K" or has_item) else None,
        **_warranty(world, has_item, product),
        "part_available": stock,
        "return_number": "T-1" if has_return else None,
        "credit_note_number": "N-1" if has_return and world.leads_to == "credit" else None,
        "replacement_number": _replacement(world),
        "problems": sorted(problems) or None,
    }


def _replacement(world: World) -> str | None:
    if world.returned is not None and world.leads_to == "replacement":
        return "SO-2"
    return "SO-3" if world.answered_by == "confirmed" else None


def _warranty(world: World, has_item: bool, product: str | None) -> dict[str, Any]:
    ends = []
    if has_item and world.warranty_until is not None:
        ends.append((world.warranty_until, 0, "item"))
    if world.contract is not None:
        covers, since, until = world.contract
        if covers == "all" or (covers == "product" and product == "X") or (covers == "item" and has_item):
            ends.append((9999 if until is None else until, since, "contract"))
    now = [end for end in ends if end[1] <= ASKED <= end[0]]
    over = [end for end in ends if end[0] < ASKED]
    last = max(now or over, key=lambda end: (end[0], end[2] == "item"), default=None)
    return {
        "warranty": "yes" if now else "no" if ends else "unknown",
        "warranty_until": None if last is None or last[0] == 9999 else last[0],
        "warranty_by": last[2] if last else None,
    }


def shown(record: dict[str, Any]) -> dict[str, Any]:
    """Of a record, what the model says."""
    delivered = record["delivered_at"]
    return {
        "order_number": record["order_number"], "is_open": record["is_open"], "has_flow": record["order_stage"] is not None,
        "shipment_number": record["shipment_number"], "delivered": None if delivered is None else delivered // DAY_US,
        **{name: record[name] for name in ("warranty", "warranty_until", "warranty_by", "part_available", "return_number",
                                           "credit_note_number", "replacement_number", "problems")},
    }  # fmt: skip
