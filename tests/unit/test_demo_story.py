"""The demo's story is made of the flow's own timeline, with its numbers."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.demo.story import story_lines
from streams.hub.order_flows import FlowMember, OrderFlow

SECOND = 1_000_000
WON_US = 1_796_000_000 * SECOND


def event(what: str, at: int, id: str, system: str, precision: str = "time") -> dict[str, Any]:
    return {"at": at, "precision": precision, "what": what, "entity": "x", "id": id, "system": system}


def flow(stage: str, timeline: list[dict[str, Any]], **record: Any) -> OrderFlow:
    members = [
        FlowMember("deal", "opportunity", 1, {"number": "OPP-7"}),
        FlowMember("order", "sales_order", 1, {"number": "SO-9"}),
        FlowMember("bill", "invoice", 1, {"number": "IN-3"}),
    ]
    given = {"stage": stage, "opportunity_number": "OPP-7", "timeline": timeline} | record
    return OrderFlow("the-flow", given, members, [])


def test_each_step_has_its_number_its_system_and_its_time() -> None:
    lines = story_lines(
        flow(
            "paid",
            [
                event("opportunity created", WON_US - SECOND, "deal", "crm"),
                event("opportunity won", WON_US, "deal", "crm"),
                event("order confirmed", WON_US + 2 * SECOND, "order", "erp"),
                event("invoiced", WON_US + 3 * SECOND, "bill", "erp", "date"),
                event("paid", WON_US + 602 * SECOND, "pay", "erp"),
                event("paid", WON_US + 700 * SECOND, "pay2", "erp"),
            ],
            invoiced_amount=11_900_000,
            currency="EUR",
        ),
        "Acme GmbH",
        "http://127.0.0.1:1/",
    )
    assert lines[0] == "One deal, from won to paid: OPP-7, Acme GmbH, 1,190.00 EUR"
    assert [line.split()[-4:] for line in lines[1:2]] == [["won", "OPP-7", "in", "crm"]]
    assert "SO-9" in lines[2]
    assert lines[2].endswith("in erp, 2.0 s later")
    assert "IN-3" in lines[3]
    assert ":" not in lines[3], "an invoice has a day and no time"
    assert lines[4].endswith("in erp, 10 min later")
    assert lines[5:] == ["  see it: http://127.0.0.1:1/flows/the-flow"]


def test_story_of_a_deal_that_is_not_paid_says_how_far_it_is() -> None:
    (title, won) = story_lines(flow("partially_shipped", [event("opportunity won", WON_US, "deal", "crm")]), None, None)
    assert title == "One deal, from won to partially shipped: OPP-7, a customer, amount not known"
    assert "opportunity won" in won


def test_purchases_and_what_an_order_waits_for_are_in_the_story() -> None:
    told = flow(
        "partially_shipped",
        [event("order confirmed", WON_US, "order", "erp"), event("purchased", WON_US + SECOND, "buy", "erp", "date"),
         event("received", WON_US + 2 * SECOND, "buy", "erp")],
        waits_for="BE-2", late_days=3,
    )  # fmt: skip
    share = FlowMember("buy", "purchase_order", 1, {"number": "BE-1"})
    lines = story_lines(msgspec.structs.replace(told, members=[*told.members, share]), None, None)
    assert any("received" in line and "BE-1" in line for line in lines)
    assert lines[-1] == "  it waits for BE-2, 3 days late"
