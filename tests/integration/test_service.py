"""Service cases on a real hub: what the statements find is what the model has, in any order of arrival."""

from __future__ import annotations

import random
from typing import Any

import pytest

from streams.cli.flow import _print as print_flow
from streams.cli.service import print_case
from streams.errors import ConfigError
from streams.hub.order_flows import find_flows
from streams.hub.service import WantedCases, after_of, cases_of_flow, find_cases, list_cases
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.resolve.rules import Ownership
from streams.verify.compare import _load_hub
from streams.verify.compare_hub import expected_records
from streams.verify.comparison import Comparison
from streams.writeback.commands import connect_hub
from tests.integration.place import Place
from tests.integration.test_sums import Worker, worker
from tests.property.service_world import ASKED, DAY_US, World, erp, model, rows_of, shown
from tests.property.stories import row as changed_row

__all__ = ["worker"]


@pytest.fixture(autouse=True)
def empty(place: Place) -> None:
    """Each test begins with an empty hub: all worlds have the same keys."""
    place.db.execute("TRUNCATE entity, identity, due, refresh_due, match_key, conflict")


def messages_of(change: Change) -> list[tuple[str, str, Change]]:
    """As ingest sends a change whose parent it does not know: to the parent's own id, with a link from its own."""
    kind, home = ENTITIES[change.entity].aggregate, change.parent or change.id
    link = Change(
        "link",
        change.entity,
        change.id,
        change.system,
        change.key,
        "u",
        change.epoch,
        change.major,
        change.minor,
        target=home,
    )
    return [(kind, home, change)] + ([(kind, change.id, link)] if home != change.id else [])


async def settle_cases(worker: Worker) -> None:
    """Make what is due until nothing is."""
    for _ in range(20):
        await worker.sum()
        await worker.summing.cases.look_again()
        if not worker.place.db.execute("SELECT 1 FROM due WHERE kind <> 'flow' AND changes > 0 LIMIT 1").fetchone():
            return
    raise AssertionError("something is always due")


def cases(place: Place) -> list[dict[str, Any]]:
    rows = place.db.execute(
        "SELECT record FROM entity WHERE entity = 'service_case' AND NOT deleted AND version > 0 ORDER BY id"
    )
    return [record for (record,) in rows.fetchall()]


def drawn(seed: int) -> World:
    chance = random.Random(seed)
    pick = chance.choice
    return World(
        pick([None, "id", "number", "wrong"]), pick([None, "id", "serial", "wrong"]), pick([None, "X", "K"]), pick([1, 2, 3]),
        pick([None, 55]), pick([None, ASKED - 1, ASKED]),
        pick([None, ("all", ASKED - 9, None), ("product", ASKED - 9, ASKED - 1), ("item", ASKED - 9, ASKED + 9), ("other", 0, None)]),
        pick([None, 0, 2]), pick([None, 1, 3]), pick(["open", "closed"]), pick([None, 1, 4]), pick([True, False]),
        pick([None, "S-1", "S-9"]), pick(["requested", "received", "credited", "cancelled"]), pick([None, "credit", "replacement"]),
        pick([None, "confirmed", "cancelled"]),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
async def test_the_hub_finds_what_the_model_has(worker: Worker, seed: int) -> None:
    world, chance = drawn(seed), random.Random(seed)
    changes = rows_of(world)
    chance.shuffle(changes)
    for at, change in enumerate(changes):
        await worker.say(*messages_of(change))
        if at == len(changes) // 2 or at >= len(changes) - 2:
            await settle_cases(worker)  # what comes later must be found by itself
    await settle_cases(worker)
    (case,) = cases(worker.place)
    assert shown(case) == model(world)
    assert _wrong_by_verify(worker.place) == []


def _wrong_by_verify(place: Place) -> list[str]:
    states, same = _load_hub(place.hub)
    comparison = Comparison()
    expected_records(states, same, Ownership(), comparison)
    return [example for example in comparison.examples if "service_case" in example]


async def test_a_case_follows_its_order_and_its_stock(worker: Worker) -> None:
    world = drawn(0)._replace(
        names_order_by="number", names_item_by=None, names_product="X", status="open", wanted=1, free=0, returned=None, delivered=None,
        contract=None,
    )  # fmt: skip
    for change in rows_of(world):
        await worker.say(*messages_of(change))
    await settle_cases(worker)
    (case,) = cases(worker.place)
    assert (case["part_available"], case["order_stage"], case["delivered_at"]) == ("no", "partially_shipped", None)
    assert worker.place.db.execute(
        "SELECT aggregate_id::text FROM entity WHERE entity = 'service_case'"
    ).fetchone() == (erp("sales_order", "A"),)
    sent = {"number": "D-1", "status": "delivered", "shipped_at": 49 * DAY_US, "delivered_at": 51 * DAY_US}
    stock = {"warehouse": "W1", "available": 5_000_000, "product_id": erp("product", "X")}
    await worker.say(*messages_of(changed_row("shipment", "H", 9, ("sales_order", "A"), **sent)))
    await worker.say(*messages_of(changed_row("inventory_level", "L", 9, ("product", "X"), **stock)))
    await settle_cases(worker)
    (case,) = cases(worker.place)
    assert (case["part_available"], case["available_by_warehouse"], case["delivered_at"]) == (
        "yes",
        {"W1": "5"},
        51 * DAY_US,
    )
    (flow,) = worker.place.db.execute(
        "SELECT record FROM entity WHERE entity = 'order_flow' AND id <> aggregate_id AND record->>'order_number' = 'SO-1'"
    ).fetchone()
    assert flow["service_request_count"] == 1
    assert "service requested" in [event["what"] for event in flow["timeline"]]


async def test_people_list_and_find_cases(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    world = drawn(0)._replace(
        names_order_by="number", names_item_by="wrong", names_product="X", status="open", returned=1, return_status="received",
        return_names_order=True, leads_to="credit", warranty_until=None, contract=("all", ASKED - 9, ASKED - 1),
    )  # fmt: skip
    for change in rows_of(world):
        await worker.say(*messages_of(change))
    await settle_cases(worker)
    with connect_hub(worker.place.hub) as hub:
        everything = list_cases(hub, WantedCases(open=True, limit=1))
        assert after_of(everything, 1) is not None
        assert list_cases(hub, WantedCases(open=True, after=after_of(everything, 1))) == []
        for wanted in (
            WantedCases(problem="item_unknown"), WantedCases(customer="ada"), WantedCases(product="X-1"), WantedCases(kind="return"),
        ):  # fmt: skip
            assert list_cases(hub, wanted) == everything
        for nobody in (WantedCases(problem="order_unknown"), WantedCases(customer="Bob"), WantedCases(kind="repair")):
            assert list_cases(hub, nobody) == []
        with pytest.raises(ConfigError, match="no problem"):
            list_cases(hub, WantedCases(problem="bad"))
        assert find_cases(hub, "r-1") == find_cases(hub, "T-1") == everything
        (flow,) = find_flows(hub, "SO-1")
        print_flow(flow, cases_of_flow(hub, flow.aggregate_id))
    printed = capsys.readouterr().out
    for words in ("service case R-1  return, open", "      waits for: credit note or replacement", "goods came back"):
        assert words in printed
    print_case(everything[0])
    printed = capsys.readouterr().out
    assert "waits for: credit note or replacement" in printed
    for words in ("R-1  return, open  Ada Pumps", "order SO-1", "no warranty any more until 1970-04-10, contract W-1",
                  "return T-1 received, came back 1970-04-13; credit note N-1", "does not fit: item unknown"):  # fmt: skip
        assert words in printed
