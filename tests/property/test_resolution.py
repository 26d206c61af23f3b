"""Resolution is pure: any interleaving of what two systems said gives one golden record and one set of conflicts."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.change import Change
from streams.model.state import EntityState
from streams.resolve.contribution import merge
from streams.resolve.golden import golden, is_deleted
from streams.resolve.rules import EntityRule, FieldPolicy, FieldRule, Ownership
from tests.factories import changed

POLICIES: list[FieldPolicy] = ["owner", "newest", "trust", "complete", "ask"]
FIELDS = ("name", "phone", "email")


def say(system: str, major: int, at: int, deleted: bool, fields: dict[str, Any]) -> Change:
    return changed(system, "customer", "1", major, source_us=at, tx=f"tx{major}", deleted=deleted, **fields)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Change], list[Change], Ownership]:
    sides = []
    for system in ("crm", "erp"):
        at, changes = 0, []
        for major in range(1, 6):
            at += draw(st.integers(1, 90)) * 1_000_000
            said = draw(st.sets(st.sampled_from(FIELDS), min_size=1 if major > 1 else 3))
            fields = {name: draw(st.sampled_from(["a", "bb", "ccc", None])) for name in sorted(said)}
            changes.append(say(system, major, at, draw(st.integers(0, 9)) == 0, fields))
        sides.append(changes)
    rules = {name: FieldRule(policy=draw(st.sampled_from(POLICIES)), trust={"crm": 1, "erp": 2}) for name in FIELDS}
    rule = EntityRule(("crm", "erp"), rules, deletes=draw(st.sampled_from(["all", "owner"])))
    return sides[0], sides[1], Ownership({"customer": rule})


def outcome(changes: list[Change], ownership: Ownership) -> tuple[Any, ...]:
    entity = EntityState("e", "customer", contributions={}, record={})
    for change in changes:
        merge(entity, change)
    record, conflicts = golden(entity, ownership)
    return (
        record,
        {(one.id, one.kind, one.winner, one.rule, one.outcome) for one in conflicts},
        is_deleted(entity, ownership),
    )


@settings(max_examples=300, deadline=None)
@given(histories(), st.data())
def test_any_interleaving_of_two_systems_gives_one_result(
    told: tuple[list[Change], list[Change], Ownership], data: st.DataObject
) -> None:
    left, right, ownership = told
    mixed: list[Change] = []
    first, second = list(left), list(right)
    while first or second:
        take_first = bool(first) and (not second or data.draw(st.booleans()))
        mixed.append((first if take_first else second).pop(0))
    assert outcome(mixed, ownership) == outcome(left + right, ownership) == outcome(right + left, ownership)


def test_all_252_interleavings_of_ten_changes() -> None:
    left = [say("crm", n, n * 7_000_000, False, {"phone": f"c{n}", "name": "x", "email": "e"}) for n in range(1, 6)]
    right = [say("erp", n, n * 11_000_000, n == 4, {"phone": f"e{n}", "name": "y", "email": "e"}) for n in range(1, 6)]
    rules = {"phone": FieldRule(policy="newest"), "name": FieldRule()}
    ownership = Ownership({"customer": EntityRule(("crm", "erp"), rules)})

    def mixes(one: list[Change], other: list[Change]) -> list[list[Change]]:
        if not one or not other:
            return [one + other]
        return [[one[0], *rest] for rest in mixes(one[1:], other)] + [
            [other[0], *rest] for rest in mixes(one, other[1:])
        ]

    every = mixes(left, right)
    assert len(every) == 252
    expected = outcome(every[0], ownership)
    assert all(outcome(mix, ownership) == expected for mix in every)
    record, conflicts, deleted = expected
    assert record == {"phone": "e5", "name": "x", "email": "e"}
    assert {kind for _, kind, *_ in conflicts} == {"concurrent_edit", "disagreement"}
    assert not deleted
