"""Rules of the business on a real hub: a broken one is a conflict until it is mended, and the hub's SQL finds the same ones."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from streams.flow.invariants import HEADER, INVOICED, ORDERED, PAID, SETTLED, SHIPPED, InvariantLimits
from streams.hub.order_flows import stuck_flows
from streams.hub.store import HubStore
from streams.identity import conflict_inbox
from streams.model.change import Change
from streams.model.ids import source_id
from streams.pipeline.assemble import Assemble
from streams.pipeline.ingest import now_us
from streams.pipeline.invariant_checks import InvariantChecks, broken_rules
from streams.pipeline.refreshes import refreshes
from streams.resolve.golden import Ownership
from streams.writeback.commands import connect_hub
from tests.integration.place import Place
from tests.writers import Sent

EURO, PIECE = 10_000, 1_000_000


async def test_broken_rule_is_a_conflict_until_it_holds(place: Place) -> None:
    store, own = HubStore(place.hub, "test"), HubStore(place.hub, "test-checking")
    told: list[str] = []

    def message(*of: Any) -> tuple[Any, ...]:
        return "a topic", b"", b""

    assemble = Assemble(store, lambda change: change, lambda change: b"", message, Ownership(), 100, message)  # type: ignore[arg-type, return-value]
    checking = InvariantChecks(own, assemble, InvariantLimits(), message, quiet_s=0)  # type: ignore[arg-type]
    number = uuid.uuid4().hex[:8]
    order = source_id("demo-erp", "sales_order", number)
    head = {"number": f"SO-{number}", "status": "confirmed"}

    async def say(*changes: Change) -> list[tuple[str, str, str]]:
        await assemble.step([Sent("changes.order_flow", order, change) for change in changes])
        while await checking.check():
            pass
        found = conflict_inbox.standing(place.db, kind="invariant", limit=1000)
        told[:] = [one.outcome for one in found if one.aggregate_id == order]
        return [(one.entity_id, one.field, one.rule) for one in found if one.aggregate_id == order]

    line = place.change("demo-erp", "sales_order_line", number, order, line_no=1, quantity=PIECE, net_amount=9 * EURO)
    wrong = place.change("demo-erp", "sales_order", number, **head, net_amount=10 * EURO)
    assert await say(line, wrong) == [(order, "net_amount", HEADER)]
    assert told == ["open"]
    # Seen again it is the same conflict; of an aggregate that two systems speak of, it outlives what is settled there.
    assert await say(place.change("demo-erp", "sales_order", number, **head, net_amount=10 * EURO, owner="GH")) == [
        (order, "net_amount", HEADER)
    ]
    assert await say(place.change("demo-erp", "sales_order", number, **head, net_amount=9 * EURO)) == []
    (over,) = [
        one for one in conflict_inbox.standing(place.db, kind="invariant", past=True) if one.aggregate_id == order
    ]
    assert (over.outcome, over.turns, bool(over.resolved_at)) == ("over", 0, True)
    await store.close()
    await own.close()


async def test_flows_of_a_killed_worker_are_checked_by_another(place: Place) -> None:
    store, own = HubStore(place.hub, "test"), HubStore(place.hub, "test-checking")

    def message(*of: Any) -> tuple[Any, ...]:
        return "a topic", b"", b""

    def worker() -> tuple[Assemble, InvariantChecks]:
        assemble = Assemble(store, lambda change: change, lambda change: b"", message, Ownership(), 100, message)  # type: ignore[arg-type, return-value]
        return assemble, InvariantChecks(own, assemble, InvariantLimits(), message, quiet_s=0)  # type: ignore[arg-type]

    def seen(order: str) -> list[str]:
        return [
            one.rule
            for one in conflict_inbox.standing(place.db, kind="invariant", limit=1000)
            if one.aggregate_id == order
        ]

    def later(seconds: int) -> None:
        place.db.execute("UPDATE due SET at = at - make_interval(secs => %s)", [seconds])

    def due(order: str) -> int:
        return len(place.db.execute("SELECT FROM due WHERE kind = 'flow' AND id = %s", [order]).fetchall())

    later(1000)
    killed, _ = worker()
    heir, checking = worker()
    while await checking.take_over() or await checking.check():
        pass
    number = uuid.uuid4().hex[:8]
    order = source_id("demo-erp", "sales_order", number)
    head = {"number": f"SO-{number}", "status": "confirmed"}
    line = place.change("demo-erp", "sales_order_line", number, order, line_no=1, quantity=PIECE, net_amount=9 * EURO)
    wrong = place.change("demo-erp", "sales_order", number, **head, net_amount=10 * EURO)
    await killed.step([Sent("changes.order_flow", order, change) for change in (line, wrong)])
    # While whoever changed it may still look, nobody else does.
    assert (await checking.take_over(), await checking.check(), seen(order), due(order)) == (0, 0, [], 1)
    later(100)
    assert (await checking.take_over(), await checking.check(), seen(order), due(order)) == (1, 1, [HEADER], 0)
    assert (await checking.take_over(), await checking.check()) == (0, 0)
    # A won opportunity may be without its order for a while: that it is to be looked at again outlives the worker, too.
    deal = source_id("demo-crm", "opportunity", number)
    won = place.change("demo-crm", "opportunity", number, number=number, stage="won")
    await heir.step([Sent("changes.order_flow", deal, won)])
    assert (await checking.check(), seen(deal), due(deal)) == (1, [], 1)
    _, third = worker()
    later(100)
    assert await third.take_over() == 0
    later(300)
    assert (await third.take_over(), await third.check(), due(deal)) == (1, 1, 1)
    await store.close()
    await own.close()


async def test_deal_whose_order_waits_for_approval_is_neither_broken_nor_stuck(place: Place) -> None:
    store, own = HubStore(place.hub, "test"), HubStore(place.hub, "test-checking")

    def message(*of: Any) -> tuple[Any, ...]:
        return "a topic", b"", b""

    assemble = Assemble(store, lambda change: change, lambda change: b"", message, Ownership(), 100, message)  # type: ignore[arg-type, return-value]
    checking = InvariantChecks(own, assemble, InvariantLimits(order_within_us=200_000), message, quiet_s=0)  # type: ignore[arg-type]
    number = uuid.uuid4().hex[:8]
    deal = source_id("demo-crm", "opportunity", number)
    key = f"demo-erp/order_from_opportunity:{deal}"
    place.db.execute(
        "INSERT INTO intent (key, rule, target, entity, entity_id, aggregate_id, subject_id, version, cause_us, state)"
        " VALUES (%s, 'demo-erp/order_from_opportunity', 'demo-erp', 'opportunity', %s, %s, %s, 1, 0, 'waiting')",
        [key, deal, deal, deal],
    )
    won = place.change("demo-crm", "opportunity", number, number=number, stage="won", won_at=1)
    await assemble.step([Sent("changes.order_flow", deal, won)])

    async def told() -> tuple[list[str], list[str], list[str]]:
        await asyncio.sleep(0.5)
        while await checking.check():
            pass
        logged = [
            one.rule
            for one in conflict_inbox.standing(place.db, kind="invariant", limit=1000)
            if one.aggregate_id == deal
        ]
        with connect_hub(place.hub) as hub:
            rows = broken_rules(hub, InvariantLimits(order_within_us=200_000), limit=1_000_000)
            stuck = stuck_flows(hub, {"won": 60.0}, limit=1_000_000)
        return (
            logged, [row.rule for row in rows if row.id == deal], [row.stage for row in stuck if row.number == number],
        )  # fmt: skip

    assert await told() == ([], [], [])
    place.db.execute("UPDATE intent SET state = 'rejected' WHERE key = %s", [key])
    assert await told() == ([ORDERED], [ORDERED], ["won"])
    await store.close()
    await own.close()


async def test_flow_is_stuck_by_the_time_in_its_stage_whatever_else_changes(place: Place) -> None:
    number, day = uuid.uuid4().hex[:8], 86_400 * 1_000_000
    order = source_id("demo-erp", "sales_order", number)
    shipment = source_id("demo-erp", "shipment", number)
    head = {"number": number, "status": "shipped", "created_at": now_us() - 90 * day}
    await place.settle(
        "order_flow", order, place.change("demo-erp", "sales_order", number, **head),
        place.change("demo-erp", "shipment", number, order, status="shipped", shipped_at=now_us() - 20 * day),
    )  # fmt: skip
    await place.settle(
        "order_flow", order, place.change("demo-erp", "sales_order", number, **head, notes="called them")
    )

    def stuck(**days: float) -> list[tuple[str, int]]:
        with connect_hub(place.hub) as hub:
            rows = stuck_flows(hub, {stage: limit * 86_400 for stage, limit in days.items()}, limit=1_000_000)
        return [(row.stage, row.in_stage_s // 86_400) for row in rows if row.number == number]

    assert stuck(shipped=14, ordered=1) == [("shipped", 20)]
    assert stuck(shipped=21, ordered=1) == []
    assert stuck(ordered=1) == []
    await place.settle(
        "order_flow", order,
        place.change("demo-erp", "shipment", number, order, status="delivered", shipped_at=now_us() - 20 * day, delivered_at=now_us() - day),
    )  # fmt: skip
    assert stuck(shipped=14, delivered=14) == []
    assert shipment in {
        row[0] for row in place.db.execute("SELECT id::text FROM entity WHERE aggregate_id = %s", [order])
    }


async def test_flow_that_was_joined_by_older_rules_is_joined_again_on_refresh(place: Place) -> None:
    number = uuid.uuid4().hex[:8]
    order = source_id("demo-erp", "sales_order", number)
    await place.settle(
        "order_flow", order, place.change("demo-erp", "sales_order", number, number=number, status="shipped")
    )
    place.db.execute(
        "INSERT INTO refresh_due (aggregate_id, ref, entity) "
        "SELECT aggregate_id, aggregate_id, entity FROM entity WHERE entity = 'order_flow' AND NOT deleted"
    )
    rows = place.db.execute("DELETE FROM refresh_due RETURNING aggregate_id::text, entity").fetchall()
    ((_, _, message),) = [one for one in refreshes([(row[0], row[0], row[1]) for row in rows]) if one[1] == order]
    place.db.execute(
        "UPDATE entity SET record = record - 'stage_since' WHERE entity = 'order_flow' AND aggregate_id = %s", [order]
    )
    await place.settle("order_flow", order, message)
    (found,) = place.db.execute(
        "SELECT record ? 'stage_since' FROM entity WHERE entity = 'order_flow' AND aggregate_id = %s", [order]
    ).fetchall()
    assert found == (True,)


async def test_whole_hub_is_checked_by_the_rules_of_single_flows(place: Place) -> None:
    number = uuid.uuid4().hex[:8]
    order = source_id("demo-erp", "sales_order", number)
    line = source_id("demo-erp", "sales_order_line", number)
    invoice = source_id("demo-erp", "invoice", number)
    await place.settle(
        "order_flow", order,
        place.change("demo-erp", "sales_order", number, number=number, status="confirmed", net_amount=30 * EURO),
        place.change("demo-erp", "sales_order_line", number, order, line_no=7, quantity=PIECE, net_amount=20 * EURO),
        place.change("demo-erp", "shipment", number, order, status="shipped"),
        place.change("demo-erp", "shipment_line", number, source_id("demo-erp", "shipment", number), order_line_id=line, quantity=2 * PIECE),
        place.change("demo-erp", "invoice", number, order, number=f"I-{number}", status="paid", net_amount=60 * EURO, open_amount=9 * EURO),
        place.change("demo-erp", "payment", number, invoice, number="P", invoice_id=source_id("demo-erp", "invoice", "none"), amount=1),
    )  # fmt: skip
    ids = {row[0] for row in place.db.execute("SELECT id::text FROM entity WHERE aggregate_id = %s", [order])}
    with connect_hub(place.hub) as hub:
        found = [row for row in broken_rules(hub, InvariantLimits(), limit=1_000_000) if row.id in ids]
        off = InvariantLimits(off=frozenset({HEADER}))
        assert HEADER not in {row.rule for row in broken_rules(hub, off, limit=1_000_000)}
    assert {(row.rule, row.number, row.actual, row.expected) for row in found} == {
        (HEADER, number, 30 * EURO, 20 * EURO),
        (SHIPPED, "7", 2 * PIECE, PIECE),
        (INVOICED, number, 60 * EURO, 40 * EURO),
        (PAID, "P", None, None),
        (SETTLED, f"I-{number}", 9 * EURO, "paid"),
    }
