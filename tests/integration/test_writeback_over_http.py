"""Write-back over HTTP, whole: a real hub, a real deliverer, a real server over a real connection."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from streams.hub.store import HubStore
from streams.model.change import Change
from streams.model.ids import source_id
from streams.pipeline.assemble import Assemble
from streams.resolve.golden import Ownership
from streams.writeback.commands import connect_hub, decide_intent
from streams.writeback.http import HttpAdapter
from streams.writeback.planner import IntentPlanner
from streams.writeback.rules import WritebackConfig
from streams.writeback.trial import try_rule
from streams.writeback.values import ValueSpec
from tests.integration.place import Place
from tests.integration.shop import Shop, open_shop
from tests.writers import Sent

pytestmark = pytest.mark.timeout(300)

ORDER: dict[str, Any] = {
    "entity": "opportunity",
    "becomes": {"stage": "won"},
    "by_hand": {"entity": "sales_order", "values": {"net_amount": "record.amount", "currency": "record.currency"}},
    "params": {"amount": {"from": "record.amount", "as": "money"}, "customer": "customer.keys.demo-crm"},
    "lines": {"sku": "product.record.sku", "qty": {"from": "line.quantity", "as": "float"}},
    "http": {
        "look_up": {
            "method": "GET", "path": "/orders", "query": {"ref": "$key"}, "record_path": "match", "next_page": "next", "max_pages": 100, "lag": "1 s",
            "result": {"order.id": "id", "order.number": "number"},
        },
        "send": {
            "path": "/orders",
            "json": {
                "ref": "$key", "customer": "$customer", "amount": "$amount",
                "lines": {"each": "lines", "do": {"sku": "$sku", "qty": "$qty"}},
            },
        },
        "result": {"order.id": "order.id", "order.number": "order.number"},
        "read_back": {"method": "GET", "path": "/orders/$order.id"},
        "compare": {"amount": "amount"},
    },
}  # fmt: skip
BLIND = {name: ORDER["http"][name] for name in ("send", "result")}
PRICE: dict[str, Any] = {
    "entity": "product",
    "values": {"list_price": {"from": "contributions.demo-erp.list_price", "as": "cents"}},
    "skip_when": {"list_price": None},
    "http": {
        "read": {"method": "GET", "path": "/products/$subject"},
        "send": {"method": "PUT", "path": "/products/$subject", "json": {"price": "$list_price"}},
        "read_back": {"method": "GET", "path": "/products/$subject"},
        "compare": {"price": "list_price"},
    },
}


@pytest.fixture
def shop() -> Iterator[Shop]:
    with open_shop() as server:
        yield server


def rules(place: Place, shop: Shop, timeout: str = "5 s", **by_name: dict[str, Any]) -> dict[str, WritebackConfig]:
    """Only these rules of the shop. Changes that come to `place` are planned by them from now on."""
    target = {"adapter": "http", "base_url": f"http://127.0.0.1:{shop.server_port}", "timeout": timeout}
    place.rules = {"shop": WritebackConfig.model_validate({"system": "shop", "target": target, "rules": by_name})}
    return place.rules


async def won(place: Place, count: int) -> list[str]:
    """So many won opportunities; the keys of their intents."""
    customer, product = await place.customer(), await place.product()
    keys = [await place.win(customer, product) for _ in range(count)]
    return [f"shop/order:{source_id('demo-crm', 'opportunity', key)}" for key in keys]


def states(place: Place, keys: list[str]) -> Counter[str]:
    rows = place.db.execute("SELECT state, count(*) FROM intent WHERE key = ANY(%s) GROUP BY 1", [keys]).fetchall()
    return Counter({str(state): int(str(count)) for state, count in rows})


def made(shop: Shop) -> Counter[str]:
    return Counter(order["ref"] for order in shop.orders)


async def test_won_opportunity_becomes_an_order_whose_number_shows_in_the_crm(place: Place, shop: Shop) -> None:
    crm = place.rules["demo-crm"]
    number = crm.rules["order_number"].model_copy(update={"after": "shop/order"})
    ours = rules(place, shop, order=ORDER)
    (key,) = await won(place, 1)
    ours = ours | {"demo-crm": crm.model_copy(update={"rules": {"order_number": number}})}
    opportunity = place.db.execute("SELECT record->>'number' FROM entity e JOIN intent i ON i.entity_id = e.id WHERE i.key = %s", [key]).fetchone()  # fmt: skip
    assert opportunity is not None

    def shown() -> Any:
        row = place.crm.execute("SELECT erp_order_no FROM opportunity WHERE id = %s", [opportunity[0]]).fetchone()
        return row and row[0]

    async with place.deliverer(ours):
        await place.until(lambda: shown() == "R001")
    (order,) = shop.orders
    assert (order["ref"], order["amount"], [line["qty"] for line in order["lines"]]) == (key, 100, [1.0, 1.0])
    row = place.db.execute("SELECT result FROM intent WHERE key = %s", [key]).fetchone()
    assert row is not None and row[0]["order"] == {"id": 1, "number": "R001"}


@pytest.mark.parametrize("order", [ORDER, ORDER | {"http": BLIND}])
async def test_two_deliverers_of_a_slow_target_send_each_once(place: Place, shop: Shop, order: dict[str, Any]) -> None:
    ours = rules(place, shop, "500 ms", order=order)
    keys = await won(place, 40)
    shop.delay_s = 0.05
    # Forty requests take two seconds and more, a lease is over after one.
    async with place.deliverer(ours, 0.3), place.deliverer(ours, 0.3):
        await place.until(lambda: states(place, keys) == {"delivered": 40}, 60)
    assert made(shop) == dict.fromkeys(keys, 1)


@pytest.mark.parametrize("status", [500, 503, 0])
async def test_intent_that_the_target_cannot_answer_blocks_no_other(place: Place, shop: Shop, status: int) -> None:
    ours = rules(place, shop, "400 ms", order=ORDER | {"attempts": 2})
    keys = await won(place, 12)
    shop.broken = dict.fromkeys((keys[0], keys[1], keys[6]), status)
    good = [key for key in keys if key not in shop.broken]
    async with place.deliverer(ours):
        await place.until(lambda: states(place, good) == {"delivered": 9})
        # Other intents that pass meanwhile show that the target is not at fault. A fault of its own counts without them.
        for _ in range(3 if status != 500 else 0):
            (more,) = await won(place, 1)
            await place.until(lambda: states(place, [more]) == {"delivered": 1})  # noqa: B023
            await asyncio.sleep(2)
        if status == 500:
            await place.until(lambda: states(place, list(shop.broken)) == {"dead": 3}, 90)
        tries = place.db.execute(
            "SELECT count(*) FROM intent WHERE key = ANY(%s) AND failures > 0", [list(shop.broken)]
        )
        assert status == 500 or (tries.fetchone() or (0,))[0] >= 1
    assert made(shop)[keys[0]] == 0


async def test_outage_counts_against_no_intent_and_retry_after_is_kept(place: Place, shop: Shop) -> None:
    ours = rules(place, shop, order=ORDER)
    keys = await won(place, 6)
    shop.broken, shop.retry_after = dict.fromkeys(keys, 503), "3"
    async with place.deliverer(ours) as serving:
        await place.until(lambda: serving.counts["down"] == 1)
        asked = time.monotonic()
        await asyncio.sleep(1.5)
        assert (serving.counts["down"], serving.breakers["shop"].failures) == (1, 1)
        shop.broken = {}
        await place.until(lambda: states(place, keys) == {"delivered": 6})
        assert time.monotonic() - asked > 2.5
        assert serving.breakers["shop"].failures == 0
    rows = place.db.execute("SELECT sum(failures), bool_or(what = 'put back') FROM intent JOIN intent_log l ON l.intent_id = intent.id WHERE key = ANY(%s)", [keys])  # fmt: skip
    assert rows.fetchone() == (0, False)
    assert made(shop) == dict.fromkeys(keys, 1)


async def test_request_in_doubt_is_not_repeated_unless_the_rule_can_look_it_up(place: Place, shop: Shop) -> None:
    ours = rules(place, shop, "300 ms", order=ORDER | {"http": BLIND, "attempts": 2})
    (blind,) = await won(place, 1)
    shop.faults.add("times out")
    async with place.deliverer(ours):
        await place.until(lambda: states(place, [blind]) == {"waiting": 1})
    row = place.db.execute("SELECT problem FROM intent WHERE key = %s", [blind]).fetchone()
    assert row is not None and "it may have been done in the target at " in row[0]
    ours = rules(place, shop, "300 ms", order=ORDER)
    (seeing,) = await won(place, 1)
    shop.faults.add("times out")
    async with place.deliverer(ours):
        await place.until(lambda: states(place, [seeing]) == {"delivered": 1})
    assert made(shop) == {blind: 1, seeing: 1}


async def test_request_that_was_not_accepted_is_sent_again_without_a_look_up(place: Place, shop: Shop) -> None:
    ours = rules(place, shop, order=ORDER | {"http": BLIND, "ready": {"within": "30 s"}})
    (key,) = await won(place, 1)
    shop.broken, shop.retry_after = {key: 429}, "1"
    async with place.deliverer(ours) as serving:
        await place.until(lambda: serving.counts["down"] == 1)
        shop.broken = {}
        await place.until(lambda: states(place, [key]) == {"delivered": 1})
    assert made(shop) == {key: 1}


async def test_dropped_field_fails_every_attempt(place: Place, shop: Shop) -> None:
    ours = rules(place, shop, order=ORDER | {"attempts": 3})
    (key,) = await won(place, 1)
    shop.faults.add("drops")
    async with place.deliverer(ours):
        await place.until(lambda: states(place, [key]) == {"dead": 1})
    row = place.db.execute("SELECT problem FROM intent WHERE key = %s", [key]).fetchone()
    assert row is not None and "amount is nothing, should be 100" in row[0]
    assert made(shop) == {key: 1}


class Priced:
    """A product that the shop sells and the ERP prices; its changes go through the real assemble."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.key = uuid.uuid4().hex[:8]
        self.product = source_id("shop", "product", self.key)
        message = lambda *_: ("", b"", b"")  # noqa: E731
        self.store = HubStore(place.hub, "test")
        self.assemble = Assemble(
            self.store, lambda change: change, lambda change: change, message, Ownership(), 1000, message, IntentPlanner(place.rules),  # type: ignore[arg-type, return-value]
            frozenset({"shop"}),
        )  # fmt: skip

    async def settle(self, *changes: Change) -> int:
        """How many of them were echoes."""
        before = self.assemble.counts["echoes"]
        await self.assemble.step([Sent("changes.product", self.product, one) for one in changes])
        return self.assemble.counts["echoes"] - before

    def captured(self, price: int, tx: str, **more: Any) -> Change:
        """The change that capture makes of the shop's row."""
        change = self.place.change("shop", "product", self.key, sku=self.key, list_price=price, **more)
        return msgspec.structs.replace(change, tx=tx, source_us=int(time.time() * 1e6))

    async def erp(self, price: int) -> None:
        change = self.place.change("demo-erp", "product", self.key, sku=self.key, list_price=price)
        await self.settle(msgspec.structs.replace(change, same_as=self.product))

    def intents(self) -> list[tuple[str, str]]:
        rows = self.place.db.execute(
            "SELECT state, coalesce(problem, '') FROM intent WHERE subject_id = %s ORDER BY id", [self.product]
        )
        return [(str(row[0]), str(row[1])) for row in rows.fetchall()]


