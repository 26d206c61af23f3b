"""Merge changes into the contributions of their sources: the first half of settling."""

from __future__ import annotations

import msgspec

from streams.flow.place import elsewhere, entity_of, seeks_parent
from streams.flow.shares import SHARE
from streams.model.change import READ_BY_SNAPSHOT, Change, Position
from streams.model.state import AggregateState, Contribution, EntityState
from streams.pipeline.settle.batch import transaction_of
from streams.pipeline.settle.references import (
    check_waiting,
    claim_of,
    entity_named_by,
    fields_only,
    is_overtaken,
    release,
    settle_claims,
)
from streams.pipeline.settle.working import (
    AggregateWork,
    Working,
    check_conflicts_first,
    emit_without,
    position_of,
    send_on,
)
from streams.resolve.contribution import ADDITIONAL_ROWS, add_contribution, merge
from streams.writeback.planner import is_echo
from streams.writeback.rule_inputs import contributed_fields


def apply_change(work: Working, aggregate: AggregateWork, change: Change) -> None:
    """Merge one change, or send it on to the aggregate that its entity lives in."""
    state = aggregate.state
    target = elsewhere(state, change)
    # The first condition is half of that of `seeks_parent`, which few changes are so spared.
    if (change.hops > 1 or change.entity == SHARE) and state.forward is None and seeks_parent(state, change):
        target = work.batch.homes.get(change.parent or "", target)
    if target is not None and target != state.id:
        send_on(work, state.kind, target, change)
        return
    if work.unmerged and change.id in work.unmerged and change.id != state.id:
        send_on(work, state.kind, change.id, msgspec.structs.replace(change, same_as=None))
        return
    link = work.known_links.get(change.id) if work.known_links and change.id != state.id else None
    if link is not None and is_overtaken(state, link, change):
        # Its row is part of another record since: there it counts for what the newer changes left out.
        send_on(work, state.kind, change.id, fields_only(change))
        return
    if change.same_as is None:
        if link is not None and link.waits_for is not None:
            send_on(work, state.kind, change.id, change)  # it was on its way when the record was made to wait
            return
        entity_id = entity_of(state, change)
    else:
        named = entity_named_by(work, aggregate, change)
        if named is None:
            return
        entity_id = named
    entity = state.members.get(entity_id)
    if entity is None:
        home = work.batch.homes.get(entity_id)
        if home is not None and home != state.id:
            # A change without a parent (a delete knows its key only) does not decide where the entity lives.
            passed = change if change.parent is None else msgspec.structs.replace(change, kind="give", target=state.id)
            send_on(work, state.kind, home, passed)
            return
        entity = state.members[entity_id] = EntityState(entity_id, change.entity, contributions={}, record={})
    if entity_id != change.id:
        _merge_into_other(work, aggregate, entity, change, claim_of(change, link))
        return
    merge_change(work, aggregate, entity, change)
    if state.waits_for is not None and change.op not in ADDITIONAL_ROWS and entity_id == state.id:
        if position_of(change) >= entity.contributions[entity_id].position:
            check_waiting(work, aggregate, change)


def _merge_into_other(
    work: Working, aggregate: AggregateWork, entity: EntityState, change: Change, claim: Position | None
) -> None:
    """Merge a change of a row that is part of a record of another id. `claim`: since when, if it names that record."""
    source = change.id
    before = entity.contributions.get(source)
    was_here = before is not None and not before.deleted and not before.main_row_missing
    claimed_before = before.claimed if before is not None else None
    aggregate.state.sources[source] = entity.id
    absorb(work, aggregate, source, entity)
    known = entity.contributions.get(source)
    is_new = known is None or known.main_row_missing
    merge_change(work, aggregate, entity, change)
    contribution = entity.contributions[source]
    if is_new and claim is not None and change.op not in ADDITIONAL_ROWS:
        contribution.claimed = claim  # later ones may have been overtaken
    if not was_here or contribution.claimed != claimed_before:
        settle_claims(work, aggregate, entity, source)


