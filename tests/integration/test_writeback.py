"""Write-back on real servers: people asked, other people's edits kept, nothing sent in shadow mode."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest

from streams.demo.writeback_check import check_writeback
from streams.model.ids import source_id
from streams.model.names import HUB
from streams.simulator.setup import dsn_of
from streams.stack.native import NativeStack
from streams.writeback.desk import Desk, NotWaiting, SamePerson
from streams.writeback.rules import Approval
from streams.writeback.sql import SqlAdapter
from tests.integration.place import Place

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def place(stack: NativeStack) -> Iterator[Place]:
    made = Place(stack)
    yield made
    made.close()


async def test_a_won_opportunity_becomes_an_order_and_shows_its_number(place: Place) -> None:
    ship_to = {
        "shipping_street": "Hafenstr. 9",
        "shipping_postal_code": "20457",
        "shipping_city": "Hamburg",
        "shipping_country": "DE",
    }
    customer, product = await place.customer(**ship_to), await place.product()
    key = await place.win(customer, product)
    async with place.deliverer():
        await place.until(
            lambda: place.crm.execute("SELECT erp_order_no FROM opportunity WHERE id = %s", [key]).fetchone()[0]
        )  # type: ignore[index]
        await place.until(
            lambda: place.crm.execute("SELECT erp_customer_no FROM account WHERE id = %s", [customer]).fetchone()[0]
        )  # type: ignore[index]
    row = place.erp.execute(
        "SELECT h.net, h.stat, c.crm_ref::text, (SELECT count(*) FROM erp.so_line l WHERE l.so_id = h.id), shp_street, shp_zip, shp_city, shp_ctry"
        " FROM erp.so_head h JOIN erp.cust c ON c.id = h.cust_id WHERE crm_opp = %s", [key],
    ).fetchone()  # fmt: skip
    assert row is not None and (float(row[0]), *row[1:]) == (100.0, 20, customer, 2, *ship_to.values())
    assert place.intent(key)["state"] == "delivered"


async def test_a_customer_that_the_erp_has_under_its_tax_number_is_not_added_again(place: Place) -> None:
    """The hub has not met it yet: at a high rate the ERP's captured rows may be far behind the CRM's."""
    vat = f"DE{random.randrange(10**8, 10**9)}"
    row = place.erp.execute(
        "INSERT INTO erp.cust (name1, vat_no, ctry, curr) VALUES ('Ada GmbH', %s, 'DE', 'EUR') RETURNING id", [vat]
    ).fetchone()
    assert row is not None
    key = await place.win(await place.customer(tax_id=vat), await place.product())
    async with place.deliverer():
        await place.until(lambda: place.intent(key)["state"] == "delivered")
    found = place.erp.execute("SELECT cust_id FROM erp.so_head WHERE crm_opp = %s", [key]).fetchall()
    assert found == [(row[0],)]
    assert place.erp.execute("SELECT count(*) FROM erp.cust WHERE vat_no = %s", [vat]).fetchone() == (1,)


async def test_people_are_asked_and_a_changed_reason_asks_again(place: Place) -> None:
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


LARGE = [Approval(reason="a large order", over={"EUR": Decimal(500_000)}, people=2)]


async def test_two_people_say_yes_and_one_person_is_not_two(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    with place.ruled("demo-erp/order_from_opportunity", approval=LARGE):
        key = await place.win(customer, product, amount=900_000)
        async with place.deliverer():
            await place.until(lambda: place.intent(key)["state"] == "waiting")
            with Desk(place.hub) as desk:
                which = str(place.intent(key)["id"])
                assert desk.decide(which, "ada", "approve", "fine")["state"] == "waiting"
                assert desk.decide(which, "ada", "approve", "really")["state"] == "waiting"
                with pytest.raises(SamePerson, match="ada has said yes .* already, as ada: bob"):
                    desk.decide(which, "bob", "approve", "fine", account="ada")
                assert desk.decide(which, "ada", "approve", "for her", account="bob")["state"] == "waiting"
                await asyncio.sleep(1.2)
                assert place.orders([key]) == {}
                assert desk.decide(which, "eve", "approve", "fine")["state"] == "approved"
            await place.until(lambda: place.intent(key)["state"] == "delivered")
    assert place.orders([key]) == {key: 1}


async def test_a_yes_does_not_hold_for_ten_times_the_amount(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product, amount=600_000)
    deal = source_id("demo-crm", "opportunity", key)
    async with place.deliverer():
        await place.until(lambda: place.intent(key)["state"] == "waiting")
        with Desk(place.hub) as desk:
            which = str(place.intent(key)["id"])
            lines = [
                place.said("demo-crm", "opportunity_line", f"{key}-{n}", deal, line_no=n, net_amount=3_000_000_0000)
                for n in (1, 2)
            ]
            more = place.said("demo-crm", "opportunity", key, stage="won", amount=6_000_000_0000, currency="EUR")
            await place.tell("order_flow", deal, *lines, more)
            desk.decide(which, "ada", "approve", "600,000 is fine")
            await place.until(lambda: [line["what"] for line in desk.intent(which)["log"]][-1] == "waiting")
            assert place.orders([key]) == {}
            assert place.intent(key)["reasons"][0]["amount"] == 6_000_000_0000


async def test_a_block_that_the_target_has_and_the_hub_not_yet_asks(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    place.erp.execute("INSERT INTO erp.cust (name1, crm_ref, blocked) VALUES ('Ada', %s, 'X')", [customer])
    key = await place.win(customer, product)
    async with place.deliverer():
        await place.until(lambda: place.intent(key)["state"] == "waiting")
        assert place.intent(key)["problem"] == "the customer's credit is blocked"
        assert place.orders([key]) == {}
        place.erp.execute("UPDATE erp.cust SET blocked = NULL WHERE crm_ref = %s", [customer])
        with Desk(place.hub) as desk:
            desk.decide(str(place.intent(key)["id"]), "ada", "approve", "lifted")
        await place.until(lambda: place.intent(key)["state"] == "delivered")


async def test_what_is_ordered_and_not_billed_counts_against_the_credit_limit(place: Place) -> None:
    name = "demo-erp/order_from_opportunity"
    customer = await place.customer(currency="EUR", credit_limit=1000 * 10_000)
    product = await place.product()
    with place.ruled(name, approval=[Approval(reason="credit exceeded", credit_exceeded=True)]):
        # Both are won before the deliverer looks: the first one passes.
        keys = [await place.win(customer, product, amount=600) for _ in range(2)]
        async with place.deliverer():
            await place.until(lambda: [place.intent(key)["state"] for key in keys] == ["delivered", "waiting"])
            # Of the first the hub knows an order now, of which 300 are billed: two more of 350 are one too many.
            deal = source_id("demo-crm", "opportunity", keys[0])
            order = source_id("demo-erp", "sales_order", keys[0])
            of = {"customer_id": source_id("demo-crm", "customer", customer), "currency": "EUR"}
            await place.tell(
                "order_flow", deal,
                place.said("demo-erp", "sales_order", keys[0], deal, status="confirmed", net_amount=600_0000, **of),
                place.said("demo-erp", "invoice", keys[0], order, kind="invoice", status="open", gross_amount=300_0000, **of),
            )  # fmt: skip
            third = await place.win(customer, product, amount=350)
            await place.until(lambda: place.intent(third)["state"] == "delivered")
            fourth = await place.win(customer, product, amount=351)
            await place.until(lambda: place.intent(fourth)["state"] == "waiting")


async def test_what_is_rejected_is_never_delivered(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product, amount=900_000)
    async with place.deliverer():
        await place.until(lambda: place.intent(key)["state"] == "waiting")
        with Desk(place.hub) as desk:
            assert desk.decide(str(place.intent(key)["id"]), "ada", "reject", "no")["state"] == "rejected"
        await asyncio.sleep(1.5)
    assert place.orders([key]) == {}


async def test_a_deal_that_is_taken_back_while_people_are_asked_is_no_order_until_it_is_won_again(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product, amount=900_000)
    deal = source_id("demo-crm", "opportunity", key)
    rules = {"demo-erp/order_from_opportunity": place.rules["demo-erp"].rules["order_from_opportunity"]}
    adapters = {"demo-erp": SqlAdapter(place.rules["demo-erp"].target, "desk")}  # type: ignore[arg-type]

    async def stage(stage: str) -> None:
        await place.tell("order_flow", deal, place.said("demo-crm", "opportunity", key, stage=stage))

    async with place.deliverer():
        with Desk(place.hub) as desk:

            async def asked() -> str:
                await place.until(lambda: place.intent(key)["state"] == "waiting")
                return str(place.intent(key)["id"])

            which = await asked()
            (seen,) = [one for one in desk.intents(["waiting"]) if str(one["id"]) == which]
            assert seen["about"] | {"entity": "", "number": ""} == {
                "entity": "", "number": "", "name": "Deal", "customer": "Ada", "amount": 900_000 * 10_000, "currency": "EUR",
            }  # fmt: skip
            sent = await asyncio.to_thread(desk.would_send, int(which), rules, adapters)
            assert (sent[-1]["params"]["net"], len(sent[-1]["lines"])) == ("900000.0000", 2)
            await stage("negotiation")
            told = await asyncio.to_thread(desk.would_send, int(which), rules, adapters)
            assert told == "nothing: it is so no more: stage is 'negotiation'"
            desk.decide(which, "ada", "approve", "fine")
            await place.until(lambda: place.intent(key)["state"] == "superseded")
            assert place.orders([key]) == {}
            await stage("won")
            # The yes was for the deal that was taken back.
            assert await asked() == which
            desk.decide(which, "ada", "approve", "now it is")
            await place.until(lambda: place.intent(key)["state"] == "delivered")
            words = [line["what"] for line in desk.intent(which)["log"]]
            assert words == ["waiting", "approve", "withdrawn", "planned again", "waiting", "approve", "done"]
    assert place.orders([key]) == {key: 1}


async def test_a_deal_that_is_won_again_after_its_order_was_cancelled_gives_a_new_order_once(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product)
    deal = source_id("demo-crm", "opportunity", key)

    def orders() -> list[tuple[int, int, str, str]]:
        return place.erp.execute(
            "SELECT id, stat, ext_ref, so_no FROM erp.so_head WHERE crm_opp = %s ORDER BY id", [key]
        ).fetchall()

    async def erp(row: tuple[int, int, str, str], status: str, origin: str | None = None) -> None:
        of = place.said("demo-erp", "sales_order", str(row[0]), deal, number=row[3], status=status, net_amount=100_0000)
        await place.tell("order_flow", deal, msgspec.structs.replace(of, origin=origin))

    async def crm(stage: str) -> None:
        await place.tell("order_flow", deal, place.said("demo-crm", "opportunity", key, stage=stage))

    def shown() -> object:
        return (place.crm.execute("SELECT erp_order_no FROM opportunity WHERE id = %s", [key]).fetchone() or [None])[0]

    async with place.deliverer():
        await place.until(lambda: place.intent(key)["state"] == "delivered" and shown())
        (first,) = orders()
        await erp(first, "confirmed", "opshub")
        place.erp.execute("UPDATE erp.so_head SET stat = 90 WHERE id = %s", [first[0]])
        await erp(first, "cancelled")
        await crm("negotiation")
        await asyncio.sleep(1)
        assert len(orders()) == 1
        await crm("won")
        await place.until(lambda: len(orders()) == 2)
        second = orders()[1]
        assert (second[1], second[2]) == (20, f"{first[2]}:2")
        await erp(second, "confirmed", "opshub")
        # Told again by the CRM, it is still the same winning.
        await place.tell("order_flow", deal, place.said("demo-crm", "opportunity", key, stage="won", notes="thanks"))
        await place.until(lambda: shown() == second[3])
        await asyncio.sleep(1)
    assert [row[1] for row in orders()] == [90, 20]


async def test_of_a_deal_that_is_won_again_only_the_newer_intent_waits(place: Place) -> None:
    key = await place.win(await place.customer(), await place.product(), amount=900_000)
    deal = source_id("demo-crm", "opportunity", key)
    for status in ("confirmed", "cancelled"):
        await place.tell(
            "order_flow", deal, place.said("demo-erp", "sales_order", key, deal, number="BY-HAND", status=status)
        )
    for stage in ("negotiation", "won"):
        await place.tell("order_flow", deal, place.said("demo-crm", "opportunity", key, stage=stage))
    with Desk(place.hub) as desk:
        (flow,) = desk.flows(deal)
    orders = [one for one in flow["intents"] if one["rule"] == "demo-erp/order_from_opportunity"]
    assert [(one["key"][-2:], one["state"]) for one in orders] == [(deal[-2:], "superseded"), (":2", "planned")]


async def test_the_demos_check_wants_the_crm_to_show_just_what_was_shipped(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product)
    async with place.deliverer():
        await place.until(lambda: place.intent(key)["state"] == "delivered")

    def ship(lines: int) -> None:
        place.erp.execute(
            "WITH d AS (INSERT INTO erp.dlv_head (so_id, stat) SELECT id, 'S' FROM erp.so_head WHERE crm_opp = %s RETURNING id, so_id)"
            " INSERT INTO erp.dlv_line (dlv_id, so_line_id, item_id, qty) SELECT d.id, l.id, l.item_id, l.qty FROM d, erp.so_line l"
            " WHERE l.so_id = d.so_id AND NOT EXISTS (SELECT FROM erp.dlv_line o WHERE o.so_line_id = l.id) ORDER BY l.pos LIMIT %s",
            [key, lines],
        )  # fmt: skip

    def holds(word: str) -> bool:
        place.crm.execute("UPDATE opportunity SET shipment_status = %s WHERE id = %s", [word, key])
        dsns = [dsn_of(place.env, system, "APP") for system in ("DEMO_CRM", "DEMO_ERP")]
        found = check_writeback(place.hub, *dsns, [{"fact": "won", "opportunity": key}], [])
        assert (found.won, found.orders_created, found.shipped) == (1, 1, 1)
        return found.shipments_shown == 1

    ship(1)
    assert [holds(word) for word in ("none", "partially_shipped", "shipped")] == [False, True, False]
    ship(1)
    assert [holds(word) for word in ("none", "partially_shipped", "shipped", "delivered")] == [False, False, True, True]


async def test_people_are_asked_when_a_customer_would_owe_more_than_it_may(place: Place) -> None:
    name = "demo-erp/order_from_opportunity"
    rich = await place.customer(currency="EUR", credit_limit=1000 * 10_000)
    poor = await place.customer(currency="EUR", credit_limit=1000 * 10_000)
    for key, amount in ((rich, 900), (poor, 901)):
        customer = source_id("demo-crm", "customer", key)
        owes = {"customer_id": customer, "currency": "EUR", "open_amount": amount * 10_000}
        told = place.said(HUB, "receivables", customer, customer, **owes)
        await place.tell("customer", customer, told)
    product = await place.product()
    asking = [Approval(reason="credit exceeded", credit_exceeded=True)]
    with place.ruled(name, approval=asking):
        keys = [await place.win(customer, product) for customer in (rich, poor)]
        async with place.deliverer():
            await place.until(lambda: [place.intent(key)["state"] for key in keys] == ["delivered", "waiting"])
    assert place.intent(keys[1])["problem"] == "credit exceeded"


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
            # Of those that go together now, the ERP refuses one: it does not know the product.
            strange = str(uuid.uuid4())
            await place.tell(
                "product",
                source_id("demo-crm", "product", strange),
                place.said("demo-crm", "product", strange, sku=strange),
            )
            refused = await place.win(customer, strange)
            assert desk.resume("demo-erp/order_from_opportunity")
            await place.until(lambda: len(place.orders(keys)) == 5 and place.intent(refused)["state"] == "failed")
    assert set(place.orders(keys).values()) == {1}
    assert place.orders([refused]) == {}
    # The first of them added the customer, and the others found it.
    assert place.erp.execute("SELECT count(*) FROM erp.cust WHERE crm_ref = %s", [customer]).fetchone() == (1,)


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


async def test_shadow_mode_is_compared_with_what_people_do(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    name = "demo-erp/order_from_opportunity"
    with place.ruled(name, mode="shadow") as rules:
        async with place.deliverer():
            keys = [await place.win(customer, product) for _ in range(3)]
            await place.until(lambda: all(place.intent(key)["state"] == "shadow" for key in keys))
        # People make the first order as the rule would have, the second for less, and none of the third.
        for key, net in zip(keys, (100, 90), strict=False):
            deal = source_id("demo-crm", "opportunity", key)
            of = {"number": f"SO-{key[:6]}", "status": "confirmed", "currency": "EUR", "net_amount": net * 10_000}
            of["customer_id"] = source_id("demo-crm", "customer", customer)
            await place.tell("order_flow", deal, place.said("demo-erp", "sales_order", key, deal, **of))
        with Desk(place.hub) as desk:
            every = await asyncio.to_thread(desk.shadow, {name: rules["demo-erp"].rules["order_from_opportunity"]})
    of_ours = {one.subject_id: one for one in every}
    found = [of_ours[source_id("demo-crm", "opportunity", key)] for key in keys]
    assert [(one.verdict, one.theirs, one.fields) for one in found] == [
        ("same", f"SO-{keys[0][:6]}", {}),
        ("differs", f"SO-{keys[1][:6]}", {"net_amount": ["100", "90"]}),
        ("not done", None, {}),
    ]
    assert place.orders(keys) == {}


async def test_a_price_of_the_erp_is_shown_in_the_crm_in_cents(place: Place) -> None:
    row = place.crm.execute(
        "INSERT INTO product (sku, name, list_price) VALUES (gen_random_uuid()::text, 'Bolt', 9) RETURNING id::text, sku"
    ).fetchone()
    assert row is not None
    key, sku = str(row[0]), str(row[1])
    product = source_id("demo-crm", "product", key)

    def price() -> str:
        found = place.crm.execute("SELECT list_price::text FROM product WHERE id = %s", [key]).fetchone()
        assert found is not None
        return str(found[0])

    async def erp(price: int) -> None:
        said = place.said("demo-erp", "product", sku, sku=sku, list_price=price)
        await place.tell("product", product, msgspec.structs.replace(said, same_as=product))

    async def crm(price: int, origin: str | None = None) -> None:
        said = place.said("demo-crm", "product", key, sku=sku, list_price=price)
        await place.tell("product", product, msgspec.structs.replace(said, origin=origin))

    name = "demo-crm/product_price"
    with place.ruled(name, mode="live"):
        await crm(9_0000)
        await erp(12_3450)
        async with place.deliverer():
            await place.until(lambda: price() == "12.35")
            await crm(12_3500, "opshub")
            await erp(7_0000)
            await place.until(lambda: price() == "7.00")
    with place.ruled(name, mode="shadow") as rules:
        await crm(7_0000, "opshub")
        await erp(8_0000)
        async with place.deliverer():
            with Desk(place.hub) as desk:
                await place.until(lambda: any(one["subject_id"] == product for one in desk.intents(["shadow"])))
                rule = {name: rules["demo-crm"].rules["product_price"]}
                (before,) = [one for one in await asyncio.to_thread(desk.shadow, rule) if one.subject_id == product]
                await crm(8_5000)
                (after,) = [one for one in await asyncio.to_thread(desk.shadow, rule) if one.subject_id == product]
                sent = next(one for one in desk.intents(["shadow"]) if one["subject_id"] == product)["request"]
    assert price() == "7.00"
    assert sent == [{"update": "product", "key": key, "set": {"list_price": "8.0000"}}]
    assert (before.verdict, before.fields) == ("not done", {"list_price": ["8", "7"]})
    assert (after.verdict, after.fields) == ("differs", {"list_price": ["8", "8.5"]})


async def test_a_customer_of_the_crm_is_added_to_the_erp_once(place: Place) -> None:
    name = "demo-erp/partner_from_account"
    vat = f"DE{random.randrange(10**8, 10**9)}"
    row = place.erp.execute(
        "INSERT INTO erp.cust (name1, vat_no) VALUES ('Known GmbH', %s) RETURNING id", [vat]
    ).fetchone()
    assert row is not None

    def state(key: str) -> str:
        with Desk(place.hub) as desk:
            found = desk.intent(f"{name}:{source_id('demo-crm', 'customer', key)}")
        return " ".join([found["state"], *(line["what"] for line in found["log"][-1:])])

    with place.ruled(name, mode="live"):
        prospect = await place.customer(status="prospect")
        keys = [
            await place.customer(status="active", currency="CHF"),
            await place.customer(status="active", tax_id=vat),
        ]
        async with place.deliverer():
            await place.until(lambda: [state(key) for key in keys] == ["delivered done", "delivered found"])
    rows = place.erp.execute(
        "SELECT crm_ref::text, name1, curr, cust_no IS NOT NULL FROM erp.cust WHERE crm_ref = ANY(%s::uuid[])",
        [[prospect, *keys]],
    ).fetchall()
    assert rows == [(keys[0], "Ada", "CHF", True)]
    assert place.erp.execute("SELECT count(*) FROM erp.cust WHERE vat_no = %s", [vat]).fetchone() == (1,)


async def test_an_item_of_the_erp_is_added_to_the_price_book_once(place: Place) -> None:
    name, sku = "demo-crm/product_from_item", f"N-{random.randrange(10**9)}"
    with place.ruled(name, mode="live"):
        item = {
            "sku": sku,
            "name": "Bolt",
            "category": "fasteners",
            "unit": "KGM",
            "list_price": 1_2345,
            "active": True,
        }
        await place.tell(
            "product", source_id("demo-erp", "product", sku), place.said("demo-erp", "product", sku, **item)
        )

        def there() -> list[tuple[object, ...]]:
            return place.crm.execute(
                "SELECT name, family, unit, list_price::text FROM product WHERE sku = %s", [sku]
            ).fetchall()

        async with place.deliverer():
            await place.until(there)
    assert there() == [("Bolt", "Fasteners", "kg", "1.23")]