async def test_our_write_comes_back_as_an_echo_and_an_edit_of_a_person_does_not(place: Place, shop: Shop) -> None:
    ours = rules(place, shop, price=PRICE)
    priced = Priced(place)
    shop.prices[priced.key] = {"price": 9}
    assert await priced.settle(priced.captured(9_0000, "1")) == 0
    await priced.erp(12_3450)
    async with place.deliverer(ours):
        await place.until(lambda: priced.intents() == [("delivered", "")])
        assert shop.prices[priced.key] == {"price": 12.35}
        # It is read twice, as after a crash, with the rest of its transaction; then people save the same value, and another one.
        echo = priced.captured(12_3500, "2")
        assert await priced.settle(echo) == 1
        assert await priced.settle(priced.captured(12_3500, "2", name="set by a trigger")) == 1
        assert await priced.settle(priced.captured(12_3500, "3")) == 0, "a person saved it with that very value"
        assert await priced.settle(priced.captured(8_0000, "4")) == 0
        await priced.erp(12_3450)
        await asyncio.sleep(1)
        assert [state for state, _ in priced.intents()] == ["delivered"]
    await priced.store.close()


async def edited_before_our_write(place: Place, shop: Shop) -> tuple[dict[str, WritebackConfig], Priced]:
    """The hub saw a price of 9 in the shop and is to write 12.35; somebody made it 8 meanwhile. The rules, and the product."""
    ours = rules(place, shop, price=PRICE)
    priced = Priced(place)
    shop.prices[priced.key] = {"price": 9}
    await priced.settle(priced.captured(9_0000, "1"))
    shop.prices[priced.key] = {"price": 8}
    await priced.erp(12_3450)
    return ours, priced


