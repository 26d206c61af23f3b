"""Links, gives, refreshes and splits: how entities move between aggregates. Part of the first half of settling."""

from __future__ import annotations

import msgspec

from streams.flow.place import entity_of, live_id, with_descendants, without_parent
from streams.model.change import MERGED_ROWS, Change, Position
from streams.model.names import MATCHER, PEOPLE, REFERENCE
from streams.model.state import NOWHERE, AggregateState, EntityState
from streams.pipeline.canonical import MERGEABLE
from streams.pipeline.settle.handover import move
from streams.pipeline.settle.joins import SUMMED_IN
from streams.pipeline.settle.merging import absorb, apply_change, merge_change, take_contributions
from streams.pipeline.settle.references import (
    end_claim,
    fields_only,
    leave,
    leave_again,
    release,
    send_claim,
    settle_claims,
    take_out,
)
from streams.pipeline.settle.unmerge import unmerge
from streams.pipeline.settle.working import (
    DOCUMENT_OF,
    AggregateWork,
    Working,
    check_conflicts_first,
    emit,
    link_id,
    position_of,
    resend_if_in_doubt,
    send_on,
    write,
)
from streams.resolve.contribution import ADDITIONAL_ROWS
from streams.resolve.key_holders import takes_key

_DOCUMENTS = frozenset(DOCUMENT_OF.values())


def follow_named(work: Working, aggregate: AggregateWork, change: Change) -> Change:
    """Link the record of this aggregate to what its row names since `change`, or take it back where it names nobody any
    more. The change to apply: of one that was overtaken only the fields count, where the row is now.

    All changes of a row come here first, in the order of its source: only here is it known what it names now.
    """
    state, named, at = aggregate.state, change.same_as, position_of(change)
    is_gone = change.deleted and change.op not in MERGED_ROWS
    if change.parent is not None or is_gone or change.op in ADDITIONAL_ROWS:
        return change
    if named is None:
        if state.forward is not None and at > state.forward_at > NOWHERE:
            _link_to_itself(work, state, change)
        elif state.waits_for == state.id and at == state.waits_since and state.id in work.batch.in_doubt:
            leave_again(work, state, change, state.left, None, at)
        # A row that was merged away since: as a live row it would be a rival of the row that it was merged into.
        return fields_only(change) if state.forward is not None and at < state.forward_at else change
    if state.waits_for is not None and (named == state.waits_for or at <= state.waits_since):
        return change
    if named != state.forward or state.id in work.batch.in_doubt:
        if change.op in MERGED_ROWS and state.forward is None:
            # First it is gone, then it moves: a live row would be a rival of the row that it was merged into, and wait.
            apply_change(work, aggregate, msgspec.structs.replace(change, same_as=None))
        link = Change(
            "link", change.entity, change.id, change.system, change.key, "u", *at, change.source_us,
            same_as=named, target=named,
        )  # fmt: skip
        apply_link(work, aggregate, link)
    if state.forward is not None and named != state.forward and at < state.forward_at:
        return fields_only(change)
    return change


def _link_to_itself(work: Working, state: AggregateState, change: Change) -> None:
    """The row of a record that is part of another names nobody any more: it is a record of its own again."""
    assert state.forward is not None
    at = position_of(change)
    state.left = (*(left for left in _left_before(work, state) if left != state.forward), state.forward)
    leave_again(work, state, change, state.left, None, at)
    state.forward, state.forward_at, state.waits_for, state.waits_since = None, NOWHERE, state.id, at
    link_id(work, state.id, state.id, same=True, at=at, waits_for=state.id, left=state.left)


