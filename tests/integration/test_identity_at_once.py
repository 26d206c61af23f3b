"""Two workers that meet one new customer at the same time: the hub's constraint decides, so there is one id."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest_asyncio

from streams.identity import decisions
from streams.identity.masters import find_master
from streams.model.ids import source_id
from streams.resolve.rules import EntityRule, Ownership
from streams.stack.native import NativeStack
from tests.factories import changed
from tests.waiting import until
from tests.writers import Writers, customer, hub_of_its_own, live_customers

OWNERSHIP = Ownership({"customer": EntityRule(("crm", "erp"), match=(("tax_id",), ("email_domain", "name")))})
WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND relation = 'match_key'::regclass"


@pytest_asyncio.fixture
async def writers(stack: NativeStack) -> AsyncIterator[Writers]:
    made = Writers(hub_of_its_own(stack, "at_once"), OWNERSHIP)
    yield made
    await made.close()


def one_company(writers: Writers, number: int) -> tuple[Any, Any]:
    """What both systems say of a company that no other test knows; the two workers have one of them each."""
    tax_id, tried = f"DE{random.SystemRandom().randrange(10**12)}", 0
    while True:
        crm = customer("crm", f"c{tax_id}-{tried}", 1, name=f"Company {number}", tax_id=tax_id)
        erp = customer("erp", f"e{tax_id}-{tried}", 1, name=f"COMPANY {number}", tax_id=tax_id)
        if writers.worker_of(crm.id) != writers.worker_of(erp.id):
            return crm, erp
        tried += 1


async def meet(writers: Writers, hub: psycopg.Connection[Any]) -> None:
    """Let both workers' transactions come as far as the claim, and go on from there together."""
    with psycopg.connect(hub.info.dsn, password=hub.info.password) as holding:
        holding.execute("LOCK TABLE match_key IN EXCLUSIVE MODE")
        both = [asyncio.create_task(writers.batch(worker)) for worker in (0, 1)]
        await until(lambda: hub.execute(WAITING).fetchone() == (2,), 20)
    await asyncio.gather(*both)


async def test_two_transactions_at_once_give_one_id(writers: Writers) -> None:
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        pairs = [one_company(writers, number) for number in range(100)]
        for said in pairs:
            for change in said:
                writers.say(change)
        await meet(writers, hub)
        await writers.run()
        for crm, erp in pairs:
            assert live_customers(hub, [crm.id, erp.id]) == {crm.id: {crm.id, erp.id}}
            held = hub.execute(
                "SELECT holder::text, linked::text[] FROM match_key WHERE key = %s", [f"tax_id={crm.fields['tax_id'].lower()}"]
            ).fetchall()  # fmt: skip
            assert held == [(crm.id, [erp.id])]
            assert hub.execute("SELECT target::text FROM identity WHERE source_id = %s", [erp.id]).fetchone() == (
                crm.id,
            )
            assert writers.record(erp.id)[1] is None
            assert [one["key"] for one in writers.record(crm.id)[1]["sources"]] == [crm.key, erp.key]  # type: ignore[index]


async def test_two_records_of_one_system_at_once_are_told_and_not_linked(writers: Writers) -> None:
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        first, _ = one_company(writers, 1)
        again = 0
        while True:
            second = customer("crm", f"twin-{first.key}-{again}", 1, **first.fields)
            if writers.worker_of(second.id) != writers.worker_of(first.id):
                break
            again += 1
        writers.say(first)
        writers.say(second)
        await meet(writers, hub)
        await writers.run()
        assert live_customers(hub, [first.id, second.id]) == {first.id: {first.id}, second.id: {second.id}}
        told = [one for one in writers.conflicts if one.entity_id in (first.id, second.id)]
        assert [(one.kind, one.outcome) for one in told] == [("match_key", "open")]


async def test_the_same_reference_and_the_same_tax_number_at_once(writers: Writers) -> None:
    """One worker is told by a reference, the other by a tax number; what is later said under either key is said of one record."""
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        crm, erp = one_company(writers, 2)
        writers.say(crm)
        writers.say(customer("erp", erp.key, 1, same_as=crm.id, **erp.fields))
        await writers.run()
        writers.say(customer("erp", erp.key, 2, name="RENAMED", tax_id=erp.fields["tax_id"], notes="hello"))
        await writers.run()
        assert live_customers(hub, [crm.id, erp.id]) == {crm.id: {crm.id, erp.id}}
        assert writers.record(crm.id)[1]["notes"] == "hello"  # type: ignore[index]
        assert source_id("erp", "customer", erp.key) == erp.id


