"""What of one invoice or one delivery belongs to which order (axelor-open-suite#3654, idempiere#1504)."""

from __future__ import annotations

from typing import Any

import pytest

from streams.flow.shares import SHARE, SHARES_SENT, documents_here, share_id, shares_of, shares_sent_id
from streams.flow.split import MONEY, proportional, split_money
from streams.model.state import Contribution, EntityState


def member(entity: str, id: str, parent: str | None = None, **record: Any) -> EntityState:
    said = Contribution("erp", id, 0, 1, 0, 7, False, None)
    return EntityState(id, entity, parent, version=1, record=record, contributions={id: said})


@pytest.mark.parametrize(
    ("amount", "weights", "grain", "parts"),
    [
        (100, [1, 1, 1], 1, [34, 33, 33]),
        (-100, [1, 1, 1], 1, [-33, -33, -34]),
        (100_0000, [1, 1, 1], 100, [33_3400, 33_3300, 33_3300]),
        (1, [0, 0], 1, [1, 0]),
        (19_0000, [100, -50], 100, [38_0000, -19_0000]),
        (50_0000, [100, -99], 100, [25_1300, 24_8700]),
        (7, [3], 1, [7]),
    ],
)
def test_parts_are_in_proportion_and_add_up(amount: int, weights: list[int], grain: int, parts: list[int]) -> None:
    assert proportional(amount, weights, grain) == parts
    assert sum(parts) == amount


def test_freight_discount_tax_and_rounding_of_the_header_are_divided() -> None:
    header = {
        "net_amount": 304_9900, "tax_amount": 57_9500, "gross_amount": 362_9500, "freight_amount": 10_0000,
        "discount_amount": 5_0000, "open_amount": 100_0000, "currency": "EUR",
    }  # fmt: skip
    lines = [[{"net_amount": 100_0000, "tax_rate": 19_0000}], [{"net_amount": 200_0000, "tax_rate": 19_0000}]]
    parts = split_money(header, lines)
    for field in MONEY:
        assert sum(part[field] or 0 for part in parts) == header[field]
    assert [part["freight_amount"] for part in parts] == [3_3300, 6_6700]
    assert [part["net_amount"] for part in parts] == [101_6600, 203_3300]
    assert [part["open_amount"] for part in parts] == [33_3300, 66_6700]
    assert all(part["net_amount"] % 100 == 0 for part in parts if part["net_amount"])


def test_each_part_has_the_tax_of_its_own_lines() -> None:
    header = {"net_amount": 200_0000, "tax_amount": 19_0000, "gross_amount": 219_0000}
    lines = [[{"net_amount": 100_0000, "tax_rate": 19_0000}], [{"net_amount": 100_0000, "tax_rate": 0}]]
    assert [part["gross_amount"] for part in split_money(header, lines)] == [119_0000, 100_0000]


def test_what_the_header_leaves_empty_is_empty_in_every_part() -> None:
    parts = split_money({"gross_amount": 30_0000}, [[{"quantity": 1_000000}], [{"quantity": 2_000000}]])
    assert [part["gross_amount"] for part in parts] == [10_0000, 20_0000]
    assert {part["net_amount"] for part in parts} == {None}


INVOICE = member("invoice", "I", "A", number="I-1", status="open", net_amount=200_0000, gross_amount=238_0000)
LINES = [
    member("invoice_line", "I1", "I", order_line_id="LA", net_amount=100_0000, quantity=1),
    member("invoice_line", "I2", "I", order_line_id="LB", net_amount=100_0000, quantity=1, product_id="P"),
]
PAYMENT = member("payment", "P1", "I", amount=119_0000, status="cleared", currency="EUR")


def carriers(document: EntityState, parts: dict[str, dict[str, Any]]) -> tuple[EntityState, list[EntityState]]:
    shares = {line: {"target": "B", "portion": portion} for line, portion in parts.items()}
    sent = EntityState(shares_sent_id(document.id), SHARES_SENT, document.id, version=1, record={"shares": shares})
    return sent, [member(SHARE, share_id(document.id, line), line, **portion) for line, portion in parts.items()]