def apply_link(work: Working, aggregate: AggregateWork, change: Change) -> None:
    """The record `change.id` lives in `change.target` from now on: move all entities of this aggregate there."""
    state, target = aggregate.state, change.target
    if target == change.id and change.id != state.id:
        _split(work, aggregate, change)
        return
    if target is None or target == state.id:
        if change.system == PEOPLE and state.waits_for is not None:
            state.waits_for, state.unmerged = None, True
            link_id(work, state.id, state.id, same=True)
            end_claim(work, state.id)
        return
    same = change.same_as is not None
    at = position_of(change)
    if NOWHERE < at < state.forward_at:
        return  # a stalled worker of ingest emitted this link after another worker had emitted a later one
    if state.forward == target:
        resend_if_in_doubt(work, state, target)
        if same and state.id in work.batch.in_doubt:
            # Records that refer to this one may not have been refreshed either. The same link again changes nothing and
            # finds them.
            link_id(work, state.id, target, same=True, at=state.forward_at, left=state.left)
            leave_again(work, state, change, state.left, target, state.forward_at)
        return
    opposite = work.out.links.get(target)
    if same and (state.id in work.batch.refused_links or (opposite is not None and opposite.same)):
        return
    if change.system == PEOPLE and same and state.forward is not None:
        # Somebody else merged this record meanwhile: the record that it became is merged.
        send_on(work, state.kind, state.forward, msgspec.structs.replace(change, id=state.forward))
        return
    if change.system != PEOPLE and (state.unmerged or (change.system == MATCHER and state.forward is not None)):
        return  # people's decisions go before sources and match keys; a match key does not undo a link
    own = work.known_links.get(state.id)
    waits_for = state.waits_for or (own.waits_for if own is not None else None)
    # A record whose row names nobody any more may be found by a match key, as any other.
    if waits_for not in (None, state.id) and change.system == MATCHER:
        return  # it waits to be another record, whose writer says when it may come
    if change.system == REFERENCE and not _still_waits(state, change):
        return
    from_source = same and change.system not in (PEOPLE, MATCHER, REFERENCE)
    state.left = _left_before(work, state)
    leave_again(work, state, change, state.left, target, max(at, state.forward_at))
    if from_source and state.forward is not None:
        leave(work, state.kind, change, state.forward, change.same_as, at)
        state.left = (*(known for known in state.left if known != state.forward), state.forward)
    if waits_for is not None:
        end_claim(work, state.id)
    _keep_claim(state, change)
    # Of two links in the batch before, the first moved what the second did not find.
    resend_if_in_doubt(work, state, target)
    state.forward, state.unmerged, state.forward_at, state.waits_for = target, False, at, None
    link_id(work, state.id, target, same=same, at=at, from_source=from_source, left=state.left)
    move(work, aggregate, list(state.members.values()), target, same=same)


def _left_before(work: Working, state: AggregateState) -> tuple[str, ...]:
    """What the record left by a link whose messages may not have been emitted: one of this batch, or one in doubt."""
    if state.id in work.out.links or state.id in work.batch.in_doubt:
        return state.left
    return ()


def _still_waits(state: AggregateState, change: Change) -> bool:
    """Whether the record waits for what it is let in for: a person may have decided, or its row name another record."""
    claim = position_of(change)
    return state.waits_for is not None and (
        claim > state.waits_since or (claim == state.waits_since and change.same_as == state.waits_for)
    )


def _keep_claim(state: AggregateState, change: Change) -> None:
    """Before the record moves: whether it becomes part of another by what its row says, and since when."""
    if change.same_as is not None:
        _set_claim(state, None if change.system in (PEOPLE, MATCHER) else position_of(change))


def _set_claim(state: AggregateState, claimed: Position | None) -> None:
    member = state.members.get(state.id)
    if member is None:
        return
    if claimed is None:
        for contribution in member.contributions.values():
            contribution.claimed = None
    elif (own := member.contributions.get(state.id)) is not None:
        own.claimed = claimed


def _split(work: Working, aggregate: AggregateWork, change: Change) -> None:
    """A link of a record to its own id takes it out of the record that it was merged into."""
    state = aggregate.state
    if state.forward is not None:
        send_on(work, state.kind, state.forward, change)
        return
    for member in state.members.values():
        check_conflicts_first(work, state, member)
    if change.system != PEOPLE:
        take_out(work, aggregate, change)
        return
    split = unmerge(state, change.id)
    if split is None:
        resend_if_in_doubt(work, state, change.id)
        if change.id in work.unmerged and state.id in work.batch.in_doubt:
            link_id(work, change.id, change.id, same=True)  # so that records that refer to it are refreshed
        return
    remaining, between, leaving = split
    release(work, state, remaining)
    work.unmerged.add(change.id)
    work.out.contested.add(remaining.id)
    work.out.split_records.add(remaining.id)
    work.sources_changed.add(remaining.id)
    work.unchecked.add(remaining.id)
    for member in (remaining, *between):
        aggregate.changed[member.id] = None
    link_id(work, change.id, change.id, same=True)
    move(work, aggregate, leaving, change.id, same=False)


