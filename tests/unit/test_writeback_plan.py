"""Planning intents: what causes one, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.errors import ConfigError
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.intent import NewIntent
from streams.model.state import AggregateState, Contribution, EntityState
from streams.pipeline.settle import merge_batch
from streams.resolve.ownership import load_ownership
from streams.resolve.rules import EntityRule, FieldRule, Ownership
from streams.testing import MemoryPipeline
from streams.writeback.load import load_rules
from streams.writeback.planner import IntentPlanner
from tests.settled import batch_of, settle_changes

CONNECTORS = Path(__file__).parents[2] / "connectors"
RULES = load_rules(CONNECTORS, ["demo-crm", "demo-erp"])
PLANNER = IntentPlanner(RULES)
OPPORTUNITY = source_id("demo-crm", "opportunity", "O")


def change_of(
    system: str,
    entity: str,
    key: str,
    major: int,
    parent: str | None = None,
    op: str = "u",
    origin: str | None = None,
    **fields: Any,
) -> Change:
    return Change(
        "change", entity, source_id(system, entity, key), system, key, op, 0, major, 0, major, origin=origin, parent=parent, fields=fields,
    )  # type: ignore[arg-type]  # fmt: skip


def opportunity(major: int, stage: str, **more: Any) -> Change:
    return change_of("demo-crm", "opportunity", "O", major, number="OPP-1", stage=stage, amount=100_0000, **more)


def order(major: int, status: str, **more: Any) -> Change:
    return change_of(
        "demo-erp", "sales_order", "S", major, OPPORTUNITY, number="SO-1", status=status, net_amount=100_0000, **more
    )


class Hub:
    """One aggregate's writer, batch after batch."""

    def __init__(self) -> None:
        self.state = AggregateState(OPPORTUNITY, "order_flow", members={}, sources={})

    def settle(self, *changes: Change) -> list[NewIntent]:
        return settle_changes(self.state, *changes, planner=PLANNER).intents


def test_won_opportunity_is_planned_once() -> None:
    hub = Hub()
    assert hub.settle(opportunity(1, "proposal")) == []
    (intent,) = hub.settle(opportunity(2, "won"))
    assert intent.rule == "demo-erp/order_from_opportunity"
    assert intent.key == f"demo-erp/order_from_opportunity:{OPPORTUNITY}"
    assert (intent.target, intent.subject_id, intent.cause_us) == ("demo-erp", OPPORTUNITY, 2)
    assert hub.settle(opportunity(2, "won")) == [], "the same change again"
    assert hub.settle(opportunity(3, "won", notes="thanks")) == [], "won already"


def test_snapshots_and_echoes_cause_no_intent() -> None:
    assert Hub().settle(opportunity(1, "won", op="r")) == []
    assert Hub().settle(opportunity(1, "won", origin="opshub")) == []
    assert len(Hub().settle(opportunity(1, "won", origin="another-replica"))) == 1


def test_opportunity_with_an_order_gets_no_second_order() -> None:
    hub = Hub()
    hub.settle(opportunity(1, "proposal"), order(2, "confirmed"))
    assert [i for i in hub.settle(opportunity(3, "won")) if i.target == "demo-erp"] == []


def orders_of(intents: list[NewIntent]) -> list[str]:
    return [one.key for one in intents if one.rule == "demo-erp/order_from_opportunity"]


def test_deal_with_a_cancelled_order_gives_a_new_order_when_won_again() -> None:
    first = f"demo-erp/order_from_opportunity:{OPPORTUNITY}"
    hub = Hub()
    assert orders_of(hub.settle(opportunity(1, "won"))) == [first]
    hub.settle(order(2, "confirmed", origin="opshub"))
    assert orders_of(hub.settle(order(3, "cancelled"))) == [], "won still: whoever cancelled the order wants none"
    assert orders_of(hub.settle(opportunity(4, "negotiation"))) == []
    assert orders_of(hub.settle(opportunity(5, "won"))) == [f"{first}:2"]
    assert orders_of(hub.settle(opportunity(5, "won"), opportunity(6, "won", notes="thanks"))) == [], (
        "one winning, one order"
    )
    again = change_of("demo-erp", "sales_order", "T", 7, OPPORTUNITY, "u", "opshub", number="SO-2", status="confirmed")
    assert orders_of(hub.settle(again)) == []
    hub.settle(opportunity(8, "negotiation"))
    assert orders_of(hub.settle(opportunity(9, "won"))) == [], "it has a live order"


