"""What an order flow waits for, what a text may mean, who decided a field, how a flow is drawn: without a hub."""

from __future__ import annotations

from typing import Any

import pytest

from streams.console.drawing import bars_of, draw_timeline, events_of
from streams.console.operations.flows import _sources
from streams.console.operations.journey import Step, in_order, lsn
from streams.console.people import Grant, Person
from streams.console.render import _commands, from_us
from streams.console.sources import RawTable, Sources, raw_keys
from streams.flow.waiting import Wait, progress_of_lines, waits_for
from streams.hub.finding import Coordinates, coordinates_of
from streams.hub.flow_lists import digits_of, name_parts, read_after
from streams.hub.order_flows import FlowMember
from streams.hub.record_views import RecordName
from streams.model.ids import source_id
from streams.model.state import Contribution, EntityState
from streams.resolve.explain import explain_fields
from streams.resolve.rules import EntityRule, FieldRule, Ownership

TODAY = 20_000
DAY_US = 86_400_000_000


class Planned:
    """An intent, as far as a flow waits for it."""

    id, rule, target = 17, "demo-erp/order", "demo-erp"

    def __init__(self, state: str, problem: str | None = None) -> None:
        self.state, self.problem = state, problem


def document(entity: str, **record: Any) -> FlowMember:
    return FlowMember("1", entity, 1, record)


def wait(stage: str, *documents: FlowMember, intents: tuple[Planned, ...] = (), **record: Any) -> Wait:
    return waits_for({"stage": stage, **record}, documents, intents, TODAY)


def test_an_order_waits_for_its_goods_and_is_late_by_days() -> None:
    found = wait("ordered", document("sales_order", owner="Ben"), promised_date=TODAY - 3)
    assert (found.what, found.late_days, found.ask, found.ask_of) == ("goods", 3, "Ben", "sales_order")


def test_an_invoice_waits_for_its_payment_until_the_earliest_day() -> None:
    bills = [document("invoice", status="open", due_date=TODAY + day, owner="Eva") for day in (9, 4)]
    found = wait("invoiced", *bills)
    assert (found.what, found.due, found.late_days, found.ask) == ("payment", TODAY + 4, None, "Eva")


def test_what_a_target_refuses_comes_before_everything_else() -> None:
    found = wait("won", intents=(Planned("waiting"), Planned("dead", "party is locked")))
    assert (found.what, found.intent, found.problem) == ("refused", 17, "party is locked")
    assert wait("won", intents=(Planned("waiting"), Planned("delivered"))).what == "approval"


def test_who_is_asked_is_the_owner_of_the_deal_where_the_order_has_none() -> None:
    assert wait("delivered", document("sales_order"), document("opportunity", owner="Ada")).ask == "Ada"


@pytest.mark.parametrize("stage", ["paid", "lost", "cancelled", "credited"])
def test_a_finished_flow_waits_for_nothing(stage: str) -> None:
    assert wait(stage).what == "nothing"


def state(id: str, entity: str, parent: str | None = None, **record: Any) -> EntityState:
    return EntityState(id, entity, parent, version=1, record=record)


def test_lines_say_how_much_was_shipped_and_invoiced() -> None:
    members = [
        state("o", "sales_order", number="SO1", status="confirmed"),
        state("l", "sales_order_line", "o", line_no=1, quantity=10_000_000, unit="C62"),
        state("s", "shipment", "o", status="shipped"),
        state("sl", "shipment_line", "s", order_line_id="l", quantity=4_000_000, unit="C62"),
        state("planned", "shipment", "o", status="planned"),
        state("pl", "shipment_line", "planned", order_line_id="l", quantity=6_000_000, unit="C62"),
        state("i", "invoice", "o", status="open", kind="invoice"),
        state("il", "invoice_line", "i", order_line_id="l", quantity=4_000_000, unit="C62"),
        state("c", "invoice", "o", status="open", kind="credit_note"),
        state("cl", "invoice_line", "c", order_line_id="l", quantity=1_000_000, unit="C62"),
    ]
    (line,) = progress_of_lines(members)
    assert (line.ordered, line.shipped, line.invoiced) == (10_000_000, 4_000_000, 3_000_000)
    assert line.is_behind and line.order_number == "SO1"


@pytest.mark.parametrize(
    "text", ["raw.demo-erp.erp.so_head/2/17", "raw.demo-erp.erp.so_head:2:17", "raw.demo-erp.erp.so_head[2]@17"]
)
def test_a_place_in_kafka_is_read_in_each_form(text: str) -> None:
    assert coordinates_of(text) == Coordinates("raw.demo-erp.erp.so_head", 2, 17)


def test_a_row_of_a_system_is_no_place_in_kafka() -> None:
    assert coordinates_of("demo-erp:1042") is None


def test_digits_are_those_that_stand_alone() -> None:
    assert digits_of(" 0001042 ") == digits_of("#1042") == "1042"
    assert digits_of("SO-1042") is None and digits_of("0") is None


def test_a_part_of_a_name_is_escaped_and_short_ones_must_begin_it() -> None:
    assert name_parts("50%_Acme")["like"] == "%50\\%\\_acme%"
    assert name_parts("ab")["like"] is None
    chinese = name_parts("华东机")
    assert (chinese["like"], chinese["pairs"]) == ("%华东机%", ["东机", "华东"])


def test_a_place_in_a_list_must_be_one() -> None:
    with pytest.raises(Exception, match="no place in a list"):
        read_after("99999999999999999999:x")


def says(system: str, us: int, **fields: Any) -> Contribution:
    return Contribution(system, "1", 0, 1, us, us, False, fields)


