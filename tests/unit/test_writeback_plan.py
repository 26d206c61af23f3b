"""Planning intents: what gives rise to one, what does not, and when people are asked."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.cli.approvals import deciding
from streams.cli.context import who
from streams.errors import ConfigError
from streams.hub.intents import NewIntent
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.state import AggregateState, Contribution, EntityState
from streams.pipeline.settle import Settling
from streams.resolve.ownership import load_ownership
from streams.resolve.rules import EntityRule, FieldRule, Ownership
from streams.writeback.approve import open_questions, questions
from streams.writeback.failures import NotYet
from streams.writeback.load import load_rules
from streams.writeback.planner import IntentPlanner
from streams.writeback.prepare import check_whole
from streams.writeback.rules import Approval, WritebackConfig, duration
from streams.writeback.values import Value, inward, kind_of, outward, plain, value_of
from streams.writeback.work import Work

CONNECTORS = Path(__file__).parents[2] / "connectors"
RULES = load_rules(CONNECTORS, ["demo-crm", "demo-erp"])
PLANNER = IntentPlanner(RULES)
OPPORTUNITY = source_id("demo-crm", "opportunity", "O")


def said(
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
    return said("demo-crm", "opportunity", "O", major, number="OPP-1", stage=stage, amount=100_0000, **more)


def order(major: int, status: str, **more: Any) -> Change:
    return said(
        "demo-erp", "sales_order", "S", major, OPPORTUNITY, number="SO-1", status=status, net_amount=100_0000, **more
    )


class Hub:
    """One aggregate's writer, batch after batch."""

    def __init__(self) -> None:
        self.state = AggregateState(OPPORTUNITY, "order_flow", members={}, sources={})

    def tell(self, *changes: Change) -> list[NewIntent]:
        settling = Settling(Ownership(), {}, PLANNER)
        settling.apply(self.state, [(change, None) for change in changes])
        settling.references()
        settling.settle(lambda one: one)
        assert not settling.dead
        return settling.intents


def test_a_won_opportunity_is_planned_once() -> None:
    hub = Hub()
    assert hub.tell(opportunity(1, "proposal")) == []
    (intent,) = hub.tell(opportunity(2, "won"))
    assert intent.rule == "demo-erp/order_from_opportunity"
    assert intent.key == f"demo-erp/order_from_opportunity:{OPPORTUNITY}"
    assert (intent.target, intent.subject_id, intent.cause_us) == ("demo-erp", OPPORTUNITY, 2)
    assert hub.tell(opportunity(2, "won")) == [], "the same change again"
    assert hub.tell(opportunity(3, "won", notes="thanks")) == [], "won already"


def test_history_and_echoes_give_rise_to_nothing() -> None:
    assert Hub().tell(opportunity(1, "won", op="r")) == []
    assert Hub().tell(opportunity(1, "won", origin="opshub")) == []
    assert len(Hub().tell(opportunity(1, "won", origin="another-replica"))) == 1


def test_no_second_order_for_an_opportunity_that_has_one() -> None:
    hub = Hub()
    hub.tell(opportunity(1, "proposal"), order(2, "confirmed"))
    assert [i for i in hub.tell(opportunity(3, "won")) if i.target == "demo-erp"] == []


def orders_of(intents: list[NewIntent]) -> list[str]:
    return [one.key for one in intents if one.rule == "demo-erp/order_from_opportunity"]


