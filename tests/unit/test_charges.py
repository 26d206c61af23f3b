"""Freight and a discount of the whole order stand in no line: they do not keep it from being shipped and delivered."""

from __future__ import annotations

import pytest

from streams.flow.charges import charges
from streams.flow.order_flow import join
from streams.model.state import EntityState


@pytest.mark.parametrize(("freight", "discount"), [(39_0000, None), (None, 2_0000), (39_0000, 2_0000), (None, None)])
def test_an_order_with_charges_is_delivered_when_its_lines_are(freight: int | None, discount: int | None) -> None:
    head = {"freight_amount": freight, "discount_amount": discount}
    head["net_amount"] = 60_0000 + charges(head)
    told = [
        EntityState("S", "sales_order", version=1, record={"status": "confirmed", **head}),
        EntityState(
            "L", "sales_order_line", parent="S", version=1, record={"quantity": 4_000000, "net_amount": 60_0000}
        ),
        EntityState("D", "shipment", parent="S", version=1, record={"status": "delivered", "delivered_at": 5}),
        EntityState("P", "shipment_line", parent="D", version=1, record={"order_line_id": "L", "quantity": 3_000000}),
    ]
    half = join(told)
    assert half is not None and half["stage"] == "partially_shipped"
    told[-1].record["quantity"] = 4_000000
    whole = join(told)
    assert whole is not None and whole["stage"] == "delivered"
