"""Disputes on a real hub, without Kafka: what is logged, when it ends, and when write-back is stopped."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from streams.cli import conflicts as verbs
from streams.cli import identity as identity_verbs
from streams.cli import quality as quality_verb
from streams.errors import ConfigError
from streams.hub.statements import SQL
from streams.identity import conflict_inbox, decisions
from streams.identity.masters import find_master
from streams.identity.proposals import propose
from streams.inbox import identity_decisions
from streams.maintenance import quality
from streams.model.change import Change
from streams.model.names import changes_topic
from streams.resolve.rules import EntityRule, FieldRule, Ownership
from streams.stack.native import NativeStack
from streams.verify.reresolve import differences, refreshes
from tests.factories import changed
from tests.property.test_conflicts_in_batches import planner
from tests.writers import Writers, customer, hub_of_its_own, live_customers

MATCH = (("tax_id",), ("email_domain", "name"))
NEWEST = Ownership(
    {"customer": EntityRule(("crm", "erp"), {"phone": FieldRule(policy="newest")}, match=MATCH)}, turns=3
)


@pytest_asyncio.fixture
async def writers(stack: NativeStack) -> AsyncIterator[Writers]:
    made = Writers(hub_of_its_own(stack, "disputes"), NEWEST, planner=planner("crm", "erp", fields=("phone",)))
    yield made
    await made.close()


def connected(writers: Writers) -> psycopg.Connection[Any]:
    return psycopg.connect(writers.stores[0]._dsn, autocommit=True)


def standing(hub: psycopg.Connection[Any], *records: Change) -> list[tuple[str, str, str]]:
    rows = hub.execute(
        "SELECT kind, outcome, entity_id::text FROM conflict WHERE resolved_at IS NULL AND entity_id = ANY(%s)",
        [[one.id for one in records]],
    )
    return [(kind, outcome, entity_id) for kind, outcome, entity_id in rows]


def says(system: str, crm: Change, at_s: float, phone: str, origin: str | None = None) -> Change:
    """`system` of the customer that both know as the CRM's."""
    return changed(
        system, "customer", crm.key, round(at_s * 1_000_000), origin=origin,
        same_as=None if system == "crm" else crm.id, name="Ada", phone=phone,
    )  # fmt: skip


async def both_know(writers: Writers) -> Change:
    crm = customer("crm", f"d{random.SystemRandom().randrange(10**12)}", 1, name="Ada", phone="1")
    writers.say(crm)
    writers.say(says("erp", crm, 0.00001, "1"))
    await writers.run()
    return crm


async def overwrite(writers: Writers, crm: Change, every_s: float, rounds: int, at_s: float = 1000) -> float:
    """Each system writes over what the other's write-back brought, round for round; when the next would begin."""
    for _ in range(rounds):
        for system, other, phone in (("crm", "erp", "A"), ("erp", "crm", "B")):
            writers.say(says(system, crm, at_s, phone))
            await writers.run()
            writers.say(says(other, crm, at_s + 0.5, phone, "opshub"))
            await writers.run()
            at_s += every_s
    return at_s


def planned(hub: psycopg.Connection[Any], crm: Change) -> int:
    row = hub.execute("SELECT count(*) FROM intent WHERE entity_id = %s", [crm.id]).fetchone()
    assert row is not None
    return int(row[0])


async def test_two_systems_that_overwrite_each_other_are_stopped_until_a_person_says_something(
    writers: Writers,
) -> None:
    with connected(writers) as hub:
        crm = await both_know(writers)
        at_s = await overwrite(writers, crm, 300, 6)
        # Each target was overwritten twice; the third time it is stopped, and so is the other way.
        assert planned(hub, crm) == 5
        found = [one for one in conflict_inbox.standing(hub) if one.entity_id == crm.id and one.outcome == "flip_flop"]
        assert [(one.field, one.turns) for one in found] == [("phone", 3)]
        assert [one.outcome for one in writers.conflicts if one.entity_id == crm.id].count("flip_flop") == 1
        hub.execute("UPDATE conflict SET resolved_at = now(), outcome = 'over' WHERE id = %s", [found[0].id])
        hub.execute("DELETE FROM turn WHERE entity_id = %s", [crm.id])
        await overwrite(writers, crm, 300, 1, at_s)
        assert planned(hub, crm) == 7


async def test_corrections_over_days_are_no_loop_however_late_they_are_read(writers: Writers) -> None:
    with connected(writers) as hub:
        crm = await both_know(writers)
        await overwrite(writers, crm, 40_000, 4)
        assert planned(hub, crm) == 8
        assert [one for one in standing(hub, crm) if one[1] == "flip_flop"] == []


