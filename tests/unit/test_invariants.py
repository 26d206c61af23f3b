"""What can not be so in a flow: each rule broken and held, and not before a document is whole."""

from __future__ import annotations

from typing import Any

import pytest

from streams.flow import invariants
from streams.flow.invariants import InvariantLimits, broken
from streams.model.state import EntityState
from tests.factories import member

NOW = 1_000_000_000_000
EURO = 10_000
PIECE = 1_000_000


def right() -> dict[str, EntityState]:
    """A flow in which all is as it should be: two of three ordered shipped and invoiced, one returned by a credit note."""
    told = [
        member("opportunity", "O", stage="won"),
        member("sales_order", "S", "O", status="partially_shipped", net_amount=50 * EURO),
        member("sales_order_line", "L1", "S", quantity=3 * PIECE, net_amount=30 * EURO),
        member("sales_order_line", "L2", "S", quantity=1 * PIECE, net_amount=20 * EURO),
        member("shipment", "D", "S", status="delivered"),
        member("shipment_line", "DL", "D", order_line_id="L1", quantity=2 * PIECE),
        member("shipment", "R", "S", status="returned"),
        member("shipment_line", "RL", "R", order_line_id="L1", quantity=1 * PIECE),
        member("invoice", "I", "S", kind="invoice", status="open", net_amount=30 * EURO),
        member("invoice", "C", "S", kind="credit_note", status="open", net_amount=10 * EURO),
        member("invoice", "X", "S", kind="invoice", status="cancelled", net_amount=99 * EURO),
        member("payment", "P", "I", invoice_id="I", amount=5 * EURO),
    ]
    return {one.id: one for one in told}


def rules(flow: dict[str, EntityState], **policy: Any) -> dict[str, dict[str, Any]]:
    found, _ = broken(flow.values(), InvariantLimits(**policy), NOW)
    return {one.rule: {"id": one.id, **one.values} for one in found}


def test_a_right_flow_breaks_nothing() -> None:
    assert rules(right()) == {}
    assert rules(right(), invoiced="equal") == {}


def test_freight_and_a_discount_of_the_header_stand_beside_the_lines() -> None:
    flow = right()
    flow["S"].record |= {"net_amount": 52 * EURO, "freight_amount": 4 * EURO, "discount_amount": 2 * EURO}
    flow["I"].record |= {"net_amount": 32 * EURO, "freight_amount": 4 * EURO, "discount_amount": 2 * EURO}
    assert rules(flow) == {}
    assert rules(flow, invoiced="equal") == {}
    flow["I"].record["freight_amount"] = 3 * EURO
    assert rules(flow) == {invariants.INVOICED: {"id": "S", "invoiced": 21 * EURO, "shipped": 20 * EURO}}
    flow["I"].record["freight_amount"], flow["S"].record["freight_amount"] = 4 * EURO, 3 * EURO
    assert rules(flow) == {invariants.HEADER: {"id": "S", "header": 52 * EURO, "lines": 51 * EURO}}


@pytest.mark.parametrize(
    ("key", "change", "rule", "values"),
    [
        ("L2", {"net_amount": 21 * EURO}, invariants.HEADER, {"id": "S", "header": 500_000, "lines": 510_000}),
        ("S", {"status": "cancelled"}, invariants.ORDERED, {"id": "O", "orders": 0}),
        ("P", {"invoice_id": "none"}, invariants.PAID, {"id": "P", "invoice": "none"}),
        ("I", {"net_amount": 31 * EURO}, invariants.INVOICED, {"id": "S", "invoiced": 210_000, "shipped": 200_000}),
        ("DL", {"quantity": 1 * PIECE}, invariants.INVOICED, {"id": "S", "invoiced": 200_000, "shipped": 100_000}),
        ("DL", {"quantity": 4 * PIECE}, invariants.SHIPPED, {"id": "L1", "shipped": 4_000_000, "ordered": 3_000_000}),
    ],
)  # fmt: skip
def test_each_rule_is_broken_by_what_it_is_about(
    key: str, change: dict[str, Any], rule: str, values: dict[str, Any]
) -> None:
    flow = right()
    flow[key].record |= change
    assert rules(flow) == {rule: values}


def test_two_orders_of_one_opportunity_are_one_too_many() -> None:
    flow = right()
    flow["S2"] = member("sales_order", "S2", "O", status="confirmed", net_amount=0)
    assert rules(flow) == {invariants.ORDERED: {"id": "O", "orders": 2}}


def test_a_won_opportunity_has_its_time_to_become_an_order() -> None:
    policy = InvariantLimits(order_within_us=300)
    deal = member("opportunity", "O", stage="won", updated_us=NOW - 200)
    assert broken([deal], policy, NOW) == ([], NOW + 100)
    found, again = broken([deal], policy, NOW + 101)
    assert ([one.rule for one in found], again) == ([invariants.ORDERED], None)


def test_what_is_invoiced_is_judged_by_policy() -> None:
    flow = right()
    flow["I"].record["net_amount"] = 25 * EURO
    assert rules(flow) == {}
    assert rules(flow, invoiced="equal") == {
        invariants.INVOICED: {"id": "S", "invoiced": 15 * EURO, "shipped": 20 * EURO}
    }
    flow["I"].record["net_amount"] = 90 * EURO
    assert rules(flow, invoiced="off") == {}


def test_a_header_without_lines_is_not_judged() -> None:
    assert rules({"S": member("sales_order", "S", status="draft", net_amount=5)}) == {}


def returned(pieces: int, **more: Any) -> list[EntityState]:
    """The right flow's order line L1 comes back: three of it were shipped, one of these came back already."""
    return [
        member("return_order", "B", "S", status="requested", sales_order_id="S"),
        member("return_order_line", "BL", "B", order_line_id="L1", quantity=pieces * PIECE, **more),
    ]


def with_returns(*members: EntityState) -> dict[str, EntityState]:
    return right() | {each.id: each for each in members}


def test_no_more_comes_back_than_was_shipped() -> None:
    assert rules(with_returns(*returned(3))) == {}
    assert rules(with_returns(*returned(4))) == {
        invariants.RETURNED: {"id": "BL", "returned": 4 * PIECE, "shipped": 3 * PIECE}
    }
    second = [
        member("return_order", "E", "S", status="approved"),
        member("return_order_line", "EL", "E", order_line_id="L1", quantity=1 * PIECE),
    ]
    assert set(rules(with_returns(*returned(3), *second))) == {invariants.RETURNED}, "all returns together"
    second[0].record["status"] = "refused"
    assert rules(with_returns(*returned(3), *second)) == {}


def test_a_piece_that_comes_back_was_shipped() -> None:
    flow = with_returns(*returned(1, serial_number="SN-1"))
    assert rules(flow) == {}, "no serial number of what was shipped is known"
    flow["DL"].record["serial_number"] = " sn-1"
    assert rules(flow) == {}
    flow["DL"].record["serial_number"] = "SN-2"
    assert rules(flow) == {invariants.SERIAL: {"id": "BL", "serial_number": "SN-1"}}


def test_a_return_names_its_order_or_the_request_that_asked_for_it() -> None:
    back = member("return_order", "B", status="requested")
    found, _ = broken([back], InvariantLimits(), NOW)
    assert [(one.rule, one.id) for one in found] == [(invariants.RETURN, "B")]
    for field in ("sales_order_id", "service_request_id"):
        back.record = {"status": "requested", field: "X"}
        assert broken([back], InvariantLimits(), NOW) == ([], None)
    back.record = {"status": "cancelled"}
    assert broken([back], InvariantLimits(), NOW) == ([], None)
