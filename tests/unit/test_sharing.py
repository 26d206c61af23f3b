"""What the writer of a document sends to the flows of other orders, and when it sends nothing."""

from __future__ import annotations

import msgspec

from streams.flow.place import MAX_HOPS
from streams.flow.shares import SHARE, share_id
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.state import AggregateState
from streams.pipeline.settle import Settled, settle
from streams.resolve.rules import Ownership
from tests.property.stories import of_line, row
from tests.settled import batch_of, settle_changes

A, B = source_id("erp", "sales_order", "A"), source_id("erp", "sales_order", "B")
INVOICE = source_id("erp", "invoice", "I")
CHANGES = [
    row("sales_order", "A", 1, number="A", status="confirmed", net_amount=100_0000, currency="EUR"),
    row("sales_order_line", "A1", 2, ("sales_order", "A"), line_no=1, quantity=1_000000, net_amount=100_0000),
    row("invoice", "I", 3, ("sales_order", "A"), number="I", status="open", net_amount=200_0000, gross_amount=238_0000),
    row("invoice_line", "I1", 4, ("invoice", "I"), order_line_id=of_line("A1"), net_amount=100_0000),
    row("invoice_line", "I2", 5, ("invoice", "I"), order_line_id=of_line("B1"), net_amount=100_0000),
]
ELSEWHERE = Change("elsewhere", "sales_order_line", of_line("B1"), target=B)


def flow_of_a(*changes: Change) -> AggregateState:
    state = AggregateState(A, "order_flow", members={}, sources={})
    settle_changes(state, *changes)
    return state


def shares(settled: Settled) -> list[tuple[str, int, bool]]:
    """Aggregate, version, whether it ended."""
    return [(key, change.major, change.deleted) for _, key, change in settled.sent_on if change.entity == SHARE]


def test_hub_is_asked_about_an_order_line_that_is_not_known() -> None:
    state = AggregateState(A, "order_flow", members={}, sources={})
    settled = settle_changes(state, *CHANGES)
    assert (settled.asked_order_lines, settled.new_order_lines) == ({(A, of_line("B1"))}, {of_line("A1")})
    assert shares(settled) == []


def test_nothing_is_asked_or_sent_where_all_order_lines_are_here() -> None:
    settled = settle_changes(AggregateState(A, "order_flow", members={}, sources={}), *CHANGES[:-1])
    assert (settled.asked_order_lines, settled.sent_on) == (set(), [])


def test_share_is_sent_once_and_when_it_changed() -> None:
    state = flow_of_a(*CHANGES)
    assert shares(settle_changes(state, ELSEWHERE)) == [(B, 1, False)]
    assert shares(settle_changes(state, ELSEWHERE)) == []
    assert shares(settle_changes(state, row("sales_order", "A", 6, number="A", status="closed"))) == []
    paid = row("invoice", "I", 7, ("sales_order", "A"), number="I", status="paid", net_amount=200_0000)
    assert shares(settle_changes(state, paid)) == [(B, 2, False)]
    assert shares(settle_changes(state, row("invoice_line", "I2", 8, ("invoice", "I"), deleted=True))) == [(B, 3, True)]


def test_share_that_was_sent_is_sent_again_when_the_change_comes_again() -> None:
    state = flow_of_a(*CHANGES)
    settle_changes(state, ELSEWHERE)
    assert shares(settle_changes(state, CHANGES[-1])) == [(B, 1, False)]


def test_share_that_comes_twice_makes_nobody_send_shares() -> None:
    """Two flows that share two documents would repeat their shares to each other for ever."""
    state = flow_of_a(*CHANGES)
    settle_changes(state, ELSEWHERE)
    share = Change(
        "change", SHARE, share_id("J", of_line("A1")), "hub", "J", major=1, parent=of_line("A1"),
        fields={"document_id": "J", "document": "invoice", "record": {}, "lines": {}, "payments": {}},
    )  # fmt: skip
    share = msgspec.structs.replace(
        share, fields=share.fields | {"number": "J", "system": "erp", "key": "J", "changed_us": 1}
    )
    assert settle_changes(state, share).sent_on == []
    assert settle_changes(state, share).sent_on == []


def test_share_goes_where_its_order_line_lives_by_now() -> None:
    share = Change("change", SHARE, share_id(INVOICE, of_line("B1")), "hub", "I", major=1, parent=of_line("B1"))
    state = AggregateState(B, "order_flow", members={}, sources={})
    batch = msgspec.structs.replace(batch_of(state, share), homes={of_line("B1"): A})
    settled = settle(batch, {B: state}, Ownership())
    assert isinstance(settled, Settled)
    assert [(key, change.hops) for _, key, change in settled.sent_on] == [(A, 1)]


def test_share_that_never_arrives_is_a_dead_letter() -> None:
    share = Change(
        "change", SHARE, share_id(INVOICE, of_line("B1")), "hub", "I", parent=of_line("B1"), hops=MAX_HOPS + 1
    )
    state = AggregateState(B, "order_flow", members={}, sources={})
    settled = settle(batch_of(state, share), {B: state}, Ownership())
    assert isinstance(settled, Settled)
    assert [circular.change.id for circular in settled.circular] == [share.id]
    assert settled.sent_on == []
