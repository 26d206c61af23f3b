"""The exercises: for which role, what to do, and the check of its result.

A check gets a hub session, the limits of the stages in seconds, and what the person answered. It returns what is
missing, or "" when the exercise is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from streams.hub.flow_lists import FlowFilter, list_flows
from streams.hub.intent_review import Hub
from streams.hub.order_flows import find_flows
from streams.named_sql import load_statements

SQL = load_statements(Path(__file__).with_name("sql"))

WAITS_FOR: dict[str, str] = {
    "won": "order",
    "ordered": "shipment",
    "partially_shipped": "shipment",
    "shipped_in_part_or_whole": "invoice",
    "shipped": "invoice",
    "delivered": "invoice",
    "invoiced": "payment",
    "partially_paid": "payment",
    "overpaid": "refund",
}
"""Stage → what an order flow in it waits for."""


class Answer(NamedTuple):
    """What the person answered: the number of an order, and what it waits for."""

    order: str = ""
    waits_for: str = ""


Check = Callable[[Hub, Mapping[str, float], Answer], str]


class Exercise(NamedTuple):
    """`plant`: the statement that makes its situation in the database of `system`, demo-crm or demo-erp."""

    name: str
    role: str
    task: str
    check: Check
    plant: str
    system: str = "demo-crm"


def _late_order(hub: Hub, limits: Mapping[str, float], answer: Answer) -> str:
    if not answer.order or not answer.waits_for:
        return "answer with the order's number and what it waits for: --order NUMBER --waits-for shipment"
    flows = find_flows(hub, answer.order)
    if not flows:
        return f"no order flow has the number {answer.order}"
    (flow, *_) = flows
    late = list_flows(hub, FlowFilter(number=answer.order, limits=dict(limits), limit=10))
    if not late:
        return f"{answer.order} is not late: it has not been in its stage for too long"
    expected = WAITS_FOR.get(late[0].stage)
    if answer.waits_for != expected:
        return f"{answer.order} does not wait for {answer.waits_for}: look at the last entry of {flow.aggregate_id}"
    return ""


def _any_row(statement: str, missing: str) -> Check:
    """Done when the statement finds a row."""

    def check(hub: Hub, limits: Mapping[str, float], answer: Answer) -> str:
        return "" if hub.execute(SQL[statement]).fetchone() else missing

    return check


EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for exercise in (
        Exercise("late-order", "sales", "Find an order that is late, and say what it waits for.", _late_order,
                 "plant_late_order", "demo-erp"),
        Exercise(
            "approve-order", "finance", "Approve the order of “Training: large deal”, and see that the ERP has it.",
            _any_row("approved_and_delivered", "no order that somebody approved is in the ERP yet"), "plant_large_deal",
        ),
        Exercise(
            "retry-dead-letter", "operator",
            "Mend the dead letter of “Training: unknown currency” (its currency should be EUR) and retry it.",
            _any_row("edited_and_retried", "no dead letter was edited and retried yet"), "plant_unknown_currency",
        ),
        Exercise(
            "resolve-conflict", "steward", "Resolve a conflict: choose the value that is right.",
            _any_row("decided_by_a_person", "no conflict was decided by a person yet"), "plant_conflict",
            "demo-erp",
        ),
    )
}  # fmt: skip
