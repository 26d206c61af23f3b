"""Approvals on real servers: who is asked, what an approval covers."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec
import pytest

from streams.hub.intent_review import IntentSubject
from streams.model.ids import source_id
from streams.model.names import HUB
from streams.writeback.commands import (
    NotWaiting,
    SamePerson,
    connect_hub,
    decide_intent,
    get_intent,
    get_log,
    list_intents,
    would_send,
)
from streams.writeback.rules import ApprovalRule
from streams.writeback.sql import SqlAdapter
from tests.integration.place import Place

pytestmark = pytest.mark.timeout(300)


async def test_changed_reason_asks_people_again(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product, amount=900_000)
    async with place.deliverer():
        await place.until(lambda: place.intent(key).state == "waiting")
        with connect_hub(place.hub) as hub:
            which = str(place.intent(key).id)
            # Meanwhile the credit is blocked, which nobody has agreed to.
            await place.settle(
                "customer", source_id("demo-crm", "customer", customer),
                place.change("demo-crm", "customer", customer, name="Ada", credit_blocked=True, attributes={}),
            )  # fmt: skip
            assert decide_intent(hub, which, "approve", who="ada", reason="fine").state in (
                "approved",
                "delivering",
                "waiting",
            )
            await place.until(lambda: place.intent(key).state == "waiting" and "blocked" in place.intent(key).problem)
            assert place.orders([key]) == {}
            decide_intent(hub, which, "approve", who="bob", reason="paid in advance")
            await place.until(lambda: place.intent(key).state == "delivered")
            with pytest.raises(NotWaiting):
                decide_intent(hub, which, "reject", who="eve", reason="too late")
            assert [entry.what for entry in get_log(hub, get_intent(hub, which))] == [
                "waiting",
                "approve",
                "waiting",
                "approve",
                "written",
            ]
    assert place.orders([key]) == {key: 1}


LARGE = [ApprovalRule(reason="a large order", over={"EUR": Decimal(500_000)}, people=2)]


async def test_two_people_must_approve_and_one_account_is_one_person(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    with place.with_rule("demo-erp/order_from_opportunity", approval=LARGE):
        key = await place.win(customer, product, amount=900_000)
        async with place.deliverer():
            await place.until(lambda: place.intent(key).state == "waiting")
            with connect_hub(place.hub) as hub:
                which = str(place.intent(key).id)
                assert decide_intent(hub, which, "approve", who="ada", reason="fine").state == "waiting"
                assert decide_intent(hub, which, "approve", who="ada", reason="really").state == "waiting"
                with pytest.raises(SamePerson, match="ada has approved intent .* already, as ada: bob"):
                    decide_intent(hub, which, "approve", who="bob", reason="fine", account="ada")
                assert (
                    decide_intent(hub, which, "approve", who="ada", reason="for her", account="bob").state == "waiting"
                )
                await asyncio.sleep(1.2)
                assert place.orders([key]) == {}
                assert decide_intent(hub, which, "approve", who="eve", reason="fine").state == "approved"
            await place.until(lambda: place.intent(key).state == "delivered")
    assert place.orders([key]) == {key: 1}


async def test_approval_does_not_cover_ten_times_the_amount(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product, amount=600_000)
    deal = source_id("demo-crm", "opportunity", key)
    async with place.deliverer():
        await place.until(lambda: place.intent(key).state == "waiting")
        with connect_hub(place.hub) as hub:
            which = str(place.intent(key).id)
            lines = [
                place.change("demo-crm", "opportunity_line", f"{key}-{n}", deal, line_no=n, net_amount=3_000_000_0000)
                for n in (1, 2)
            ]
            more = place.change("demo-crm", "opportunity", key, stage="won", amount=6_000_000_0000, currency="EUR")
            await place.settle("order_flow", deal, *lines, more)
            decide_intent(hub, which, "approve", who="ada", reason="600,000 is fine")
            await place.until(lambda: [entry.what for entry in get_log(hub, get_intent(hub, which))][-1] == "waiting")
            assert place.orders([key]) == {}
            assert place.intent(key).reasons[0].amount == 6_000_000_0000


async def test_block_that_only_the_target_has_asks_people(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    place.erp.execute("INSERT INTO erp.cust (name1, crm_ref, blocked) VALUES ('Ada', %s, 'X')", [customer])
    key = await place.win(customer, product)
    async with place.deliverer():
        await place.until(lambda: place.intent(key).state == "waiting")
        assert place.intent(key).problem == "the customer's credit is blocked"
        assert place.orders([key]) == {}
        place.erp.execute("UPDATE erp.cust SET blocked = NULL WHERE crm_ref = %s", [customer])
        with connect_hub(place.hub) as hub:
            decide_intent(hub, str(place.intent(key).id), "approve", who="ada", reason="lifted")
        await place.until(lambda: place.intent(key).state == "delivered")


async def test_orders_without_invoice_count_against_the_credit_limit(place: Place) -> None:
    name = "demo-erp/order_from_opportunity"
    customer = await place.customer(currency="EUR", credit_limit=1000 * 10_000)
    product = await place.product()
    with place.with_rule(name, approval=[ApprovalRule(reason="credit exceeded", credit_exceeded=True)]):
        # Both are won before the deliverer looks: the first one passes.
        keys = [await place.win(customer, product, amount=600) for _ in range(2)]
        async with place.deliverer():
            await place.until(lambda: [place.intent(key).state for key in keys] == ["delivered", "waiting"])
            # Of the first the hub knows an order now, of which 300 are billed: two more of 350 are one too many.
            deal = source_id("demo-crm", "opportunity", keys[0])
            order = source_id("demo-erp", "sales_order", keys[0])
            of = {"customer_id": source_id("demo-crm", "customer", customer), "currency": "EUR"}
            await place.settle(
                "order_flow", deal,
                place.change("demo-erp", "sales_order", keys[0], deal, status="confirmed", net_amount=600_0000, **of),
                place.change("demo-erp", "invoice", keys[0], order, kind="invoice", status="open", gross_amount=300_0000, **of),
            )  # fmt: skip
            third = await place.win(customer, product, amount=350)
            await place.until(lambda: place.intent(third).state == "delivered")
            fourth = await place.win(customer, product, amount=351)
            await place.until(lambda: place.intent(fourth).state == "waiting")


async def test_rejected_intent_is_never_delivered(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product, amount=900_000)
    async with place.deliverer():
        await place.until(lambda: place.intent(key).state == "waiting")
        with connect_hub(place.hub) as hub:
            assert decide_intent(hub, str(place.intent(key).id), "reject", who="ada", reason="no").state == "rejected"
        await asyncio.sleep(1.5)
    assert place.orders([key]) == {}


async def test_deal_taken_back_while_people_are_asked_gives_an_order_only_when_won_again(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product, amount=900_000)
    deal = source_id("demo-crm", "opportunity", key)
    rules = {"demo-erp/order_from_opportunity": place.rules["demo-erp"].rules["order_from_opportunity"]}
    adapters = {"demo-erp": SqlAdapter(place.rules["demo-erp"].target, "cli")}  # type: ignore[arg-type]

    async def stage(stage: str) -> None:
        await place.settle("order_flow", deal, place.change("demo-crm", "opportunity", key, stage=stage))

    async with place.deliverer():
        with connect_hub(place.hub) as hub:

            async def asked() -> str:
                await place.until(lambda: place.intent(key).state == "waiting")
                return str(place.intent(key).id)

            which = await asked()
            (seen,) = [one for one in list_intents(hub, ["waiting"]) if str(one.id) == which]
            about = msgspec.structs.replace(seen.about, entity="", number=None)
            assert about == IntentSubject(name="Deal", customer="Ada", amount=900_000 * 10_000, currency="EUR")
            sent = await asyncio.to_thread(would_send, place.hub, int(which), rules, adapters)
            assert sent.request is not None
            assert (sent.request[-1]["params"]["net"], len(sent.request[-1]["lines"])) == ("900000.0000", 2)
            await stage("negotiation")
            now = await asyncio.to_thread(would_send, place.hub, int(which), rules, adapters)
            assert now.reason == "nothing: the cause was taken back: stage is 'negotiation' now"
            decide_intent(hub, which, "approve", who="ada", reason="fine")
            await place.until(lambda: place.intent(key).state == "superseded")
            assert place.orders([key]) == {}
            await stage("won")
            # The yes was for the deal that was taken back.
            assert await asked() == which
            decide_intent(hub, which, "approve", who="ada", reason="now it is")
            await place.until(lambda: place.intent(key).state == "delivered")
            words = [entry.what for entry in get_log(hub, get_intent(hub, which))]
            assert words == ["waiting", "approve", "withdrawn", "replanned", "waiting", "approve", "written"]
    assert place.orders([key]) == {key: 1}


async def test_exceeded_credit_limit_asks_people(place: Place) -> None:
    name = "demo-erp/order_from_opportunity"
    rich = await place.customer(currency="EUR", credit_limit=1000 * 10_000)
    poor = await place.customer(currency="EUR", credit_limit=1000 * 10_000)
    for key, amount in ((rich, 900), (poor, 901)):
        customer = source_id("demo-crm", "customer", key)
        owes = {"customer_id": customer, "currency": "EUR", "open_amount": amount * 10_000}
        sums = place.change(HUB, "receivables", customer, customer, **owes)
        await place.settle("customer", customer, sums)
    product = await place.product()
    asking = [ApprovalRule(reason="credit exceeded", credit_exceeded=True)]
    with place.with_rule(name, approval=asking):
        keys = [await place.win(customer, product) for customer in (rich, poor)]
        async with place.deliverer():
            await place.until(lambda: [place.intent(key).state for key in keys] == ["delivered", "waiting"])
    assert place.intent(keys[1]).problem == "credit exceeded"