async def test_what_came_and_went_within_a_batch_is_logged_and_over(writers: Writers) -> None:
    with connected(writers) as hub:
        crm = await both_know(writers)
        for change in (says("crm", crm, 100, "A"), says("erp", crm, 101, "B"), says("crm", crm, 102, "B")):
            writers.send(changes_topic("customer"), crm.id, change)  # as the row's own aggregate sends it on
        await writers.run()
        logged = hub.execute("SELECT kind, outcome FROM conflict WHERE entity_id = %s", [crm.id]).fetchall()
        assert logged == [("concurrent_edit", "over")]
        assert [one.kind for one in writers.conflicts if one.entity_id == crm.id] == ["concurrent_edit"]


def number() -> str:
    return f"DE{random.SystemRandom().randrange(10**12)}"


async def claimed_twice(writers: Writers, tax_id: str, name: str = "Twin") -> tuple[Change, Change]:
    """(holder, claimant): two records of one system with one tax number."""
    first = customer("crm", f"a{tax_id}", 1, name=f"{name} 1", tax_id=tax_id)
    second = customer("crm", f"b{tax_id}", 1, name=f"{name} 2", tax_id=tax_id)
    for change in (first, second):
        writers.say(change)
        await writers.run()
    with connected(writers) as hub:
        (claimant,) = [entity_id for _, _, entity_id in standing(hub, first, second)]
    return (first, second) if claimant == second.id else (second, first)


def corrected(change: Change, at: int, **fields: Any) -> Change:
    return customer(change.system, change.key, at, **(change.fields | fields))


@pytest.mark.parametrize("together", [False, True])
async def test_a_key_that_its_holder_gives_up_goes_to_who_waits_for_it(writers: Writers, together: bool) -> None:
    with connected(writers) as hub:
        tax_id = number()
        holder, claimant = await claimed_twice(writers, tax_id)
        writers.say(corrected(holder, 2, tax_id=number()))
        if together:
            writers.say(corrected(claimant, 2, phone="9"))
        await writers.run()
        assert standing(hub, holder, claimant) == []
        held = hub.execute("SELECT holder::text FROM match_key WHERE key = %s", [f"tax_id={tax_id.lower()}"]).fetchall()
        assert held == [(claimant.id,)]
        # And now the ERP's customer of that number is the right one's.
        erp = customer("erp", f"e{tax_id}", 1, name="Twin", tax_id=tax_id)
        writers.say(erp)
        await writers.run()
        assert {erp.id, claimant.id} in live_customers(hub, [erp.id, claimant.id]).values()


async def test_a_claim_is_over_when_its_number_is_corrected_or_the_two_are_merged(writers: Writers) -> None:
    with connected(writers) as hub:
        for into_the_holder in (None, True, False):
            holder, claimant = await claimed_twice(writers, number())
            assert [(kind, outcome) for kind, outcome, _ in standing(hub, holder, claimant)] == [("match_key", "open")]
            if into_the_holder is None:
                writers.say(corrected(claimant, 2, tax_id=number()))
            else:
                loser, winner = (claimant, holder) if into_the_holder else (holder, claimant)
                writers.send(*decisions.merge(find_master(hub, loser.id), find_master(hub, winner.id)))
            await writers.run()
            assert standing(hub, holder, claimant) == []


def use_hub(monkeypatch: pytest.MonkeyPatch, writers: Writers) -> None:
    for module in (verbs, identity_verbs):
        monkeypatch.setattr(module, "connect", lambda _: connected(writers))
        monkeypatch.setattr(module, "load_settings", lambda: None)