def test_a_deal_whose_order_was_cancelled_gives_a_new_one_when_it_is_won_again() -> None:
    first = f"demo-erp/order_from_opportunity:{OPPORTUNITY}"
    hub = Hub()
    assert orders_of(hub.tell(opportunity(1, "won"))) == [first]
    hub.tell(order(2, "confirmed", origin="opshub"))
    assert orders_of(hub.tell(order(3, "cancelled"))) == [], "won still: whoever cancelled the order wants none"
    assert orders_of(hub.tell(opportunity(4, "negotiation"))) == []
    assert orders_of(hub.tell(opportunity(5, "won"))) == [f"{first}:2"]
    assert orders_of(hub.tell(opportunity(5, "won"), opportunity(6, "won", notes="thanks"))) == [], (
        "one winning, one order"
    )
    again = said("demo-erp", "sales_order", "T", 7, OPPORTUNITY, "u", "opshub", number="SO-2", status="confirmed")
    assert orders_of(hub.tell(again)) == []
    hub.tell(opportunity(8, "negotiation"))
    assert orders_of(hub.tell(opportunity(9, "won"))) == [], "it has a live order"


def test_a_deal_that_is_won_again_without_an_order_in_between_is_the_same_intent() -> None:
    hub = Hub()
    (key,) = orders_of(hub.tell(opportunity(1, "won")))
    hub.tell(opportunity(2, "negotiation"))
    assert orders_of(hub.tell(opportunity(3, "won"))) == [key]
    deleted = msgspec.structs.replace(order(5, "draft"), deleted=True)
    hub.tell(opportunity(4, "negotiation"), order(4, "draft"))
    hub.tell(deleted)
    assert orders_of(hub.tell(opportunity(6, "won"))) == [f"{key}:2"], "an order that was deleted is no more either"


def test_the_orders_fate_is_told_to_the_crm_and_an_echo_is_not() -> None:
    hub = Hub()
    hub.tell(opportunity(1, "won"))
    assert hub.tell(order(2, "confirmed", origin="opshub")) == [], "our own order comes back"
    assert hub.state.members[source_id("demo-erp", "sales_order", "S")].record["number"] == "SO-1", (
        "it teaches its number"
    )
    (shipped,) = hub.tell(order(3, "shipped"))
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
    assert hub.tell(echo) == []


def test_what_an_echo_makes_whole_is_told_with_the_time_of_what_people_said_before() -> None:
    hub = Hub()
    hub.tell(opportunity(1, "won"), order(2, "confirmed", origin="opshub"))
    order_id = source_id("demo-erp", "sales_order", "S")
    hub.tell(said("demo-erp", "shipment", "D", 3, order_id, number="D-1", status="shipped"))
    (late,) = hub.tell(order(4, "closed", origin="opshub"))
    assert (late.rule, late.cause_us) == ("demo-crm/order_state", 3)


def test_a_persons_edit_in_the_target_is_kept_even_with_the_same_value() -> None:
    hub = Hub()
    hub.tell(opportunity(1, "won"), order(2, "confirmed"))
    hub.tell(opportunity(3, "won", origin="opshub", order_status="confirmed"))
    assert hub.tell(opportunity(4, "won", order_status="confirmed")) == []
    assert hub.tell(opportunity(5, "won", order_status="by hand")) == []
    assert hub.state.members[OPPORTUNITY].record["order_status"] == "by hand"


def test_an_echo_makes_no_conflict_and_a_person_does() -> None:
    def conflicts(origin: str | None) -> int:
        state = AggregateState(source_id("demo-crm", "customer", "A"), "customer", members={}, sources={})
        crm = said("demo-crm", "customer", "A", 1, name="Ada Ltd")
        erp = Change(
            "change", "customer", source_id("demo-erp", "customer", "7"), "demo-erp", "7", "c", 0, 2, 0, 2,
            origin=origin, same_as=state.id, fields={"name": "ADA"},
        )  # fmt: skip
        first, second = Settling(Ownership(), {}), Settling(Ownership(), {})
        for settling, change in ((first, crm), (second, erp)):
            settling.apply(state, [(change, None)])
            settling.references()
            settling.settle(lambda one: one)
        return len(second.conflicts)

    assert conflicts("opshub") == 0
    assert conflicts(None) == 1