async def test_edit_just_before_our_write_is_no_echo_and_is_not_overwritten(place: Place, shop: Shop) -> None:
    ours, priced = await edited_before_our_write(place, shop)
    key = "SELECT id FROM intent WHERE subject_id = %s"
    async with place.deliverer(ours):
        await place.until(lambda: "has list_price 8.00" in priced.intents()[0][1])
        assert shop.prices[priced.key] == {"price": 8}
        # An hour of outage, schedule or approval before does not count; a minute of looking does.
        place.db.execute(
            "UPDATE intent SET created_at = now() - interval '1 h' WHERE subject_id = %s", [priced.product]
        )
        await asyncio.sleep(1)
        assert priced.intents()[0][0] in ("approved", "delivering")
        place.db.execute("UPDATE intent SET not_ready_since = now() - interval '61 s' WHERE subject_id = %s", [priced.product])  # fmt: skip
        await place.until(lambda: priced.intents()[0][0] == "waiting")
        row = place.db.execute(key, [priced.product]).fetchone()
        assert row is not None
        with connect_hub(place.hub) as hub:
            decide_intent(hub, str(row[0]), "approve", who="ada", reason="ours is right")
        await place.until(lambda: priced.intents() == [("delivered", "")])
    assert shop.prices[priced.key] == {"price": 12.35}
    await priced.store.close()


