"""Write-back on real servers: once whatever dies, people asked, other people's edits kept."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from streams.hub.migrate import migrate
from streams.hub.store import HubStore
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.state import AggregateState
from streams.resolve.golden import Ownership
from streams.simulator.setup import dsn_of, setup_demo
from streams.stack.environment import resolve_placeholders
from streams.stack.native import NativeStack
from streams.walk.settle import Settling
from streams.writeback.deliver import Deliverer
from streams.writeback.desk import Desk, NotWaiting
from streams.writeback.plan import Planner
from streams.writeback.rules import SqlTarget, Writeback, load_rules
from streams.writeback.sql import SqlAdapter

ROOT = Path(__file__).parents[2]
CONNECTORS = ROOT / "connectors"
pytestmark = pytest.mark.timeout(300)


def hub_of_its_own(stack: NativeStack) -> str:
    """A second database of the hub's server: what is told here has made-up positions, which no worker on the shared hub may meet."""
    server = conninfo_to_dict(stack.settings.hub)
    admin = {"user": "postgres", "password": stack.env()["OPSHUB_HUB_ADMIN_PASSWORD"], "dbname": "postgres"}
    with psycopg.connect(make_conninfo(**(server | admin)), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS writeback")
        connection.execute("CREATE DATABASE writeback OWNER opshub")
    dsn = stack.settings.hub.rsplit("/", 1)[0] + "/writeback"
    migrate(dsn)
    return dsn


class Place:
    """Hub, CRM and ERP, with the rules; what is said goes through the real settling into the real hub."""

    def __init__(self, stack: NativeStack) -> None:
        self.env = stack.env()
        self.hub = hub_of_its_own(stack)
        self.rules: dict[str, Writeback] = load_rules(
            CONNECTORS, ["demo-crm", "demo-erp"], lambda text, path: resolve_placeholders(text, self.env, path)
        )
        self.crm = psycopg.connect(dsn_of(self.env, "DEMO_CRM", "APP"), autocommit=True)
        self.erp = psycopg.connect(dsn_of(self.env, "DEMO_ERP", "APP"), autocommit=True)
        self.db = psycopg.connect(self.hub, autocommit=True)
        self.position = time.time_ns() // 1000

    def close(self) -> None:
        for connection in (self.crm, self.erp, self.db):
            connection.close()

    def said(self, system: str, entity: str, key: str, parent: str | None = None, **fields: Any) -> Change:
        self.position += 1
        return Change(
            "change", entity, source_id(system, entity, key), system, key, "u", 0, self.position, 0, self.position, parent=parent, fields=fields
        )  # fmt: skip

    async def tell(self, kind: str, aggregate: str, *changes: Change) -> None:
        store = HubStore(self.hub, "test")
        state: AggregateState = (await store.load(kind, [aggregate]))[aggregate]
        settling = Settling(Ownership(), {}, Planner(self.rules))
        settling.apply(state, [(change, None) for change in changes])
        settling.references()
        settling.settle(lambda one: one)
        await store.save(
            settling.rows(), settling.links, settling.conflicts, same_known=0, used={}, dead=[], intents=settling.intents
        )  # fmt: skip
        await store.close()

    async def customer(self) -> str:
        """A customer of the CRM; its key there."""
        row = self.crm.execute("INSERT INTO account (name) VALUES ('Ada') RETURNING id::text").fetchone()
        assert row is not None
        key = str(row[0])
        await self.tell(
            "customer",
            source_id("demo-crm", "customer", key),
            self.said("demo-crm", "customer", key, name="Ada", attributes={}),
        )
        return key

    async def product(self) -> str:
        key, sku = str(uuid.uuid4()), f"T-{uuid.uuid4().hex[:8]}"
        self.erp.execute("INSERT INTO erp.item (item_no, descr) VALUES (%s, 'Bolt')", [sku])
        await self.tell(
            "product", source_id("demo-crm", "product", key), self.said("demo-crm", "product", key, sku=sku)
        )
        return key

    async def win(self, customer: str, product: str, amount: int = 100) -> str:
        """A won opportunity with two lines; its key in the CRM."""
        row = self.crm.execute(
            "INSERT INTO opportunity (name, account_id, stage, amount) VALUES ('Deal', %s, 'Closed Won', %s) RETURNING id::text",
            [customer, amount],
        ).fetchone()
        assert row is not None
        key = str(row[0])
        deal = source_id("demo-crm", "opportunity", key)
        of = {
            "customer_id": source_id("demo-crm", "customer", customer),
            "currency": "EUR",
            "amount": amount * 10_000,
            "name": "Deal",
        }
        half = {"product_id": source_id("demo-crm", "product", product), "quantity": 1_000_000, "unit": "C62"}
        half |= {"unit_price": amount * 5_000, "net_amount": amount * 5_000}
        await self.tell(
            "order_flow", deal,
            self.said("demo-crm", "opportunity_line", f"{key}-1", deal, line_no=1, **half),
            self.said("demo-crm", "opportunity_line", f"{key}-2", deal, line_no=2, **half),
            self.said("demo-crm", "opportunity", key, stage="won", number=key, **of),
        )  # fmt: skip
        return key

    def intent(self, key: str) -> dict[str, Any]:
        with Desk(self.hub) as desk:
            return desk.intent(f"demo-erp/order_from_opportunity:{source_id('demo-crm', 'opportunity', key)}")

    def orders(self, keys: list[str]) -> dict[str, int]:
        """opportunity → how many orders the ERP has of it."""
        return dict(
            self.erp.execute(
                "SELECT crm_opp::text, count(*) FROM erp.so_head WHERE crm_opp = ANY(%s::uuid[]) GROUP BY 1", [keys]
            ).fetchall()
        )

    @asynccontextmanager
    async def deliverer(self, rules: dict[str, Writeback] | None = None) -> AsyncIterator[Deliverer]:
        told = rules or self.rules
        adapters = {
            name: SqlAdapter(one.target, "test") for name, one in told.items() if isinstance(one.target, SqlTarget)
        }
        serving = Deliverer(self.hub, f"test-{uuid.uuid4().hex[:6]}", told, adapters, lease=timedelta(seconds=5))
        task = asyncio.create_task(serving.run())
        try:
            yield serving
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, holds: Any, seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        # In a thread: the deliverer shares this loop, and looking must not starve it.
        while not await asyncio.to_thread(holds):
            assert time.monotonic() < end, "it did not come about"
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def place(stack: NativeStack) -> Iterator[Place]:
    setup_demo(stack.env(), CONNECTORS)
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


async def test_killed_between_the_targets_commit_and_ours_nothing_is_done_twice(place: Place) -> None:
    """OPSHUB_TEST_KILLS says how often; the claim of 200 times was measured with it."""
    kills = int(os.environ.get("OPSHUB_TEST_KILLS", "8"))
    customer, product = await place.customer(), await place.product()
    keys = [await place.win(customer, product) for _ in range(kills * 2)]
    environment = (
        dict(os.environ)
        | {"PYTHONPATH": str(ROOT)}
        | {name: value for name, value in place.env.items() if name.startswith("DEMO_")}
    )
    killed = 0
    draw = random.Random(6)
    while killed < kills:
        point = draw.choice(["deliver.target"] * 4 + ["deliver.statements"])
        fault = f"{point}:kill:{draw.randint(1, 2)}"
        command = [sys.executable, "-m", "tests.integration.deliver_process", place.hub, "5"]
        ended = subprocess.run(command, env=environment | {"OPSHUB_FAULT": fault}, cwd=ROOT, timeout=60, check=False)
        if ended.returncode != -9:
            break  # nothing was left to deliver
        killed += 1
    async with place.deliverer():
        await place.until(lambda: all(place.intent(key)["state"] == "delivered" for key in keys), 60)
    assert killed >= kills // 2
    assert place.orders(keys) == dict.fromkeys(keys, 1)


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