def test_a_dispute_with_a_record_that_joins_is_told_though_an_echo_comes_with_it() -> None:
    crm, erp = source_id("demo-crm", "customer", "A"), source_id("demo-erp", "customer", "7")
    state = AggregateState(crm, "customer", members={}, sources={})
    account = said("demo-crm", "customer", "A", 1, name="Ada", phone="1")
    first, second = Settling(Ownership(), {}), Settling(Ownership(), {})
    first.apply(state, [(account, None)])
    # The hub moved the ERP's record here; the echo of what write-back told the account is in the same batch.
    joining = EntityState(erp, "customer", merged_into=crm, contributions={}, record={})
    joining.contributions[erp] = Contribution(
        "demo-erp", "7", 0, 2, 0, 2, False, {"name": "ADA", "phone": "2"}, live=True
    )
    state.members[erp] = joining
    echo = msgspec.structs.replace(said("demo-crm", "customer", "A", 3, name="Ada", phone="1"), origin="opshub")
    second.apply(state, [(Change("refresh", "", crm, target=crm), None), (echo, None)])
    second.references()
    assert "phone" in {conflict.field for conflict in second.conflicts}


OWNED = Ownership(
    {"customer": EntityRule(fields={"credit_blocked": FieldRule(("demo-erp", "demo-crm"), restore=True)})}
)


def test_what_is_on_its_way_to_the_target_is_no_conflict_and_what_a_person_says_there_is() -> None:
    state = AggregateState(source_id("demo-crm", "customer", "A"), "customer", members={}, sources={})
    account = {"credit_blocked": False, "attributes": {"erp_customer_no": "C1"}}
    partner = {"credit_blocked": False, "attributes": {"customer_no": "C1"}}

    def settled(change: Change) -> tuple[list[str], list[str]]:
        settling = Settling(load_ownership(CONNECTORS / "ownership.yaml"), {}, PLANNER)
        settling.apply(state, [(msgspec.structs.replace(change, same_as=state.id), None)])
        settling.references()
        settling.settle(lambda one: one)
        return [one.rule for one in settling.intents], [one.field for one in settling.conflicts]

    assert settled(said("demo-crm", "customer", "A", 1, **account)) == ([], [])
    assert settled(said("demo-erp", "customer", "7", 2, **partner))[1] == []
    blocked = {"credit_blocked": True}
    assert settled(said("demo-erp", "customer", "7", 3, **partner | blocked)) == (["demo-crm/credit_block"], [])
    assert settled(said("demo-crm", "customer", "A", 4, origin="opshub", **account | blocked)) == ([], [])
    assert settled(said("demo-crm", "customer", "A", 5, **account)) == ([], ["credit_blocked"])


def tell(state: AggregateState, change: Change, planner: IntentPlanner = PLANNER) -> list[NewIntent]:
    """What one change of an aggregate gives rise to."""
    settling = Settling(OWNED, {}, planner)
    settling.apply(state, [(change, None)])
    settling.references()
    settling.settle(lambda one: one)
    return settling.intents


def test_a_credit_block_and_the_customers_number_go_to_the_account() -> None:
    account = source_id("demo-crm", "customer", "A")
    state = AggregateState(account, "customer", members={}, sources={})

    def erp(major: int, blocked: bool) -> Change:
        return Change(
            "change", "customer", source_id("demo-erp", "customer", "7"), "demo-erp", "7", "u", 0, major, 0, major,
            same_as=account, fields={"name": "ADA", "credit_blocked": blocked, "attributes": {"customer_no": "C000007"}},
        )  # fmt: skip

    assert tell(state, said("demo-crm", "customer", "A", 1, name="Ada", credit_blocked=False, attributes={})) == []
    (number,) = tell(state, erp(2, False))
    assert (number.rule, number.subject_id) == ("demo-crm/credit_block", account)
    (blocked,) = tell(state, erp(3, True))
    assert blocked.key != number.key
    assert (
        tell(state, said("demo-crm", "customer", "A", 4, name="Ada GmbH", credit_blocked=False, attributes={})) == []
    ), "the CRM is not told what it said"


