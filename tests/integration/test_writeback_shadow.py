"""Shadow mode on real servers: nothing is sent, and it is compared with what people do."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from streams.model.ids import source_id
from streams.writeback.commands import (
    compare_shadow,
    connect_hub,
    list_intents,
)
from tests.integration.place import Place

pytestmark = pytest.mark.timeout(300)


async def test_shadow_mode_sends_nothing_and_keeps_the_request(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    erp = place.rules["demo-erp"]
    shadow = {name: rule.model_copy(update={"mode": "shadow"}) for name, rule in erp.rules.items()}
    async with place.deliverer({"demo-erp": erp.model_copy(update={"rules": shadow})}):
        key = await place.win(customer, product)
        await place.until(lambda: place.intent(key).state == "shadow")
    assert place.orders([key]) == {}
    request = place.intent(key).request
    assert [step.get("step") for step in request] == ["customer", "order", "line", None]
    assert request[-1]["params"]["crm_opp"] == key
    assert len(request[-1]["lines"]) == 2


async def test_shadow_mode_is_compared_with_orders_that_people_make(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    name = "demo-erp/order_from_opportunity"
    with place.with_rule(name, mode="shadow") as rules:
        async with place.deliverer():
            keys = [await place.win(customer, product) for _ in range(3)]
            await place.until(lambda: all(place.intent(key).state == "shadow" for key in keys))
        # People make the first order as the rule would have, the second for less, and none of the third.
        for key, net in zip(keys, (100, 90), strict=False):
            deal = source_id("demo-crm", "opportunity", key)
            of = {"number": f"SO-{key[:6]}", "status": "confirmed", "currency": "EUR", "net_amount": net * 10_000}
            of["customer_id"] = source_id("demo-crm", "customer", customer)
            await place.settle("order_flow", deal, place.change("demo-erp", "sales_order", key, deal, **of))
        rule = {name: rules["demo-erp"].rules["order_from_opportunity"]}
        every = await asyncio.to_thread(compare_shadow, place.hub, rule)
    of_ours = {one.subject_id: one for one in every}
    found = [of_ours[source_id("demo-crm", "opportunity", key)] for key in keys]
    assert [(one.verdict, one.by_hand, one.fields) for one in found] == [
        ("same", f"SO-{keys[0][:6]}", {}),
        ("differs", f"SO-{keys[1][:6]}", {"net_amount": ["100", "90"]}),
        ("not done", None, {}),
    ]
    assert place.orders(keys) == {}


async def test_price_of_the_erp_shows_in_the_crm_in_cents(place: Place) -> None:
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
        change = place.change("demo-erp", "product", sku, sku=sku, list_price=price)
        await place.settle("product", product, msgspec.structs.replace(change, same_as=product))

    async def crm(price: int, origin: str | None = None) -> None:
        change = place.change("demo-crm", "product", key, sku=sku, list_price=price)
        await place.settle("product", product, msgspec.structs.replace(change, origin=origin))

    name = "demo-crm/product_price"
    with place.with_rule(name, mode="live"):
        await crm(9_0000)
        await erp(12_3450)
        async with place.deliverer():
            await place.until(lambda: price() == "12.35")
            await crm(12_3500, "opshub")
            await erp(7_0000)
            await place.until(lambda: price() == "7.00")
    with place.with_rule(name, mode="shadow") as rules:
        await crm(7_0000, "opshub")
        await erp(8_0000)
        async with place.deliverer():
            with connect_hub(place.hub) as hub:
                await place.until(lambda: any(one.subject_id == product for one in list_intents(hub, ["shadow"])))
                rule = {name: rules["demo-crm"].rules["product_price"]}
                (before,) = [
                    one for one in await asyncio.to_thread(compare_shadow, place.hub, rule) if one.subject_id == product
                ]
                await crm(8_5000)
                (after,) = [
                    one for one in await asyncio.to_thread(compare_shadow, place.hub, rule) if one.subject_id == product
                ]
                sent = next(one for one in list_intents(hub, ["shadow"]) if one.subject_id == product).request
    assert price() == "7.00"
    assert sent == [{"update": "product", "key": key, "set": {"list_price": "8.0000"}}]
    assert (before.verdict, before.fields) == ("not done", {"list_price": ["8", "7"]})
    assert (after.verdict, after.fields) == ("differs", {"list_price": ["8", "8.5"]})
