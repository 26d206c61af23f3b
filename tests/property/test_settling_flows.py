"""The writers of aggregates agree on one flow, in whatever order changes reach them.

`MemoryPipeline` runs the loop of `Assemble` over a hub in memory, with one queue for each aggregate. Hypothesis chooses which queue is
served next, so every interleaving that Kafka could give is reachable, and more.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.change import Change
from tests.property.stories import ENDINGS, SALE, STORY, UNSHRUNK, flow_of, folded, play, row


def test_story_in_order_gives_its_flow() -> None:
    pipeline = play(STORY, None)
    flow = flow_of(pipeline)
    assert flow["stage"] == "partially_paid"
    assert flow["ordered_amount"] == 100_0000
    assert flow["shipped_amount"] == 30_0000
    assert flow["open_amount"] == 100_0000
    assert flow["line_count"] == 1
    assert [event["what"] for event in flow["timeline"]] == ["order created", "shipped", "paid"]
    (invoice,) = [record for (entity, _), record in folded(pipeline).items() if entity == "invoice"]
    assert [(line["line_no"], line["net_amount"]) for line in invoice["lines"]] == [(3, 60_0000)]
    assert pipeline.reversions == []


@settings(max_examples=150, deadline=None)
@given(st.permutations(STORY), st.data())
def test_any_order_gives_the_same_records(order: list[Change], data: st.DataObject) -> None:
    expected = folded(play(STORY, None))
    pipeline = play(order, data)
    assert pipeline.reversions == []
    assert folded(pipeline) == expected


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=60, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_any_order_gives_the_same_end_of_a_sale(ending: str, data: st.DataObject) -> None:
    changes, expected_fields = ENDINGS[ending]
    expected = play([*SALE, *changes], None)
    flow = flow_of(expected)
    assert {field: flow[field] for field in expected_fields} == expected_fields
    pipeline = play(data.draw(st.permutations([*SALE, *changes])), data)
    assert pipeline.reversions == []
    assert folded(pipeline) == folded(expected)


@settings(max_examples=25, deadline=None)
@given(st.permutations(STORY), st.data())
def test_a_writer_that_dies_before_it_emits_changes_nothing(order: list[Change], data: st.DataObject) -> None:
    expected = folded(play(STORY, None))
    pipeline = play(order, data, crashes=4)
    assert pipeline.reversions == []
    assert folded(pipeline) == expected


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_an_order_linked_late_takes_all_that_hangs_on_it_along(data: st.DataObject) -> None:
    alone = row("sales_order", "S", 2, number="SO-1", status="confirmed", net_amount=100_0000, created_at=5)
    linked = row(
        "sales_order",
        "S",
        20,
        ("opportunity", "O"),
        number="SO-1",
        status="confirmed",
        net_amount=100_0000,
        created_at=5,
    )
    rest = [one for one in STORY if one.entity != "sales_order"]
    expected = folded(play([STORY[0], linked, *rest[1:]], None))
    order = data.draw(st.permutations([*rest, alone, linked]))
    pipeline = play(order, data)
    assert pipeline.reversions == []
    assert folded(pipeline) == expected


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_line_that_changes_its_order_leaves_the_one_and_joins_the_other(data: st.DataObject) -> None:
    changes = [
        row("sales_order", "A", 1, number="SO-A", status="confirmed", net_amount=10_0000),
        row("sales_order", "B", 2, number="SO-B", status="confirmed", net_amount=10_0000),
        row("sales_order_line", "L", 3, ("sales_order", "A"), line_no=1, quantity=1_000000, net_amount=10_0000),
        row("sales_order_line", "M", 4, ("sales_order", "A"), line_no=2, quantity=1_000000, net_amount=10_0000),
        row("sales_order_line", "L", 5, ("sales_order", "B"), line_no=1, quantity=1_000000, net_amount=20_0000),
    ]
    pipeline = play(changes, data)
    assert pipeline.reversions == []
    orders = {record["number"]: record for (entity, _), record in folded(pipeline).items() if entity == "sales_order"}
    assert [line["net_amount"] for line in orders["SO-A"]["lines"]] == [10_0000]
    assert [line["net_amount"] for line in orders["SO-B"]["lines"]] == [20_0000]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_line_that_changes_its_invoice_leaves_the_one_and_joins_the_other(data: st.DataObject) -> None:
    """Both invoices are of one order, so that no aggregate hands anything over."""
    changes = [
        row("sales_order", "S", 1, number="SO-1", status="confirmed", net_amount=10_0000),
        row("invoice", "A", 2, ("sales_order", "S"), number="A", status="open"),
        row("invoice", "B", 3, ("sales_order", "S"), number="B", status="open"),
        row("invoice_line", "L", 4, ("invoice", "A"), line_no=1, net_amount=10_0000),
        row("invoice_line", "L", 5, ("invoice", "B"), line_no=1, net_amount=10_0000),
    ]
    pipeline = play(changes, data)
    assert pipeline.reversions == []
    lines = {
        record["number"]: record["lines"] for (entity, _), record in folded(pipeline).items() if entity == "invoice"
    }
    assert (len(lines["A"]), len(lines["B"])) == (0, 1)