def test_what_the_owner_says_is_restored_where_the_ownership_says_so() -> None:
    account = source_id("demo-crm", "customer", "A")
    state = AggregateState(account, "customer", members={}, sources={})
    restoring = IntentPlanner(RULES, OWNED.restored)

    def crm(major: int, blocked: bool, **more: Any) -> Change:
        return said("demo-crm", "customer", "A", major, name="Ada", credit_blocked=blocked, attributes={}, **more)

    erp = Change(
        "change", "customer", source_id("demo-erp", "customer", "7"), "demo-erp", "7", "u", 0, 2, 0, 2,
        same_as=account, fields={"name": "ADA", "credit_blocked": True, "attributes": {"customer_no": "C000007"}},
    )  # fmt: skip
    for change in (crm(1, False), erp):
        tell(state, change, restoring)
    echo = msgspec.structs.replace(crm(3, True), origin="opshub")
    assert tell(state, echo, restoring) == []
    settling = Settling(OWNED, {}, restoring)
    settling.apply(state, [(crm(4, False), None)])
    settling.references()
    settling.settle(lambda one: one)
    (restored,) = settling.intents
    assert "credit_blocked" in {one.field for one in settling.conflicts}, "its turns are counted by its conflicts"
    assert (restored.rule, restored.subject_id, restored.cause_us) == ("demo-crm/credit_block", account, 4)
    assert "credit_blocked" in restored.fields
    assert tell(state, crm(5, False, phone="1"), restoring) == [], "it was told already"
    assert tell(state, msgspec.structs.replace(crm(6, True), origin="opshub"), restoring) == []
    with pytest.raises(ConfigError, match=r"entities.customer.fields.phone.restore: no writeback.yaml gives"):
        restoring.check_restored("customer", ["credit_blocked", "phone"])


def test_the_number_of_an_order_that_came_before_its_opportunity_is_shown_in_it() -> None:
    hub = Hub()
    assert hub.tell(order(1, "confirmed")) == []
    (intent,) = hub.tell(opportunity(2, "negotiation"))
    assert (intent.rule, intent.subject_id) == ("demo-crm/order_state", OPPORTUNITY)


def test_a_customer_that_the_crm_does_not_know_gives_it_nothing_until_it_does() -> None:
    customer = source_id("demo-erp", "customer", "7")
    state = AggregateState(customer, "customer", members={}, sources={})

    def erp(major: int, blocked: bool) -> Change:
        return Change(
            "change", "customer", customer, "demo-erp", "7", "u", 0, major, 0, major,
            fields={"name": "ADA", "credit_blocked": blocked, "attributes": {"customer_no": "C000007"}},
        )  # fmt: skip

    assert tell(state, erp(1, False)) == []
    assert tell(state, erp(2, True)) == []
    known = said("demo-crm", "customer", "A", 3, name="Ada", credit_blocked=False, attributes={})
    (blocked,) = tell(state, msgspec.structs.replace(known, same_as=customer))
    assert (blocked.rule, blocked.subject_id) == ("demo-crm/credit_block", customer)


def work(**more: Any) -> Work:
    told: dict[str, Any] = {
        "id": 1, "key": "k", "rule": "demo-erp/order_from_opportunity", "target": "demo-erp", "entity": "opportunity", "entity_id": "e",
        "aggregate_id": "a", "subject_id": "e", "customer_id": "c", "version": 1, "cause_us": 0, "given": {}, "state": "approved",
        "decisions": [], "attempts": 1, "failures": 0, "age_s": 0.0,
    }  # fmt: skip
    return Work(**(told | more))


RULE = RULES["demo-erp"].rules["order_from_opportunity"]


