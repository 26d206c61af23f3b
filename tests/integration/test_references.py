"""Two rows of one system that name one record, on a real hub without Kafka: a person decides."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio

from streams.cli import conflicts as verbs
from streams.cli import identity as identity_verbs
from streams.identity import conflict_inbox, decisions
from streams.identity.masters import find_master
from streams.inbox import conflict_decisions, identity_decisions
from streams.model.change import Change
from streams.resolve.rules import EntityRule, Ownership
from streams.stack.native import NativeStack
from tests.factories import changed
from tests.writers import Writers, customer, hub_of_its_own, live_customers

OWNERSHIP = Ownership({"customer": EntityRule(("crm", "erp"), {}, match=(("tax_id",), ("email_domain", "name")))})


@pytest_asyncio.fixture
async def writers(stack: NativeStack) -> AsyncIterator[Writers]:
    made = Writers(hub_of_its_own(stack, "named_twice"), OWNERSHIP)
    yield made
    await made.close()


def connected(writers: Writers) -> psycopg.Connection:
    return psycopg.connect(writers.stores[0]._dsn, autocommit=True)


def standing(hub: psycopg.Connection, *records: Change) -> list[tuple[str, str, str]]:
    rows = hub.execute(
        "SELECT kind, outcome, entity_id::text FROM conflict WHERE resolved_at IS NULL AND entity_id = ANY(%s)",
        [[record.id for record in records]],
    )
    return [(kind, outcome, entity_id) for kind, outcome, entity_id in rows]


def number() -> str:
    return f"DE{random.SystemRandom().randrange(10**12)}"


async def test_the_second_row_that_names_a_customer_waits_for_a_person(
    writers: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A customer that was copied in the ERP with its reference (woocommerce#50614, MemberJunction#3968)."""
    for module in (verbs, identity_verbs):
        monkeypatch.setattr(module, "connect", lambda _: connected(writers))
        monkeypatch.setattr(module, "load_settings", lambda: None)
    for deciding in (conflict_decisions, identity_decisions):
        monkeypatch.setattr(deciding, "send", lambda _, messages: [writers.send(*message) for message in messages])
    with connected(writers) as hub:
        for number_, decision in enumerate(("decline", "keep separate", "merge", "delete the first")):
            key = f"r{number()}"
            crm = customer("crm", key, 1, name="Ada")
            first = changed("erp", "customer", f"1{key}", 2, same_as=crm.id, name="Ada", tax_id=number())
            copy = changed("erp", "customer", f"2{key}", 3, same_as=crm.id, name="Ada", tax_id=number())
            for change in (copy, first, crm) if number_ % 2 else (crm, first, copy):
                writers.say(change)
                await writers.run()
            ids = [crm.id, first.id, copy.id]
            assert live_customers(hub, ids) == {crm.id: {crm.id, first.id}, copy.id: {copy.id}}
            assert standing(hub, crm, first, copy) == [("reference", "open", copy.id)]
            (asked,) = [one for one in conflict_inbox.standing(hub) if one.entity_id == copy.id]
            expected = {crm.id: {crm.id, first.id}, copy.id: {copy.id}}
            if decision == "decline":
                identity_verbs.decline(copy.id, crm.id)
            elif decision == "keep separate":
                verbs.resolve(asked.id, keep_separate=True)
            elif decision == "merge":
                writers.send(*decisions.merge(find_master(hub, copy.id), find_master(hub, crm.id)))
                expected = {crm.id: set(ids)}
            else:
                writers.say(changed("erp", "customer", first.key, 9, op="d", deleted=True))
                expected = {crm.id: set(ids)}
            await writers.run()
            writers.say(changed("erp", "customer", copy.key, 10, same_as=crm.id, name="Ada", phone="3"))
            await writers.run()
            assert live_customers(hub, ids) == expected, decision
            assert standing(hub, crm, first, copy) == []
