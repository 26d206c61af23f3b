"""Checks the shares of documents that serve several flows: what was sent is what the lines give, and it arrived.

In: all aggregates. Out: a line for each difference. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streams.flow.shares import portions_sent, share_id, shares_sent_id
from streams.model.state import AggregateState, EntityState
from streams.pipeline.settle.sharing import named_elsewhere, portions_of
from streams.verify.words import record_name


def wrong_shares(states: Mapping[str, AggregateState]) -> Iterator[str]:
    """What is wrong with the shares of each document, for people."""
    home_of = {
        member.id: state.id
        for state in states.values()
        if state.kind == "order_flow"
        for member in state.members.values()
        if member.entity == "sales_order_line" and member.version
    }
    for state in states.values():
        if state.kind == "order_flow":
            for document_id, order_lines in named_elsewhere(state).items():
                document = state.members.get(document_id)
                if document is not None:
                    yield from _wrong_shares(state, document, order_lines & home_of.keys(), states, home_of)


def _wrong_shares(
    state: AggregateState,
    document: EntityState,
    order_lines: set[str],
    states: Mapping[str, AggregateState],
    home_of: Mapping[str, str],
) -> Iterator[str]:
    name = record_name(document.entity, document.id, document.record)
    carrier = state.members.get(shares_sent_id(document.id))
    sent = portions_sent(carrier) if carrier is not None else {}
    portions = portions_of(state, document, order_lines)
    if sent != portions:
        lines = ", ".join(
            sorted(line for line in sent.keys() | portions.keys() if sent.get(line) != portions.get(line))
        )
        yield f"{name}: its shares for the order lines {lines} are not what its lines give"
    for order_line, portion in sent.items():
        home = states.get(home_of.get(order_line, ""))
        share = home.members.get(share_id(document.id, order_line)) if home is not None else None
        if share is None or share.deleted or share.record != portion:
            yield f"{name}: its share for the order line {order_line} has not arrived"
