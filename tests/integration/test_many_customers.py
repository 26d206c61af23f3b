"""Ten thousand merges in very many customers, straight into the hub: recomputed afterwards from what was said, everything agrees.

By hand (three minutes on fast cores, a quarter of an hour on slow ones): `python -m pytest -m slow -s tests/integration/test_many_customers.py`;
OPSHUB_TEST_CUSTOMERS sets the size, a million if it says nothing.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections import Counter
from typing import Any

import psycopg
import pytest

from streams.hub.entity_rows import entity_of_row
from streams.identity import decisions
from streams.identity.masters import find_master
from streams.model.change import Change
from streams.model.ids import source_id
from streams.resolve.golden import golden
from streams.resolve.rules import EntityRule, Ownership
from streams.stack.native import NativeStack
from tests.factories import changed
from tests.writers import Writers, customer, hub_of_its_own

CUSTOMERS = int(os.environ.get("OPSHUB_TEST_CUSTOMERS", "1000000"))
MERGES = min(10_000, CUSTOMERS // 10)
SHARED = 0.05
OWNERSHIP = Ownership({"customer": EntityRule(("crm", "erp"), match=(("tax_id",),))})
FIRST = 10**11
"""Tax numbers of this test begin here, so that no other test's customer has one of them."""


def said(number: int, system: str, at: int) -> Change:
    fields = {
        "name": f"Company {number}", "legal_name": f"Company {number} GmbH", "tax_id": f"DE{FIRST + number}",
        "phone": f"+49{number}{'0' if system == 'crm' else '1'}", "billing_city": "Berlin", "billing_country": "DE", "currency": "EUR",
    }  # fmt: skip
    return customer(system, f"many-{number}", at, **fields)


def contact(number: int) -> Change:
    parent = source_id("crm", "customer", f"many-{number}")
    key = f"many-{number}"
    return changed("crm", "contact", key, 1, parent=parent, customer_id=parent, last_name="Weber")


def order(number: int) -> Change:
    key = f"many-{number}"
    fields = {
        "customer_id": source_id("crm", "customer", key),
        "number": key,
        "status": "confirmed",
        "net_amount": 10_000,
    }
    return changed("crm", "sales_order", key, 1, **fields)


