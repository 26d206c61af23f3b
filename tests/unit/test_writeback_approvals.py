"""Whom to ask before an intent is delivered, and what an approval covers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from streams.cli.context import who
from streams.errors import ConfigError
from streams.hub.intents import Approval, Question
from streams.writeback.approvals import open_questions, questions
from streams.writeback.commands import person_and_account
from streams.writeback.documents import Document
from streams.writeback.rules import ApprovalRule, WritebackRule
from tests.unit.writeback_records import ORDER_RULE, make_document

LARGE = Question("large", people=2)
BLOCKED = Question("blocked", people=1)


def asked(document: Document, rule: WritebackRule = ORDER_RULE) -> list[Question]:
    return questions(rule, "demo-erp", document)


def with_approval(approval: ApprovalRule) -> WritebackRule:
    return ORDER_RULE.model_copy(update={"approval": [approval]})


def approved(who: str, *seen: Question, account: str | None = None) -> Approval:
    return Approval(who, "approve", list(seen), account)


def test_people_are_asked_about_large_orders_and_blocked_customers() -> None:
    assert asked(make_document(499_999_0000)) == []
    (large,) = asked(make_document(500_001_0000))
    assert "500,000" in large.reason
    assert asked(make_document(1_000_000_0000, "JPY")) == []
    assert len(asked(make_document(1_0000, "BRL"))) == 1, "a currency without a limit always asks"
    assert len(asked(make_document(500_001_0000, blocked=True))) == 2


def test_people_are_asked_about_discounts() -> None:
    document = make_document(100_0000, discounts=(None, 12_5000))
    assert asked(document, with_approval(ApprovalRule(reason="discount", discount_over=Decimal(12))))
    assert not asked(document, with_approval(ApprovalRule(reason="discount", discount_over=Decimal("12.5"))))


def test_people_are_asked_when_the_credit_limit_is_exceeded() -> None:
    rule = with_approval(ApprovalRule(reason="credit", credit_exceeded=True))
    owes = {"currency": "EUR", "open_amount": 200_0000, "other_open_amounts": None}

    def is_asked(customer: dict[str, Any] | None = None, **more: Any) -> bool:
        record = {"currency": "EUR", "credit_limit": 300_0000} if customer is None else customer
        return bool(asked(make_document(100_0000, customer=record, **more), rule))

    assert not is_asked()
    assert not is_asked(receivables=owes)
    assert is_asked(receivables=owes | {"open_amount": 200_0001})
    assert not is_asked({"currency": "EUR", "credit_limit": None}, receivables=owes | {"open_amount": 900_0000})
    assert is_asked(receivables=owes | {"other_open_amounts": {"USD": "1"}}), "amounts of two currencies"
    assert not is_asked(on_order={"EUR": 200_0000})
    assert is_asked(on_order={"EUR": 200_0001}), "it has ordered for 200 and was not billed yet"
    assert is_asked(on_order={"USD": 1}), "amounts of two currencies"
    assert is_asked({"currency": "USD", "credit_limit": 300_0000}), "a limit in another currency than the order"


def test_approval_covers_the_reasons_that_were_seen() -> None:
    both = [LARGE, BLOCKED]
    ada = approved("ada", Question("large", people=1))
    assert open_questions(both, [ada]) == both
    assert open_questions(both, [ada, ada]) == both, "the same person twice is one person"
    assert open_questions(both, [ada, approved("bob", *both)]) == []


def test_approval_covers_no_more_than_was_seen() -> None:
    def still_open(seen: Document, now: Document, rule: WritebackRule = ORDER_RULE) -> bool:
        return bool(open_questions(asked(now, rule), [approved("ada", *asked(seen, rule))]))

    large = make_document(600_000_0000)
    assert not still_open(large, large)
    assert not still_open(large, make_document(550_000_0000))
    assert still_open(large, make_document(6_000_000_0000)), "ten times as much"
    assert still_open(make_document(1_0000, "BRL"), make_document(1_0000, "RUB"))
    assert still_open(make_document(600_0000, blocked=True), make_document(6_000_0000, blocked=True))
    rule = with_approval(ApprovalRule(reason="discount", discount_over=Decimal(10)))
    twelve, fifty = (make_document(100_0000, discounts=(percent * 10_000,)) for percent in (12, 50))
    assert not still_open(twelve, twelve, rule)
    assert still_open(twelve, fifty, rule)


def test_what_the_target_has_is_asked_about_once_it_was_read() -> None:
    assert asked(make_document(1_0000)) == []
    (blocked,) = asked(make_document(1_0000, target={"blocked": "X"}))
    assert blocked.reason == "the customer's credit is blocked"
    both = asked(make_document(1_0000, blocked=True, target={"blocked": "X"}))
    assert both == [blocked], "one reason is one question"
    assert asked(make_document(1_0000, target={"blocked": None})) == []


def test_one_account_is_one_person() -> None:
    def is_open(*approvals: Approval) -> bool:
        return bool(open_questions([LARGE], approvals))

    assert is_open(approved("ada", LARGE, account="ada"), approved("bob", LARGE, account="ada"))
    assert is_open(approved("ada", LARGE, account="ada"), approved("ada", LARGE, account="bob"))
    assert not is_open(approved("ada", LARGE, account="ada"), approved("bob", LARGE, account="bob"))


def test_question_is_stored_with_its_number_of_people() -> None:
    """What the hub keeps is compared with what is asked now."""
    assert msgspec.json.decode(msgspec.json.encode(BLOCKED)) == {"reason": "blocked", "people": 1}


def test_only_named_approvers_are_people_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert person_and_account(None, "ada", []) == ("ada", "ada")
    assert person_and_account("bob", "ada", []) == ("bob", "ada")
    assert person_and_account("bob", "office", ["ada", "bob"]) == ("bob", "bob")
    with pytest.raises(ConfigError, match="'eve' may not be named"):
        person_and_account("eve", "office", ["ada", "bob"])
    monkeypatch.setenv("LOGNAME", "eve")
    monkeypatch.setenv("USER", "eve")
    assert who() != "eve", "the environment can be set to any name"
