"""Take a record out of the one that it was merged into: what it said, what hangs on it, and nothing else."""

from __future__ import annotations

from streams.flow.place import with_descendants
from streams.model.ids import source_id
from streams.model.state import AggregateState, EntityState


def part(state: AggregateState, loser_id: str) -> tuple[EntityState, list[EntityState]] | None:
    """(the record that stays, the members that go with `loser_id`). None where it is not merged into a member of this aggregate, or where
    nothing would stay.

    The contributions that `loser_id` had when it was merged go back to it as they are now.
    """
    loser = state.members.get(loser_id)
    into = loser.merged_into if loser is not None else state.sources.get(loser_id)
    stays = state.members.get(into) if into is not None else None
    if stays is None or stays.id == loser_id:
        return None
    sources = {loser_id, source_id("opshub", stays.entity, loser_id)} | set(
        loser.contributions if loser is not None else ()
    )
    stay = [said for source, said in stays.contributions.items() if source not in sources and said.system != "opshub"]
    if not stay:
        return None
    if loser is None:
        loser = state.members[loser_id] = EntityState(loser_id, stays.entity, contributions={}, record={})
    for source in sources:
        said = stays.contributions.pop(source, None)
        if said is not None:
            loser.contributions[source] = said
        state.sources.pop(source, None)
    loser.merged_into = None
    going = {member.id: member for parent in sorted(sources) for member in with_descendants(state, parent)}
    going[loser_id] = loser
    for member in state.members.values():
        if member.merged_into == loser_id:
            going[member.id] = member
    return stays, list(going.values())
