"""Send each order's share of a document to the aggregate of the order. Part of the second half of settling.

A line of an invoice, shipment, purchase or production order names an order line. Where that is not in this aggregate,
one of two things holds:

    it lives in another one   its portion of the document goes there, as a change of entity `share`
    nobody knows it yet       its portion stays here; the hub is asked once the batch is committed, by the writer of the
                              document and by the writer of a new order line. So whichever commits last finds the other,
                              and the writer of the document gets a message of kind `elsewhere`

`shares_sent`, one record for each document of which something was sent, remembers what; its version is the position of
the shares. So only what changed is sent, an old share never wins, and a batch that is repeated after a crash sends the
same again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from streams.flow.shares import CARRIERS, DOCUMENT_OF_LINE, SHARE, SHARES_SENT, share_id, shares_of, shares_sent_id
from streams.flow.supply import with_arrived, with_last_receipt
from streams.model.change import Change, ChangeOp
from streams.model.names import HUB, changes_topic
from streams.model.state import AggregateState, EntityState
from streams.pipeline.settle.batch import Message
from streams.pipeline.settle.working import AggregateWork, Working, send_on, write
from streams.writeback.planner import ORIGIN

_SHARES_DEPEND_ON = frozenset({
    *DOCUMENT_OF_LINE, *DOCUMENT_OF_LINE.values(), "payment", "sales_order_line", "goods_receipt", "goods_receipt_line",
    *CARRIERS,
})  # fmt: skip
_LINES_AND_CARRIERS = frozenset({*DOCUMENT_OF_LINE, SHARES_SENT})

Sent = dict[str, dict[str, Any]]
"""Order line → `target`: the aggregate that it was sent to, and `portion`: what was sent, or None where that ended."""


def apply_elsewhere(work: Working, aggregate: AggregateWork, change: Change) -> None:
    """The order line `change.id`, which lines of this aggregate name, lives in the aggregate `change.target`."""
    state = aggregate.state
    if state.forward is not None:
        send_on(work, state.kind, state.forward, change)
    elif change.target is not None:
        aggregate.elsewhere[change.id] = change.target


def share_documents(work: Working, aggregate: AggregateWork) -> None:
    """Send what changed of the shares of this aggregate's documents."""
    if not (aggregate.members_moved or aggregate.elsewhere or aggregate.refreshed):
        members = aggregate.state.members
        if not any([members[id].entity in _SHARES_DEPEND_ON for id in aggregate.changed if id in members]):
            return  # an order or a deal changes no share: two fifths of all flows are spared the search
    for document_id, order_lines in named_elsewhere(aggregate.state).items():
        _share(work, aggregate, document_id, order_lines)


def repeat_shares(work: Working, aggregate: AggregateWork) -> None:
    """Send and ask once more: the worker before may have died between the hub's commit and what it emitted.

    A share that comes twice does not lead to this: two aggregates would repeat their shares to each other for ever.
    """
    state, members = aggregate.state, aggregate.state.members
    repeated = [members[entity_id] for entity_id in aggregate.repeated if entity_id in members]
    if not aggregate.elsewhere and all(member.entity in CARRIERS for member in repeated):
        return
    for document_id, order_lines in named_elsewhere(state).items():
        carrier = members.get(shares_sent_id(document_id))
        known: Sent = carrier.record["shares"] if carrier is not None else {}
        if carrier is not None:
            _send(work, state, carrier, known)
        if not aggregate.elsewhere and _is_live(members.get(document_id)):
            work.out.asked_order_lines.update((state.id, order_line) for order_line in order_lines - known.keys())
    if not aggregate.elsewhere:
        work.out.new_order_lines.update(member.id for member in repeated if member.entity == "sales_order_line")


def _is_live(document: EntityState | None) -> bool:
    return document is not None and bool(document.version) and not document.deleted and document.merged_into is None


def named_elsewhere(state: AggregateState) -> dict[str, set[str]]:
    """Document → the order lines that its lines name and that are not here; also each document with shares."""
    members, sources = state.members, state.sources
    named: dict[str, set[str]] = {}
    for member in members.values():
        if member.entity not in _LINES_AND_CARRIERS:
            continue
        order_line = member.record.get("order_line_id")
        if order_line in members:
            continue
        if member.entity == SHARES_SENT:
            named.setdefault(member.parent or "", set())
        elif order_line is not None and order_line not in sources and member.version and not member.deleted:
            named.setdefault(member.parent or "", set()).add(order_line)
    return named