def test_an_invoice_of_two_orders_is_in_each_flow_what_its_lines_are() -> None:
    sent, shares = carriers(INVOICE, shares_of(INVOICE, LINES, [PAYMENT], {"LB"}))
    order_a, order_b = member("sales_order", "A"), member("sales_order", "B")
    line_a, line_b = member("sales_order_line", "LA", "A"), member("sales_order_line", "LB", "B")
    here = {one.id: one for one in documents_here([order_a, line_a, INVOICE, *LINES, PAYMENT, sent])}
    there = {one.id: one for one in documents_here([order_b, line_b, *shares])}
    assert here["I"].record["gross_amount"] == there["I"].record["gross_amount"] == 119_0000
    assert here["P1"].record["amount"] == there["P1"].record["amount"] == 59_5000
    assert (there["I"].parent, there["P1"].parent, there["I2"].record["product_id"]) == ("B", "I", "P")
    assert here.keys() == {"A", "LA", "I", "I1", "P1"}
    assert there.keys() == {"B", "LB", "I", "I2", "P1"}
    assert INVOICE.record["gross_amount"] == 238_0000


def test_a_document_of_which_nothing_belongs_to_its_own_order_is_left_out_there() -> None:
    lines = [member("invoice_line", "I2", "I", order_line_id="LB", net_amount=200_0000)]
    sent, _ = carriers(INVOICE, shares_of(INVOICE, lines, [PAYMENT], {"LB"}))
    here = documents_here([member("sales_order", "A"), INVOICE, *lines, PAYMENT, sent])
    assert [one.id for one in here] == ["A"]


def test_lines_that_name_no_order_line_belong_to_the_order_in_the_header() -> None:
    freight = member("invoice_line", "I3", "I", net_amount=20_0000)
    invoice = member("invoice", "I", "A", net_amount=220_0000)
    parts = shares_of(invoice, [*LINES, freight], [], {"LB"})
    assert parts["LB"]["record"]["net_amount"] == 100_0000


def test_lines_that_name_no_order_line_are_divided_where_the_header_names_no_order() -> None:
    """Odoo and Tryton name orders in the lines of an invoice only."""
    freight = member("invoice_line", "I3", "I", net_amount=20_0000)
    invoice = member("invoice", "I", None, net_amount=220_0000)
    parts = shares_of(invoice, [*LINES, freight], [], {"LA", "LB"})
    assert [parts[line]["record"]["net_amount"] for line in ("LA", "LB")] == [110_0000, 110_0000]


def test_a_share_is_ignored_where_the_document_itself_is() -> None:
    """Two flows became one: the delete of the share is still under way."""
    _, shares = carriers(INVOICE, shares_of(INVOICE, LINES, [], {"LB"}))
    line_b = member("sales_order_line", "LB", "B")
    here = {one.id: one for one in documents_here([line_b, INVOICE, *LINES, *shares])}
    assert here["I"].record["gross_amount"] == 238_0000


def test_a_delivery_of_two_orders_is_in_each_flow_with_its_lines() -> None:
    shipment = member("shipment", "H", "A", status="shipped", shipped_at=9)
    lines = [
        member("shipment_line", "H1", "H", order_line_id="LA", quantity=1_000000),
        member("shipment_line", "H2", "H", order_line_id="LB", quantity=2_000000),
    ]
    sent, shares = carriers(shipment, shares_of(shipment, lines, [], {"LB"}))
    here = {one.id: one for one in documents_here([shipment, *lines, sent])}
    there = {one.id: one for one in documents_here([member("sales_order_line", "LB", "B"), *shares])}
    assert here.keys() == {"H", "H1"}
    assert there.keys() == {"LB", "H", "H2"}
    assert there["H"].record == {"status": "shipped", "shipped_at": 9}


@pytest.mark.parametrize(("entity", "left"), [("purchase_order", None), ("return_order", 300_0000)])
def test_only_the_money_of_an_invoice_is_divided(entity: str, left: int | None) -> None:
    """A purchase order sends no prices; the value of a return is not split."""
    document = member(entity, "D", None, status="ordered", net_amount=300_0000)
    lines = [
        member(f"{entity}_line", f"D{order}", "D", order_line_id=order, quantity=1) for order in ("LA", "LB", "LC")
    ]
    parts = shares_of(document, lines, [], {"LA", "LB"})
    sent, shares = carriers(document, parts)
    here = {one.id: one for one in documents_here([document, *lines, sent])}
    of_both = [member("sales_order_line", order, "B") for order in ("LA", "LB")]
    there = {one.id: one for one in documents_here([*of_both, *shares])}
    assert (here["D"].record["net_amount"], here.keys()) == (300_0000, {"D", "DLC"})
    assert (there["D"].record.get("net_amount"), there["D"].record["status"]) == (left, "ordered")
    assert there.keys() == {"LA", "LB", "D", "DLA", "DLB"}


def test_members_without_shares_are_the_same_members() -> None:
    members = [member("sales_order", "A"), INVOICE, *LINES]
    assert documents_here(members) is members
