"""One invoice for orders of two flows, through two workers and a real hub: shares, a restart, and what checks them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from streams.flow.invariants import InvariantLimits
from streams.hub.order_flows import find_flows
from streams.hub.verification import all_entities
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.state import AggregateState
from streams.pipeline.invariant_checks import broken_rules
from streams.resolve.rules import Ownership
from streams.stack.native import NativeStack
from streams.verify.reresolve import differences, refreshes
from streams.verify.share_check import wrong_shares
from streams.writeback.commands import connect_hub
from tests.factories import changed
from tests.property.stories import of_line, row
from tests.writers import Writers, hub_of_its_own

EURO = 10_000


@pytest.fixture
async def writers(stack: NativeStack) -> AsyncIterator[Writers]:
    made = Writers(hub_of_its_own(stack, "shares"), Ownership())
    yield made
    await made.close()


def order(key: str) -> list[Change]:
    return [
        row("sales_order", key, 1, number=f"SO-{key}", status="confirmed", net_amount=100 * EURO, currency="EUR", created_at=5),
        row("sales_order_line", key, 2, ("sales_order", key), line_no=1, quantity=1_000000, net_amount=100 * EURO, product_id=source_id("erp", "product", "1")),
        row("shipment", key, 3, ("sales_order", key), status="delivered", shipped_at=6, delivered_at=7),
        row("shipment_line", key, 4, ("shipment", key), order_line_id=of_line(key), quantity=1_000000, product_id=source_id("erp", "product", "1")),
    ]  # fmt: skip


def invoice(at: int, status: str, open_amount: int) -> list[Change]:
    money = {"net_amount": 200 * EURO, "tax_amount": 38 * EURO, "gross_amount": 238 * EURO, "open_amount": open_amount}
    return [
        row("invoice", "I", at, ("sales_order", "A"), number="I-1", kind="invoice", status=status, currency="EUR", **money),
        *(row("invoice_line", f"I{key}", at, ("invoice", "I"), line_no=1, net_amount=100 * EURO, order_line_id=of_line(key)) for key in "AB"),
    ]  # fmt: skip


def flow(writers: Writers, key: str) -> dict[str, Any]:
    _, record = writers.record(source_id("opshub", "order_flow", source_id("erp", "sales_order", key)))
    assert record is not None
    return {name: record[name] for name in ("invoiced_amount", "paid_amount", "open_amount", "stage")}


def wrong_in(hub: psycopg.Connection[Any]) -> list[str]:
    states: dict[str, AggregateState] = {}
    with hub.transaction():
        for aggregate_id, member in all_entities(hub):
            state = states.setdefault(aggregate_id, AggregateState(aggregate_id, "order_flow", members={}, sources={}))
            state.members[member.id] = member
    return list(wrong_shares(states))


async def test_an_invoice_of_two_flows_is_paid_in_both(writers: Writers) -> None:
    """axelor-open-suite#3654, idempiere#1504; the first batch is the invoice, before the orders are known."""
    for change in (*invoice(10, "open", 238 * EURO), *order("B")):
        writers.say(change)
    await writers.run()
    for change in order("A"):
        writers.say(change)
    await writers.run()
    expected = {"invoiced_amount": 119 * EURO, "paid_amount": 0, "open_amount": 119 * EURO, "stage": "invoiced"}
    assert flow(writers, "A") == flow(writers, "B") == expected

    again = Writers(writers.stores[0]._dsn, Ownership(), workers=1)
    again._records = writers._records
    bill = source_id("erp", "invoice", "I")
    again.say(
        row("payment", "P", 11, ("invoice", "I"), invoice_id=bill, status="cleared", amount=238 * EURO, paid_at=12)
    )
    for change in invoice(12, "paid", 0):
        again.say(change)
    await again.run()
    expected = {"invoiced_amount": 119 * EURO, "paid_amount": 119 * EURO, "open_amount": 0, "stage": "paid"}
    assert flow(again, "A") == flow(again, "B") == expected
    await again.close()

    with connect_hub(writers.stores[0]._dsn) as hub:
        assert wrong_in(hub) == []
        assert broken_rules(hub, InvariantLimits(invoiced="equal")) == []
        assert len(find_flows(hub, "I-1")) == 2
        assert [one for one in differences(hub, Ownership()) if one.entity == "invoice"] == []
        # As in a hub of an older version: nothing was sent.
        hub.execute("DELETE FROM entity WHERE entity IN ('share', 'shares_sent')")
        assert wrong_in(hub) != []
        unsent = [one for one in differences(hub, Ownership()) if one.entity == "invoice"]
        assert len(unsent) == 1

    mended = Writers(writers.stores[0]._dsn, Ownership())
    for message in refreshes(unsent):
        mended.send(*message)
    mended.say(changed("erp", "sales_order", "B", 20, number="SO-B", status="closed", net_amount=100 * EURO))
    await mended.run()
    await mended.close()
    with connect_hub(writers.stores[0]._dsn) as hub:
        assert wrong_in(hub) == []
