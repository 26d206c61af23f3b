"""Links, gives, refreshes and splits: how entities move between aggregates. Part of the first half of settling."""

from __future__ import annotations

import msgspec

from streams.flow.place import entity_of, live_id, with_descendants, without_parent
from streams.model.change import Change
from streams.model.names import MATCHER, PEOPLE
from streams.model.state import NOWHERE, EntityState
from streams.pipeline.canonical import MERGEABLE, flow_record_id
from streams.pipeline.settle.joins import SUMMED_IN
from streams.pipeline.settle.merging import absorb, merge_change, take_contributions
from streams.pipeline.settle.unmerge import unmerge
from streams.pipeline.settle.working import (
    DOCUMENT_OF,
    AggregateWork,
    Working,
    check_conflicts_first,
    emit,
    emit_without,
    link_id,
    position_of,
    resend_if_in_doubt,
    send_on,
    send_refresh,
    write,
)
from streams.resolve.key_holders import takes_key

_DOCUMENTS = frozenset(DOCUMENT_OF.values())


def apply_link(work: Working, aggregate: AggregateWork, change: Change) -> None:
    """The record `change.id` lives in `change.target` from now on: move all entities of this aggregate there."""
    state, target = aggregate.state, change.target
    if target == change.id and change.id != state.id:
        _split(work, aggregate, change)
        return
    if target is None or target == state.id:
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
            link_id(work, state.id, target, same=True, at=state.forward_at)
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
    # Of two links in the batch before, the first moved what the second did not find.
    resend_if_in_doubt(work, state, target)
    state.forward, state.unmerged, state.forward_at = target, False, at
    link_id(work, state.id, target, same=same, at=at)
    move(work, aggregate, list(state.members.values()), target, same=same)


def _split(work: Working, aggregate: AggregateWork, change: Change) -> None:
    """A link of a record to its own id takes it out of the record that it was merged into."""
    state = aggregate.state
    if state.forward is not None:
        send_on(work, state.kind, state.forward, change)
        return
    for member in state.members.values():
        check_conflicts_first(work, state, member)
    split = unmerge(state, change.id)
    if split is None:
        resend_if_in_doubt(work, state, change.id)
        if change.id in work.unmerged and state.id in work.batch.in_doubt:
            link_id(work, change.id, change.id, same=True)  # so that records that refer to it are refreshed
        return
    remaining, between, leaving = split
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
        move(work, aggregate, list(state.members.values()), state.forward, same=False)
        return
    if state.forward is not None:
        resend_if_in_doubt(work, state, state.forward)
    for member in list(state.members.values()):
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
        root = state.members[into] = EntityState(into, member.entity, contributions={}, record={})
    if member.merged_into is None:
        absorb(work, aggregate, member.id, root)
    take_contributions(work, state, member, root)


def move(work: Working, aggregate: AggregateWork, members: list[EntityState], target: str, *, same: bool) -> None:
    """Hand members over: their rows go to `target`, whose writer gets a refresh. `same`: the root becomes another name
    of `target`.
    """
    state, moved = aggregate.state, False
    flow_id = flow_record_id(state)
    for member in members:
        if member.id == flow_id:
            continue  # each aggregate joins its own
        moved = True
        check_conflicts_first(work, state, member)
        if same and member.id == state.id and member.merged_into is None:
            member.merged_into = target
            work.out.contested.add(member.id)
            if member.version and not member.deleted:
                member.version += 1
                emit(work, aggregate, member)
        write(work, aggregate, member, target)
        del state.members[member.id]
        emit_without(work, aggregate, member)
    if moved:
        work.out.moved.update((state.id, target))
        aggregate.members_moved = True
        send_refresh(work, state, target)
