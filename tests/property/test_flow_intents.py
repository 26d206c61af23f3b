"""Any order of arrival of a flow's changes gives the same flow, the same broken rules, and the same writes to the targets.

Intents of a rule with `values` supersede each other, so their number depends on how often the flow was settled. What does not depend on
it: which records are written by which rule, and the values that each has at last.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.flow.invariants import Broken, InvariantLimits, broken
from streams.model.change import Change
from streams.model.ids import source_id
from streams.testing import MemoryPipeline
from streams.writeback.load import load_rules
from streams.writeback.planner import IntentPlanner
from streams.writeback.rule_inputs import desired_values, entity_document
from tests.factories import changed
from tests.property.stories import UNSHRUNK, folded

RULES = load_rules(Path(__file__).parents[2] / "connectors", ["demo-crm", "demo-erp"])
FAR = 10**15


def row(
    system: str, entity: str, key: str, major: int, parent: tuple[str, str, str] | None = None, origin: str | None = None, **fields: Any
) -> Change:  # fmt: skip
    parent_id = source_id(*parent) if parent else None
    return changed(system, entity, key, major, origin=origin, parent=parent_id, **fields)


DEAL, ORDER = ("demo-crm", "opportunity", "O"), ("demo-erp", "sales_order", "S")
SHIPMENT, INVOICE = ("demo-erp", "shipment", "H"), ("demo-erp", "invoice", "I")
WON = [
    row(*DEAL, 1, number="OPP-1", stage="proposal", amount=100_0000),
    row("demo-crm", "opportunity_line", "A", 2, DEAL, line_no=1, net_amount=60_0000),
    row("demo-crm", "opportunity_line", "B", 3, DEAL, line_no=2, net_amount=40_0000),
    row(*DEAL, 4, number="OPP-1", stage="won", amount=100_0000),
]
"""Won by people: the ERP is to be given an order."""


def delivered(number: int) -> list[Change]:
    """What the ERP says of the order that write-back made: its echo, then what people do with it."""
    order = {"number": "SO-1", "net_amount": 100_0000, "created_at": 5}
    line = {"order_line_id": source_id("demo-erp", "sales_order_line", "L1"), "quantity": number * 1_000000}
    return [
        row(*ORDER, 5, DEAL, "opshub", status="confirmed", **order),
        row("demo-erp", "sales_order_line", "L1", 6, ORDER, "opshub", line_no=1, quantity=4_000000, net_amount=60_0000),
        row("demo-erp", "sales_order_line", "L2", 7, ORDER, "opshub", line_no=2, quantity=1_000000, net_amount=40_0000),
        row(*SHIPMENT, 8, ORDER, number="D-1", status="shipped", shipped_at=9),
        row("demo-erp", "shipment_line", "HL", 9, SHIPMENT, **line),
        row(*ORDER, 10, DEAL, status="partially_shipped", **order),
        row(
            *INVOICE, 11, ORDER, number="I-1", kind="invoice", status="open", gross_amount=119_0000, net_amount=90_0000
        ),
        row("demo-erp", "payment", "P", 12, INVOICE, number="P-1", invoice_id=source_id(*INVOICE), amount=19_0000),
    ]


def credited() -> list[Change]:
    """All is shipped in two parts, one of which comes back and is credited; the rest is paid."""
    back = ("demo-erp", "shipment", "B")
    order = {"number": "SO-1", "net_amount": 100_0000, "created_at": 5}
    bill = {"kind": "invoice", "net_amount": 100_0000, "gross_amount": 119_0000}
    return [
        *delivered(4)[:5],
        row(*SHIPMENT, 13, ORDER, number="D-1", status="delivered", shipped_at=9, delivered_at=10),
        row(*back, 14, ORDER, number="D-2", status="shipped", shipped_at=9),
        row(
            "demo-erp", "shipment_line", "BL", 15, back,
            order_line_id=source_id("demo-erp", "sales_order_line", "L2"), quantity=1_000000,
        ),
        row(*ORDER, 16, DEAL, status="closed", **order),
        row(*INVOICE, 17, ORDER, number="I-1", status="open", **bill),
        row(*back, 18, ORDER, number="D-2", status="returned", shipped_at=9),
        row("demo-erp", "invoice", "C", 19, ORDER, kind="credit_note", status="open", net_amount=40_0000, gross_amount=47_6000),
        row("demo-erp", "payment", "P", 20, INVOICE, status="pending", invoice_id=source_id(*INVOICE), amount=71_4000),
        row("demo-erp", "payment", "P", 21, INVOICE, status="cleared", invoice_id=source_id(*INVOICE), amount=71_4000),
    ]  # fmt: skip


ENDS = {
    "partly": (
        delivered(2),
        {"order_status": "partially_shipped", "shipment_status": "partially_shipped", "payment_status": "partially_paid"},
        ["invoiced is not what was shipped"],
    ),
    "credited": (
        credited(), {"order_status": "closed", "shipment_status": "delivered", "payment_status": "paid"}, [],
    ),
}  # fmt: skip


class Systems(MemoryPipeline):
    """Both systems beside the hub: what an intent writes is what the hub says when it is delivered, now or later."""

    def __init__(self) -> None:
        super().__init__(planner=IntentPlanner(RULES))
        self.waiting: dict[tuple[str, str], None] = {}
        self.written: dict[tuple[str, str], dict[str, Any]] = {}
        self.keys: set[str] = set()

    def collect(self) -> None:
        for intent in self.hub.intents:
            if intent.supersedes:
                self.waiting[intent.rule, intent.subject_id] = None
            else:
                self.keys.add(intent.key)
        self.hub.intents.clear()

    def deliver(self, rule: str, subject: str) -> None:
        """The record of the flow triggers `order_state`; its subject is the opportunity."""
        del self.waiting[rule, subject]
        system, _, name = rule.partition("/")
        rule_of = RULES[system].rules[name]
        (flow,) = [
            member
            for member, _, _ in self.hub.entities.values()
            if member.entity == rule_of.entity and not member.deleted
        ]
        self.written[rule, subject] = desired_values(rule_of, entity_document(flow))

    def broken(self) -> list[Broken]:
        return broken([member for member, _, _ in self.hub.entities.values()], InvariantLimits(), FAR)[0]


def play(order: list[Change], data: st.DataObject | None) -> Systems:
    return play_on(Systems(), order, data)


def play_on(world: Systems, order: list[Change], data: st.DataObject | None) -> Systems:
    waiting = list(order)
    while waiting or world.queues or world.waiting:
        doing = [
            *(["say"] if waiting else []),
            *(["serve"] if world.queues else []),
            *(["deliver"] if world.waiting else []),
        ]
        what = doing[0] if data is None else data.draw(st.sampled_from(doing))
        if what == "say":
            world.send_change(waiting.pop(0))
        elif what == "serve":
            keys = sorted(world.queues)
            world.serve(
                keys[0] if data is None else data.draw(st.sampled_from(keys)),
                1 if data is None else data.draw(st.integers(1, 3)),
            )
        else:
            world.deliver(
                *(next(iter(world.waiting)) if data is None else data.draw(st.sampled_from(sorted(world.waiting))))
            )
        world.collect()
    return world


def same(world: Systems, expected: Systems) -> None:
    assert world.reversions == []
    assert folded(world) == folded(expected)
    assert world.written == expected.written
    assert world.broken() == expected.broken()


@settings(max_examples=100, deadline=None, phases=UNSHRUNK)
@given(st.permutations(WON), st.data())
def test_won_opportunity_is_one_intent_in_any_order(order: list[Change], data: st.DataObject) -> None:
    world = play(order, data)
    same(world, play(WON, None))
    assert world.keys == {f"demo-erp/order_from_opportunity:{source_id(*DEAL)}"}
    assert [one.rule for one in world.broken()] == ["a won opportunity has not exactly one order"]


@pytest.mark.parametrize("end", ENDS)
@settings(max_examples=100, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_state_of_the_order_is_written_the_same_in_any_order(end: str, data: st.DataObject) -> None:
    """The opportunity was won before, so that the hub could make the order; from there on everything comes as it likes."""
    later, words, wrong = ENDS[end]
    expected = play([*WON, *later], None)
    world = Systems()
    for change in WON:
        world.send_change(change)
    while world.queues:
        world.serve(sorted(world.queues)[0], 1)
    world.collect()
    more = play_on(world, data.draw(st.permutations(later)), data)
    same(more, expected)
    assert more.keys == expected.keys
    assert more.written == {("demo-crm/order_state", source_id(*DEAL)): {"order_number": "SO-1"} | words}
    assert [one.rule for one in more.broken()] == wrong
