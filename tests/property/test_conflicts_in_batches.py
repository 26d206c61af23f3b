"""What is logged of a dispute does not depend on which changes came in one batch, with write-back's echoes and its rules among them."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.intent import NewIntent
from streams.model.state import AggregateState, Conflict
from streams.resolve.rules import EntityRule, FieldPolicy, FieldRule, Ownership
from streams.writeback.planner import IntentPlanner
from streams.writeback.rules import WritebackConfig, WritebackRule
from tests.factories import changed
from tests.settled import settle_changes

CRM = source_id("crm", "customer", "1")
FIELDS = ("phone", "email")
POLICIES: list[FieldPolicy] = ["owner", "newest", "trust", "complete", "ask"]


def planner(*targets: str, fields: tuple[str, ...] = FIELDS, mode: str = "live", **more: Any) -> IntentPlanner:
    """A live rule for each of these systems that gives it the fields of a customer."""
    table = {"table": "t", "key": "id", "columns": {field: field for field in fields}}
    values = {field: f"record.{field}" for field in fields}
    rule = WritebackRule.model_validate(
        {"entity": "customer", "values": values, "sql": {"update": table}, "mode": mode}
    )
    target = {"adapter": "sql", "host": "h", "port": "1", "dbname": "d", "user": "u", "password": "p"}
    return IntentPlanner(
        {
            system: WritebackConfig.model_validate({"system": system, "target": target, "rules": {"fields": rule}})
            for system in targets
        },
        **more,
    )


def says(system: str, major: int, at_s: int, origin: str | None = None, op: Any = "u", **fields: Any) -> Change:
    return changed(
        system, "customer", "1", major, op=op, source_us=at_s * 1_000_000, tx=f"tx{major}", origin=origin,
        same_as=None if system == "crm" else CRM, **fields,
    )  # fmt: skip


class Hub:
    """The one writer of a customer: every conflict that it logs, by id the last, and every intent."""

    def __init__(self, ownership: Ownership, rules: IntentPlanner) -> None:
        self.state = AggregateState(CRM, "customer", members={}, sources={})
        self.logged: dict[str, Conflict] = {}
        self.intents: list[NewIntent] = []
        self.turns: list[tuple[str, str, int]] = []
        self._ownership, self._rules = ownership, rules

    def batch(self, *changes: Change) -> list[Conflict]:
        settled = settle_changes(self.state, *changes, ownership=self._ownership, planner=self._rules)
        self.logged |= settled.conflicts
        self.intents += settled.intents
        self.turns += [(turn.conflict.field, turn.target, turn.at_us) for turn in settled.turns]
        return list(settled.conflicts.values())

    def conflicts(self) -> set[tuple[str, ...]]:
        return {
            (one.id, one.field, one.kind, str(one.values), str(one.winner), one.outcome) for one in self.logged.values()
        }


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Change], Ownership, IntentPlanner]:
    changes, at = [], 0
    for major in range(1, draw(st.integers(4, 12))):
        at += draw(st.sampled_from([1, 30, 300]))
        values = {field: draw(st.sampled_from(["a", "bb", "ccc", None])) for field in FIELDS}
        origin = draw(st.sampled_from([None, None, "opshub"]))
        op = draw(st.sampled_from(["u", "u", "r"]))
        changes.append(says(draw(st.sampled_from(["crm", "erp"])), major, at, origin, op, **values))
    rules = {name: FieldRule(policy=draw(st.sampled_from(POLICIES)), trust={"crm": 1, "erp": 2}) for name in FIELDS}
    rank = draw(st.sampled_from([("crm", "erp"), ("erp", "crm")]))
    targets = draw(st.sampled_from([(), ("crm",), ("erp",), ("crm", "erp")]))
    return changes, Ownership({"customer": EntityRule(rank, rules)}), planner(*targets)


@settings(max_examples=300, deadline=None)
@given(stories(), st.data())
def test_any_batches_log_the_same(story: tuple[list[Change], Ownership, IntentPlanner], data: st.DataObject) -> None:
    changes, ownership, rules = story
    one_by_one = Hub(ownership, rules)
    for change in changes:
        one_by_one.batch(change)
    together = Hub(ownership, rules)
    rest = list(changes)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        together.batch(*rest[:size])
        del rest[:size]
    assert together.conflicts() == one_by_one.conflicts()


OWNED = Ownership({"customer": EntityRule(("erp", "crm"))})


def begun(ownership: Ownership, rules: IntentPlanner) -> Hub:
    hub = Hub(ownership, rules)
    hub.batch(says("crm", 1, 1, phone="1"), says("erp", 2, 2, phone="1"))
    return hub


def test_what_two_people_changed_at_once_is_logged_though_a_rule_is_to_overwrite_one_of_them() -> None:
    for batches in ([2], [1, 1]):
        hub = begun(OWNED, planner("crm"))
        changes = [says("crm", 3, 100, phone="A"), says("erp", 4, 101, phone="B")]
        for size in batches:
            hub.batch(*changes[:size])
            del changes[:size]
        assert {(one.kind, one.values["crm"], one.values["erp"]) for one in hub.logged.values()} == {
            ("owned_field_changed", "A", "1"),
            ("concurrent_edit", "A", "B"),
        }
        assert [one.target for one in hub.intents] == ["crm"]


def test_what_the_owner_says_is_no_conflict_while_it_is_on_its_way() -> None:
    hub = begun(OWNED, planner("crm"))
    assert hub.batch(says("erp", 3, 100, phone="B")) == []
    assert hub.batch(says("erp", 4, 101, phone="B", email="e")) == [], (
        "it is still on its way when something else is said"
    )
    assert hub.batch(says("crm", 5, 102, "opshub", phone="b")) == []
    (told,) = hub.batch(says("erp", 6, 103, phone="B", email="f"))
    assert (told.field, told.kind) == ("phone", "disagreement"), "write-back was there, and they still differ"


def test_a_disagreement_that_nothing_is_to_end_is_logged() -> None:
    hub = begun(OWNED, planner("crm", fields=("email",)))
    assert [one.field for one in hub.batch(says("erp", 3, 100, phone="B"))] == ["phone"]
    read = Hub(OWNED, planner("crm"))
    told = read.batch(says("crm", 1, 1, op="r", phone="1"), says("erp", 2, 2, op="r", phone="2"))
    assert [one.field for one in told] == ["phone"], "what a snapshot read is not written back"


def test_where_the_newest_word_stands_nobody_owns_the_field() -> None:
    newest = Ownership({"customer": EntityRule(("crm", "erp"), {"phone": FieldRule(policy="newest")})})
    hub = begun(newest, planner())
    (told,) = hub.batch(says("erp", 3, 1000, phone="B"))
    assert told.kind == "disagreement"


def loop(hub: Hub, rounds: int, every_s: int = 5) -> None:
    """Two systems that each write over the other's value, as the other's write-back brings it."""
    major, at = 2, 1000
    for _ in range(rounds):
        for system, other, value in (("crm", "erp", "A"), ("erp", "crm", "B")):
            major, at = major + 2, at + every_s
            hub.batch(says(system, major, at, phone=value))
            hub.batch(says(other, major + 1, at + 1, "opshub", phone=value))


def test_each_edit_that_write_back_writes_over_is_a_turn() -> None:
    newest = Ownership({"customer": EntityRule(("crm", "erp"), {"phone": FieldRule(policy="newest")})})
    hub = begun(newest, planner("crm", "erp"))
    loop(hub, 4)
    assert len(hub.intents) == 8
    assert [(field, target) for field, target, _ in hub.turns] == [("phone", "crm"), ("phone", "erp")] * 3 + [
        ("phone", "crm")
    ]
    assert len(set(hub.turns)) == 7
    shadow = begun(newest, planner("crm", "erp", mode="shadow"))
    loop(shadow, 4)
    assert (len(shadow.intents), shadow.turns) == (8, [])


def test_each_new_value_that_is_restored_is_a_turn_and_one_edit_is_one() -> None:
    restored = Ownership({"customer": EntityRule(("erp", "crm"), {"phone": FieldRule(restore=True)})})
    hub = begun(restored, planner("crm", restored=restored.restored))
    for number in range(4):
        hub.batch(says("crm", 10 + 2 * number, 1000 + number, phone=f"X{number}"))
        hub.batch(says("crm", 11 + 2 * number, 1000 + number, "opshub", phone="1"))
    assert len(hub.intents) == len(set(hub.turns)) == 4
    # What the owner says to and fro afterwards, and what it says twice before the first is delivered, takes none.
    for number in range(4):
        hub.batch(says("erp", 30 + number, 2000 + number, phone=f"Y{number}"))
    assert (len(hub.intents), len(set(hub.turns))) == (8, 4)
    hub.batch(says("crm", 40, 3000, phone="Z"))
    for number in range(4):
        hub.batch(says("erp", 50 + number, 3001 + number, phone=f"Y{number}"))
    assert len(set(hub.turns)) == 5
