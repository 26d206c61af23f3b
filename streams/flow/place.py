"""Does a change belong to the aggregate that it was sent to?

Ingest sends a change to the aggregate that its routing cache names for the parent; without an entry, to the parent's
own id. The one writer of that aggregate knows for certain, and sends on what does not belong. So a stale cache costs a
detour, never a record, and either side of a join may come first.
"""

from __future__ import annotations

from streams.flow.shares import SHARE
from streams.model.change import Change
from streams.model.state import AggregateState, EntityState

MAX_HOPS = 16
"""Detours after which a change is a dead letter: its parents form a circle."""


def elsewhere(state: AggregateState, change: Change) -> str | None:
    """The aggregate to send `change` on to, or None where it belongs here."""
    if state.forward is not None:
        return state.forward
    parent = change.parent
    if parent is None or parent == state.id or parent in state.members or parent in state.sources:
        return None
    return parent


def seeks_parent(state: AggregateState, change: Change) -> bool:
    """Whether the hub must be asked where the parent of a change lives: of a share, whose order line may have moved;
    of a change that came by a detour, since two aggregates may take each other for the right one while a third, in
    which the parent is, lags behind.
    """
    parent = change.parent
    if parent is None or not (change.entity == SHARE or change.hops > 1) or parent in state.members:
        return False
    return change.entity == SHARE or (parent != state.id and parent not in state.sources)


def without_parent(state: AggregateState) -> list[EntityState]:
    """Members whose parent is not in this aggregate."""
    members, sources = state.members, state.sources
    return [
        member
        for member in members.values()
        if (parent := member.parent) is not None
        and parent != state.id
        and parent not in members
        and parent not in sources
        and member.merged_into is None
    ]


def entity_of(state: AggregateState, change: Change) -> str:
    """The id of the entity that `change` contributes to: its own, or that of the record it is the same as."""
    known = state.sources.get(change.id)
    if known is not None:
        return known
    if change.id == state.id:
        return live_id(state, change.id)  # also where it names another record, for which it waits
    member = state.members.get(change.id)
    if change.parent is None and change.entity == state.kind and member is None:
        return state.id
    if change.same_as is None and (member is None or member.merged_into is None):
        return change.id  # nearly always: a shorter way to what `live_id` says
    return live_id(state, change.same_as or change.id)


def live_id(state: AggregateState, entity_id: str) -> str:
    """The id of the record that `entity_id` is now, after all merges that this aggregate knows."""
    member = state.members.get(entity_id)
    for _ in range(len(state.members)):  # a bound, should merges ever form a circle
        if member is None or member.merged_into is None:
            break
        entity_id = member.merged_into
        member = state.members.get(entity_id)
    return entity_id


def live_of(state: AggregateState, entity_id: str) -> EntityState | None:
    """The member that `entity_id` is now, after all merges."""
    return state.members.get(live_id(state, entity_id))


def with_descendants(state: AggregateState, entity_id: str) -> list[EntityState]:
    """`entity_id` and all its descendants in this aggregate. `entity_id` itself may be missing."""
    children: dict[str, list[EntityState]] = {}
    for child in state.members.values():
        if child.parent is not None:
            children.setdefault(child.parent, []).append(child)
    members: list[EntityState] = []
    seen: set[str] = set()
    queue = [entity_id]
    while queue:
        current = queue.pop()
        if current in seen:
            continue
        seen.add(current)
        member = state.members.get(current)
        if member is not None:
            members.append(member)
        queue.extend(child.id for child in children.get(current, ()))
    return members
