"""Take a record out of the one that it was merged into: what it said, what hangs on it, what was merged into it, and nothing else."""

from __future__ import annotations

from streams.flow.place import live_of, with_descendants
from streams.model.ids import source_id
from streams.model.state import AggregateState, EntityState


def part(state: AggregateState, loser_id: str) -> tuple[EntityState, list[EntityState], list[EntityState]] | None:
    """(the record that stays, other names of it that lose what goes, the members that go with `loser_id`). None where it is not merged
    into a member of this aggregate, or where nothing would stay.

    The contributions that `loser_id` had when it was merged go back to it as they are now.
    """
    loser = state.members.get(loser_id)
    stays = live_of(state, state.sources.get(loser_id, loser_id))
    if stays is None or stays.id == loser_id:
        return None
    names = _names(state, loser_id)
    sources = names | {source_id("opshub", stays.entity, name) for name in names}
    for name in names:
        member = state.members.get(name)
        sources |= set(member.contributions) if member is not None else set()
    stay = [said for source, said in stays.contributions.items() if source not in sources and said.system != "opshub"]
    if not stay:
        return None
    between = _between(state, loser)
    if loser is None:
        loser = state.members[loser_id] = EntityState(loser_id, stays.entity, contributions={}, record={})
    for source in sources:
        said = stays.contributions.pop(source, None)
        if said is not None:
            loser.contributions[source] = said
        for other in between:
            other.contributions.pop(source, None)
        state.sources.pop(source, None)
    loser.merged_into = None
    going = {member.id: member for parent in sorted(sources) for member in with_descendants(state, parent)}
    going[loser_id] = loser
    return stays, between, list(going.values())


def _names(state: AggregateState, loser_id: str) -> set[str]:
    """`loser_id` and every record that was merged into it, or into one that was."""
    names = {loser_id}
    grew = True
    while grew:
        more = {member.id for member in state.members.values() if member.merged_into in names} - names
        names |= more
        grew = bool(more)
    return names


def _between(state: AggregateState, loser: EntityState | None) -> list[EntityState]:
    """Records that are other names by now, between `loser` and the live one: it was merged into them before they were merged."""
    found: list[EntityState] = []
    into = loser.merged_into if loser is not None else None
    while into is not None and (member := state.members.get(into)) is not None and member.merged_into is not None:
        if member in found:
            break
        found.append(member)
        into = member.merged_into
    return found
