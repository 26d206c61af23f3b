"""What becomes of links: where an id lives from now on."""

from __future__ import annotations

from streams.hub.save import IdentityLink
from streams.model.change import Change, Position
from streams.model.ids import source_id
from streams.model.state import NOWHERE, AggregateState
from tests.settled import settle_changes

ORDER = source_id("demo-erp", "sales_order", "1")
DEAL = source_id("demo-crm", "opportunity", "1")
SHIPMENT = source_id("demo-erp", "shipment", "1")


def test_of_two_links_of_one_batch_the_last_counts() -> None:
    """The hub takes one row for each id: two of them in one statement would stop every worker that reads the batch."""
    state = AggregateState(SHIPMENT, "order_flow", members={}, sources={})
    links = [Change("link", "shipment", SHIPMENT, target=target) for target in (ORDER, DEAL)]
    settled = settle_changes(state, *links)
    assert list(settled.links.values()) == [IdentityLink(SHIPMENT, DEAL, False, NOWHERE)]


def test_a_link_that_comes_late_does_not_undo_what_its_source_said_later() -> None:
    """A worker of ingest stood still, and emitted after another had read on: the shipment would be looked for where it was."""
    state = AggregateState(SHIPMENT, "order_flow", members={}, sources={})

    def link(target: str, minor: int) -> list[IdentityLink]:
        change = Change("link", "shipment", SHIPMENT, target=target, epoch=0, major=7, minor=minor)
        return list(settle_changes(state, change).links.values())

    assert link(ORDER, 5) == [IdentityLink(SHIPMENT, ORDER, False, Position(0, 7, 5))]
    assert link(DEAL, 8)[0].target == DEAL
    assert link(ORDER, 5) == []
    assert (state.forward, state.forward_at) == (DEAL, (0, 7, 8))
    assert link(ORDER, 9)[0].linked_at == (0, 7, 9)