def test_deal_won_again_without_an_order_in_between_is_the_same_intent() -> None:
    hub = Hub()
    (key,) = orders_of(hub.settle(opportunity(1, "won")))
    hub.settle(opportunity(2, "negotiation"))
    assert orders_of(hub.settle(opportunity(3, "won"))) == [key]
    deleted = msgspec.structs.replace(order(5, "draft"), deleted=True)
    hub.settle(opportunity(4, "negotiation"), order(4, "draft"))
    hub.settle(deleted)
    assert orders_of(hub.settle(opportunity(6, "won"))) == [f"{key}:2"], "an order that was deleted is no more either"


def test_state_of_the_order_goes_to_the_crm_and_an_echo_does_not() -> None:
    hub = Hub()
    hub.settle(opportunity(1, "won"))
    assert hub.settle(order(2, "confirmed", origin="opshub")) == [], "our own order comes back"
    assert hub.state.members[source_id("demo-erp", "sales_order", "S")].record["number"] == "SO-1", (
        "it teaches its number"
    )
    (shipped,) = hub.settle(order(3, "shipped"))
    assert (shipped.rule, shipped.subject_id, shipped.supersedes) == ("demo-crm/order_state", OPPORTUNITY, True)
    echo = opportunity(
        4,
        "won",
        origin="opshub",
        order_number="SO-1",
        order_status="shipped",
        shipment_status="none",
        payment_status="none",
    )
    assert hub.settle(echo) == []


def test_join_completed_by_an_echo_causes_an_intent_with_the_time_of_peoples_change() -> None:
    hub = Hub()
    hub.settle(opportunity(1, "won"), order(2, "confirmed", origin="opshub"))
    order_id = source_id("demo-erp", "sales_order", "S")
    hub.settle(change_of("demo-erp", "shipment", "D", 3, order_id, number="D-1", status="shipped"))
    (late,) = hub.settle(order(4, "closed", origin="opshub"))
    assert (late.rule, late.cause_us) == ("demo-crm/order_state", 3)


def purchase(major: int, expected: int, op: str = "u", origin: str | None = None) -> list[Change]:
    """A purchase order of the ERP, with a line for the line of the order."""
    purchase_id, line = source_id("demo-erp", "purchase_order", "P"), source_id("demo-erp", "sales_order_line", "S1")
    header: dict[str, Any] = {"number": "PO-1", "status": "requested", "expected_date": expected}
    bought: dict[str, Any] = {"order_line_id": line, "quantity": 1_000_000, "line_no": 1}
    return [
        change_of("demo-erp", "purchase_order", "P", major, None, op, origin, **header),
        change_of("demo-erp", "purchase_order_line", "P1", major + 1, purchase_id, op, origin, **bought),
    ]


@pytest.mark.parametrize(("op", "origin", "is_shown"), [("u", "opshub", True), ("u", None, True), ("r", None, False)])
def test_what_write_back_requests_for_an_order_is_news_to_the_crm(op: str, origin: str | None, is_shown: bool) -> None:
    pipeline = MemoryPipeline(planner=PLANNER)
    line = change_of("demo-erp", "sales_order_line", "S1", 3, source_id("demo-erp", "sales_order", "S"), "u", "opshub", line_no=1, quantity=1_000_000)  # fmt: skip
    for change in (opportunity(1, "won"), order(2, "confirmed", origin="opshub"), line):
        pipeline.send_change(change)
    pipeline.run()
    assert [intent.rule for intent in pipeline.hub.intents] == ["demo-erp/order_from_opportunity"]
    for change in purchase(4, 20_000, op, origin):
        pipeline.send_change(change)
    pipeline.run()
    shown = [intent for intent in pipeline.hub.intents if intent.rule == "demo-crm/delivery_date"]
    assert bool(shown) == is_shown
    assert all(intent.subject_id == OPPORTUNITY for intent in shown)
    assert {intent.cause_us for intent in shown} <= ({1} if origin else {4, 5}), "people caused it"


def test_a_record_that_names_one_of_another_aggregate_shows_there_from_the_first_change_on() -> None:
    request = source_id("demo-crm", "service_request", "R")
    state = AggregateState(source_id("demo-erp", "sales_order", "S"), "order_flow", members={}, sources={})
    (shown,) = settle_changes(
        state, change_of("demo-erp", "sales_order", "S", 1, number="SO-1", status="confirmed", service_request_id=request), planner=PLANNER
    ).intents  # fmt: skip
    assert (shown.rule, shown.subject_id) == ("demo-crm/spare_part_state", request)