def apply_give(work: Working, aggregate: AggregateWork, change: Change) -> None:
    """Hand the entity of `change` over to the aggregate `target`, then pass the change on to it."""
    state, target = aggregate.state, change.target
    if target is None:
        return
    entity = state.members.get(entity_of(state, change))
    if entity is not None and target != state.id:
        known = entity.contributions.get(change.id)
        if (
            known is not None
            and known.position >= position_of(change)
            and not (known.deleted and entity.parent is None)
            and not takes_key(known, change)
        ):
            merge_change(work, aggregate, entity, change)  # overtaken: it no longer decides where the entity lives
            return
        move(work, aggregate, with_descendants(state, entity.id), target, same=False)
        if change.parent is not None and entity.merged_into is None:
            entity.parent = change.parent  # the row is written with it: the target must not take the entity for lost
    elif target != state.id:
        resend_if_in_doubt(work, state, target)
    send_on(work, state.kind, target, msgspec.structs.replace(change, kind="change", target=None))


def apply_refresh(work: Working, aggregate: AggregateWork) -> None:
    """The hub knows more than this aggregate settled: settle all that was read."""
    state = aggregate.state
    aggregate.refreshed = True
    if state.forward is not None and state.members:
        _set_claim(state, state.forward_at if state.forward_at > NOWHERE else None)
        move(work, aggregate, list(state.members.values()), state.forward, same=False)
        return
    if state.forward is not None:
        resend_if_in_doubt(work, state, state.forward)
    send_claim(work, aggregate)
    for member in list(state.members.values()):
        if member.id in state.members:  # else a row that came first has put it out
            _merge_where_it_belongs(work, aggregate, member)
    for member in without_parent(state):
        # Its parent left before this member came, so it was not taken along.
        home = work.batch.homes.get(member.parent or "")
        if home is not None and home != state.id and member.id in state.members:
            move(work, aggregate, with_descendants(state, member.id), home, same=False)
    aggregate.members_moved = aggregate.joined = True
    if state.kind in SUMMED_IN and state.forward is None:
        work.out.sums_due.add((state.kind, state.id))
    for member in state.members.values():
        for contribution in member.contributions.values():
            if contribution.live:
                newest = aggregate.causes.get(contribution.system, 0)
                aggregate.causes[contribution.system] = max(contribution.source_us, newest)
        if member.contributions:
            aggregate.changed[member.id] = None
            work.unchecked.add(member.id)
        if member.entity in _DOCUMENTS:
            work.sources_changed.add(member.id)  # lines may have come with the refresh
        if member.handed_over:
            _take_in(work, aggregate, member)


def _take_in(work: Working, aggregate: AggregateWork, member: EntityState) -> None:
    """Emit an entity that another aggregate handed over, with a new version, even if nothing of it seems to change.

    The writer before may have merged a source into it that it did not emit, or have died before it emitted.
    """
    member.handed_over = False
    if member.version and member.id not in work.bumped:
        work.bumped.add(member.id)
        member.version += 1
        emit(work, aggregate, member)
    write(work, aggregate, member, aggregate.state.id)


def _merge_where_it_belongs(work: Working, aggregate: AggregateWork, member: EntityState) -> None:
    """A master record that moved here was linked to the root of this aggregate: it becomes another name of the root."""
    state, into = aggregate.state, member.merged_into
    if into is None and state.kind in MERGEABLE and member.entity == state.kind and member.id != state.id:
        into = state.id
    if into is None:
        return
    into = live_id(state, into)
    root = state.members.get(into)
    if root is None:
        if work.batch.homes.get(into, state.id) != state.id:
            return  # it is on its way here, from the record that it was part of, and brings a refresh
        root = state.members[into] = EntityState(into, member.entity, contributions={}, record={})
    was_absorbed = member.merged_into is None and absorb(work, aggregate, member.id, root)
    if take_contributions(work, state, member, root) or was_absorbed:
        settle_claims(work, aggregate, root, member.id)
