"""What becomes of links: where an id lives from now on."""

from __future__ import annotations

from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.state import AggregateState
from streams.pipeline.settle import Settling
from streams.resolve.golden import Ownership

ORDER = source_id("demo-erp", "sales_order", "1")
DEAL = source_id("demo-crm", "opportunity", "1")
SHIPMENT = source_id("demo-erp", "shipment", "1")


def test_of_two_links_of_one_batch_the_last_counts() -> None:
    """The hub takes one row for each id: two of them in one statement would stop every worker that reads the batch."""
    state = AggregateState(SHIPMENT, "order_flow", members={}, sources={})
    settling = Settling(Ownership(), {})
    links = [Change("link", "shipment", SHIPMENT, target=target) for target in (ORDER, DEAL)]
    settling.apply(state, [(link, None) for link in links])
    settling.references()
    settling.settle(lambda one: one)
    assert settling.links == [{"source_id": SHIPMENT, "target": DEAL, "same": False, "said_at": (0, 0, 0)}]


def test_a_link_that_comes_late_does_not_undo_what_its_source_said_later() -> None:
    """A worker of ingest stood still, and emitted after another had read on: the shipment would be looked for where it was."""
    state = AggregateState(SHIPMENT, "order_flow", members={}, sources={})

    def link(target: str, minor: int) -> list[dict[str, object]]:
        settling = Settling(Ownership(), {})
        settling.apply(
            state, [(Change("link", "shipment", SHIPMENT, target=target, epoch=0, major=7, minor=minor), None)]
        )
        return settling.links

    assert link(ORDER, 5) == [{"source_id": SHIPMENT, "target": ORDER, "same": False, "said_at": (0, 7, 5)}]
    assert link(DEAL, 8)[0]["target"] == DEAL
    assert link(ORDER, 5) == []
    assert (state.forward, state.forward_at) == (DEAL, (0, 7, 8))
    assert link(ORDER, 9)[0]["said_at"] == (0, 7, 9)