class Account:
    """What each phase took, with the making of what it says. `changes` counts messages to aggregates' writers, links and refreshes among them."""

    def __init__(self, writers: Writers) -> None:
        self._writers = writers
        self._began = (self._figures(), time.monotonic(), time.process_time())

    async def run(self, name: str) -> None:
        await self._writers.run()
        before, wall_at, cpu_at = self._began
        wall, cpu = time.monotonic() - wall_at, time.process_time() - cpu_at
        now = self._figures()
        count = now["changes_in"] - before["changes_in"]
        figures = {
            "changes": count,
            "wall_s": round(wall, 1),
            "us_a_change": round(wall / count * 1e6, 1),
            "cpu_us_a_change": round(cpu / count * 1e6, 1),
        }
        for cache in ("keys", "same"):
            hits, misses = (now[f"{cache}_{what}"] - before[f"{cache}_{what}"] for what in ("hits", "misses"))
            if hits + misses:
                figures[f"{cache}_hit_rate"] = round(hits / (hits + misses), 4)
        print(f"{name:28} {figures}", flush=True)
        self._began = (now, time.monotonic(), time.process_time())

    def _figures(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for one in self._writers.assembles:
            found.update(changes_in=one.counts["changes_in"])
            found.update(keys_hits=one.committer.matching.hits, keys_misses=one.committer.matching.misses)
            found.update(same_hits=one.committer.sameness.hits, same_misses=one.committer.sameness.misses)
        return found


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_ten_thousand_merges_in_very_many_customers_stay_consistent(
    stack: NativeStack, request: pytest.FixtureRequest
) -> None:
    gc.disable()  # millions of objects that live until the end, none of them in a cycle
    request.addfinalizer(gc.enable)
    address = hub_of_its_own(stack, "very_many")
    writers = Writers(address, OWNERSHIP, workers=2, cache=20_000)
    account = Account(writers)
    draw = random.Random(5)
    shared = {number for number in range(CUSTOMERS) if draw.random() < SHARED}
    chosen = draw.sample(range(CUSTOMERS), 2 * MERGES)
    # One in ten is merged into one that others were merged into, or that is itself merged next.
    merges: list[tuple[int, int]] = []
    for number, loser in enumerate(chosen[:MERGES]):
        other = draw.randrange(number + 1, MERGES) if number + 1 < MERGES else MERGES
        merges.append((loser, chosen[other] if draw.random() < 0.1 else chosen[MERGES + number]))
    with psycopg.connect(address, autocommit=True) as hub:
        for number in range(CUSTOMERS):
            writers.say(said(number, "crm", 1))
            if len(writers.queues[0]) > 50_000:
                await writers.run()
        await account.run("a customer that is new")
        for number in shared:
            writers.say(said(number, "erp", 2))
        await account.run("one of the other system")
        again = draw.sample(range(CUSTOMERS), min(CUSTOMERS, 50_000))
        for at in (3, 4):
            for number in again:
                writers.say(said(number, "crm", at))
            await account.run(f"a change of one, time {at - 2}")
        for number in chosen:
            writers.say(contact(number))
            writers.say(order(number))
        await account.run("contacts and orders")
        ids = {number: source_id("crm", "customer", f"many-{number}") for number in chosen}
        for loser, winner in merges:
            gone, stays = find_master(hub, ids[loser]), find_master(hub, ids[winner])
            writers.send(*decisions.merge(gone, stays))
        await account.run("merges")
        parted = merges[::4]
        for loser, _ in parted:
            writers.send(*decisions.unmerge(find_master(hub, ids[loser])))
        await account.run("splits of a quarter")
        expected = recomputed(shared, [pair for pair in merges if pair not in set(parted)])
        await check(hub, writers, expected)
    await writers.close()


def recomputed(shared: set[int], merges: list[tuple[int, int]]) -> dict[str, set[str]]:
    """The live records of these customers and the sources of each, from what was said and done alone."""
    made = {}
    into = dict(merges)
    for number in range(CUSTOMERS):
        sources = {
            source_id(system, "customer", f"many-{number}")
            for system in (("crm", "erp") if number in shared else ("crm",))
        }
        root = number
        while root in into:
            root = into[root]
        made.setdefault(source_id("crm", "customer", f"many-{root}"), set()).update(sources)
    return made


async def check(hub: psycopg.Connection[Any], writers: Writers, expected: dict[str, set[str]]) -> None:
    """Records, sources, golden values, versions on the topic, references of contacts and flows, match keys: as recomputed."""
    began = time.monotonic()
    seen: set[str] = set()
    disputes: set[str] = set()
    root_of = {source: root for root, sources in expected.items() for source in sources}
    columns = (
        "id::text, entity, aggregate_id::text, parent_id::text, merged_into::text, version, revision, deleted, updated_us,"
        " record::text, contributions::text"
    )
    tombstones = 0
    with hub.transaction(), hub.cursor(name="all") as cursor:
        cursor.itersize = 20_000
        cursor.execute(f"SELECT {columns} FROM entity WHERE entity = 'customer'")
        for row in cursor:
            one = entity_of_row(row)
            if one.id not in root_of:
                continue
            emitted = writers.record(one.id) if one.version else None
            if root_of[one.id] != one.id:
                # Another name of a record: nothing live, its last word on the topic is a tombstone.
                assert one.merged_into is not None, one.id
                assert emitted is None or emitted[1] is None, one.id
                tombstones += emitted is not None
                continue
            assert one.merged_into is None and not one.deleted, one.id
            assert {source for source in one.contributions if source in root_of} == expected[one.id], one.id
            record, conflicts = golden(one, OWNERSHIP)
            disputes |= {conflict.id for conflict in conflicts}
            assert one.record == record, one.id
            assert emitted is not None and emitted[0] == one.version and emitted[1] is not None, one.id
            assert {name: emitted[1][name] for name in record} == record, one.id
            seen.add(one.id)
    assert seen == expected.keys()
    standing = hub.execute("SELECT id::text FROM conflict WHERE resolved_at IS NULL AND kind <> 'match_key'").fetchall()
    assert {row[0] for row in standing} == disputes
    for entity in ("contact", "sales_order", "order_flow"):
        rows = hub.execute(
            "SELECT record->>'customer_id', aggregate_id::text FROM entity WHERE entity = %s AND NOT deleted AND merged_into IS NULL"
            " AND record->>'customer_id' = ANY(%s)", [entity, list(root_of)],
        ).fetchall()  # fmt: skip
        assert len(rows) == 2 * MERGES, entity
        assert {refers for refers, _ in rows} <= seen, entity
        if entity == "contact":
            assert all(refers == aggregate for refers, aggregate in rows)
    for key, holder, linked in hub.execute(
        "SELECT key, holder::text, linked::text[] FROM match_key WHERE key >= %s AND key < %s",
        [f"tax_id=de{FIRST}", f"tax_id=de{FIRST + 10 * CUSTOMERS}"],
    ):
        assert root_of.get(holder) is not None, key
        assert {root_of[one] for one in linked} <= {root_of[holder]}, key
    print(
        f"recomputed {len(seen):,} live customers, {tombstones:,} tombstones, {len(disputes):,} conflicts, in {time.monotonic() - began:.0f} s",
        flush=True,
    )
