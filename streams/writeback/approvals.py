"""Whom to ask before an intent is delivered, and what an approval covers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from streams.hub.intents import Approval, Question
from streams.writeback.documents import Document
from streams.writeback.rule_inputs import matches
from streams.writeback.rules import ApprovalRule, WritebackRule
from streams.writeback.values import reach

UNIT = Decimal("0.0001")
"""Money and percentages of canonical records are whole numbers of this unit."""


def questions(rule: WritebackRule, target: str, document: Document) -> list[Question]:
    """The questions of all approval rules that apply now, one for each reason, with the amount or discount that
    people see.

    A rule that looks at the target (`target.<name>`) applies only once the target was read.
    """
    by_reason: dict[str, Question] = {}
    for approval in rule.approval:
        if _applies(approval, target, document):
            known = by_reason.get(approval.reason)
            people = max(approval.people, known.people) if known else approval.people
            by_reason[approval.reason] = _question(approval, people, document)
    return list(by_reason.values())


def _question(approval: ApprovalRule, people: int, document: Document) -> Question:
    record = document.main.record
    amount = record.get(approval.amount)
    discount = None
    if approval.discount_over is not None:
        discount = max((line.line.record.get("discount_pct") or 0 for line in document.lines), default=0)
    currency = None if amount is None else record.get("currency")
    return Question(approval.reason, people, amount, currency, discount)


def _applies(approval: ApprovalRule, target: str, document: Document) -> bool:
    record = document.main.record
    if approval.over is not None:
        amount = Decimal(record.get(approval.amount) or 0) * UNIT
        over = approval.over
        limit = over.get(record.get("currency") or "") if isinstance(over, dict) else over
        # A currency without a limit always asks: nobody said how much of it is much.
        if limit is not None and amount <= limit:
            return False
    if any(path.startswith("target.") for path in approval.when) and document.target is None:
        return False
    if approval.when:
        paths = document.paths()
        if not matches(approval.when, {path: reach(paths, path) for path in approval.when}):
            return False
    if approval.discount_over is not None:
        discounts = (Decimal(line.line.record.get("discount_pct") or 0) * UNIT for line in document.lines)
        if not any(discount > approval.discount_over for discount in discounts):
            return False
    if approval.credit_exceeded and not _exceeds_credit(document, approval.amount):
        return False
    customer = document.references.get("customer")
    is_new = customer is None or customer.keys.get(target) is None
    return approval.new_customer is None or approval.new_customer == is_new


def _exceeds_credit(document: Document, amount_field: str) -> bool:
    """Whether the customer would owe more than its limit, with what it has on order.

    Amounts of different currencies cannot be compared: then people are asked.
    """
    customer = document.references.get("customer")
    limit = customer.record.get("credit_limit") if customer is not None else None
    if customer is None or limit is None:
        return False
    currency = document.main.record.get("currency")
    owed = document.receivables or {}
    if any(ordered != currency for ordered in document.on_order):
        return True
    if currency != (customer.record.get("currency") or currency) or owed.get("other_open_amounts"):
        return True
    if owed.get("open_amount") and owed.get("currency") != currency:
        return True
    amount = document.main.record.get(amount_field) or 0
    return bool((owed.get("open_amount") or 0) + sum(document.on_order.values()) + amount > limit)


def open_questions(asked_now: Sequence[Question], decisions: Sequence[Approval]) -> list[Question]:
    """Those questions that not yet enough people approved. An approval covers the questions that its giver saw, and
    no more.
    """
    return [question for question in asked_now if _approvals_of(question, decisions) < question.people]


def _approvals_of(question: Question, decisions: Sequence[Approval]) -> int:
    """How many people approved this question. Each needs a name and an account of their own."""
    approvals = [
        decision
        for decision in decisions
        if decision.what == "approve" and any(_covers(seen, question) for seen in decision.reasons)
    ]
    # Two names with one account, or one name with two accounts, are one person.
    names = {approval.who for approval in approvals}
    accounts = {approval.account or approval.who for approval in approvals}
    return min(len(names), len(accounts))


def _covers(seen: Question, question: Question) -> bool:
    """Whether who saw one question also approved the other: the same reason and currency, and no more amount or
    discount.
    """
    return (
        seen.reason == question.reason
        and seen.currency == question.currency
        and _at_least(seen.amount, question.amount)
        and _at_least(seen.discount, question.discount)
    )


def _at_least(seen: int | None, now: int | None) -> bool:
    return now is None or (-1 if seen is None else seen) >= now
