"""What supplies an order line, by stories as trading and assembling companies have them."""

from __future__ import annotations

from typing import Any

import pytest

from streams.flow.order_flow import Joined, join_all
from streams.flow.supply import STATUSES, with_arrived
from streams.model.entities import ENTITIES
from streams.model.state import EntityState
from tests.unit.test_flow_stories import PIECE, line, member, order, ship

PROMISED = 100
PURCHASE: dict[str, Any] = {"number": "PO-1", "supplier_id": "supplier", "status": "confirmed"}


def purchase(key: str, *lines: tuple[str | None, float, float], **header: Any) -> list[EntityState]:
    """A purchase order. Each line: the order line, ordered pieces, received pieces."""
    members = [member("purchase_order", key, "S", **PURCHASE | {"number": key} | header)]
    for number, (order_line, quantity, received) in enumerate(lines):
        fields = {"order_line_id": order_line, "product_id": f"product {order_line}", "received_quantity": received}
        members.append(member("purchase_order_line", f"{key}{number}", key, quantity=quantity, **fields))
    return members


def production(key: str, order_line: str, quantity: float, finished: float, **header: Any) -> list[EntityState]:
    fields = {"number": key, "status": "in_progress", "finished_quantity": finished, "quantity": quantity} | header
    made = member("production_order_line", f"{key}0", key, quantity=quantity, order_line_id=order_line, line_no=1)
    head = member("production_order", key, "S", **fields)
    return [head, *with_arrived(head, [made], [])]


def kept(order_line: str, quantity: float, **more: Any) -> EntityState:
    fields = {"order_line_id": order_line, "status": "reserved", "warehouse": "W1"} | more
    return member("reservation", f"R {order_line}", order_line, quantity=quantity, **fields)


def joined(*members: EntityState, quantity: float = 4, **order_fields: Any) -> Joined:
    head = order(100, 119, **{"promised_date": PROMISED} | order_fields)
    return join_all([head, line("L", 100, quantity), *members])


