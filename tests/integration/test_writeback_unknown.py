"""On a real hub: an order whose product the target does not have waits, and is sent once the product is known (Tryton 8.2)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import msgspec
import pytest

from streams.model.ids import source_id
from tests.integration.place import Place
from tests.integration.shop import Shop, open_shop
from tests.integration.test_writeback_over_http import ORDER, made, rules, states

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with open_shop() as server:
        yield server


async def test_order_waits_for_its_product_and_says_so(place: Place, shop: Shop) -> None:
    lines = ORDER["lines"] | {"sku": "product.keys.demo-erp"}
    ours = rules(place, shop, order=ORDER | {"lines": lines})
    customer, product = await place.customer(), await place.product()
    deal = await place.win(customer, product)
    key = f"shop/order:{source_id('demo-crm', 'opportunity', deal)}"

    def problem() -> str:
        row = place.db.execute("SELECT coalesce(problem, '') FROM intent WHERE key = %s", [key]).fetchone()
        return str(row[0]) if row else ""

    async with place.deliverer(ours):
        await place.until(lambda: "line 1, sku: product.keys.demo-erp is not known" in problem())
        place.db.execute("UPDATE intent SET not_ready_since = now() - interval '61 s' WHERE key = %s", [key])
        await place.until(lambda: states(place, [key]) == {"waiting": 1})
        assert shop.orders == []
        known = source_id("demo-crm", "product", product)
        number = uuid.uuid4().hex[:6]
        change = place.change("demo-erp", "product", number, sku=number)
        await place.settle("product", known, msgspec.structs.replace(change, same_as=known))
        place.db.execute("UPDATE intent SET not_before = now() WHERE key = %s", [key])
        await place.until(lambda: states(place, [key]) == {"delivered": 1})
    assert made(shop) == {key: 1}
    assert [line["sku"] for line in shop.orders[0]["lines"]] == [number, number]
