"""Settle a batch in two pure steps, between which the caller may look up references.

    1. `merge_batch`: merge changes into contributions, move entities between aggregates, resolve golden records
    2. `settle_merged`: records with references, versions, joins, sums, intents

Both change the states of the batch in place, for speed. If anything fails later, also the hub transaction, the caller
must throw these states away and load them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streams.flow.place import MAX_HOPS
from streams.hub.save import IdentityLink
from streams.model.intent import NewIntent
from streams.model.names import PEOPLE
from streams.model.state import AggregateState
from streams.pipeline.canonical import MERGEABLE
from streams.pipeline.conflicts import turns_of
from streams.pipeline.matching import Claimant
from streams.pipeline.settle.batch import CircularChange, Entangled, Group, SettleBatch, Settled
from streams.pipeline.settle.joins import join_flow
from streams.pipeline.settle.merging import apply_change
from streams.pipeline.settle.moves import apply_give, apply_link, apply_refresh, follow_named
from streams.pipeline.settle.records import SameAs, repeat_known, resolve_changed, settle_entity
from streams.pipeline.settle.references import apply_claim
from streams.pipeline.settle.sharing import apply_elsewhere, repeat_shares, share_documents
from streams.pipeline.settle.working import AggregateWork, Working
from streams.resolve.rules import Ownership
from streams.writeback.planner import NO_RULES, IntentPlanner


def settle(
    batch: SettleBatch,
    states: Mapping[str, AggregateState],
    ownership: Ownership,
    planner: IntentPlanner = NO_RULES,
    same: SameAs = lambda source_id: source_id,
) -> Settled | Entangled:
    """Both steps at once, for callers that know all references: `same` gives the entity that a source id is.

    `states` has an entry for each aggregate of the batch, and is changed in place.
    """
    return settle_merged(merge_batch(batch, states, ownership, planner), same)


def merge_batch(
    batch: SettleBatch, states: Mapping[str, AggregateState], ownership: Ownership, planner: IntentPlanner = NO_RULES
) -> Working:
    """Step 1. `Working.out.references` has the source ids that `settle_merged` will ask for."""
    taken_out = {link.source_id for link in batch.known_links.values() if _was_taken_out(link)}
    work = Working(batch, ownership, planner, known_links=dict(batch.known_links), unmerged=taken_out)
    for key, group in batch.groups.items():
        aggregate = AggregateWork(states[key], group[1][-1][1])
        work.aggregates.append(aggregate)
        _merge_group(work, aggregate, group)
    for aggregate in work.aggregates:
        resolve_changed(work, aggregate)
    return work


def settle_merged(work: Working, same: SameAs) -> Settled | Entangled:
    """Step 2. `same`: source id → the id of the entity that it is."""
    for aggregate in work.aggregates:
        if aggregate.changed or aggregate.members_moved or aggregate.elsewhere:
            _settle_aggregate(work, aggregate, same)
    for aggregate in work.aggregates:
        if aggregate.repeated:
            repeat_known(work, aggregate)
            if aggregate.state.kind == "order_flow":
                repeat_shares(work, aggregate)
    if work.entangled:
        return Entangled(frozenset(work.entangled))
    work.out.claimants.extend(_claimants(work.aggregates))
    return work.out


def _was_taken_out(link: IdentityLink) -> bool:
    """Whether a person made it a record of its own."""
    return link.source_id == link.target and link.waits_for is None


def _merge_group(work: Working, aggregate: AggregateWork, group: Group) -> None:
    """Apply the changes of one aggregate in order."""
    state, sees_moves = aggregate.state, False
    for change, source in group[1]:
        if change.kind == "change":
            if change.hops > MAX_HOPS:
                work.out.circular.append(CircularChange(change, source))
                continue
            known = follow_named(work, aggregate, change) if change.id == state.id else change
            apply_change(work, aggregate, known)
            continue
        sees_moves = sees_moves or change.kind != "claim"  # a claim moves nothing, and may be asked again
        if change.hops > MAX_HOPS:
            work.out.circular.append(CircularChange(change, source))
        elif change.kind == "link":
            apply_link(work, aggregate, change)
        elif change.kind == "give":
            apply_give(work, aggregate, change)
        elif change.kind == "elsewhere":
            apply_elsewhere(work, aggregate, change)
        elif change.kind == "claim":
            apply_claim(work, aggregate, change)
        else:
            apply_refresh(work, aggregate)
    if sees_moves and state.id in work.batch.in_doubt:
        for member in state.members.values():
            if member.version:
                aggregate.repeated[member.id] = None


def _settle_aggregate(work: Working, aggregate: AggregateWork, same: SameAs) -> None:
    state = aggregate.state
    for entity_id in aggregate.changed:
        member = state.members.get(entity_id)
        if member is not None and member.contributions:
            settle_entity(work, aggregate, member, same)
    if state.kind == "order_flow":
        share_documents(work, aggregate)  # before the join, which leaves out what was sent
        join_flow(work, aggregate)
    if aggregate.plans:
        _plan(work, aggregate)


def _plan(work: Working, aggregate: AggregateWork) -> None:
    """Plan intents, and count as turns those that overwrite what people entered in the target."""
    state = aggregate.state
    intents: list[NewIntent] = work.planner.plan(state, aggregate.plans, aggregate.causes, aggregate.joined)
    work.out.intents.extend(intents)
    if intents and PEOPLE not in aggregate.causes:
        # A person's own decision overwrites on purpose: no turn.
        work.out.turns.extend(turns_of(state, intents, work.ownership, work.planner))


def _claimants(aggregates: list[AggregateWork]) -> Iterator[Claimant]:
    """The master records of the batch: those that changed, then those that are repeated."""
    masters = [aggregate for aggregate in aggregates if aggregate.state.kind in MERGEABLE]
    for aggregate in masters:
        for entity_id in aggregate.changed:
            yield from _claimant(aggregate, entity_id, check=aggregate.refreshed)
    for aggregate in masters:
        for entity_id in aggregate.repeated:
            yield from _claimant(aggregate, entity_id, check=True)


def _claimant(aggregate: AggregateWork, entity_id: str, *, check: bool) -> Iterator[Claimant]:
    state = aggregate.state
    member = state.members.get(entity_id)
    if member is not None and member.entity == state.kind and member.contributions:
        yield Claimant(member, state.id, check)