STORIES: dict[str, tuple[list[EntityState], dict[str, Any]]] = {
    "nothing is known": ([], {}),
    "stock is kept for all of it": ([kept("L", 4)], {"status": "available", "ready_quantity": 4}),
    "stock for some, nothing for the rest": ([kept("L", 1)], {"status": "short", "expected_date": None}),
    "stock that was released again": ([kept("L", 4, status="released")], {}),
    "a purchase that is late": (
        purchase("PO-1", ("L", 4, 0), promised_date=99, expected_date=112),
        {"status": "on_order", "expected_date": 112, "late_days": 12, "waits_for": "PO-1", "supplier_id": "supplier"},
    ),
    "the line's own date counts before that of its purchase order": (
        [
            *purchase("PO-1", expected_date=112),
            member("purchase_order_line", "X", "PO-1", order_line_id="L", quantity=4, expected_date=98),
        ],
        {"status": "on_order", "expected_date": 98, "late_days": None},
    ),
    "a request that nobody has ordered": (
        purchase("PO-1", ("L", 4, 0), status="requested", expected_date=98),
        {"status": "requested", "expected_date": 98},
    ),
    "a purchase without a date": (purchase("PO-1", ("L", 4, 0)), {"status": "on_order", "expected_date": None}),
    "stock for one, a purchase for three, a third of it came": (
        [kept("L", 1), *purchase("PO-1", ("L", 3, 1), expected_date=101)],
        {"status": "partly_available", "ready_quantity": 1, "expected_date": 101, "late_days": 1},
    ),
    "two purchases, the second decides": (
        [*purchase("PO-1", ("L", 2, 0), expected_date=90), *purchase("PO-2", ("L", 2, 0), expected_date=110)],
        {"status": "on_order", "expected_date": 110, "waits_for": "PO-2"},
    ),
    "a purchase that nobody needs does not decide": (
        [*purchase("PO-1", ("L", 4, 0), expected_date=90), *purchase("PO-2", ("L", 4, 0), expected_date=150)],
        {"expected_date": 90, "waits_for": "PO-1"},
    ),
    "a purchase for several orders and for stock": (
        purchase("PO-1", ("L", 4, 0), ("other order", 9, 0), (None, 50, 0), expected_date=99),
        {"status": "on_order", "expected_date": 99},
    ),
    "the supplier delivered too much": (purchase("PO-1", ("L", 4, 6), status="received"), {"status": "available"}),
    "the supplier closed it, and something is missing": (
        purchase("PO-1", ("L", 4, 3), status="closed", expected_date=99),
        {"status": "short", "ready_quantity": 3, "expected_date": None},
    ),
    "a cancelled purchase": (purchase("PO-1", ("L", 4, 0), status="cancelled"), {}),
    "production is half done": (
        production("MO-1", "L", 4, 2, expected_date=105),
        {"status": "partly_available", "ready_quantity": 2, "expected_date": 105, "late_days": 5, "waits_for": "MO-1"},
    ),
    "production of which some was scrapped is over": (
        production("MO-1", "L", 4, 3, scrapped_quantity=1, status="finished"),
        {"status": "short", "ready_quantity": 3},
    ),
    "production was split into two orders": (
        [*production("MO-1", "L", 1, 1, status="finished"), *production("MO-2", "L", 3, 0, expected_date=120)],
        {"status": "partly_available", "expected_date": 120, "waits_for": "MO-2"},
    ),
    "what came was shipped": (
        [*purchase("PO-1", ("L", 4, 4), status="received"), *ship("H", ("L", 4))],
        {"status": "shipped", "left_quantity": 0},
    ),
    "two of four were shipped, the others wait": (
        [*purchase("PO-1", ("L", 4, 2), expected_date=130), *ship("H", ("L", 2))],
        {"status": "on_order", "left_quantity": 2, "ready_quantity": 0, "expected_date": 130},
    ),
    "parts of a kit cannot be compared with the kit": (
        [
            *purchase("PO-1", expected_date=99),
            member("purchase_order_line", "X", "PO-1", order_line_id="L", quantity=40, product_id="screw"),
        ],
        {"status": "on_order", "expected_date": 99},
    ),
    "boxes for pieces": (
        [
            *purchase("PO-1", expected_date=99),
            member(
                "purchase_order_line", "X", "PO-1", order_line_id="L", quantity=1, unit="XBX", base_quantity=2,
                base_unit="C62",
            ),
        ],
        {"status": "short"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_the_line_is_supplied_as_the_story_says(story: str) -> None:
    members, expected = STORIES[story]
    lines = [line("L", 100, 4, unit="C62" if story == "boxes for pieces" else None)]
    head = order(100, 119, promised_date=PROMISED)
    for some in ([head, *lines, *members], [*reversed(members), *lines, head]):
        supplies = join_all(some).supplies
        if not expected:
            assert supplies == {}
            continue
        record = supplies["L"]
        quantities = {
            name: round(value * PIECE) if name.endswith("quantity") and value is not None else value
            for name, value in expected.items()
        }
        assert {name: record[name] for name in quantities} == quantities


def test_the_flow_says_what_stands_in_its_way() -> None:
    made = join_all(
        [
            order(200, 238, promised_date=PROMISED), line("L", 100, 4), line("M", 100, 1),
            *purchase("PO-1", ("L", 4, 0), ("M", 1, 1), expected_date=112),
        ]
    ).flow  # fmt: skip
    assert made is not None
    wanted = {"supply_status": "on_order", "expected_date": 112, "late_days": 12, "waits_for": "PO-1"}
    assert {name: made[name] for name in wanted} == wanted
    assert made["supplier_id"] == "supplier"


def test_a_draft_and_a_cancelled_order_need_no_supply() -> None:
    for status in ("draft", "cancelled"):
        assert joined(*purchase("PO-1", ("L", 4, 0)), status=status).supplies == {}


def test_the_record_has_the_fields_and_words_of_the_schema() -> None:
    fields = ENTITIES["supply"].fields
    assert fields["status"].values == STATUSES == ENTITIES["order_flow"].fields["supply_status"].values
    for members, expected in STORIES.values():
        for record in joined(*members).supplies.values():
            assert expected
            assert set(record) == {*fields, "supplied_by"}
            assert record["status"] in STATUSES


def test_goods_receipts_say_what_came_where_the_purchase_order_does_not() -> None:
    head, *lines = purchase("PO-1", ("L", 4, 0))
    silent = [member("purchase_order_line", "PO-10", "PO-1", order_line_id="L", quantity=4)]
    receipt = member("goods_receipt", "G", "PO-1", status="received")
    planned = member("goods_receipt", "H", "PO-1", status="planned")
    came = [
        member("goods_receipt_line", "G1", "G", purchase_order_line_id="PO-10", quantity=3, rejected_quantity=1),
        member("goods_receipt_line", "H1", "H", purchase_order_line_id="PO-10", quantity=1),
    ]
    members = [head, *silent, receipt, planned, *came]
    assert [line.record["received_quantity"] for line in with_arrived(head, silent, members)] == [2 * PIECE]
    assert [line.record["received_quantity"] for line in with_arrived(head, lines, members)] == [0]