def merge_change(work: Working, aggregate: AggregateWork, entity: EntityState, change: Change) -> None:
    """Merge one change into an entity of this aggregate, and record what must be done about it."""
    state, entity_id = aggregate.state, entity.id
    if entity_id in work.unchecked:
        check_conflicts_first(work, state, entity)
    before = entity.contributions.get(change.id)
    if work.planner.has_rules_for(entity.entity) and entity_id not in work.contributions_before:
        work.contributions_before[entity_id] = contributed_fields(entity)
    # `merge` may change the contribution in place: what it was is read first.
    was_deleted = before is not None and before.deleted
    outcome = merge(entity, change)
    work.out.counts[outcome] += 1
    if outcome == "newer":
        _record_cause(work, aggregate, entity, change)
        if before is None or was_deleted != entity.contributions[change.id].deleted:
            work.sources_changed.add(entity_id)
            if before is not None and not was_deleted:
                _release(work, state, entity, change.id)
        # A parent that the entity has already is no news, whoever has the key.
        if change.row is not None or (change.parent is not None and change.parent != entity.parent):
            is_first = before is None and change.row is None
            parent = change.parent if is_first else _parent_after(entity, before, change)
            if parent is not None and entity.parent != parent:
                emit_without(work, aggregate, entity)
                work.sources_changed.add(entity_id)  # the change may say nothing new except its parent
                entity.parent = parent
        aggregate.changed[entity_id] = None
        work.out.source_times.append((change.source_us, state.id))
    elif outcome == "same":
        aggregate.repeated[entity_id] = None


def _parent_after(entity: EntityState, before: Contribution | None, change: Change) -> str | None:
    """The parent that the newest change names; where rows hand keys on, that of the row that has the key now."""
    holder = entity.contributions[change.id].holder
    if holder is not None and change.row is not None:
        return holder.parent
    if before is None or (change.epoch, change.major, change.minor) > (before.epoch, before.major, before.minor):
        return change.parent
    return None


def _release(work: Working, state: AggregateState, entity: EntityState, source: str) -> None:
    """A source was deleted: another row of its system may wait for its place."""
    if len(entity.contributions) > 1 or entity.contributions[source].claimed is not None:
        release(work, state, entity)


def _record_cause(work: Working, aggregate: AggregateWork, entity: EntityState, change: Change) -> None:
    """Record who made a change. Echoes and snapshots update what the hub knows, but cause no intents."""
    echo = (change.origin is not None and is_echo(change.origin)) or (
        bool(work.batch.echoes) and (change.id, transaction_of(change)) in work.batch.echoes
    )
    if echo:
        work.out.counts["echoes"] += 1
    else:
        work.unchecked.add(entity.id)
    live = not echo and change.op not in READ_BY_SNAPSHOT
    contribution = entity.contributions[change.id]
    if contribution.live != live:
        contribution.live = live
    if contribution.echo != echo:
        contribution.echo = echo
    if live:
        causes = aggregate.causes
        causes[change.system] = max(change.source_us, causes.get(change.system, 0))


def absorb(work: Working, aggregate: AggregateWork, other_id: str, entity: EntityState) -> bool:
    """Merge the record `other_id` into `entity`; it becomes another name of that. Whether `entity` changed."""
    state = aggregate.state
    other = state.members.get(other_id)
    if other is None or other.merged_into is not None:
        return False
    other.merged_into = entity.id
    work.out.contested.add(other_id)  # a conflict of it is from now on one of `entity`, if it still exists
    check_conflicts_first(work, state, other)
    check_conflicts_first(work, state, entity)
    aggregate.changed[other_id] = None
    aggregate.changed[entity.id] = None
    return take_contributions(work, state, other, entity)


def take_contributions(work: Working, state: AggregateState, other: EntityState, entity: EntityState) -> bool:
    """Give `entity` what the contributions of `other` have and its own do not. Whether it changed."""
    changed = False
    for source, contribution in other.contributions.items():
        is_new = source not in entity.contributions
        if not add_contribution(entity, source, contribution):
            continue
        changed = True
        work.sources_changed.add(entity.id)
        if is_new:
            state.sources[source] = entity.id
            if contribution.live:
                work.unchecked.add(entity.id)  # people's changes join the record, even if only an echo brings them
    return changed