def document(amount: int, currency: str = "EUR", blocked: bool = False, lines: tuple[int, ...] = ()) -> dict[str, Any]:
    return {
        "record": {"amount": amount, "currency": currency},
        "customer": {"record": {"credit_blocked": blocked}, "keys": {}},
        "lines": [{"record": {"net_amount": net}} for net in lines],
    }


def test_people_are_asked_for_large_orders_and_blocked_customers() -> None:
    assert questions(RULE, "demo-erp", document(499_999_0000)) == []
    (large,) = questions(RULE, "demo-erp", document(500_001_0000))
    assert "500,000" in large["reason"]
    assert questions(RULE, "demo-erp", document(1_000_000_0000, "JPY")) == []
    assert len(questions(RULE, "demo-erp", document(1_0000, "BRL"))) == 1, "a currency without a limit asks always"
    assert len(questions(RULE, "demo-erp", document(500_001_0000, blocked=True))) == 2


def test_people_are_asked_for_discounts_and_credit() -> None:
    def asked(one: Approval, **customer: Any) -> bool:
        told = document(100_0000, lines=(60_0000, 40_0000))
        for line, percent in zip(told["lines"], (None, 12_5000), strict=True):
            line["record"]["discount_pct"] = percent
        told["customer"] = {"record": {"currency": "EUR", "credit_limit": 300_0000}, **customer}
        return bool(questions(RULE.model_copy(update={"approval": [one]}), "demo-erp", told))

    assert asked(Approval(reason="discount", discount_over=Decimal(12)))
    assert not asked(Approval(reason="discount", discount_over=Decimal("12.5")))
    credit = Approval(reason="credit", credit_exceeded=True)
    owes = {"currency": "EUR", "open_amount": 200_0000, "other_open_amounts": None}
    assert not asked(credit)
    assert not asked(credit, receivables=owes)
    assert asked(credit, receivables=owes | {"open_amount": 200_0001})
    assert not asked(
        credit, receivables=owes | {"open_amount": 900_0000}, record={"currency": "EUR", "credit_limit": None}
    )
    assert asked(credit, receivables=owes | {"other_open_amounts": {"USD": "1"}}), "amounts of two currencies"
    assert not asked(credit, on_order={"EUR": 200_0000})
    assert asked(credit, on_order={"EUR": 200_0001}), "it has ordered for 200 and was not billed yet"
    assert asked(credit, on_order={"USD": 1}), "amounts of two currencies"
    assert asked(credit, record={"currency": "USD", "credit_limit": 300_0000}), (
        "a limit in another currency than the order"
    )


def test_a_yes_holds_for_the_reasons_that_were_seen() -> None:
    asked = [{"reason": "large", "people": 2}, {"reason": "blocked", "people": 1}]
    ada = {"who": "ada", "what": "approve", "reasons": [{"reason": "large"}]}
    assert open_questions(asked, work(decisions=[ada])) == asked
    assert open_questions(asked, work(decisions=[ada, ada])) == asked, "the same person twice is one"
    both = {"who": "bob", "what": "approve", "reasons": [{"reason": "large"}, {"reason": "blocked"}]}
    assert open_questions(asked, work(decisions=[ada, both])) == []


def test_a_yes_holds_for_no_more_than_was_seen() -> None:
    def left(seen: dict[str, Any], now: dict[str, Any]) -> bool:
        said_ = [{"who": "ada", "what": "approve", "reasons": questions(RULE, "demo-erp", seen)}]
        return bool(open_questions(questions(RULE, "demo-erp", now), work(decisions=said_)))

    large = document(600_000_0000)
    assert not left(large, large)
    assert not left(large, document(550_000_0000))
    assert left(large, document(6_000_000_0000)), "ten times as much"
    assert left(document(1_0000, "BRL"), document(1_0000, "RUB"))
    blocked = document(600_0000, blocked=True)
    assert left(blocked, document(6_000_0000, blocked=True))
    discount = RULE.model_copy(update={"approval": [Approval(reason="discount", discount_over=Decimal(10))]})

    def given(percent: int) -> list[dict[str, Any]]:
        told = document(100_0000, lines=(100_0000,))
        told["lines"][0]["record"]["discount_pct"] = percent * 10_000
        return questions(discount, "demo-erp", told)

    yes = [{"who": "ada", "what": "approve", "reasons": given(12)}]
    assert open_questions(given(12), work(decisions=yes)) == []
    assert open_questions(given(50), work(decisions=yes)) != []


