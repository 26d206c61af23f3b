"""Does a change belong to the aggregate that it was sent to?

Ingest sends a change to the aggregate in which it believes its parent to live; where it does not know, to the
parent's own id. The aggregate's one writer knows for certain, and sends on what does not belong. So a stale belief
costs a detour, never a record, and either side of a join may come first.
"""

from __future__ import annotations

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


def entity_of(state: AggregateState, change: Change) -> str:
    """The id of the entity that `change` contributes to: its own, or that of the record it is the same as."""
    known = state.sources.get(change.id)
    if known is not None:
        return known
    member = state.members.get(change.id)
    if change.parent is None and change.entity == state.kind and member is None:
        return state.id
    return live_id(state, change.same_as or change.id)


def live_id(state: AggregateState, entity_id: str) -> str:
    """The id of the record that `entity_id` is by now, as far as this aggregate knows."""
    member = state.members.get(entity_id)
    for _ in range(len(state.members)):
        if member is None or member.merged_into is None:
            break
        entity_id = member.merged_into
        member = state.members.get(entity_id)
    return entity_id


def live_of(state: AggregateState, entity_id: str) -> EntityState | None:
    """The member that `entity_id` is by now."""
    return state.members.get(live_id(state, entity_id))


def with_descendants(state: AggregateState, entity_id: str) -> list[EntityState]:
    """`entity_id` and all that hangs on it in this aggregate."""
    children: dict[str, list[EntityState]] = {}
    for member in state.members.values():
        if member.parent is not None:
            children.setdefault(member.parent, []).append(member)
    found: list[EntityState] = []
    seen: set[str] = set()
    queue = [entity_id]
    while queue:
        current = queue.pop()
        if current in seen:
            continue
        seen.add(current)
        here = state.members.get(current)
        if here is not None:
            found.append(here)
        queue.extend(child.id for child in children.get(current, ()))
    return found
