"""Write-back on real servers when something dies, is away or refuses: each intent once, and no other intent is blocked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter

import psycopg
import pytest

from streams.hub.intent_review import pause_scope, resume_scope
from streams.model.ids import source_id
from streams.runtime import health
from streams.runtime.health import Health
from streams.runtime.worker_state import WorkerState
from streams.simulator.setup import dsn_of
from streams.stack.native import NativeStack
from streams.writeback.commands import connect_hub, list_intents
from tests.integration.place import ROOT, Place


def states(place: Place, rule: str, subjects: list[str]) -> Counter[str]:
    """How many of a rule's intents for these subjects are in each state."""
    rows = place.db.execute(
        "SELECT state, count(*) FROM intent WHERE rule = %s AND subject_id = ANY(%s::uuid[]) GROUP BY 1",
        [rule, subjects],
    ).fetchall()
    return Counter({str(state): int(str(count)) for state, count in rows})


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kills", "together"), [(3, 1), (4, 3), pytest.param(200, 2, marks=pytest.mark.slow)])
async def test_nothing_is_done_twice_when_killed_between_the_commits(place: Place, kills: int, together: int) -> None:
    customer, product = await place.customer(), await place.product()
    keys = [await place.win(customer, product) for _ in range((kills + 2) * together)]
    deals = [source_id("demo-crm", "opportunity", key) for key in keys]
    env = dict(os.environ) | {name: value for name, value in place.env.items() if name.startswith("DEMO_")}
    env |= {"PYTHONPATH": str(ROOT), "OPSHUB_FAULT": "deliver.target:kill:2"}
    command = [sys.executable, "-m", "tests.integration.deliver_process", place.hub, "30", str(together)]
    for killed in range(1, kills + 1):
        ended = subprocess.run(command, env=env, cwd=ROOT, timeout=60, check=False)
        assert ended.returncode == -9
        # It noted what the one before it had left, wrote some more in one transaction, and died where it was to die.
        known = states(place, "demo-erp/order_from_opportunity", deals)
        assert (len(place.orders(keys)), known["delivered"]) == ((killed + 1) * together, killed * together)
    async with place.deliverer():
        await place.until(lambda: states(place, "demo-erp/order_from_opportunity", deals)["delivered"] == len(keys), 60)
    assert place.orders(keys) == dict.fromkeys(keys, 1)


async def test_intents_of_one_subject_left_by_a_dead_deliverer_do_not_wait_for_each_other(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    deals = [await place.win(customer, product) for _ in range(3)]
    subjects = [source_id("demo-crm", "customer", customer)]
    rule = "demo-crm/customer_number"
    async with place.deliverer():
        await place.until(lambda: states(place, rule, subjects)["delivered"] == len(deals), 60)
    place.db.execute(
        "UPDATE intent SET done_at = NULL, state = CASE WHEN id = (SELECT max(id) FROM intent WHERE rule = %(rule)s AND subject_id = ANY(%(subjects)s::uuid[]))"
        " THEN 'approved' ELSE 'delivering' END, leased_by = 'dead', lease_until = now() - interval '1 s'"
        " WHERE rule = %(rule)s AND subject_id = ANY(%(subjects)s::uuid[])",
        {"rule": rule, "subjects": subjects},
    )
    assert states(place, rule, subjects) == {"delivering": 2, "approved": 1}
    async with place.deliverer():
        await place.until(lambda: states(place, rule, subjects)["delivered"] == len(deals), 20)


@pytest.mark.timeout(60)
async def test_deliverer_that_is_woken_while_it_is_cancelled_stops(place: Place) -> None:
    async with place.deliverer() as serving:
        now = time.monotonic
        await place.until(lambda: all(now() - began > 0.2 for began in serving.progress.values()))
        for wake in serving._wake.values():
            wake.set()
        await asyncio.sleep(0)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("intents", "seconds"), [(40, 3.0), pytest.param(1000, 60.0, marks=pytest.mark.slow)])
