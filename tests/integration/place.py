"""Hub, CRM and ERP on real servers, with the rules of write-back. Changes go through the real settling into the real hub."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from streams.hub.intent_review import IntentView
from streams.hub.save import SaveRequest
from streams.hub.store import HubStore
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.state import AggregateState
from streams.simulator.setup import dsn_of, setup_demo
from streams.stack.environment import resolve_placeholders
from streams.stack.native import NativeStack
from streams.writeback.commands import connect_hub, get_intent
from streams.writeback.deliver import Deliverer
from streams.writeback.http import HttpAdapter
from streams.writeback.jobs import Adapter
from streams.writeback.load import load_rules
from streams.writeback.planner import IntentPlanner
from streams.writeback.rules import SqlTarget, WritebackConfig
from streams.writeback.sql import SqlAdapter
from tests.factories import changed
from tests.settled import settle_changes
from tests.waiting import until
from tests.writers import hub_of_its_own

ROOT = Path(__file__).parents[2]
CONNECTORS = ROOT / "connectors"


class Place:
    """A hub of its own, and both demo systems, which are created if they do not exist."""

    def __init__(self, stack: NativeStack) -> None:
        setup_demo(stack.env(), CONNECTORS)
        self.env = stack.env()
        # Changes here have made-up positions, which no worker on the shared hub may meet.
        self.hub = hub_of_its_own(stack, f"place_{uuid.uuid4().hex[:8]}")
        self.rules: dict[str, WritebackConfig] = load_rules(
            CONNECTORS, ["demo-crm", "demo-erp"], lambda text, path: resolve_placeholders(text, self.env, path)
        )
        self.crm = psycopg.connect(dsn_of(self.env, "DEMO_CRM", "APP"), autocommit=True)
        self.erp = psycopg.connect(dsn_of(self.env, "DEMO_ERP", "APP"), autocommit=True)
        self.db = psycopg.connect(self.hub, autocommit=True)
        self.position = time.time_ns() // 1000

    def close(self) -> None:
        for connection in (self.crm, self.erp, self.db):
            connection.close()

    def change(self, system: str, entity: str, key: str, parent: str | None = None, **fields: Any) -> Change:
        self.position += 1
        return changed(system, entity, key, self.position, parent=parent, **fields)

    async def settle(self, kind: str, aggregate: str, *changes: Change) -> None:
        store = HubStore(self.hub, "test")
        state: AggregateState = (await store.load({aggregate: kind}))[aggregate]
        settled = settle_changes(state, *changes, planner=IntentPlanner(self.rules))
        request = SaveRequest(
            entities=list(settled.entities.values()),
            links=list(settled.links.values()),
            conflicts=list(settled.conflicts.values()),
            intents=settled.intents,
            same_known=0,
        )
        await store.save(request)
        await store.close()

    async def customer(self, **fields: Any) -> str:
        """A customer of the CRM; its key there."""
        row = self.crm.execute("INSERT INTO account (name) VALUES ('Ada') RETURNING id::text").fetchone()
        assert row is not None
        key = str(row[0])
        await self.settle(
            "customer",
            source_id("demo-crm", "customer", key),
            self.change("demo-crm", "customer", key, name="Ada", attributes={}, **fields),
        )
        return key

    @contextmanager
    def with_rule(self, name: str, **update: Any) -> Iterator[dict[str, WritebackConfig]]:
        """With one rule (<system>/<name>) changed; afterwards all rules are as in their files."""
        system, _, rule = name.partition("/")
        as_written = self.rules
        config = as_written[system]
        changed = {**config.rules, rule: config.rules[rule].model_copy(update=update)}
        self.rules = as_written | {system: config.model_copy(update={"rules": changed})}
        try:
            yield self.rules
        finally:
            self.rules = as_written

    async def product(self) -> str:
        key, sku = str(uuid.uuid4()), f"T-{uuid.uuid4().hex[:8]}"
        self.erp.execute("INSERT INTO erp.item (item_no, descr) VALUES (%s, 'Bolt')", [sku])
        await self.settle(
            "product", source_id("demo-crm", "product", key), self.change("demo-crm", "product", key, sku=sku)
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
        await self.settle(
            "order_flow", deal,
            self.change("demo-crm", "opportunity_line", f"{key}-1", deal, line_no=1, **half),
            self.change("demo-crm", "opportunity_line", f"{key}-2", deal, line_no=2, **half),
            self.change("demo-crm", "opportunity", key, stage="won", number=key, **of),
        )  # fmt: skip
        return key

    def intent(self, key: str) -> IntentView:
        with connect_hub(self.hub) as hub:
            return get_intent(hub, f"demo-erp/order_from_opportunity:{source_id('demo-crm', 'opportunity', key)}")

    def orders(self, keys: list[str]) -> dict[str, int]:
        """opportunity → how many orders the ERP has of it."""
        return dict(
            self.erp.execute(
                "SELECT crm_opp::text, count(*) FROM erp.so_head WHERE crm_opp = ANY(%s::uuid[]) GROUP BY 1", [keys]
            ).fetchall()
        )

    @asynccontextmanager
    async def deliverer(
        self, rules: dict[str, WritebackConfig] | None = None, lease_s: float = 5
    ) -> AsyncIterator[Deliverer]:
        configs = rules or self.rules
        adapters: dict[str, Adapter] = {
            name: SqlAdapter(config.target, "test")
            if isinstance(config.target, SqlTarget)
            else HttpAdapter(config.target)
            for name, config in configs.items()
        }
        serving = Deliverer(
            self.hub, f"test-{uuid.uuid4().hex[:6]}", configs, adapters, lease=timedelta(seconds=lease_s)
        )
        task = asyncio.create_task(serving.run())
        try:
            yield serving
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, holds: Callable[[], object], seconds: float = 40) -> None:
        # In a thread: the deliverer shares this loop, and a query must not block it.
        await until(holds, seconds, in_thread=True)
