"""A hub that an older version filled: what its rules stored is computed again."""

from __future__ import annotations

import psycopg

from streams.hub.migrate import MIGRATIONS
from streams.model.ids import source_id
from streams.resolve.rules import Ownership
from streams.stack.native import NativeStack
from tests.property.stories import row
from tests.writers import Writers, hub_of_its_own


async def test_stored_flows_are_joined_by_the_new_rules(stack: NativeStack) -> None:
    dsn = hub_of_its_own(stack, "upgraded")
    flow = source_id("opshub", "order_flow", source_id("erp", "sales_order", "A"))
    before = Writers(dsn, Ownership())
    before.say(row("sales_order", "A", 1, number="SO-A", status="draft", created_at=5))
    await before.run()
    version, record = before.record(flow)
    await before.close()
    assert record is not None

    with psycopg.connect(dsn, autocommit=True) as hub:
        hub.execute("UPDATE entity SET record = record || '{\"stage\": \"ordered\"}' WHERE entity = 'order_flow'")
        hub.execute((MIGRATIONS / "0117.join_again.sql").read_bytes())
    after = Writers(dsn, Ownership())
    await after.run()
    assert after.record(flow) == (version + 1, record | {"version": version + 1})
    await after.close()
