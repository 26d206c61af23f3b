"""Hand entities of one aggregate over to another. Part of the first half of settling."""

from __future__ import annotations

from streams.model.state import EntityState
from streams.pipeline.canonical import flow_record_id
from streams.pipeline.settle.working import (
    AggregateWork,
    Working,
    check_conflicts_first,
    emit,
    emit_without,
    send_refresh,
    write,
)


def move(work: Working, aggregate: AggregateWork, members: list[EntityState], target: str, *, same: bool) -> None:
    """Hand members over: their rows go to `target`, whose writer gets a refresh. `same`: the root becomes another name
    of `target`.

    What they are in `target` is emitted by its writer, with a new version, when the refresh comes.
    """
    state, moved = aggregate.state, False
    flow_id = flow_record_id(state)
    for member in members:
        if member.id == flow_id:
            continue  # each aggregate joins its own
        moved = True
        check_conflicts_first(work, state, member)
        member.handed_over = True
        work.out.emits.pop(member.id, None)
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
