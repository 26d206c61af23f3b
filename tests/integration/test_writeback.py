"""Write-back on real servers: people asked, other people's edits kept, nothing sent in shadow mode."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from streams.model.ids import source_id
from streams.stack.native import NativeStack
from streams.writeback.desk import Desk, NotWaiting
from tests.integration.place import Place

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def place(stack: NativeStack) -> Iterator[Place]:
    made = Place(stack)
    yield made
    made.close()


async def test_a_won_opportunity_becomes_an_order_and_shows_its_number(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product)
    async with place.deliverer():
        await place.until(
            lambda: place.crm.execute("SELECT erp_order_no FROM opportunity WHERE id = %s", [key]).fetchone()[0]
        )  # type: ignore[index]
        await place.until(
            lambda: place.crm.execute("SELECT erp_customer_no FROM account WHERE id = %s", [customer]).fetchone()[0]
        )  # type: ignore[index]
    row = place.erp.execute(
        "SELECT h.net, h.stat, c.crm_ref::text, (SELECT count(*) FROM erp.so_line l WHERE l.so_id = h.id) FROM erp.so_head h JOIN erp.cust c ON c.id = h.cust_id"
        " WHERE crm_opp = %s", [key],
    ).fetchone()  # fmt: skip
    assert row is not None and (float(row[0]), *row[1:]) == (100.0, 20, customer, 2)
    assert place.intent(key)["state"] == "delivered"


async def test_two_people_are_asked_and_a_changed_reason_asks_again(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product, amount=900_000)
    async with place.deliverer():
        await place.until(lambda: place.intent(key)["state"] == "waiting")
        with Desk(place.hub) as desk:
            which = str(place.intent(key)["id"])
            # Meanwhile the credit is blocked, which nobody has agreed to.
            await place.tell(
                "customer", source_id("demo-crm", "customer", customer),
                place.said("demo-crm", "customer", customer, name="Ada", credit_blocked=True, attributes={}),
            )  # fmt: skip
            assert desk.decide(which, "ada", "approve", "fine")["state"] in ("approved", "delivering", "waiting")
            await place.until(
                lambda: place.intent(key)["state"] == "waiting" and "blocked" in place.intent(key)["problem"]
            )
            assert place.orders([key]) == {}
            desk.decide(which, "bob", "approve", "paid in advance")
            await place.until(lambda: place.intent(key)["state"] == "delivered")
            with pytest.raises(NotWaiting):
                desk.decide(which, "eve", "reject", "too late")
            assert [line["what"] for line in desk.intent(which)["log"]] == [
                "waiting",
                "approve",
                "waiting",
                "approve",
                "done",
            ]
    assert place.orders([key]) == {key: 1}


async def test_what_is_rejected_is_never_delivered(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product, amount=900_000)
    async with place.deliverer():
        await place.until(lambda: place.intent(key)["state"] == "waiting")
        with Desk(place.hub) as desk:
            assert desk.decide(str(place.intent(key)["id"]), "ada", "reject", "no")["state"] == "rejected"
        await asyncio.sleep(1.5)
    assert place.orders([key]) == {}


async def test_an_order_that_a_person_made_meanwhile_is_found(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product)
    place.erp.execute("INSERT INTO erp.so_head (cust_id, crm_opp) VALUES (1, %s)", [key])
    async with place.deliverer():
        await place.until(lambda: place.intent(key)["state"] == "delivered")
    assert place.orders([key]) == {key: 1}


async def test_a_paused_rule_gathers_and_catches_up(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    with Desk(place.hub) as desk:
        desk.pause("demo-erp/order_from_opportunity", "ada", "stock-taking")
        async with place.deliverer():
            keys = [await place.win(customer, product) for _ in range(5)]
            await asyncio.sleep(1.5)
            assert place.orders(keys) == {}
            assert desk.resume("demo-erp/order_from_opportunity")
            await place.until(lambda: len(place.orders(keys)) == 5)
    assert set(place.orders(keys).values()) == {1}


async def test_in_shadow_mode_nothing_is_sent_and_all_is_told(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    erp = place.rules["demo-erp"]
    shadow = {name: rule.model_copy(update={"mode": "shadow"}) for name, rule in erp.rules.items()}
    async with place.deliverer({"demo-erp": erp.model_copy(update={"rules": shadow})}):
        key = await place.win(customer, product)
        await place.until(lambda: place.intent(key)["state"] == "shadow")
    assert place.orders([key]) == {}
    request = place.intent(key)["request"]
    assert [step.get("step") for step in request] == ["customer", "order", "line", None]
    assert request[-1]["params"]["crm_opp"] == key
    assert len(request[-1]["lines"]) == 2


async def test_a_persons_edit_in_the_target_is_not_overwritten_unseen(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product)
    deal = source_id("demo-crm", "opportunity", key)
    async with place.deliverer():
        await place.until(
            lambda: place.crm.execute("SELECT erp_order_no FROM opportunity WHERE id = %s", [key]).fetchone()[0]
        )  # type: ignore[index]
        place.crm.execute("UPDATE opportunity SET shipment_status = 'ask Grace' WHERE id = %s", [key])
        await place.tell(
            "order_flow",
            deal,
            place.said("demo-erp", "sales_order", f"9{key[:6]}", deal, number="SO-X", status="shipped"),
        )
        await asyncio.sleep(2)
        with Desk(place.hub) as desk:
            (flow,) = desk.flows(deal)
        (state,) = [one for one in flow["intents"] if one["rule"] == "demo-crm/order_state"]
    assert place.crm.execute("SELECT shipment_status FROM opportunity WHERE id = %s", [key]).fetchone() == (
        "ask Grace",
    )
    assert state["state"] in ("approved", "delivering") and "ask Grace" in state["problem"]
