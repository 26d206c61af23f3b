"""What documents say beside their lines: freight and a discount do not keep an order from being shipped; the times at which
they came to an end are in the timeline.
"""

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


@pytest.mark.parametrize(("status", "what"), [("closed", "order closed"), ("cancelled", "order cancelled")])
def test_the_end_of_a_document_is_in_the_timeline(status: str, what: str) -> None:
    told = [
        EntityState("O", "opportunity", version=1, record={"stage": "lost", "lost_at": 1}),
        EntityState("S", "sales_order", parent="O", version=1, record={"status": status, "closed_at": 3}),
        EntityState(
            "D", "shipment", parent="S", version=1, record={"status": "returned", "shipped_at": 2, "returned_at": 4}
        ),
    ]
    flow = join(told)
    assert flow is not None
    assert [(event["at"], event["what"]) for event in flow["timeline"]] == [
        (1, "opportunity lost"), (2, "shipped"), (3, what), (4, "returned"),
    ]  # fmt: skip
