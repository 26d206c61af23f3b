"""Rows of one system that name the same record with `same_as`: only one of them is that record. Part of the first half
of settling.

The row that named it first, by position, is part of the record. Every other row stays a record of its own and waits: a
person decides. It enters by itself when the row that is in the record goes. So the order of arrival decides nothing.

What a row names is read by the writer of the row's own aggregate, in the order of its source (`follow_named`), which
sends its changes on. Which row is the record is decided by the writer of the named record. It keeps the position of
each claim (`Contribution.claimed`). A row that must wait gets a link to itself with `waits_for`, and its changes are
sent back to its own aggregate. When a source leaves the named record, all that wait for it are refreshed; each sends a
`claim`, and a link lets the first of them in.
"""

from __future__ import annotations

import msgspec

from streams.flow.place import entity_of, live_id, live_of, with_descendants
from streams.hub.save import EntityName, IdentityLink
from streams.model.change import Change, Position
from streams.model.names import PEOPLE, REFERENCE, changes_topic
from streams.model.state import NOWHERE, AggregateState, Conflict, Contribution, EntityState
from streams.pipeline.settle.batch import Message
from streams.pipeline.settle.handover import move
from streams.pipeline.settle.unmerge import unmerge
from streams.pipeline.settle.working import (
    AggregateWork,
    Working,
    check_conflicts_first,
    emit,
    link_id,
    position_of,
    resend_if_in_doubt,
    send_on,
    send_refresh,
    write,
)
from streams.resolve.contribution import add_contribution, changes_of

Order = tuple[tuple[int, int, int], int, str, str]
"""Who comes first: the earlier claim. Rows of one snapshot have one position; of numbered rows, then the older one."""


def entity_named_by(work: Working, aggregate: AggregateWork, change: Change) -> str | None:
    """The entity that a change with `same_as` contributes to; None where it was sent on, since its row must wait."""
    state = aggregate.state
    entity_id = entity_of(state, change)
    if change.id == state.id or change.id in state.sources or entity_id == change.id:
        return entity_id
    link = work.known_links.get(change.id)
    entity = state.members.get(entity_id)
    if link is not None and link.waits_for is not None:
        _pass_to_waiting(work, aggregate, change, link, entity_id)
        return None
    rivals = _rivals(entity, change)
    if not rivals or change.deleted or (link is not None and not is_claim(link)):
        return entity_id
    assert entity is not None
    claim = position_of(change)
    if _comes_first(entity, change, claim, rivals):
        check_conflicts_first(work, state, entity)
        return entity_id  # once it is there, `settle_claims` puts the others out
    if change.parent is not None:
        _log(work, change.entity, change.id, change.system, change.key, entity_id)
        return change.id  # its parent says where it lives
    assert change.same_as is not None
    _make_wait(work, state, change.id, change.same_as, claim)
    send_on(work, state.kind, change.id, change)
    return None


def is_claim(link: IdentityLink) -> bool:
    """Whether a row is where it is because of what it names: what people and match keys join has no position."""
    return link.linked_at > NOWHERE


def fields_only(change: Change) -> Change:
    """What an overtaken change still says: fields that newer ones left out, not what its row names or whether it is."""
    return msgspec.structs.replace(change, op="part", same_as=None, deleted=False)


def is_overtaken(state: AggregateState, link: IdentityLink, change: Change) -> bool:
    """Whether the row of `change` said later that it is part of a record that is not here, and is no part here."""
    return (
        link.target != link.source_id
        and link.linked_at > position_of(change)
        and change.parent is None
        and link.target != state.id
        and link.target not in state.members
        and change.id not in state.sources
    )


def claim_of(change: Change, link: IdentityLink | None) -> Position | None:
    """Since when the row of `change` names the record that it is part of; None if that is not why it is part of it."""
    if link is not None:
        return link.linked_at if is_claim(link) else None
    return position_of(change) if change.same_as is not None else None


def settle_claims(work: Working, aggregate: AggregateWork, entity: EntityState, newcomer: str) -> None:
    """Take out of a record all rows but the first that are part of it by naming it.

    Rows that a match key or a person joined stay, and then only `newcomer` goes.
    """
    by_system: dict[str, list[tuple[str, Contribution]]] = {}
    for source, contribution in entity.contributions.items():
        if contribution.system != PEOPLE and not contribution.deleted:
            by_system.setdefault(contribution.system, []).append((source, contribution))
    for rows in by_system.values():
        claims = {source: _order(source, c.key, c.claimed) for source, c in rows if _is_claim(entity, source, c)}
        if len(rows) == 1 or not claims:
            continue
        losers = set(claims) - {min(claims, key=claims.__getitem__)} if len(claims) == len(rows) else {newcomer}
        for source in sorted(losers & claims.keys()):
            put_out(work, aggregate, entity, source)


def put_out(work: Working, aggregate: AggregateWork, entity: EntityState, source: str) -> None:
    """Make a row that is part of `entity` a record of its own again, which waits."""
    contribution = entity.contributions[source]
    _make_wait(work, aggregate.state, source, entity.id, Position(*(contribution.claimed or contribution.position)))
    _remove(work, aggregate, entity, source, changes_of(entity, source))