def origin(rule: FieldRule, **by_system: Contribution) -> Any:
    record = EntityState("c", "customer", version=1, record={"phone": "1"}, contributions=dict(by_system))
    rules = Ownership({"customer": EntityRule(rank=("crm", "erp"), fields={"phone": rule})})
    return explain_fields(record, rules, ["phone"])[0]


def test_the_rule_that_decided_is_named_with_the_losing_value() -> None:
    found = origin(FieldRule(), a=says("crm", 5, phone="1"), b=says("erp", 9, phone="2"))
    assert (found.decided_by, found.winner, found.since_us, found.differs) == ("rule", "crm", 5, True)
    assert [(value.system, value.stands) for value in found.values] == [("crm", True), ("erp", False)]


def test_a_person_goes_before_the_rule_and_agreement_needs_none() -> None:
    person = origin(FieldRule(), a=says("crm", 5, phone="2"), b=says("opshub", 9, phone="1"))
    assert (person.decided_by, person.winner) == ("person", "opshub")
    assert origin(FieldRule(), a=says("crm", 5, phone="1"), b=says("erp", 9, phone="1")).decided_by == "agree"
    assert origin(FieldRule(), a=says("crm", 5, phone="1")).decided_by == "one source"


def test_raw_records_lead_to_records_and_back() -> None:
    table = RawTable("erp", "raw.erp.a.b", ("id",), frozenset({"customer"}), (("customer", ""),))
    sources = Sources([table], Ownership())
    assert source_id("erp", "customer", "17") in sources.ids_of("raw.erp.a.b", b'{"id":17}')
    assert sources.ids_of("raw.erp.a.b", b"no json") == sources.ids_of("raw.erp.a.b", None) == []
    assert b'{"id":17}' in raw_keys(("id",), "17") and b'{"a":1,"b":"x"}' in raw_keys(("a", "b"), "1|x")
    assert raw_keys(("a", "b"), "1") == []


def test_a_timeline_is_drawn_from_left_to_right_in_a_lane_for_each_system() -> None:
    timeline = [
        {"at": at, "precision": "time", "what": what, "entity": "sales_order", "id": "o", "system": system}
        for at, what, system in ((0, "won", "crm"), (60_000_000, "ordered", "erp"), (9 * DAY_US, "shipped", "erp"))
    ]
    events = events_of(timeline, {"o": "SO1"}, [])
    drawing = draw_timeline(events)
    assert [event.number for event in events] == ["SO1"] * 3 and [event.is_long for event in events] == [
        False,
        False,
        True,
    ]
    xs = [dot.x for dot in drawing.dots]
    assert xs == sorted(xs) and xs[2] - xs[1] > xs[1] - xs[0] and xs[-1] <= 1000
    assert [system for system, _ in drawing.lanes] == ["crm", "erp"] and len(drawing.gaps) == 1


def test_a_long_timeline_stays_in_the_picture() -> None:
    timeline = [
        {"at": n * DAY_US, "what": "shipped", "entity": "shipment", "id": None, "system": "erp"} for n in range(400)
    ]
    assert max(dot.x for dot in draw_timeline(events_of(timeline, {}, [])).dots) <= 1000
    assert draw_timeline([]).dots == []


def test_bars_share_a_scale_and_have_no_negative_length() -> None:
    assert [bar.share for bar in bars_of({"ordered": 200, "open": -50, "paid": 100, "none": None})] == [1.0, 0.0, 0.5]


def test_steps_stand_by_time_with_the_time_between_them() -> None:
    later = Step(kind="delivered", at=from_us(2_500_000), system="erp")
    unknown = Step(kind="in_hub", at=None, system="hub")
    first = Step(kind="committed", at=from_us(1_000_000), system="crm")
    made = in_order([later, unknown, first])
    assert [(step.kind, step.seconds) for step in made] == [("committed", None), ("delivered", 1.5), ("in_hub", None)]


def test_a_place_in_postgres_log_is_written_as_its_tools_do() -> None:
    assert lsn(31172528) == "0/1DBA7B0" and lsn(0) == ""


CUSTOMER, MERGED, OTHER = (source_id("demo-erp", "customer", key) for key in ("1", "2", "3"))


def source_of_order(fields: dict[str, Any], person: Person) -> dict[str, Any]:
    """What one system's contribution says otherwise than the order."""
    names = {
        MERGED: RecordName(MERGED, "Acme", "customer", CUSTOMER),
        OTHER: RecordName(OTHER, "Borg AG", "customer", OTHER),
    }
    order = FlowMember("o", "sales_order", 1, {"number": "SO-1", "customer_id": CUSTOMER, "gross_amount": 10_000})
    contribution = Contribution("demo-erp", "17", 1, 0, 0, 0, False, fields)
    return _sources(order, {"demo-erp:17": contribution}, names, person).sources[0].differs


def test_documents_side_by_side_name_the_customer_that_a_system_means() -> None:
    admin = Person("ada", (Grant("admin"),))
    assert source_of_order({"customer_id": OTHER, "gross_amount": 12_500, "number": "SO-1"}, admin) == {
        "customer_id": "Borg AG",
        "gross_amount": "1.25",
    }


def test_a_reference_to_a_merged_customer_is_no_difference() -> None:
    assert source_of_order({"customer_id": MERGED}, Person("ada", (Grant("admin"),))) == {}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`opshub apply` migrates <them>", "<code>opshub apply</code> migrates &lt;them&gt;"),
        ("an odd ` stays", "an odd ` stays"),
        ("`<b>`", "<code>&lt;b&gt;</code>"),
    ],
)
def test_commands_in_texts_are_shown_as_code(text: str, shown: str) -> None:
    assert _commands(text) == shown
