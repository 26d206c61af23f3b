"""Nothing is sent without what a rule must know: references, lines, codes (seen with Tryton 8.2: a line without its product)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.hub.intents import Approval, Question
from streams.writeback.decide import LeasedFacts, decide
from streams.writeback.decisions import AskPeople, Deliver, KeepAsking, Shadow, Wait
from streams.writeback.documents import Document, EntityView
from streams.writeback.failures import MissingValue
from streams.writeback.prepare import prepare
from streams.writeback.required import why_missing
from streams.writeback.rules import WritebackRule
from streams.writeback.values import ValueSpec, value_of
from tests.unit.test_writeback_decide import NOW, planned
from tests.unit.writeback_records import make_document, make_intent

HTTP = {"send": {"path": "/sales", "json": {"party": "$party"}}, "result": {"sale.id": "id"}}
RULE: dict[str, Any] = {
    "entity": "opportunity",
    "becomes": {"stage": "won"},
    "params": {"party": "customer.keys.tryton", "note": "record.description", "lang": {"from": "customer.record.language", "values": {"de": "D"}}},
    "lines": {"product": "product.keys.tryton", "quantity": {"from": "line.quantity", "as": "qty"}},
    "http": HTTP,
}  # fmt: skip
SQL = {"sql": {"repeatable": True, "steps": [{"name": "sale", "sql": "SELECT 1"}]}, "http": None}


def rule(**more: Any) -> WritebackRule:
    content = {name: value for name, value in (RULE | more).items() if value is not None}
    return WritebackRule.model_validate(content)


def document(product: dict[str, str] | None = None, customer: dict[str, str] | None = None) -> Document:
    """A deal of one line; the keys that Tryton gave to its product and its customer."""
    whole = make_document(1_0000, lines=(1_0000,))
    line = whole.lines[0]
    line = msgspec.structs.replace(line, references={"product": EntityView({"sku": "M-1"}, product or {})})
    keys = EntityView({"name": "Ada"}, {"tryton": "9"} if customer is None else customer)
    return msgspec.structs.replace(whole, lines=[line], references={"customer": keys})


@pytest.mark.parametrize("how", [{}, SQL], ids=["http", "sql"])
def test_line_whose_product_the_target_does_not_have_is_not_sent(how: dict[str, Any]) -> None:
    with pytest.raises(MissingValue, match=r"line 1, product: product\.keys\.tryton is not known"):
        prepare(make_intent(), rule(**how), document(), None)
    job = prepare(make_intent(), rule(**how), document({"tryton": "5"}), None)
    assert job.lines == [{"product": "5", "quantity": 1}]


def test_missing_reference_is_not_sent_and_null_is_allowed_by_name() -> None:
    whole = document({"tryton": "5"}, customer={})
    with pytest.raises(MissingValue, match=r"party: customer\.keys\.tryton is not known"):
        prepare(make_intent(), rule(), whole, None)
    params = RULE["params"] | {"party": {"from": "customer.keys.tryton", "required": False}}
    assert prepare(make_intent(), rule(params=params), whole, None).params["party"] is None
    params = RULE["params"] | {"note": {"from": "record.description", "required": True}}
    with pytest.raises(MissingValue, match="party.*; note"):
        prepare(make_intent(), rule(params=params), whole, None)


def test_document_without_lines_is_not_sent_unless_the_rule_says_so() -> None:
    whole = msgspec.structs.replace(document(), lines=[])
    with pytest.raises(MissingValue, match="it has no lines"):
        prepare(make_intent(), rule(), whole, None)
    assert prepare(make_intent(), rule(lines_required=False), whole, None).lines == []


def test_intent_waits_then_asks_and_is_sent_once_the_value_is_known() -> None:
    def leased(known: Document, **columns: Any) -> Any:
        return decide(make_intent(**columns), rule(), LeasedFacts(known), NOW)

    first = leased(document())
    assert isinstance(first, Wait) and "product.keys.tryton is not known" in first.problem
    asked = leased(document(), not_ready_s=61.0)
    assert isinstance(asked, AskPeople) and asked.retry_s > 0, "it is looked at again by itself"
    # A person who says yes does not make the product known.
    question = asked.questions[0]
    yes = [Approval("ada", "approve", [Question(question.reason, people=1)])]
    assert isinstance(leased(document(), not_ready_s=61.0, decisions=yes, reasons=[question]), KeepAsking)
    assert isinstance(leased(document({"tryton": "5"}), not_ready_s=61.0), Deliver)


def test_shadow_mode_says_what_is_missing_instead_of_waiting_for_ever() -> None:
    decision = planned(make_intent(age_s=61.0), rule(mode="shadow"), document())
    assert isinstance(decision, Shadow) and "is not known" in (decision.problem or "")


@pytest.mark.parametrize(
    ("spec", "place", "missing"),
    [
        ("keys.erp", "params", True),
        ("subject.keys.erp", "params", True),
        ("record.customer_id", "params", True),
        ("contact.record.email", "params", True),
        ("customer.record.phone", "params", False),
        ("record.description", "params", False),
        ("given.order.number", "params", True),
        ("given.order.number", "values", True),
        ("contributions.erp.list_price", "values", True),
        ("contributions.crm.list_price", "values", False),
        ("record.tax_id", "params", False),
        ("line.description", "lines", True),
        ({"from": "line.description", "required": False}, "lines", False),
        ({"from": "keys.erp", "default": "-"}, "params", False),
        ({"from": "record.language", "values": {"de": "D"}}, "params", True),
        ({"from": "record.language", "values": {"de": "D"}, "unknown": "X"}, "params", False),
        ({"from": "record.language", "values": {"de": "D"}, "required": False}, "params", False),
        ({"value": 0}, "params", False),
    ],
)  # fmt: skip
def test_which_empty_values_are_missing(spec: Any, place: Any, missing: bool) -> None:
    known = {
        "record": {"language": "pt", "description": None, "customer_id": None}, "keys": {"crm": "1"}, "line": {},
        "contributions": {"crm": {}}, "customer": {"record": {}}, "subject": {"keys": {}}, "given": {},
    }  # fmt: skip
    value = ValueSpec.model_validate(spec)
    assert (why_missing(value, value_of(value, known), known, place) is not None) == missing