async def test_two_people_who_merge_two_records_into_each_other_at_once_get_one(writers: Writers) -> None:
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        crm, erp = one_company(writers, 3)
        erp = customer("erp", erp.key, 1, name="ANOTHER", tax_id=erp.fields["tax_id"][::-1])
        for change in (crm, erp):
            writers.say(change)
        await writers.run()
        ways = [decisions.merge(find_master(hub, a.id), find_master(hub, b.id)) for a, b in ((crm, erp), (erp, crm))]
        for message in ways:
            writers.send(*message)
        with psycopg.connect(hub.info.dsn, password=hub.info.password) as holding:
            holding.execute("LOCK TABLE identity IN EXCLUSIVE MODE")
            both = [asyncio.create_task(writers.batch(worker)) for worker in (0, 1)]
            waiting = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
            await until(lambda: hub.execute(waiting).fetchone() == (2,), 20)
        await asyncio.gather(*both)
        await writers.run()
        assert sum(one.counts["circles"] for one in writers.assembles) == 1
        (made,) = live_customers(hub, [crm.id, erp.id]).values()
        assert made == {crm.id, erp.id}


def names_in_orders(writers: Writers, keys: list[str]) -> list[str]:
    """The keys of the customers that the orders name, by what was told last; each order has the key of its first customer."""
    by_id = {source_id("crm", "customer", key): key for key in keys}
    records = [writers.record(source_id("crm", "sales_order", key))[1] or {} for key in keys]
    return [by_id[record["customer_id"]][-1] for record in records]


async def test_orders_follow_a_customer_that_was_merged_into_one_that_was_merged(writers: Writers) -> None:
    run = random.SystemRandom().randrange(10**12)
    keys = [f"{run}-{letter}" for letter in "ABCD"]
    a, b, c, d = (source_id("crm", "customer", key) for key in keys)
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:

        def merge(loser: str, winner: str) -> None:
            writers.send(*decisions.merge(find_master(hub, loser), find_master(hub, winner)))

        for key in keys:
            writers.say(customer("crm", key, 1, name=f"Company {key}", tax_id=f"DE{key}"))
            fields = {"customer_id": source_id("crm", "customer", key), "number": key}
            writers.say(changed("crm", "sales_order", key, 1, **fields))
        await writers.run()
        assert names_in_orders(writers, keys) == ["A", "B", "C", "D"]
        merge(a, b)
        await writers.run()
        assert names_in_orders(writers, keys) == ["B", "B", "C", "D"]
        merge(b, c)
        await writers.run()
        assert names_in_orders(writers, keys) == ["C", "C", "C", "D"]
        # A worker that has just begun, and knows no link.
        late = f"{run}-E"
        fields = {"customer_id": a, "number": late}
        for one in writers.assembles:
            one.forget()
        writers.say(changed("crm", "sales_order", late, 1, **fields))
        await writers.run()
        assert (writers.record(source_id("crm", "sales_order", late))[1] or {})["customer_id"] == c
        # Two links of one chain at once, each by the worker of its record.
        merge(c, d)
        writers.send(*decisions.unmerge(find_master(hub, b)))
        await writers.run()
        assert names_in_orders(writers, keys) == ["B", "B", "D", "D"]


async def test_after_a_split_the_key_is_free_for_the_right_record(writers: Writers) -> None:
    """The ERP's record that a person took out counts no longer: another one of the ERP with that tax number is the customer."""
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        crm, wrong = one_company(writers, 1)
        writers.say(crm)
        writers.say(wrong)
        await writers.run()
        writers.send(*decisions.unmerge(find_master(hub, wrong.id)))
        await writers.run()
        key = f"tax_id={crm.fields['tax_id'].lower()}"
        rows = "SELECT holder::text, linked::text[], systems FROM match_key WHERE key = %s"
        assert hub.execute(rows, [key]).fetchall() == [(crm.id, [], ["crm"])]
        right = customer("erp", f"{wrong.key}-right", 1, **wrong.fields)
        writers.say(right)
        await writers.run()
        assert live_customers(hub, [crm.id, wrong.id, right.id]) == {crm.id: {crm.id, right.id}, wrong.id: {wrong.id}}
        told = hub.execute("SELECT kind FROM conflict WHERE entity_id = ANY(%s)", [[crm.id, wrong.id, right.id]])
        assert [kind for (kind,) in told.fetchall() if kind == "match_key"] == []


async def test_a_key_that_a_customer_and_a_product_share(writers: Writers) -> None:
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        _, erp = one_company(writers, 4)
        writers.say(erp)
        writers.say(changed("erp", "product", erp.key, 1, op="c", sku="A-1"))
        await writers.run()
        assert find_master(hub, f"erp:{erp.key}").id == find_master(hub, f"erp:customer:{erp.key}").id == erp.id
        assert find_master(hub, f"erp:product:{erp.key}").id == source_id("erp", "product", erp.key)
