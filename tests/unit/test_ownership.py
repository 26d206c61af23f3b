"""Rules by policy and stage, kinds of conflict, and mistakes in ownership.yaml that name file, entity and field."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer

from streams.cli import map as map_verbs
from streams.cli import plan as plan_verbs
from streams.errors import ConfigError
from streams.model.names import PEOPLE
from streams.model.state import Contribution, EntityState
from streams.resolve.golden import golden, is_deleted
from streams.resolve.ownership import load_ownership, read_ownership
from streams.resolve.rules import EntityRule, FieldRule, Ownership


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


MISTAKES = """\
flip_flop_turns: 1
entities:
  customer:
    owner: [demo-cmr, demo-erp, demo-erp]
    match: [[email_domain], [tax_ids], [], [active, name]]
    widnow_seconds: 5
    fields:
      tax_id: {policy: trust, trust: {demo-epr: 5}}
      phone: [demo-erp]
      phone: [demo-crm]
      notes: {policy: newst, owner: [demo-crm], lgo: false}
      email: {trust: {demo-crm: 1}}
      tags: {policy: union, restore: true}
      currency: {owner: [1, 2]}
  contact: {match: [[email]]}
  sales_order:
    stage: status
    fields:
      net_amount: {stages: {drfat: [demo-crm], draft: {owner: [demo-cmr]}}}
  order_flow: {owner: [demo-erp]}
  invoise: {owner: [demo-erp]}
"""


def test_every_mistake_is_told_at_once_with_its_line_and_what_would_be_right(tmp_path: Path) -> None:
    for system in ("demo-crm", "demo-erp"):
        (tmp_path / system).mkdir()
        (tmp_path / system / "dictionary.yaml").touch()
    file = tmp_path / "ownership.yaml"
    file.write_text(MISTAKES, encoding="utf-8")
    told = [
        (one.line, one.field.removeprefix("entities."), f"{one.what}; {one.right}") for one in read_ownership(file)[1]
    ]
    expected = [
        (1, "flip_flop_turns", "at least 2"),
        (4, "customer.owner[0]", "no system 'demo-cmr'; did you mean demo-crm?"),
        (4, "customer.owner[2]", "demo-erp is there twice"),
        (5, "customer.match[0]", "everybody at one domain"),
        (5, "customer.match[1]", "no field 'tax_ids'; did you mean tax_id?"),
        (5, "customer.match[2]", "an empty key"),
        (5, "customer.match[3]", "no field 'active'"),
        (6, "customer.widnow_seconds", "did you mean window_seconds?"),
        (8, "customer.fields.tax_id.trust.demo-epr", "no system 'demo-epr'; did you mean demo-erp?"),
        (10, "customer.fields.phone", "given twice (first in line 9)"),
        (11, "customer.fields.notes.lgo", "did you mean log?"),
        (11, "customer.fields.notes.policy", "'newest'"),
        (12, "customer.fields.email.trust", "add `policy: trust`"),
        (13, "customer.fields.tags.restore", "no value of one system"),
        (14, "customer.fields.currency.owner[0]", "not a text"),
        (14, "customer.fields.currency.owner[1]", "not a text"),
        (15, "contact.match", "only those of customer and product"),
        (19, "sales_order.fields.net_amount.stages.draft.owner[0]", "did you mean demo-crm?"),
        (19, "sales_order.fields.net_amount.stages.drfat", "never 'drfat'; did you mean draft?"),
        (20, "order_flow", "worked out by the hub"),
        (21, "invoise", "did you mean invoice?"),
    ]
    assert [one[:2] for one in told] == [one[:2] for one in expected]
    for (_, field, said), (_, _, words) in zip(told, expected, strict=True):
        assert words in said, field
    with pytest.raises(ConfigError) as caught:
        load_ownership(file)
    assert str(caught.value).count(str(file)) == len(expected)


def test_map_check_and_plan_tell_mistakes_of_ownership(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(Path("connectors").resolve(), tmp_path / "connectors")
    file = tmp_path / "connectors" / "ownership.yaml"
    file.write_text(
        file.read_text("utf-8").replace("owner: [demo-crm, demo-erp]", "owner: [demo-cmr, demo-erp]", 1), "utf-8"
    )
    monkeypatch.setenv("OPSHUB_CONNECTORS_DIR", str(tmp_path / "connectors"))
    with pytest.raises(typer.Exit) as ended:
        map_verbs.check(as_json=True)
    assert ended.value.exit_code == 2
    (fault,) = json.loads(capsys.readouterr().out)["findings"]
    assert (fault["field"], fault["what"]) == ("entities.customer.owner[0]", "there is no system 'demo-cmr'")
    for verb in (plan_verbs.plan, plan_verbs.apply):
        with pytest.raises(ConfigError, match="demo-cmr"):
            verb()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("entities: {custommer: {}}", "custommer"),
        ("entities: {customer: {fields: {phon: [a]}}}", "customer has no field 'phon'"),
        ("entities: {customer: {fields: {phone: {policy: sum}}}}", "customer.fields.phone: text can not be summed"),
        (
            "entities: {customer: {fields: {phone: {policy: trust}}}}",
            "customer.fields.phone: `trust` does not say whom",
        ),
        ("entities: {customer: {fields: {phone: {polcy: sum}}}}", "customer.fields.phone.polcy"),
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