def take_out(work: Working, aggregate: AggregateWork, change: Change) -> None:
    """A row names `change.same_as` now: take it out of the record that it was part of, if that is another one.

    `change` has the position at which it did. A later change of the row is here because it names this record again:
    then it stays, as one that names the record since then.
    """
    state, source = aggregate.state, change.id
    entity = live_of(state, state.sources.get(source, source))
    if entity is None or entity.id == source or source not in entity.contributions:
        resend_if_in_doubt(work, state, source)
        return
    if change.same_as is not None and live_id(state, change.same_as) == entity.id:
        return  # the record that it named before was merged into the one that it names now
    contribution = entity.contributions[source]
    release(work, state, entity)
    if contribution.main_position > position_of(change):
        _claim_again(work, aggregate, entity, source, position_of(change))
        return
    # What the row names now gets its newest change; these add what that one left out.
    changes = [fields_only(known) for known in changes_of(entity, source)]
    _remove(work, aggregate, entity, source, changes)


def _claim_again(work: Working, aggregate: AggregateWork, entity: EntityState, source: str, left: Position) -> None:
    """A row left `entity` at `left`, and is back: who came first is decided by when it named the record again."""
    contribution, link = entity.contributions[source], work.known_links.get(source)
    if contribution.claimed is None or link is None or not contribution.claimed <= left < link.linked_at:
        return
    contribution.claimed = link.linked_at
    work.sources_changed.add(entity.id)
    aggregate.changed[entity.id] = None
    settle_claims(work, aggregate, entity, source)


def _remove(work: Working, aggregate: AggregateWork, entity: EntityState, source: str, changes: list[Change]) -> None:
    """Take a row out of `entity`; its children follow it. `changes`, what it says, are sent if no record goes that has
    it.
    """
    state = aggregate.state
    work.out.contested.add(entity.id)
    work.out.split_records.add(entity.id)
    work.sources_changed.add(entity.id)
    work.unchecked.add(entity.id)
    aggregate.changed[entity.id] = None
    # If the hub has a row of it elsewhere, which is on its way here, then it is not written, but sent as a change.
    is_elsewhere = source not in state.members and source in work.batch.homes
    split = None if is_elsewhere else unmerge(state, source)
    if split is not None:
        for member in (split.remaining, *split.between):
            aggregate.changed[member.id] = None
        move(work, aggregate, split.leaving, source, same=False)
        return
    contribution = entity.contributions.pop(source)
    state.sources.pop(source, None)
    own = state.members.get(source)
    if own is not None:  # nothing else is in the record that it leaves, which may be named before it is there
        add_contribution(own, source, contribution)
        if own.merged_into is not None:
            own.merged_into, own.deleted = None, True  # as emitted: a merge emits its tombstone
    _delete_if_empty(work, aggregate, entity)
    move(work, aggregate, with_descendants(state, source), source, same=False)
    if own is None:
        for change in changes:
            send_on(work, state.kind, source, change)


def _delete_if_empty(work: Working, aggregate: AggregateWork, entity: EntityState) -> None:
    """Delete a record that has no source any more: the row that it names may never have existed."""
    if not entity.contributions and entity.version and not entity.deleted:
        entity.deleted = True
        entity.version += 1
        emit(work, aggregate, entity)
        write(work, aggregate, entity, aggregate.state.id)


def leave(work: Working, kind: str, change: Change, target: str, named: str | None, at: Position) -> None:
    """Have the record `target` give up a row, unless it is by now the record `named`, which the row named at `at`."""
    split = Change(
        "link", change.entity, change.id, change.system, change.key, "u", *at, same_as=named, target=change.id
    )
    work.out.sent_on.append(Message(changes_topic(kind), target, split))


def leave_again(
    work: Working, state: AggregateState, change: Change, left: tuple[str, ...], named: str | None, at: Position
) -> None:
    """Send `leave` again to all that a row left but `named`, which it names: a worker may have died before it sent it.

    A refresh goes before it: rows that moved there within the repeated batch must be taken in before they can leave.
    """
    for target in left:
        if target != named:
            send_refresh(work, state, target)
            leave(work, state.kind, change, target, named, at)


def release(work: Working, state: AggregateState, entity: EntityState) -> None:
    """A row of `entity` is gone: those that wait to be it, under any of its names, may come."""
    names = [member.id for member in state.members.values() if live_id(state, member.id) == entity.id]
    work.out.released.update(EntityName(name, entity.entity) for name in (entity.id, *names))


def send_claim(work: Working, aggregate: AggregateWork) -> None:
    """Ask again for the record that this one waits for."""
    state = aggregate.state
    if state.waits_for is None or state.forward is not None:
        return
    member = state.members.get(state.id)
    own = member.contributions.get(state.id) if member is not None else None
    if state.waits_for == state.id:
        end_claim(work, state.id)
        return
    if member is not None and own is not None and not own.deleted:
        claim = Change(
            "claim", member.entity, state.id, own.system, own.key, "u", *state.waits_since, own.source_us,
            same_as=state.waits_for,
        )  # fmt: skip
        work.out.sent_on.append(Message(changes_topic(state.kind), state.waits_for, claim))
        _log(work, member.entity, state.id, own.system, own.key, state.waits_for)


