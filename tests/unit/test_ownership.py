"""Rules by policy and stage, kinds of conflict, and mistakes in ownership.yaml that name file, entity and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.errors import ConfigError
from streams.model.state import Contribution, EntityState
from streams.resolve.golden import golden, is_deleted
from streams.resolve.ownership import load_ownership
from streams.resolve.rules import PEOPLE, EntityRule, FieldRule, Ownership


def entity(*said: Contribution, kind: str = "customer") -> EntityState:
    return EntityState("e", kind, contributions={f"{one.system}-{one.key}": one for one in said}, record={})


def says(
    system: str, at: int = 1, *, deleted: bool = False, edits: dict[str, int] | None = None, **fields: Any
) -> Contribution:
    changed = {name: (0, us, 0, us, "t") for name, us in (edits or {}).items()}
    return Contribution(system, "1", 0, at, 0, at, deleted, fields, first_us=at, changed=changed or None)


def rules(**fields: FieldRule) -> Ownership:
    return Ownership({"customer": EntityRule(("crm", "erp"), fields, window_us=100)})


def test_the_owner_wins_where_it_says_something() -> None:
    record, conflicts = golden(entity(says("crm", phone="1", name=None), says("erp", phone="2", name="E")), rules())
    assert record == {"phone": "1", "name": "E"}
    assert [(one.field, one.kind, one.winner, one.rule) for one in conflicts] == [
        ("phone", "disagreement", "crm", "owner wins")
    ]
    assert conflicts[0].values == {"crm": "1", "erp": "2"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (FieldRule(policy="newest"), "erp says this"),
        (FieldRule(policy="trust", trust={"erp": 9}), "erp says this"),
        (FieldRule(policy="complete"), "erp says this"),
        (FieldRule(rank=("erp", "crm")), "erp says this"),
        (FieldRule(policy="ask"), "crm"),
    ],
)
def test_each_policy(rule: FieldRule, expected: str) -> None:
    record, conflicts = golden(
        entity(says("crm", 1, notes="crm"), says("erp", 2, notes="erp says this")), rules(notes=rule)
    )
    assert record["notes"] == expected
    assert conflicts[0].outcome == ("open" if rule.policy == "ask" else "settled")


def test_sum_and_union_conflict_with_nothing() -> None:
    ownership = rules(
        credit_limit=FieldRule(policy="sum"), tags=FieldRule(policy="union"), attributes=FieldRule(policy="union")
    )
    record, conflicts = golden(
        entity(
            says("crm", credit_limit=5, tags=["a", "b"], attributes={"k": "crm"}),
            says("erp", credit_limit=5, tags=["b", "c"], attributes={"k": "erp", "l": "x"}),
        ),
        ownership,
    )
    assert record == {"credit_limit": 10, "tags": ["a", "b", "c"], "attributes": {"k": "crm", "l": "x"}}
    assert conflicts == []


def test_amounts_belong_to_the_crm_until_the_order_is_confirmed() -> None:
    ownership = load_ownership(Path("connectors/ownership.yaml").resolve())
    for status, expected in (("draft", 1), ("confirmed", 2)):
        order = entity(
            says("demo-crm", net_amount=1, status=None),
            says("demo-erp", net_amount=2, status=status),
            kind="sales_order",
        )
        assert golden(order, ownership)[0]["net_amount"] == expected


def test_kinds_of_conflict() -> None:
    changed = entity(says("crm", 1, phone="1"), says("erp", 1, edits={"phone": 500}, phone="2"))
    assert golden(changed, rules())[1][0].kind == "owned_field_changed"
    both = entity(says("crm", 1, edits={"phone": 450}, phone="1"), says("erp", 1, edits={"phone": 500}, phone="2"))
    assert golden(both, rules())[1][0].kind == "concurrent_edit"
    gone = entity(says("crm", 1, deleted=True, phone="1"), says("erp", 2, phone="1"))
    record, conflicts = golden(gone, rules())
    assert record == {"phone": "1"}
    assert [(one.kind, one.field, one.winner) for one in conflicts] == [("delete_update", "*", "erp")]
    assert not is_deleted(gone, rules())
    assert is_deleted(gone, Ownership({"customer": EntityRule(("crm", "erp"), deletes="owner")}))


def test_a_person_goes_before_all_and_keeps_nothing_alive() -> None:
    record, conflicts = golden(entity(says("crm", phone="1"), says("erp", phone="2"), says(PEOPLE, phone="3")), rules())
    assert record["phone"] == "3"
    assert (conflicts[0].winner, conflicts[0].outcome) == (PEOPLE, "decided")
    assert is_deleted(entity(says("crm", deleted=True), says(PEOPLE, phone="3")), rules())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("entities: {custommer: {}}", "custommer"),
        ("entities: {customer: {fields: {phon: [a]}}}", "customer has no field 'phon'"),
        ("entities: {customer: {fields: {phone: {policy: sum}}}}", "customer.phone is text and can not be summed"),
        ("entities: {customer: {fields: {phone: {policy: trust}}}}", "customer.phone"),
        ("entities: {customer: {fields: {phone: {polcy: sum}}}}", "customer → fields → phone → polcy"),
        ("entities: {customer: {fields: {phone: {stages: {x: [a]}}}}}", "names no `stage` field"),
        ("entities: [", "ownership.yaml"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "ownership.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_ownership(file)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)