def test_edit_of_a_person_in_the_target_is_kept_even_with_the_same_value() -> None:
    hub = Hub()
    hub.settle(opportunity(1, "won"), order(2, "confirmed"))
    hub.settle(opportunity(3, "won", origin="opshub", order_status="confirmed"))
    assert hub.settle(opportunity(4, "won", order_status="confirmed")) == []
    assert hub.settle(opportunity(5, "won", order_status="by hand")) == []
    assert hub.state.members[OPPORTUNITY].record["order_status"] == "by hand"


def test_echo_makes_no_conflict_and_a_person_does() -> None:
    def conflicts(origin: str | None) -> int:
        state = AggregateState(source_id("demo-crm", "customer", "A"), "customer", members={}, sources={})
        crm = change_of("demo-crm", "customer", "A", 1, name="Ada Ltd")
        erp = Change(
            "change", "customer", source_id("demo-erp", "customer", "7"), "demo-erp", "7", "c", 0, 2, 0, 2,
            origin=origin, same_as=state.id, fields={"name": "ADA"},
        )  # fmt: skip
        settle_changes(state, crm)
        return len(settle_changes(state, erp).conflicts)

    assert conflicts("opshub") == 0
    assert conflicts(None) == 1


def test_conflict_with_a_joining_record_is_logged_although_an_echo_comes_with_it() -> None:
    crm, erp = source_id("demo-crm", "customer", "A"), source_id("demo-erp", "customer", "7")
    state = AggregateState(crm, "customer", members={}, sources={})
    account = change_of("demo-crm", "customer", "A", 1, name="Ada", phone="1")
    # Merged, but not settled: nothing is committed yet.
    merge_batch(batch_of(state, account), {state.id: state}, Ownership())
    # The hub moved the ERP's record here; the echo of what write-back told the account is in the same batch.
    joining = EntityState(erp, "customer", merged_into=crm, contributions={}, record={})
    joining.contributions[erp] = Contribution(
        "demo-erp", "7", 0, 2, 0, 2, False, {"name": "ADA", "phone": "2"}, live=True
    )
    state.members[erp] = joining
    echo = msgspec.structs.replace(change_of("demo-crm", "customer", "A", 3, name="Ada", phone="1"), origin="opshub")
    refresh = Change("refresh", "", crm, target=crm)
    merged = merge_batch(batch_of(state, refresh, echo), {state.id: state}, Ownership())
    assert "phone" in {conflict.field for conflict in merged.out.conflicts.values()}


OWNED = Ownership(
    {"customer": EntityRule(fields={"credit_blocked": FieldRule(("demo-erp", "demo-crm"), restore=True)})}
)


def test_value_on_its_way_to_the_target_is_no_conflict_and_an_edit_there_is() -> None:
    state = AggregateState(source_id("demo-crm", "customer", "A"), "customer", members={}, sources={})
    account = {"credit_blocked": False, "attributes": {"erp_customer_no": "C1"}}
    partner = {"credit_blocked": False, "attributes": {"customer_no": "C1"}}

    def settled(change: Change) -> tuple[list[str], list[str]]:
        linked = msgspec.structs.replace(change, same_as=state.id)
        settled = settle_changes(
            state, linked, ownership=load_ownership(CONNECTORS / "ownership.yaml"), planner=PLANNER
        )
        conflicts = [conflict.field for conflict in settled.conflicts.values()]
        return [intent.rule for intent in settled.intents], conflicts

    assert settled(change_of("demo-crm", "customer", "A", 1, **account)) == ([], [])
    assert settled(change_of("demo-erp", "customer", "7", 2, **partner))[1] == []
    blocked = {"credit_blocked": True}
    assert settled(change_of("demo-erp", "customer", "7", 3, **partner | blocked)) == (["demo-crm/credit_block"], [])
    assert settled(change_of("demo-crm", "customer", "A", 4, origin="opshub", **account | blocked)) == ([], [])
    assert settled(change_of("demo-crm", "customer", "A", 5, **account)) == ([], ["credit_blocked"])


def settle(state: AggregateState, change: Change, planner: IntentPlanner = PLANNER) -> list[NewIntent]:
    """What one change of an aggregate gives rise to."""
    return settle_changes(state, change, ownership=OWNED, planner=planner).intents


def test_a_credit_block_and_the_customers_number_go_to_the_account() -> None:
    account = source_id("demo-crm", "customer", "A")
    state = AggregateState(account, "customer", members={}, sources={})

    def erp(major: int, blocked: bool) -> Change:
        return Change(
            "change", "customer", source_id("demo-erp", "customer", "7"), "demo-erp", "7", "u", 0, major, 0, major,
            same_as=account, fields={"name": "ADA", "credit_blocked": blocked, "attributes": {"customer_no": "C000007"}},
        )  # fmt: skip

    assert (
        settle(state, change_of("demo-crm", "customer", "A", 1, name="Ada", credit_blocked=False, attributes={})) == []
    )
    (number,) = settle(state, erp(2, False))
    assert (number.rule, number.subject_id) == ("demo-crm/credit_block", account)
    (blocked,) = settle(state, erp(3, True))
    assert blocked.key != number.key
    assert (
        settle(state, change_of("demo-crm", "customer", "A", 4, name="Ada GmbH", credit_blocked=False, attributes={}))
        == []
    ), "the CRM is not told what it said"