def test_what_the_target_says_now_is_asked_about_once_it_is_read() -> None:
    assert questions(RULE, "demo-erp", document(1_0000)) == []
    (blocked,) = questions(RULE, "demo-erp", document(1_0000) | {"target": {"blocked": "X"}})
    assert blocked["reason"] == "the customer's credit is blocked"
    both = questions(RULE, "demo-erp", document(1_0000, blocked=True) | {"target": {"blocked": "X"}})
    assert both == [blocked], "one reason is asked about once"
    assert questions(RULE, "demo-erp", document(1_0000) | {"target": {"blocked": None}}) == []


def test_one_account_is_one_person() -> None:
    asked = [{"reason": "large", "people": 2}]

    def yes(who: str, account: str) -> dict[str, Any]:
        return {"who": who, "account": account, "what": "approve", "reasons": [{"reason": "large"}]}

    assert open_questions(asked, work(decisions=[yes("ada", "ada"), yes("bob", "ada")])) == asked
    assert open_questions(asked, work(decisions=[yes("ada", "ada"), yes("ada", "bob")])) == asked
    assert open_questions(asked, work(decisions=[yes("ada", "ada"), yes("bob", "bob")])) == []


def test_who_decides_and_by_whose_account(monkeypatch: pytest.MonkeyPatch) -> None:
    assert deciding(None, "ada", []) == ("ada", "ada")
    assert deciding("bob", "ada", []) == ("bob", "ada")
    assert deciding("bob", "desk", ["ada", "bob"]) == ("bob", "bob")
    with pytest.raises(ConfigError, match="'eve' is none of those"):
        deciding("eve", "desk", ["ada", "bob"])
    monkeypatch.setenv("LOGNAME", "eve")
    monkeypatch.setenv("USER", "eve")
    assert who() != "eve", "the environment says what it likes"


def test_a_document_waits_for_what_it_refers_to() -> None:
    told = document(100_0000, lines=(100_0000,))
    told["record"]["customer_id"] = told["lines"][0]["record"]["product_id"] = "an id"
    told["lines"][0]["product"] = told["customer"]
    check_whole(work(), RULE, told)
    customer = told.pop("customer")
    with pytest.raises(NotYet, match="the hub does not have its customer an id yet"):
        check_whole(work(), RULE, told)
    told["customer"] = customer
    del told["lines"][0]["product"]
    with pytest.raises(NotYet, match="the hub does not have its product an id yet"):
        check_whole(work(), RULE, told)


def test_a_half_written_document_waits() -> None:
    check_whole(work(), RULE, document(100_0000, lines=(60_0000, 40_0000)))
    check_whole(work(), RULE, document(100_0000, lines=(60_0000, 40_0100)))
    with pytest.raises(NotYet, match="1 lines make 60, the header says 100"):
        check_whole(work(), RULE, document(100_0000, lines=(60_0000,)))
    with pytest.raises(NotYet):
        check_whole(work(), RULE, document(100_0000))


def test_a_canary_draws_the_same_lot_each_time() -> None:
    half = RULE.model_copy(update={"share": 0.5})
    lots = [half.is_live_for(str(number)) for number in range(400)]
    assert 150 < sum(lots) < 250
    assert lots == [half.is_live_for(str(number)) for number in range(400)]
    assert not RULE.model_copy(update={"mode": "shadow"}).is_live_for("c")


