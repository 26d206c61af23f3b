"""Who has to be asked before an intent is delivered. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from streams.writeback.rule_inputs import matches
from streams.writeback.rules import Approval, WritebackRule
from streams.writeback.values import reach
from streams.writeback.work import Work

MONEY = Decimal("0.0001")


def questions(rule: WritebackRule, target: str, document: dict[str, Any]) -> list[dict[str, Any]]:
    """`{reason, people}` of each approval rule that asks, as things are now, with what people see of it: `amount` (unscaled) and
    `currency`, `discount` (unscaled percent). What looks at the target is asked once that was read.
    """
    asked: dict[str, dict[str, Any]] = {}
    for one in rule.approval:
        if _asks(one, target, document):
            known = asked.get(one.reason)
            people = max(one.people, known["people"]) if known else one.people
            asked[one.reason] = {"reason": one.reason, "people": people} | _seen(one, document)
    return list(asked.values())


def _seen(one: Approval, document: dict[str, Any]) -> dict[str, Any]:
    amount = reach(document, f"record.{one.amount}")
    told = {} if amount is None else {"amount": amount, "currency": reach(document, "record.currency")}
    if one.discount_over is not None:
        told["discount"] = max((line["record"].get("discount_pct") or 0 for line in document["lines"]), default=0)
    return told


def _asks(one: Approval, target: str, document: dict[str, Any]) -> bool:
    if one.over is not None:
        amount = Decimal(reach(document, f"record.{one.amount}") or 0) * MONEY
        limit = one.over.get(reach(document, "record.currency") or "") if isinstance(one.over, dict) else one.over
        if limit is not None and amount <= limit:
            return False
    if any(path.startswith("target.") for path in one.when) and "target" not in document:
        return False
    if one.when and not matches(one.when, {path: reach(document, path) for path in one.when}):
        return False
    if one.discount_over is not None:
        given = (Decimal(line["record"].get("discount_pct") or 0) * MONEY for line in document["lines"])
        if not any(percent > one.discount_over for percent in given):
            return False
    if one.credit_exceeded and not _exceeds(document, one.amount):
        return False
    return one.new_customer is None or one.new_customer == (reach(document, f"customer.keys.{target}") is None)


def _exceeds(document: dict[str, Any], field: str) -> bool:
    """Whether the customer would owe more than it may, with what it has ordered and was not billed for. What can not be compared, since it
    is of another currency, is asked."""
    limit = reach(document, "customer.record.credit_limit")
    if limit is None:
        return False
    currency = reach(document, "record.currency")
    owed: dict[str, Any] = reach(document, "customer.receivables") or {}
    on_order: dict[str | None, int] = reach(document, "customer.on_order") or {}
    if any(one != currency for one in on_order):
        return True
    if currency != (reach(document, "customer.record.currency") or currency) or owed.get("other_open_amounts"):
        return True
    if owed.get("open_amount") and owed.get("currency") != currency:
        return True
    amount = reach(document, f"record.{field}") or 0
    return bool((owed.get("open_amount") or 0) + sum(on_order.values()) + amount > limit)


def open_questions(asked: list[dict[str, Any]], work: Work) -> list[dict[str, Any]]:
    """Those of `asked` to which not yet enough people said yes. A yes holds for the reasons that its giver saw, and for no more."""
    return [one for one in asked if _agreed(one, work.decisions) < one["people"]]


def _agreed(asked: dict[str, Any], decisions: list[dict[str, Any]]) -> int:
    """How many people said yes to this: each by a name and an account of their own."""
    yes = [
        said
        for said in decisions
        if said["what"] == "approve" and any(_covers(seen, asked) for seen in said.get("reasons", []))
    ]
    return min(len({said["who"] for said in yes}), len({said.get("account") or said["who"] for said in yes}))


def _covers(seen: dict[str, Any], asked: dict[str, Any]) -> bool:
    return (
        seen["reason"] == asked["reason"]
        and seen.get("currency") == asked.get("currency")
        and all(seen.get(what, -1) >= asked[what] for what in ("amount", "discount") if what in asked)
    )
