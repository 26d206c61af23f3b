"""Take a record out of the one that it was merged into, with its contributions, its children and what was merged into
it.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.flow.place import live_of, with_descendants
from streams.model.ids import source_id
from streams.model.names import PEOPLE
from streams.model.state import AggregateState, EntityState
from streams.resolve.contribution import add_contribution


class Unmerged(NamedTuple):
    """The members that a split touches."""

    remaining: EntityState
    """The record that stays."""
    between: list[EntityState]
    """Other names of `remaining` that lose the contributions that leave."""
    leaving: list[EntityState]


def unmerge(state: AggregateState, loser_id: str) -> Unmerged | None:
    """Split `loser_id` from the member that it was merged into; None where there is no such member, or where nothing
    would remain.

    The contributions that `loser_id` had when it was merged go back to it, as they are now. Changes `state` in place.
    """
    loser = state.members.get(loser_id)
    remaining = live_of(state, state.sources.get(loser_id, loser_id))
    if remaining is None or remaining.id == loser_id:
        return None
    names = _names_of(state, loser_id)
    # People's decisions about a record are a contribution of its own, under an id made of the record's.
    sources = names | {source_id(PEOPLE, remaining.entity, name) for name in names}
    for name in names:
        member = state.members.get(name)
        sources |= set(member.contributions) if member is not None else set()
    if all(
        source in sources or contribution.system == PEOPLE for source, contribution in remaining.contributions.items()
    ):
        return None
    between = _names_between(state, loser)
    if loser is None:
        loser = state.members[loser_id] = EntityState(loser_id, remaining.entity, contributions={}, record={})
    for source in sources:
        contribution = remaining.contributions.pop(source, None)
        if contribution is not None:
            add_contribution(loser, source, contribution)
        for other in between:
            other.contributions.pop(source, None)
        state.sources.pop(source, None)
    if loser.merged_into is not None:
        loser.merged_into, loser.deleted = None, True  # as emitted: a merge emits its tombstone
    leaving = {member.id: member for parent in sorted(sources) for member in with_descendants(state, parent)}
    leaving[loser_id] = loser
    return Unmerged(remaining, between, list(leaving.values()))


def _names_of(state: AggregateState, loser_id: str) -> set[str]:
    """`loser_id`, and every record that was merged into it, directly or through others."""
    names = {loser_id}
    grew = True
    while grew:
        more = {member.id for member in state.members.values() if member.merged_into in names} - names
        names |= more
        grew = bool(more)
    return names


def _names_between(state: AggregateState, loser: EntityState | None) -> list[EntityState]:
    """The chain from `loser` to the live record, both left out: it was merged into these before they were merged."""
    chain: list[EntityState] = []
    into = loser.merged_into if loser is not None else None
    while into is not None and (member := state.members.get(into)) is not None and member.merged_into is not None:
        if member in chain:
            break
        chain.append(member)
        into = member.merged_into
    return chain
