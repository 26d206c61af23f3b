"""A worker that stood still, and was given up for dead, writes nothing of what another took over: on a real hub, without Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from streams.errors import Fenced
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.names import changes_topic
from streams.resolve.rules import Ownership
from streams.stack.native import NativeStack
from tests.factories import changed
from tests.writers import Sent, Writers, customer, hub_of_its_own


@pytest_asyncio.fixture
async def writers(stack: NativeStack) -> AsyncIterator[Writers]:
    made = Writers(hub_of_its_own(stack, "taken_over"), Ownership())
    yield made
    await made.close()


def rows(writers: Writers, entity_id: str) -> Any:
    with psycopg.connect(writers.stores[0]._dsn) as hub:
        return hub.execute("SELECT version, revision, record FROM entity WHERE id = %s", [entity_id]).fetchall()


def sent(change: Change, aggregate: str, kind: str = "order_flow") -> Sent:
    return Sent(changes_topic(kind), aggregate, change)


def told_to(topic: str, outputs: Any) -> set[str]:
    """The aggregates to which something was sent."""
    return {one.key.decode() for one in outputs if one.topic == topic}


async def test_what_another_wrote_meanwhile_is_not_written_again(writers: Writers) -> None:
    before, after = writers.assembles
    old = customer("erp", "1", 1, name="Ada")
    new = customer("erp", "1", 2, name="Ada Ltd")
    await before.step([sent(old, old.id, "customer")])
    await after.step([sent(new, old.id, "customer")])
    told = rows(writers, old.id)
    with pytest.raises(Fenced):
        await before.step([sent(new, old.id, "customer")])
    assert rows(writers, old.id) == told
    before.forget()  # it joined again, and was given the partition back
    outputs, _ = await before.step([sent(new, old.id, "customer")])
    writers.take(outputs)
    assert writers.record(old.id) == (told[0][0], writers.record(old.id)[1])
    assert writers.record(old.id)[1]["name"] == "Ada Ltd"  # type: ignore[index]


async def test_a_document_that_another_told_with_its_lines_gets_no_version_that_nobody_is_told_of(
    writers: Writers,
) -> None:
    before, after = writers.assembles
    order = source_id("erp", "sales_order", "S")
    batch = [
        sent(changed("erp", "sales_order", "S", 1, number="SO-1"), order),
        sent(changed("erp", "sales_order_line", "L", 2, parent=order, line_no=1, net_amount=10_0000), order),
        sent(Change("refresh", "", order, target=order), order),
    ]
    await before.step(batch[-1:])  # nothing of it is in memory when it stands still
    await after.step(batch)
    told = rows(writers, order)
    # As it reads now, all of it is known; but a document is told anew when it is refreshed, for lines may have come with that.
    with pytest.raises(Fenced):
        await before.step(batch)
    assert rows(writers, order) == told
    before.forget()  # it joined again
    await before.step(batch)
    assert [row[0] for row in rows(writers, order)] == [told[0][0] + 1]


async def test_what_refers_to_a_linked_customer_is_told_though_its_writer_died_before_it_told_anybody(
    writers: Writers,
) -> None:
    dies, follows = writers.assembles
    crm, erp = customer("crm", "A", 1, name="Ada"), customer("erp", "9", 2, name="Ada", tax_id=None)
    order = changed("erp", "sales_order", "R", 3, number="SO-9", customer_id=erp.id)
    for change, kind in ((crm, "customer"), (erp, "customer"), (order, "order_flow")):
        await dies.step([sent(change, change.id, kind)])
    link = sent(Change("link", "customer", erp.id, same_as=crm.id, target=crm.id), erp.id, "customer")

    assert order.id in told_to("changes.order_flow", (await dies.step([link]))[0])  # in the hub, and then it was killed
    assert order.id in told_to("changes.order_flow", (await follows.step([link]))[0])


async def test_what_refers_to_a_customer_that_was_taken_out_is_told_though_its_writer_died_before_it_told_anybody(
    writers: Writers,
) -> None:
    dies, follows = writers.assembles
    crm, erp = customer("crm", "B", 1, name="Bea"), customer("erp", "8", 2, name="Bea", tax_id=None)
    order = changed("erp", "sales_order", "T", 3, number="SO-8", customer_id=erp.id)
    writers.say(crm)
    writers.say(erp)
    writers.send("changes.order_flow", order.id, order)
    writers.send("changes.customer", erp.id, Change("link", "customer", erp.id, same_as=crm.id, target=crm.id))
    await writers.run()
    assert writers.record(order.id)[1]["customer_id"] == crm.id  # type: ignore[index]
    split = sent(Change("link", "customer", erp.id, "opshub", target=erp.id), crm.id, "customer")

    for one in writers.assembles:
        one.forget()
    assert order.id in told_to(
        "changes.order_flow", (await dies.step([split]))[0]
    )  # in the hub, and then it was killed
    outputs, _ = await follows.step([split])
    assert order.id in told_to("changes.order_flow", outputs)
    assert erp.id in told_to("changes.customer", outputs)
