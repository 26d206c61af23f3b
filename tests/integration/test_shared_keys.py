"""A match key that very many records of one system carry names nobody: it links nothing, and asks one person once.

Threads: erpnext_mexico_compliance#134 (XAXX010101000), odoo#113604.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import psycopg
import pytest_asyncio

from streams.hub.shared_keys import end_shared_key_conflicts, shared_keys
from streams.identity import decisions
from streams.identity.masters import find_master
from streams.maintenance.quality import measure
from streams.model.change import Change
from streams.resolve.rules import EntityRule, Ownership
from streams.stack.native import NativeStack
from streams.verify.reresolve import differences
from tests.writers import Writers, customer, hub_of_its_own, live_customers

LIMIT = 5
OWNERSHIP = Ownership(
    {"customer": EntityRule(("crm", "erp"), match=(("tax_id",), ("email_domain", "name")), match_limit=LIMIT)}
)
OPEN = "SELECT kind, field, asserted->'linked'->'value' FROM conflict WHERE resolved_at IS NULL AND kind LIKE '%_key'"


@pytest_asyncio.fixture
async def writers(stack: NativeStack) -> AsyncIterator[Writers]:
    made = Writers(hub_of_its_own(stack, "shared_keys"), OWNERSHIP)
    yield made
    await made.close()


def carriers(system: str, numbers: range, tax_id: str, at: int = 1) -> list[Change]:
    return [customer(system, f"{tax_id}-{n}", at, name=f"Company {n}", tax_id=tax_id) for n in numbers]


def any_number() -> str:
    return f"DE{random.SystemRandom().randrange(10**8, 10**9)}"


async def test_a_number_that_a_whole_snapshot_carries_links_nobody(writers: Writers) -> None:
    tax_id = any_number()
    records = carriers("crm", range(300), tax_id) + carriers("erp", range(300), tax_id)
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        for change in records:
            writers.say(change)
        await writers.run()
        ids = [change.id for change in records]
        assert live_customers(hub, ids) == {key: {key} for key in ids}
        assert hub.execute(OPEN).fetchall() == []
        (shared,) = shared_keys(hub, ["customer"])
        assert (shared.key, shared.records) == (f"tax_id={tax_id.lower()}", 600)
        assert shared.systems == {"crm": 300, "erp": 300}
        assert list(differences(hub, OWNERSHIP)) == []
        figures = {figure.field: figure for figure in measure(hub, ["customer"])}
        assert figures["tax_id"].anybody == 600


async def test_what_was_linked_before_the_limit_is_one_question_for_a_person(writers: Writers) -> None:
    tax_id = any_number()
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        crm, erp = carriers("crm", range(1), tax_id) + carriers("erp", range(1), tax_id)
        writers.say(crm)
        await writers.run()
        writers.say(erp)
        await writers.run()
        assert live_customers(hub, [crm.id, erp.id]) == {crm.id: {crm.id, erp.id}}
        most = 0
        for change in carriers("erp", range(1, 40), tax_id):
            writers.say(change)
            await writers.run()
            most = max(most, len(hub.execute(OPEN).fetchall()))
        assert most < LIMIT
        assert hub.execute(OPEN).fetchall() == [("shared_key", f"tax_id={tax_id.lower()}", [erp.id])]
        assert [one.kind for one in writers.conflicts].count("shared_key") == 1

        # The record changes: the question stays, and the key links nobody again.
        writers.say(customer("crm", crm.key, 2, name="Renamed", tax_id=tax_id))
        writers.say(carriers("crm", range(50, 51), tax_id)[0])
        await writers.run()
        assert len(hub.execute(OPEN).fetchall()) == 1
        assert list(differences(hub, OWNERSHIP)) == []

        writers.send(*decisions.unmerge(find_master(hub, erp.id)))
        await writers.run()
        end_shared_key_conflicts(hub, crm.id, "anna")
        assert hub.execute(OPEN).fetchall() == []
        assert live_customers(hub, [crm.id, erp.id]) == {crm.id: {crm.id}, erp.id: {erp.id}}


async def test_a_link_of_a_reference_is_no_concern_of_a_shared_key(writers: Writers) -> None:
    tax_id = any_number()
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        crm = carriers("crm", range(1), tax_id)[0]
        writers.say(crm)
        linked = customer("erp", "linked", 1, same_as=crm.id, name="Company", tax_id=tax_id)
        writers.send("changes.customer", crm.id, linked)
        # As ingest sends it, with the position of the row.
        link = Change("link", "customer", linked.id, "erp", "linked", "u", 0, 1, 0, same_as=crm.id, target=crm.id)
        writers.send("changes.customer", linked.id, link)
        await writers.run()
        for change in carriers("erp", range(1, 40), tax_id):
            writers.say(change)
        await writers.run(size=1)
        assert hub.execute(OPEN).fetchall() == []
        assert len(shared_keys(hub, None)) == 1


async def test_a_shared_key_is_a_key_again_when_one_record_of_each_system_has_it(writers: Writers) -> None:
    tax_id, right = any_number(), [any_number() for _ in range(20)]
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        erp = carriers("erp", range(20), tax_id)
        crm = carriers("crm", range(1), tax_id)[0]
        for change in erp:
            writers.say(change)
        await writers.run()
        # Only now: before the key is shared, it would rightly link one of them.
        writers.say(crm)
        await writers.run()
        for change, number in zip(erp[1:], right, strict=False):
            writers.say(customer("erp", change.key, 2, name="Mended", tax_id=number))
        await writers.run()
        assert shared_keys(hub, None)[0].systems == {"crm": 1, "erp": 1}
        measure(hub, ["customer"])
        await writers.run()
        assert shared_keys(hub, None) == []
        assert live_customers(hub, [crm.id]) == {crm.id: {crm.id, erp[0].id}}


async def test_a_few_records_with_one_number_are_conflicts_as_before(writers: Writers) -> None:
    tax_id = any_number()
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        for change in carriers("erp", range(LIMIT), tax_id):
            writers.say(change)
        await writers.run()
        assert [kind for kind, *_ in hub.execute(OPEN).fetchall()] == ["match_key"] * (LIMIT - 1)
        assert shared_keys(hub, None) == []


async def test_a_number_that_stands_for_anybody_links_nobody_from_the_first_record_on(writers: Writers) -> None:
    with psycopg.connect(writers.stores[0]._dsn, autocommit=True) as hub:
        pairs = [
            customer(system, f"{system}-{number}", 1, name=f"{system} {number}", tax_id=number)
            for number in ("XAXX010101000", "PT999999990", "ES00000000T", "DE111111111")
            for system in ("crm", "erp")
        ]
        for change in pairs:
            writers.say(change)
        await writers.run()
        ids = [change.id for change in pairs]
        assert live_customers(hub, ids) == {key: {key} for key in ids}
        figures = {figure.field: figure for figure in measure(hub, ["customer"])}
        assert figures["tax_id"].anybody == len(pairs)