def test_values_take_the_form_that_the_target_wants() -> None:
    told = {
        "record": {
            "day": 20_416,
            "amount": 12_3456,
            "qty": 2_500000,
            "rate": 19_0000,
            "at": 1_763_999_999_000_000,
            "owner": "Grace Hopper",
        }
    }

    def form(path: str, **more: Any) -> Any:
        return value_of(Value(**{"from": f"record.{path}", **more}), told)

    assert form("day", **{"as": "yyyymmdd"}) == 20251124
    assert form("amount", **{"as": "money"}) == Decimal("12.3456")
    assert form("qty", **{"as": "float"}) == 2.5
    assert form("rate", **{"as": "rate"}, values={"19": "V1"}) == "V1"
    assert form("at", **{"as": "local_time"}, timezone="Europe/Berlin").isoformat() == "2025-11-24T16:59:59"
    assert form("owner", **{"as": "initials"}) == "GH"
    assert form("missing", default="x") == "x"


@pytest.mark.parametrize(
    ("entity", "field", "canonical", "shown", "also"),
    [
        ("product", "list_price", 12_3500, "12.35", [12.35, "12.3500", Decimal("12.35")]),
        ("product", "available", -1, "-0.000001", ["-0.0000010"]),
        ("sales_order", "promised_date", 20_416, "2025-11-24", ["2025-11-24T00:00:00"]),
        ("product", "created_at", 1_763_999_999_000_000, "2025-11-24T15:59:59+00:00", ["2025-11-24T16:59:59+01:00", "2025-11-24T15:59:59Z"]),
        ("product", "active", True, True, []),
        ("product", "name", "7", "7", []),
    ],
)  # fmt: skip
def test_canonical_values_go_out_as_people_write_them_and_come_back(
    entity: str, field: str, canonical: Any, shown: Any, also: list[Any]
) -> None:
    kind = kind_of(entity, field)
    out = outward(kind, canonical)
    assert (format(out.normalize(), "f") if isinstance(out, Decimal) else plain(out)) == shown
    assert [inward(kind, one) for one in [out, shown, *also]] == [canonical] * (2 + len(also))


def test_what_has_no_canonical_form_equals_nothing() -> None:
    assert inward(kind_of("product", "list_price"), "12.34567") == "12.34567"
    assert inward(kind_of("product", "list_price"), "on request") == "on request"
    assert inward(kind_of("sales_order", "promised_date"), "soon") == "soon"


def test_durations() -> None:
    assert duration("90 s") == timedelta(seconds=90)
    with pytest.raises(ValueError, match="no duration"):
        duration("soon")


def test_a_wrong_file_names_itself_and_the_field(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    file = folder / "writeback.yaml"
    text = (
        (CONNECTORS / "demo-crm" / "writeback.yaml")
        .read_text(encoding="utf-8")
        .replace("system: demo-crm", "system: shop", 1)
    )
    for wrong, said_ in (
        (text.replace("entity: order_flow", "entity: order_flows"), "rules.order_state: .*order_flows"),
        (text.replace("about: Sales see", "schedule: every day\n    about: Sales see"), "credit_block.schedule"),
        (text.replace("origins: [opshub]", "origins: [mine]"), "origin 'mine'"),
        (text, "order_number.after: there is no rule"),
    ):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(ConfigError, match=said_) as caught:
            load_rules(tmp_path, ["shop"])
        assert str(file) in str(caught.value)


def test_secrets_are_no_yaml(tmp_path: Path) -> None:
    folder = tmp_path / "demo-erp"
    folder.mkdir()
    (tmp_path / "demo-crm").mkdir()
    (folder / "writeback.yaml").write_text(
        (CONNECTORS / "demo-erp" / "writeback.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    found: WritebackConfig = load_rules(
        tmp_path, ["demo-erp"], lambda text, _: ": {'#" if "PASSWORD" in text else text
    )["demo-erp"]
    assert found.target.adapter == "sql" and found.target.password == ": {'#"