async def test_two_that_a_person_kept_separate_are_not_asked_about_again(
    writers: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub(monkeypatch, writers)
    with connected(writers) as hub:
        tax_id = number()
        holder, claimant = await claimed_twice(writers, tax_id)
        (told,) = [one for one in conflict_inbox.standing(hub) if one.entity_id == claimant.id]
        with pytest.raises(ConfigError, match="not about a value"):
            verbs.resolve(told.id, system="crm")
        verbs.resolve(told.id, keep_separate=True, reason="the daughter")
        assert standing(hub, holder, claimant) == []
        for at, change in ((2, claimant), (3, holder), (4, claimant)):
            writers.say(corrected(change, at, phone=str(at), email=f"x@{tax_id.lower()}.example", name="Twin"))
            await writers.run()
        for one in writers.assembles:
            one.forget()
        writers.say(corrected(claimant, 5, phone="5"))
        await writers.run()
        assert standing(hub, holder, claimant) == []
        assert len(live_customers(hub, [holder.id, claimant.id])) == 2
        # The holder gives the number up: it is the other's alone.
        writers.say(corrected(holder, 6, tax_id=number(), name="Alone"))
        await writers.run()
        held = hub.execute("SELECT holder::text FROM match_key WHERE key = %s", [f"tax_id={tax_id.lower()}"]).fetchall()
        assert held == [(claimant.id,)]
        # A merge by hand takes it back.
        monkeypatch.setattr(identity_decisions, "send", lambda _, messages: writers.send(*messages[0]))
        monkeypatch.setattr(identity_verbs, "finish", lambda *_: None)
        identity_verbs.merge(claimant.id, holder.id)
        await writers.run()
        assert len(live_customers(hub, [holder.id, claimant.id])) == 1
        assert hub.execute("SELECT count(*) FROM kept_separate").fetchone() == (0,)


async def test_declined_records_are_not_joined_by_a_key_either(
    writers: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub(monkeypatch, writers)
    with connected(writers) as hub:
        tax_id = number()
        crm = customer("crm", f"c{tax_id}", 1, name="Alike GmbH")
        erp = customer("erp", f"e{tax_id}", 1, name="Alike GmbH")
        for change in (crm, erp):
            writers.say(change)
        await writers.run()
        identity_verbs.decline(crm.id, erp.id)
        with pytest.raises(ConfigError, match="they are one record"):
            identity_verbs.decline(crm.id, crm.id)
        for change in (crm, erp):
            writers.say(corrected(change, 2, tax_id=tax_id))
            await writers.run()
        assert live_customers(hub, [crm.id, erp.id]) == {crm.id: {crm.id}, erp.id: {erp.id}}
        assert standing(hub, crm, erp) == []


async def test_one_number_in_two_countries_is_two_companies(writers: Writers) -> None:
    with connected(writers) as hub:
        bare = str(random.SystemRandom().randrange(10**9, 10**10))

        def firm(system: str, key: str, tax_id: str, country: str | None) -> Change:
            return customer(system, f"{key}{bare}", 1, name=key, tax_id=tax_id, billing_country=country)

        us, il = firm("crm", "us", bare, "US"), firm("erp", "il", bare, "IL")
        nowhere, german = firm("erp", "nowhere", bare, None), firm("crm", "de", f"DE{bare}", None)
        germans = firm("erp", "des", bare, "DE")
        for change in (us, il, nowhere, german, germans):
            writers.say(change)
        await writers.run()
        made = live_customers(hub, [us.id, il.id, nowhere.id, german.id, germans.id])
        assert {frozenset(one) for one in made.values()} == {
            frozenset({us.id}), frozenset({il.id}), frozenset({nowhere.id}), frozenset({german.id, germans.id}),
        }  # fmt: skip
        assert {kind for kind, _, _ in standing(hub, us, il, nowhere, german, germans)} == {"disagreement"}


async def test_a_changed_match_rule_is_applied_to_what_was_said_before(writers: Writers) -> None:
    with connected(writers) as hub:
        tax_id = number()
        pair = [customer(system, f"{system}{tax_id}", 1, name=system, legal_name=tax_id) for system in ("crm", "erp")]
        for change in pair:
            writers.say(change)
        await writers.run()
        assert len(live_customers(hub, [one.id for one in pair])) == 2
        rules = Ownership({"customer": EntityRule(("crm", "erp"), match=(*MATCH, ("legal_name",)))})
        # As workers that were started again with the new rules.
        again = Writers(writers.stores[0]._dsn, rules)
        found = list(differences(hub, rules))
        assert {(one.id, one.field, *one.then) for one in found} == {
            (one.id, "match", f"legal_name={tax_id.lower()}") for one in pair
        }
        for message in refreshes(found):
            again.send(*message)
        await again.run()
        assert len(live_customers(hub, [one.id for one in pair])) == 1
        assert [one for one in differences(hub, rules) if one.field == "match"] == []
        # And back: the key is let go, what it joined is for people to split.
        for one in writers.assembles:
            one.forget()
        for message in refreshes(list(differences(hub, NEWEST))):
            writers.send(*message)
        await writers.run()
        assert hub.execute("SELECT 1 FROM match_key WHERE key LIKE 'legal_name%%'").fetchall() == []
        assert list(differences(hub, NEWEST)) == []
        await again.close()


async def test_a_pair_that_was_declined_is_not_proposed_again(
    writers: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub(monkeypatch, writers)
    with connected(writers) as hub:
        where = {"billing_city": "Berlin", "billing_street": "Hauptstr. 1"}
        firms = [customer("crm", f"p{n}", 1, name=f"Firm number {n * 7919}", **where) for n in range(600)]
        twins = [customer(system, "twin", 1, name="Nordwind Handel GmbH", **where) for system in ("crm", "erp")]
        for change in (*firms, *twins):
            writers.say(change)
        await writers.run()
        names = {frozenset((one.loser, one.winner)) for one in propose(hub, least=99).proposals}
        assert frozenset(one.id for one in twins) in names
        assert propose(hub).not_compared == {}
        few = propose(hub, least=99, compared=1000)
        assert frozenset(one.id for one in twins) in {frozenset((one.loser, one.winner)) for one in few.proposals}
        assert few.not_compared == {"berlin": 600 * 601 // 2}
        identity_verbs.decline(twins[0].id, twins[1].id)
        assert propose(hub, least=99).proposals == []


async def test_a_worker_that_leaves_does_not_wait_for_what_quality_reads(writers: Writers) -> None:
    dsn = writers.stores[0]._dsn
    with connected(writers) as holding, connected(writers) as hub:

        def sessions(event: str) -> int:
            row = hub.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'opshub-quality' AND coalesce(wait_event_type, '') ~ %s",
                [event],
            ).fetchone()
            return int(row[0]) if row else 0

        with holding.transaction():
            holding.execute("LOCK TABLE quality")
            task = asyncio.ensure_future(quality.measure_periodically(dsn, 0.04))
            async with asyncio.timeout(20):
                while not sessions("^Lock$"):
                    await asyncio.sleep(0.01)
            task.cancel()
            async with asyncio.timeout(5):
                while sessions(""):
                    await asyncio.sleep(0.01)
        assert task.done()


async def test_quality_sees_what_can_not_be_meant_and_is_kept_over_time(
    writers: Writers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quality_verb, "connect", lambda _: connected(writers))
    monkeypatch.setattr(quality_verb, "load_settings", lambda: None)
    good: dict[str, Any] = {
        "name": "Good", "email": "a@b.example", "phone": "+4930901820", "tax_id": "DE136695976", "billing_country": "DE", "currency": "EUR",
        "created_at": 1_600_000_000_000_000,
    }  # fmt: skip
    bad: dict[str, Any] = {
        "name": "Bad", "email": "a at b", "phone": "030 90", "tax_id": "DE136695977", "billing_country": "XX", "currency": "Euro",
        "created_at": 9_999_999_999_000_000,
    }  # fmt: skip
    with connected(writers) as hub:
        for system, key, fields in (("crm", "good", good), ("crm", "bad", bad), ("crm", "none", {"name": "None"})):
            writers.say(customer(system, key, 1, **fields))
        writers.say(customer("crm", "twin", 1, **(good | {"email": "c@b.example"})))
        await writers.run()
        found = {one.field: one for one in quality.measure(hub, ["customer"])}
        for field in good.keys() - {"name"}:
            assert (found[field].complete, found[field].invalid) == (3, 1), field
        assert found["name"].invalid == 0
        assert [found[field].disagreeing for field in ("tax_id", "email", "name", "phone")] == [1, 1, 1, 0]
        assert not quality.measure_if_due(writers.stores[0]._dsn, 3600, quality.Cancellation())
        hub.execute("UPDATE quality SET at = at - interval '2 hours'")
        assert quality.measure_if_due(writers.stores[0]._dsn, 3600, quality.Cancellation())
        writers.say(customer("crm", "bad", 2, **(bad | {"phone": None})))
        await writers.run()
        quality.measure(hub, ["customer"])
        over_time = quality.history(hub, ["customer"], ["phone"])
        assert [(one.complete, one.invalid) for one in over_time] == [(3, 1), (3, 1), (2, 0)]
        assert [one.at for one in over_time] == sorted(one.at for one in over_time)
        quality_verb.quality(entity=["customer"], history=True, field=["phone"], every=False)
        shown = capsys.readouterr().out.splitlines()
        assert len(shown) == 4
        assert "75.0%" in shown[1] and "50.0%" in shown[3]
        # Of what is older than a month, a day keeps its first.
        hub.execute("UPDATE quality SET at = at - interval '60 days'")
        hub.execute(SQL["thin_quality"])
        assert len({one.at for one in quality.history(hub, ["customer"], ["phone"])}) <= 2