async def test_everything_is_delivered_once_after_a_target_was_down(
    place: Place, stack: NativeStack, intents: int, seconds: float
) -> None:
    customer, product = await place.customer(), await place.product()
    keys = [await place.win(customer, product) for _ in range(intents // 2)]
    deals = [source_id("demo-crm", "opportunity", key) for key in keys]
    rule = "demo-erp/order_from_opportunity"
    async with place.deliverer() as serving:
        await place.until(lambda: states(place, rule, deals)["delivered"] >= 5)
        await asyncio.to_thread(stack.kill, "erp")
        try:
            down = time.monotonic()
            keys += [await place.win(customer, product) for _ in range(intents - len(keys))]
            deals = [source_id("demo-crm", "opportunity", key) for key in keys]
            await asyncio.sleep(max(0.0, seconds - (time.monotonic() - down)))
            before = states(place, rule, deals)
            assert before["delivered"] <= intents // 2
            assert serving.counts["down"]
        finally:
            await asyncio.to_thread(stack.start, "erp")
        place.erp.close()
        place.erp = psycopg.connect(dsn_of(place.env, "DEMO_ERP", "APP"), autocommit=True)
        await place.until(lambda: states(place, rule, deals)["delivered"] == intents, 120)
    assert place.orders(keys) == dict.fromkeys(keys, 1)
    failures = place.db.execute(
        "SELECT sum(failures) FROM intent WHERE rule = %s AND subject_id = ANY(%s::uuid[])", [rule, deals]
    ).fetchone()
    assert failures == (0,)


async def test_row_that_the_target_refuses_blocks_no_other(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    keys = [await place.win(customer, product) for _ in range(6)]
    refused = keys[2]
    deals = [source_id("demo-crm", "opportunity", key) for key in keys]
    rule = "demo-crm/order_state"
    with (
        psycopg.connect(dsn_of(place.env, "DEMO_CRM", "ADMIN"), autocommit=True) as admin,
        connect_hub(place.hub) as hub,
    ):
        admin.execute("ALTER TABLE opportunity ADD CONSTRAINT no_such_number CHECK (erp_order_no <> 'SO-0') NOT VALID")
        pause_scope(hub, "demo-erp", who="ada", reason="only the CRM is looked at here")
        try:
            for key, deal in zip(keys, deals, strict=True):
                number = "SO-0" if key == refused else f"SO-{key}"
                order = place.change("demo-erp", "sales_order", key, deal, number=number, status="confirmed")
                await place.settle("order_flow", deal, order)
            async with place.deliverer() as serving:
                await place.until(lambda: states(place, rule, deals) == {"delivered": 5, "failed": 1})
            assert serving.counts["down"] == 0
        finally:
            admin.execute("ALTER TABLE opportunity DROP CONSTRAINT no_such_number")
            resume_scope(hub, "demo-erp")
        shown = dict(
            place.crm.execute(
                "SELECT id::text, erp_order_no FROM opportunity WHERE id = ANY(%s::uuid[])", [keys]
            ).fetchall()
        )
        assert shown == {key: None if key == refused else f"SO-{key}" for key in keys}
        tries = place.db.execute(
            "SELECT failures, count(*) FROM intent WHERE rule = %s AND subject_id = ANY(%s::uuid[]) GROUP BY 1 ORDER BY 1",
            [rule, deals],
        ).fetchall()
        assert tries == [(0, 5), (1, 1)]
        (failed,) = list_intents(hub, ["failed"], rule=rule)
        assert "no_such_number" in (failed.problem or "")
        assert "23514" in (failed.problem or "")


async def test_deliverer_stalled_at_a_target_is_reported(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DELIVERS_WITHIN", 2.5)
    async with place.deliverer() as serving:
        worker = Health(WorkerState("w", {}, deliverer=serving))
        await asyncio.sleep(4)
        assert worker.problem(ready=True) is None

        async def never() -> bool:
            return await asyncio.Event().wait()

        monkeypatch.setattr(serving._adapters["demo-erp"], "open", never)
        await place.win(await place.customer(), await place.product())
        await place.until(lambda: worker.problem() is not None)
        assert "the deliverer of demo-erp has made no progress" in (worker.problem() or "")


async def test_locked_row_blocks_no_other(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    keys = [await place.win(customer, product) for _ in range(6)]
    locked = keys[0]
    deals = [source_id("demo-crm", "opportunity", key) for key in keys]
    rule = "demo-crm/order_state"
    with psycopg.connect(dsn_of(place.env, "DEMO_CRM", "ADMIN")) as person, connect_hub(place.hub) as hub:
        person.execute("SELECT FROM opportunity WHERE id = %s FOR UPDATE", [locked])
        pause_scope(hub, "demo-erp", who="ada", reason="only the CRM is looked at here")
        try:
            for key, deal in zip(keys, deals, strict=True):
                order = place.change("demo-erp", "sales_order", key, deal, number=f"SO-{key}", status="confirmed")
                await place.settle("order_flow", deal, order)
            async with place.deliverer() as serving:
                await place.until(lambda: states(place, rule, deals)["delivered"] == 5, 15)
                assert serving.breakers["demo-crm"].failures == 0
                await place.until(lambda: any("55P03" in (intent.problem or "") for intent in list_intents(hub, ["approved", "failed", "delivering"], rule=rule)), 15)  # fmt: skip
                person.rollback()
                await place.until(lambda: states(place, rule, deals) == {"delivered": 6})
        finally:
            resume_scope(hub, "demo-erp")