def apply_claim(work: Working, aggregate: AggregateWork, change: Change) -> None:
    """A record that waits asks to be a record of this aggregate: let it in, if no row that came first is there."""
    state = aggregate.state
    if state.forward is not None:
        send_on(work, state.kind, state.forward, change)
        return
    assert change.same_as is not None
    entity_id = live_id(state, change.same_as)
    entity = state.members.get(entity_id)
    if entity is not None and change.id in entity.contributions:
        return
    if _comes_first(entity, change, position_of(change), _rivals(entity, change)):
        _let_in(work, state, change, change.same_as, position_of(change))


def check_waiting(work: Working, aggregate: AggregateWork, change: Change) -> None:
    """After a change of a record that waits: log the conflict, unless its row is gone, or names nobody any more."""
    state = aggregate.state
    if position_of(change) < state.waits_since:
        return
    end_claim(work, state.id)
    if change.deleted or state.waits_for is None or state.waits_for == state.id:
        return
    if change.same_as is not None:
        _log(work, change.entity, state.id, change.system, change.key, state.waits_for)
    else:
        state.waits_for, state.waits_since = state.id, position_of(change)
        link_id(work, state.id, state.id, same=True, at=state.waits_since, waits_for=state.id)
        aggregate.refreshed = True  # it may claim match keys again


def end_claim(work: Working, source: str) -> None:
    """End the conflict over what a row names; it may have come within the batch."""
    work.out.unclaimed.add(source)
    logged = [c.id for c in work.out.conflicts.values() if c.kind == "reference" and c.entity_id == source]
    work.out.standing.difference_update(logged)


def _pass_to_waiting(
    work: Working, aggregate: AggregateWork, change: Change, link: IdentityLink, entity_id: str
) -> None:
    """A change of a row that waits goes to its own aggregate; the record that it names may be free by now."""
    state = aggregate.state
    awaited = link.waits_for if link.waits_for != link.source_id else None
    if awaited is not None and live_id(state, awaited) == entity_id and not change.deleted:
        entity = state.members.get(entity_id)
        if _comes_first(entity, change, link.linked_at, _rivals(entity, change)):
            _let_in(work, state, change, awaited, link.linked_at)
    if state.id in work.batch.in_doubt or link.linked_at == position_of(change):
        # This change may be the one that made its record wait, repeated.
        send_refresh(work, state, change.id)
        leave_again(work, state, change, link.left, entity_id, max(link.linked_at, position_of(change)))
    send_on(work, state.kind, change.id, change)


def _rivals(entity: EntityState | None, change: Change) -> list[tuple[str, Contribution]]:
    """Other rows of the system that are part of the record."""
    if entity is None:
        return []
    return [
        (source, contribution)
        for source, contribution in entity.contributions.items()
        if contribution.system == change.system and source != change.id and not contribution.deleted
    ]


def _comes_first(
    entity: EntityState | None, change: Change, claim: Position, rivals: list[tuple[str, Contribution]]
) -> bool:
    """Whether a row comes before all that are there; what is there for another reason than its claim stays."""
    mine = _order(change.id, change.key, claim)
    return entity is None or all(
        _is_claim(entity, source, c) and mine < _order(source, c.key, c.claimed) for source, c in rivals
    )


def _is_claim(entity: EntityState, source: str, contribution: Contribution) -> bool:
    return contribution.claimed is not None and source != entity.id


def _order(source: str, key: str, claim: tuple[int, int, int] | None) -> Order:
    return tuple(claim or NOWHERE), len(key), key, source  # type: ignore[return-value]


def _make_wait(work: Working, state: AggregateState, source: str, entity_id: str, claim: Position) -> None:
    known = work.out.links.get(source)
    if known is None or known.linked_at <= claim:  # else its row said something else since, in this batch
        link_id(work, source, source, same=True, at=claim, waits_for=entity_id)
        work.known_links[source] = work.out.links[source]
    send_refresh(work, state, source)


def _let_in(work: Working, state: AggregateState, change: Change, named: str | None, claim: Position) -> None:
    """Link a record that waited. `named` and `claim` say what it is let in for: it may name another record by now."""
    link = Change("link", change.entity, change.id, REFERENCE, change.key, "u", *claim, same_as=named, target=state.id)
    work.out.sent_on.append(Message(changes_topic(state.kind), change.id, link))


def _log(work: Working, entity: str, source: str, system: str, key: str, named: str) -> None:
    conflict = Conflict(
        source, entity, source, "same_as", "reference", {system: key, "holder": named}, None,
        f"two records of {system} name one record", "open",
    )  # fmt: skip
    work.out.conflicts[conflict.id] = conflict
    work.out.standing.add(conflict.id)
    work.out.unclaimed.add(source)  # what it named before is over