def test_owners_value_is_restored_where_the_ownership_wants_it() -> None:
    account = source_id("demo-crm", "customer", "A")
    state = AggregateState(account, "customer", members={}, sources={})
    restoring = IntentPlanner(RULES, OWNED.restored)

    def crm(major: int, blocked: bool, **more: Any) -> Change:
        return change_of("demo-crm", "customer", "A", major, name="Ada", credit_blocked=blocked, attributes={}, **more)

    erp = Change(
        "change", "customer", source_id("demo-erp", "customer", "7"), "demo-erp", "7", "u", 0, 2, 0, 2,
        same_as=account, fields={"name": "ADA", "credit_blocked": True, "attributes": {"customer_no": "C000007"}},
    )  # fmt: skip
    for change in (crm(1, False), erp):
        settle(state, change, restoring)
    echo = msgspec.structs.replace(crm(3, True), origin="opshub")
    assert settle(state, echo, restoring) == []
    settled = settle_changes(state, crm(4, False), ownership=OWNED, planner=restoring)
    (restored,) = settled.intents
    assert "credit_blocked" in {conflict.field for conflict in settled.conflicts.values()}, (
        "its turns are counted by its conflicts"
    )
    assert (restored.rule, restored.subject_id, restored.cause_us) == ("demo-crm/credit_block", account, 4)
    assert "credit_blocked" in restored.fields
    assert settle(state, crm(5, False, phone="1"), restoring) == [], "it was told already"
    assert settle(state, msgspec.structs.replace(crm(6, True), origin="opshub"), restoring) == []
    with pytest.raises(ConfigError, match=r"entities.customer.fields.phone.restore: no writeback.yaml gives"):
        restoring.check_restored("customer", ["credit_blocked", "phone"])


def test_opportunity_shows_the_number_of_an_order_that_came_before_it() -> None:
    hub = Hub()
    assert hub.settle(order(1, "confirmed")) == []
    (intent,) = hub.settle(opportunity(2, "negotiation"))
    assert (intent.rule, intent.subject_id) == ("demo-crm/order_state", OPPORTUNITY)


def test_customer_unknown_to_the_crm_causes_an_intent_only_once_it_is_known() -> None:
    customer = source_id("demo-erp", "customer", "7")
    state = AggregateState(customer, "customer", members={}, sources={})

    def erp(major: int, blocked: bool) -> Change:
        return Change(
            "change", "customer", customer, "demo-erp", "7", "u", 0, major, 0, major,
            fields={"name": "ADA", "credit_blocked": blocked, "attributes": {"customer_no": "C000007"}},
        )  # fmt: skip

    assert settle(state, erp(1, False)) == []
    assert settle(state, erp(2, True)) == []
    known = change_of("demo-crm", "customer", "A", 3, name="Ada", credit_blocked=False, attributes={})
    (blocked,) = settle(state, msgspec.structs.replace(known, same_as=customer))
    assert (blocked.rule, blocked.subject_id) == ("demo-crm/credit_block", customer)


def test_a_rule_may_answer_what_people_of_its_target_changed() -> None:
    """Goods that a customer sends back come into the ERP, and the ERP is to write the credit note."""
    hub = Hub()

    def back(major: int, status: str, origin: str | None = None, op: str = "u") -> Change:
        of = {"number": "RT-1", "wanted": "credit", "net_amount": 50_0000}
        return change_of("demo-erp", "return_order", "R", major, OPPORTUNITY, op=op, origin=origin, status=status, **of)

    assert hub.settle(opportunity(1, "won"), order(2, "closed")) is not None
    credit = "demo-erp/credit_note_from_return"
    assert [one for one in hub.settle(back(3, "approved")) if one.rule == credit] == []
    (intent,) = [one for one in hub.settle(back(4, "received")) if one.rule == credit]
    assert (intent.target, intent.cause_us) == ("demo-erp", 4)
    for status, origin, op in (("received", "opshub", "u"), ("received", None, "r")):
        other = Hub()
        other.settle(order(2, "closed"))
        assert [one for one in other.settle(back(4, status, origin, op)) if one.rule == credit] == []