async def test_intent_that_waits_because_it_was_not_ready_goes_on_by_itself(place: Place, shop: Shop) -> None:
    ours, priced = await edited_before_our_write(place, shop)

    def looked_at_now(column: str = "not_before = now()") -> None:
        place.db.execute(f"UPDATE intent SET {column} WHERE subject_id = %s".encode(), [priced.product])

    async def waits() -> None:
        query = (
            "SELECT 1 FROM intent WHERE subject_id = %s AND state = 'waiting' AND not_before > now() + interval '3 s'"
        )
        await place.until(lambda: place.db.execute(query, [priced.product]).fetchone() is not None)

    async with place.deliverer(ours):
        await place.until(lambda: "has list_price 8.00" in priced.intents()[0][1])
        looked_at_now("not_ready_since = now() - interval '61 s'")
        await waits()
        looked_at_now()
        await waits()
        assert shop.prices[priced.key] == {"price": 8}
        log = "SELECT count(*) FROM intent_log l JOIN intent i ON i.id = l.intent_id WHERE i.subject_id = %s AND l.what = 'waiting'"
        assert place.db.execute(log, [priced.product]).fetchone() == (1,), "a person is asked once"
        shop.prices[priced.key] = {"price": 9}
        looked_at_now()
        await place.until(lambda: [state for state, _ in priced.intents()] == ["delivered"])
    assert shop.prices[priced.key] == {"price": 12.35}
    await priced.store.close()


async def test_echo_of_a_created_record_is_recognised_by_its_fields(place: Place, shop: Shop) -> None:
    ours = rules(place, shop, order=ORDER)
    (key,) = await won(place, 1)
    async with place.deliverer(ours):
        await place.until(lambda: states(place, [key]) == {"delivered": 1})
    store = HubStore(place.hub, "test")

    async def echo(tx: str, op: str, **fields: Any) -> bool:
        changes = [{"system": "shop", "entity": "sales_order", "row_id": str(uuid.uuid4()), "made": op == "c", "tx": tx, "us": int(time.time() * 1e6), "fields": fields, "number": 0}]  # fmt: skip
        return bool(await store.rows("claim_echoes", {"changes": json.dumps(changes).encode(), "skew": 2_000_000}))

    assert not await echo("1", "c", net_amount=99_0000, currency="EUR")
    assert not await echo("1", "u", net_amount=100_0000, currency="EUR"), "it is not new"
    assert await echo("2", "c", net_amount=100_0000, currency="EUR", number="R001")
    assert not await echo("3", "c", net_amount=100_0000, currency="EUR"), "another order of the same amount"
    await store.close()


async def test_try_shows_the_requests_for_a_real_record_and_sends_nothing(place: Place, shop: Shop) -> None:
    ours = rules(place, shop, order=ORDER)
    customer, product = await place.customer(), await place.product()
    deal = source_id("demo-crm", "opportunity", await place.win(customer, product))
    intents = place.db.execute("SELECT count(*) FROM intent").fetchone()
    rule, target = ours["shop"].rules["order"], HttpAdapter(ours["shop"].target)  # type: ignore[arg-type]
    trial = await asyncio.to_thread(try_rule, place.hub, "shop/order", rule, target, "opportunity", deal, {})
    assert list(trial.requests) == ["look_up", "send", "read_back"] and (trial.missing, trial.notes) == ("", [])
    body = trial.requests["send"]["json"]
    assert (body["ref"], body["amount"], len(body["lines"])) == (f"shop/order:{deal}", 100, 2)
    assert trial.requests["read_back"]["path"] == "/orders/%3Corder.id%3E"
    wrong = await asyncio.to_thread(try_rule, place.hub, "shop/order", rule, target, "customer", deal, {})
    assert wrong.missing == "it is a customer, and the rule is about a opportunity"
    nowhere = rule.model_copy(update={"params": {**rule.params, "x": ValueSpec.model_validate("keys.nowhere")}})
    missing = await asyncio.to_thread(try_rule, place.hub, "shop/order", nowhere, target, "opportunity", deal, {})
    assert missing.missing == "x: keys.nowhere is not known" and missing.requests == {}
    assert shop.seen == [] and place.db.execute("SELECT count(*) FROM intent").fetchone() == intents