def _share(work: Working, aggregate: AggregateWork, document_id: str, order_lines: set[str]) -> None:
    state = aggregate.state
    document = state.members.get(document_id)
    if document is None or not document.version:
        return  # the header comes later
    carrier = state.members.get(shares_sent_id(document_id))
    known: Sent = carrier.record["shares"] if carrier is not None else {}
    targets: dict[str, str] = {}
    for order_line in order_lines if _is_live(document) else ():
        target = aggregate.elsewhere.get(order_line)
        if target is not None:
            targets[order_line] = target
        elif order_line in known:
            targets[order_line] = known[order_line]["target"]
        else:
            work.out.asked_order_lines.add((state.id, order_line))
    if carrier is None:
        if not targets:
            return
        carrier = EntityState(shares_sent_id(document_id), SHARES_SENT, document_id, contributions={}, record={})
        state.members[carrier.id] = carrier
    portions = portions_of(state, document, targets)
    shares = {line: _ended(state, line, sent["target"]) for line, sent in known.items()}
    shares |= {line: {"target": targets[line], "portion": portion} for line, portion in portions.items()}
    changed = {
        line: sent for line, sent in shares.items() if line not in known or sent["portion"] != known[line]["portion"]
    }
    if shares != known:
        carrier.record = {"shares": shares}
        carrier.version += 1
        carrier.updated_us = document.updated_us
        write(work, aggregate, carrier, state.id)
    # Who refreshes an aggregate may have found that its shares were lost.
    _send(work, state, carrier, shares if aggregate.refreshed else changed)


def _ended(state: AggregateState, order_line: str, target: str) -> dict[str, Any]:
    """A share that ended. Where its order line came here, the share came along."""
    is_here = order_line in state.members or order_line in state.sources
    return {"target": state.id if is_here else target, "portion": None}


def portions_of(state: AggregateState, document: EntityState, targets: Collection[str]) -> dict[str, dict[str, Any]]:
    """Order line → its portion of a document of this aggregate, for the order lines in `targets`."""
    if not targets or not _is_live(document):
        return {}
    lines, payments = _parts_of(state, document)
    members = state.members.values()
    return shares_of(with_last_receipt(document, members), with_arrived(document, lines, members), payments, targets)


def _parts_of(state: AggregateState, document: EntityState) -> tuple[list[EntityState], list[EntityState]]:
    """The live lines and payments of a document."""
    lines: list[EntityState] = []
    payments: list[EntityState] = []
    for member in state.members.values():
        if member.parent == document.id and member.version and not member.deleted and member.merged_into is None:
            if DOCUMENT_OF_LINE.get(member.entity) == document.entity:
                lines.append(member)
            elif member.entity == "payment":
                payments.append(member)
    return lines, payments


def _send(work: Working, state: AggregateState, carrier: EntityState, shares: Mapping[str, dict[str, Any]]) -> None:
    """Send these shares of one document, at the position of its `shares_sent`."""
    document = state.members.get(carrier.parent or "")
    if not shares or document is None:
        return
    lines, payments = _parts_of(state, document)
    members = (document, *lines, *payments)
    # What people did causes intents in the flow that gets the share, what a snapshot read does not: see Contribution.
    contributions = [contribution for member in members for contribution in member.contributions.values()]
    live = any([contribution.live for contribution in contributions])
    echo = not live and any([contribution.echo for contribution in contributions])
    op: ChangeOp = "u" if live or echo else "r"
    source_us = max(member.updated_us for member in members)
    for order_line, sent in sorted(shares.items()):
        portion = sent["portion"]
        key = f"{document.id}/{order_line}"
        change = Change(
            "change", SHARE, share_id(document.id, order_line), HUB, key, op, 0, carrier.version, 0, source_us,
            origin=ORIGIN if echo else None, parent=order_line, deleted=portion is None, fields=portion or {},
        )  # fmt: skip
        work.out.counts["shares"] += 1
        work.out.sent_on.append(Message(changes_topic(state.kind), sent["target"], change))
