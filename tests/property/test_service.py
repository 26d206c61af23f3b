"""A service case is the same in any order of arrival, with writers that die, and as a model of its own has it: the model
reads it off the world that was drawn, not off records.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.flow.service import case_of
from streams.hub.save import DueTime
from streams.hub.service import LastCase, case_id
from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.model.live_row import LiveRow
from streams.pipeline.service_cases import case_change
from streams.resolve.rules import Ownership
from streams.testing import MemoryPipeline, run_now
from streams.verify.compare_hub import expected_records
from streams.verify.comparison import Comparison
from tests.factories import changed
from tests.property.service_world import DAY_US, WORLDS, World, model, rows_of, shown
from tests.property.stories import UNSHRUNK, folded, row


class Cases:
    """What `ServiceCases` does, over a hub in memory: all its live records may concern each case."""

    def __init__(self, pipeline: MemoryPipeline) -> None:
        self.pipeline, self.clock = pipeline, 1

    def make_due(self) -> int:
        """Make the cases that are due; how many changes that gave."""
        hub = self.pipeline.hub
        due = {mark.id for mark in hub.due if mark.kind in ("service_case", "product")}
        hub.due = []
        rows = [
            LiveRow(e.id, e.entity, stored.aggregate_id, e.parent, e.record, sorted({c.system for c in e.contributions.values() if not c.deleted and c.system != "hub"}))
            for stored in hub.entities.values() if (e := stored.entity).version and not e.deleted and e.merged_into is None
        ]  # fmt: skip
        self.clock += 1
        sent = 0
        for root in sorted(self._roots(due)):
            case = case_of(root, rows)
            home = case.order.aggregate_id if case is not None and case.order is not None else ""
            states = run_now(hub.load({home: "order_flow"})) if home else {}
            message = case_change(root, case, states, self._last(root), self.clock)
            if message is not None:
                self.pipeline.send(*message)
                sent += 1
        return sent

    def come_to_rest(self) -> None:
        """Settle and make until nothing is due."""
        for _ in range(20):
            self.pipeline.run()
            while self.is_due():
                self.make_due()
                self.pipeline.run()
            self.look_again()
            if not self.make_due():
                return
        raise AssertionError("cases never come to rest")

    def is_due(self) -> bool:
        return any(mark.kind in ("service_case", "product") for mark in self.pipeline.hub.due)

    def look_again(self) -> None:
        """Mark the cases that name what nobody knows."""
        for stored in self.pipeline.hub.entities.values():
            record = stored.entity.record
            if stored.entity.entity == "service_case" and not stored.entity.deleted and self._seeks(record):
                self.pipeline.hub.due.append(
                    DueTime("service_case", record["service_request_id"] or record["return_order_id"], 0)
                )

    def _seeks(self, record: dict[str, Any]) -> bool:
        named = {"credit_note": record["credit_note_id"], "replacement": record["replacement_order_id"]}
        return any(problem.endswith("_unknown") for problem in record["problems"] or ()) or any(
            id is not None and record[f"{what}_number"] is None for what, id in named.items()
        )

    def _roots(self, due: set[str]) -> set[str]:
        roots = set()
        for stored in self.pipeline.hub.entities.values():
            entity, record = stored.entity.entity, stored.entity.record
            if entity in ("service_request", "return_order") and stored.entity.id in due:
                roots.add(stored.entity.id)
            if entity in ("return_order", "repair") and record.get("service_request_id"):
                if record["service_request_id"] in due and entity == "return_order":
                    roots.add(stored.entity.id)
                if stored.entity.id in due:
                    roots.add(record["service_request_id"])
            if (
                entity == "service_case"
                and record
                and not due.isdisjoint({record["installed_item_id"], record["customer_id"], record["product_id"]})
            ):
                roots.add(record["service_request_id"] or record["return_order_id"])
        return roots

    def _last(self, root: str) -> LastCase | None:
        stored = self.pipeline.hub.entities.get(case_id(root))
        if stored is None:
            return None
        at_us = max((c.major for c in stored.entity.contributions.values()), default=0)
        return LastCase(stored.entity.id, stored.aggregate_id, stored.entity.deleted, stored.entity.record, at_us)


def play(changes: list[Change], data: st.DataObject, crashes: int) -> MemoryPipeline:
    """Changes arrive, writers settle, cases are made, in an order that hypothesis chooses. Some changes come when all
    that came before has come to rest: whatever they do not mark, nobody else marks.
    """
    pipeline = MemoryPipeline()
    cases, waiting = Cases(pipeline), list(changes)
    late = data.draw(st.integers(0, 2))
    while waiting or pipeline.queues:
        if waiting and len(waiting) <= late:
            cases.come_to_rest()
            pipeline.send_change(waiting.pop(0))
            continue
        step = data.draw(st.sampled_from(["arrive", "settle", "settle", "make"]))
        if step == "make":
            cases.make_due()
        elif pipeline.queues and not (step == "arrive" and waiting):
            crash = crashes > 0 and data.draw(st.booleans())
            crashes -= crash
            key = data.draw(st.sampled_from(sorted(pipeline.queues)))
            pipeline.serve(key, data.draw(st.integers(1, 3)), crash=crash)
        elif waiting:
            pipeline.send_change(waiting.pop(0))
    cases.come_to_rest()
    return pipeline


def wrong_by_verify(pipeline: MemoryPipeline) -> list[str]:
    """What `opshub verify` finds wrong with the cases; nothing is in flight."""
    kinds = {stored.aggregate_id: ENTITIES[stored.entity.entity].aggregate for stored in pipeline.hub.entities.values()}
    comparison = Comparison()
    expected_records(run_now(pipeline.hub.load(kinds)), {}, Ownership(), comparison)
    return [example for example in comparison.examples if "service_case" in example]


@settings(max_examples=120, deadline=None, phases=UNSHRUNK)
@given(WORLDS, st.data())
def test_a_case_is_as_the_model_has_it_in_any_order_of_arrival(world: World, data: st.DataObject) -> None:
    changes = data.draw(st.permutations(rows_of(world)))
    pipeline = play(changes, data, data.draw(st.integers(0, 3)))
    (record,) = [record for (entity, _), record in folded(pipeline).items() if entity == "service_case"]
    assert shown(record) == model(world)
    assert pipeline.reversions == []
    assert wrong_by_verify(pipeline) == []


@settings(max_examples=60, deadline=None, phases=UNSHRUNK)
@given(WORLDS, WORLDS, st.data())
def test_what_came_last_counts_whatever_was_before(before: World, after: World, data: st.DataObject) -> None:
    """Every row of one day is changed into that of another by a later change, or deleted."""
    first, second = rows_of(before), rows_of(after)
    kept = {change.id for change in second}
    later = [_at(change, 100) for change in second] + [_at(c, 100, deleted=True) for c in first if c.id not in kept]
    order = data.draw(st.permutations([*first, *later]))
    of_row: dict[str, list[Change]] = {}
    for change in [*first, *later]:
        of_row.setdefault(change.id, []).append(change)
    changes = [of_row[change.id].pop(0) for change in order]
    pipeline = play(changes, data, crashes=1)
    (record,) = [record for (entity, _), record in folded(pipeline).items() if entity == "service_case"]
    assert shown(record) == model(after)


def _at(change: Change, later: int, *, deleted: bool = False) -> Change:
    from msgspec.structs import replace

    return replace(change, major=change.major + later, deleted=deleted, op="d" if deleted else "u")


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.booleans(), st.data())
def test_a_return_without_request_is_a_case_until_its_request_comes(asked: bool, data: st.DataObject) -> None:
    request = source_id("crm", "service_request", "R")
    changes = [
        row("return_order", "T", 1, number="T-1", status="requested", requested_at=DAY_US, service_request_id=request if asked else None),
        changed("crm", "service_request", "R", 1, number="R-1", status="open", opened_at=DAY_US),
    ]  # fmt: skip
    pipeline = play(data.draw(st.permutations(changes)), data, crashes=1)
    cases = [record for (entity, _), record in folded(pipeline).items() if entity == "service_case"]
    assert sorted(record["number"] for record in cases) == (["R-1"] if asked else ["R-1", "T-1"])


def test_verify_names_a_case_that_is_wrong_missing_or_too_many() -> None:
    request = changed("crm", "service_request", "R", 1, number="R-1", status="open", opened_at=DAY_US)
    pipeline = MemoryPipeline()
    pipeline.send_change(request)
    Cases(pipeline).come_to_rest()
    stored = pipeline.hub.entities[case_id(request.id)]
    assert wrong_by_verify(pipeline) == []
    right = stored.entity.record
    stored.entity.record = {**right, "is_open": False}
    assert any("is_open is" in wrong for wrong in wrong_by_verify(pipeline))
    stored.entity.record, stored.entity.deleted = right, True
    assert any("deleted should be False" in wrong for wrong in wrong_by_verify(pipeline))
    del pipeline.hub.entities[case_id(request.id)]
    assert [wrong.split("(")[0] for wrong in wrong_by_verify(pipeline)] == ['lost: service_case "R-1" ']
    stored.entity.deleted = False
    pipeline.hub.entities = {stored.entity.id: stored}
    assert any("deleted should be True" in wrong for wrong in wrong_by_verify(pipeline))
