"""The checker can fail: each mutation of what a right run leaves behind is caught, and the list of them is printed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from tests.faults.checker import check
from tests.faults.evidence import Evidence
from tests.faults.rows import id_of
from tests.faults.written import Written

ACCOUNT, CONTACT = "raw.demo-crm.public.account", "raw.demo-crm.public.contact"


OPPORTUNITY = "0c8c4d3e-0000-4000-8000-000000000001"
SUPPLY, CASE, REQUEST = "S", "K", id_of("demo-crm", "service_request", "3")
ORDER, LINE, FLOW = id_of("demo-erp", "sales_order", "5"), id_of("demo-erp", "sales_order_line", "50"), "F"


def order(version: int, net: int, *lines: str) -> dict[str, Any]:
    """Made of a won opportunity; its customer is the account of the CRM."""
    return {
        "version": version, "net_amount": net, "customer_id": "A", "sources": [{"system": "demo-erp", "key": "5"}],
        "lines": [{"id": line, "quantity": 2_000_000} for line in lines],
    }  # fmt: skip


def flow(version: int, ordered: int) -> dict[str, Any]:
    return {"version": version, "sales_order_id": ORDER, "ordered_amount": ordered, "sources": []}


def customer(version: int, notes: str) -> dict[str, Any]:
    return {"version": version, "notes": notes, "tags": [], "sources": [{"system": "demo-crm", "key": "1"}]}


def contact(version: int, title: str) -> dict[str, Any]:
    return {
        "version": version, "job_title": title, "is_primary": False, "notes": None, "sources": [{"system": "demo-crm", "key": "7"}],
    }  # fmt: skip


def supply(version: int, status: str) -> dict[str, Any]:
    return {
        "version": version, "order_line_id": LINE, "status": status, "late_days": 3, "waits_for": "PO-1",
        "expected_date": date(1970, 1, 1) + timedelta(20_000), "sources": [],
    }  # fmt: skip


def case(version: int, is_open: bool) -> dict[str, Any]:
    return {
        "version": version, "service_request_id": REQUEST, "return_order_id": None, "number": "R-1", "is_open": is_open, "sources": [],
    }  # fmt: skip


def right() -> Evidence:
    """One account that changed twice, one contact that came and changed, one that came and went; an opportunity that
    was won, and its order.
    """
    evidence = Evidence()
    evidence.rows["demo-crm", "customer", "1"] = ("public.account", {"notes": "third", "tags": []})
    evidence.rows["demo-crm", "contact", "7"] = (
        "public.contact",
        {"job_title": "b", "is_primary": False, "notes": None},
    )
    evidence.records = [
        ("customer", "A", 1, customer(1, "first")), ("customer", "A", 2, customer(2, "second")), ("customer", "A", 3, customer(3, "third")),
        ("contact", "C", 1, contact(1, "a")), ("contact", "C", 2, contact(2, "b")),
        ("contact", "D", 1, contact(1, "x") | {"sources": [{"system": "demo-crm", "key": "8"}]}), ("contact", "D", 2, None),
    ]  # fmt: skip
    evidence.hub = {"A": ("customer", 3, True), "C": ("contact", 2, True), "D": ("contact", 2, False)}
    evidence.journal = {("public.account", "1"): True, ("public.contact", "7"): True, ("public.contact", "8"): False}
    evidence.raw = dict(evidence.journal)
    evidence.raw_ends = {(ACCOUNT, 0): (0, 3), (CONTACT, 0): (0, 4)}
    evidence.said, evidence.causes = {1000: True, 2000: False}, {"demo-erp/order_from_opportunity:F": 1000}
    evidence.rows["demo-erp", "sales_order", "5"] = (
        "erp.so_head",
        {"net_amount": 900, "customer_id": "@demo-crm/customer/1"},
    )
    evidence.rows["demo-erp", "sales_order_line", "50"] = ("erp.so_line", {"quantity": 2_000_000})
    evidence.records += [("sales_order", ORDER, 1, order(1, 900, LINE)), ("order_flow", FLOW, 1, flow(1, 900))]
    evidence.hub |= {ORDER: ("sales_order", 1, True), FLOW: ("order_flow", 1, True)}
    evidence.flows, evidence.hub_flows = {"5": {"ordered_amount": 900}}, {FLOW: {"ordered_amount": 900}}
    evidence.written = Written(
        won={OPPORTUNITY},
        shown={OPPORTUNITY: ("SO5", "partially_shipped", "partially_shipped")},
        orders={OPPORTUNITY: [("SO5", 40, True)]},
    )
    # In the middle: the mutations count from both ends.
    evidence.records[7:7] = [("supply", SUPPLY, 1, supply(1, "on_order")), ("service_case", CASE, 1, case(1, True))]
    evidence.hub |= {SUPPLY: ("supply", 1, True), CASE: ("service_case", 1, True)}
    evidence.supplies = {LINE: {"status": ["on_order"], "late_days": 3, "expected_date": 20_000, "waits_for": ["PO-1"]}}
    evidence.cases = {REQUEST: ("R-1", True)}
    evidence.accounts = {(ACCOUNT, 0): (3, 3, 0), (CONTACT, 0): (4, 4, 0)}
    return evidence


def drop_a_batch(evidence: Evidence) -> None:
    evidence.records = evidence.records[:3] + evidence.records[5:]
    evidence.hub.pop("C")


def drop_what_was_emitted(evidence: Evidence) -> None:
    evidence.records = evidence.records[:2] + evidence.records[3:]


def swap_two_positions(evidence: Evidence) -> None:
    # The older change won: the hub and the topic agree with each other, and not with the source.
    evidence.records[2] = ("customer", "A", 3, customer(3, "second"))


def let_a_zombie_emit(evidence: Evidence) -> None:
    evidence.records.insert(3, evidence.records[1])


def acknowledge_early(evidence: Evidence) -> None:
    evidence.raw.pop(("public.contact", "7"))
    evidence.records = evidence.records[:3] + evidence.records[5:]
    evidence.hub.pop("C")
    evidence.rows.pop(("demo-crm", "contact", "7"))


def forget_a_tombstone(evidence: Evidence) -> None:
    evidence.records.remove(("contact", "D", 2, None))


def resurrect(evidence: Evidence) -> None:
    evidence.hub["D"] = ("contact", 2, True)
    evidence.records[6] = ("contact", "D", 2, contact(2, "x") | {"sources": [{"system": "demo-crm", "key": "8"}]})


def apply_an_echo(evidence: Evidence) -> None:
    # What came back from the other system was taken for news of its own: a second record speaks for the same row.
    evidence.records.append(("customer", "B", 1, customer(1, "third")))
    evidence.hub["B"] = ("customer", 1, True)


def plan_from_an_echo(evidence: Evidence) -> None:
    evidence.said = {1000: True, 2000: False}
    evidence.causes["demo-crm/order_state:F:2"] = 2000


def count_wrongly(evidence: Evidence) -> None:
    evidence.accounts[CONTACT, 0] = (4, 3, 0)


def lose_a_letter(evidence: Evidence) -> None:
    evidence.accounts[CONTACT, 0] = (4, 4, 1)


def forget_a_line(evidence: Evidence) -> None:
    evidence.records[-2] = ("sales_order", ORDER, 1, order(1, 900))


def keep_a_line(evidence: Evidence) -> None:
    evidence.rows.pop(("demo-erp", "sales_order_line", "50"))


def refer_to_another(evidence: Evidence) -> None:
    evidence.records[-2] = ("sales_order", ORDER, 1, order(1, 900, LINE) | {"customer_id": "B"})


def let_the_wrong_one_win(evidence: Evidence) -> None:
    # Both systems speak of the customer, and its notes are the CRM's.
    evidence.rows["demo-erp", "customer", "9"] = ("erp.cust", {"notes": "the ERP's", "credit_limit": 5})
    both = [{"system": "demo-crm", "key": "1"}, {"system": "demo-erp", "key": "9"}]
    evidence.records.append(("customer", "A", 4, customer(4, "the ERP's") | {"credit_limit": 5, "sources": both}))
    evidence.hub["A"] = ("customer", 4, True)


def add_up_wrongly(evidence: Evidence) -> None:
    evidence.records[-1] = ("order_flow", FLOW, 1, flow(1, 1800))


def add_up_wrongly_in_the_hub(evidence: Evidence) -> None:
    evidence.hub_flows[FLOW] = {"ordered_amount": 1800}


def join_no_flow(evidence: Evidence) -> None:
    evidence.records.pop()
    evidence.hub.pop(FLOW)


def call_a_late_line_available(evidence: Evidence) -> None:
    evidence.records[7] = ("supply", SUPPLY, 1, supply(1, "available"))


def supply_nothing(evidence: Evidence) -> None:
    evidence.supplies.clear()


def miss_a_supply(evidence: Evidence) -> None:
    evidence.records.pop(7)
    evidence.hub.pop(SUPPLY)


def close_an_open_case(evidence: Evidence) -> None:
    evidence.records[8] = ("service_case", CASE, 1, case(1, False))


def make_no_case(evidence: Evidence) -> None:
    evidence.records.pop(8)
    evidence.hub.pop(CASE)


def make_a_case_of_nothing(evidence: Evidence) -> None:
    evidence.cases.clear()


def order_nothing(evidence: Evidence) -> None:
    evidence.written.orders.clear()


def order_twice(evidence: Evidence) -> None:
    evidence.written.orders[OPPORTUNITY].append(("SO6", 20, False))


def show_no_shipment(evidence: Evidence) -> None:
    evidence.written.shown[OPPORTUNITY] = ("SO5", "partially_shipped", "none")


def show_another_order(evidence: Evidence) -> None:
    evidence.written.shown[OPPORTUNITY] = ("SO4", "partially_shipped", "partially_shipped")


def give_an_intent_up(evidence: Evidence) -> None:
    evidence.written.stuck.append(("demo-erp/order_from_opportunity:F", "dead", "refused"))


MUTATIONS: list[tuple[Callable[[Evidence], None], str]] = [
    (drop_a_batch, "lost"),
    (drop_what_was_emitted, "differing"),
    (swap_two_positions, "differing"),
    (let_a_zombie_emit, "gone_back"),
    (acknowledge_early, "lost"),
    (forget_a_tombstone, "ghost"),
    (resurrect, "ghost"),
    (apply_an_echo, "doubled"),
    (plan_from_an_echo, "echoed"),
    (count_wrongly, "unbalanced"),
    (lose_a_letter, "unbalanced"),
    (forget_a_line, "lost"),
    (keep_a_line, "ghost"),
    (refer_to_another, "differing"),
    (let_the_wrong_one_win, "differing"),
    (add_up_wrongly, "differing"),
    (add_up_wrongly_in_the_hub, "differing"),
    (join_no_flow, "lost"),
    (call_a_late_line_available, "differing"),
    (supply_nothing, "ghost"),
    (miss_a_supply, "lost"),
    (close_an_open_case, "differing"),
    (make_no_case, "lost"),
    (make_a_case_of_nothing, "ghost"),
    (order_nothing, "lost"),
    (order_twice, "doubled"),
    (show_no_shipment, "differing"),
    (show_another_order, "differing"),
    (give_an_intent_up, "lost"),
]


def test_a_right_run_holds() -> None:
    findings = check(right())
    assert findings.hold, str(findings)


@pytest.mark.parametrize(("mutate", "kind"), MUTATIONS, ids=[mutate.__name__ for mutate, _ in MUTATIONS])
def test_each_mutation_is_caught(mutate: Callable[[Evidence], None], kind: str) -> None:
    evidence = copy.deepcopy(right())
    mutate(evidence)
    findings = check(evidence)
    print(f"{mutate.__name__}: {findings}")
    assert findings.counts[kind] >= 1, str(findings)
