"""Contributions → the golden record, by ownership, and the conflicts between them. Pure.

The result depends only on the values and positions of the contributions, so every order of arrival gives the same
record. A person's decision is a contribution of the system `opshub`: it goes before all others, for the fields that it
names. A record with a single source is what that source says, at no cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from streams.model.names import PEOPLE
from streams.model.state import Conflict, Contribution, EntityState
from streams.resolve.disagreement import Candidate, deleted_and_kept, field_conflict, rank_of
from streams.resolve.rules import FieldRule, Ownership

__all__ = ["Ownership", "disagreement", "golden", "is_deleted"]

Live = list[tuple[str, Contribution]]
"""(source id, contribution) of each contribution that is not deleted."""


class _Settled(NamedTuple):
    value: Any
    winner: Candidate | None
    """Whose value it is; None where it is made of all values, or where there is none."""


def is_deleted(entity: EntityState, ownership: Ownership) -> bool:
    """Whether the record is deleted, by the rule of its entity. A person's decisions do not keep a record alive."""
    contributions = entity.contributions
    if len(contributions) == 1:
        (only,) = contributions.values()
        return only.deleted or only.system == PEOPLE
    systems = [c for c in contributions.values() if c.system != PEOPLE and not c.main_row_missing]
    if ownership.entity(entity.entity).deletes == "owner" and systems:
        rank = ownership.rank(entity.entity)
        owner = min(rank_of(rank, c.system) for c in systems)
        systems = [c for c in systems if rank_of(rank, c.system) == owner]
    return all(c.deleted for c in systems)


def golden(entity: EntityState, ownership: Ownership) -> tuple[dict[str, Any], list[Conflict]]:
    """The fields of the golden record, and the conflicts between live contributions, or between a live and a deleted
    one.

    With one contribution the record is that contribution's own dict, not a copy.
    """
    contributions = entity.contributions
    if len(contributions) == 1:
        (only,) = contributions.values()
        return ({} if only.deleted else only.fields or {}), []
    live = _live(entity)
    if not live:
        return {}, []
    rules = ownership.entity(entity.entity)
    conflicts = [] if len(live) == len(contributions) else deleted_and_kept(entity, rules)
    if len(live) == 1:
        return live[0][1].fields or {}, conflicts
    record: dict[str, Any] = {}
    stage = _stage(entity, live, ownership)
    # Sorted, so that the record has its fields in one order whichever contribution came first.
    for name in sorted({name for _, contribution in live for name in contribution.fields or {}}):
        rule = ownership.field(entity.entity, name, stage)
        candidates = _candidates(live, name, rule.rank or rules.rank)
        if not candidates:
            record[name] = None
            continue
        first = candidates[0].value
        if len(candidates) == 1 or all(other.value == first for other in candidates):
            record[name] = first
            if rule.policy != "sum":
                continue
        settled = _settle(candidates, rule)
        record[name] = settled.value
        if settled.winner is not None and rule.log:
            conflict = field_conflict(entity, name, candidates, settled.winner, rule, rules)
            if conflict is not None:
                conflicts.append(conflict)
    return record, conflicts


def disagreement(entity: EntityState, name: str, ownership: Ownership) -> Conflict | None:
    """The conflict over one field, even where its rule does not log conflicts or unites the values; None where all
    systems agree.
    """
    live = _live(entity)
    rules = ownership.entity(entity.entity)
    rule = ownership.field(entity.entity, name, _stage(entity, live, ownership))
    candidates = _candidates(live, name, rule.rank or rules.rank)
    return field_conflict(entity, name, candidates, _settle(candidates, rule).winner, rule, rules)


def _live(entity: EntityState) -> Live:
    return [item for item in entity.contributions.items() if not item[1].deleted]


def _stage(entity: EntityState, live: Live, ownership: Ownership) -> str | None:
    """The stage that the record is in, which may choose the rules of its fields."""
    rules = ownership.entity(entity.entity)
    if rules.stage is None:
        return None
    rule = ownership.field(entity.entity, rules.stage, None)
    stage: str | None = _settle(_candidates(live, rules.stage, rule.rank or rules.rank), rule).value
    return stage


def _candidates(live: Live, name: str, rank: Sequence[str]) -> list[Candidate]:
    """The values of a field, in the order of `rank`. Null is no value."""
    candidates = []
    for source, contribution in live:
        value = (contribution.fields or {}).get(name)
        if value is not None:
            edit = (contribution.changed or {}).get(name)
            system = contribution.system
            candidates.append(Candidate(rank_of(rank, system), system, source, value, edit, contribution))
    candidates.sort(key=lambda candidate: candidate[:3])
    return candidates


def _settle(candidates: list[Candidate], rule: FieldRule) -> _Settled:
    """The value by the rule's policy. `candidates` are in the order of rank."""
    if not candidates:
        return _Settled(None, None)
    first = candidates[0]
    if first.system == PEOPLE or rule.policy in ("owner", "ask"):
        return _Settled(first.value, first)
    if rule.policy == "sum":
        return _Settled(sum(candidate.value for candidate in candidates), None)
    if rule.policy == "union":
        return _Settled(_union(candidates), None)
    # The last three parts of each key decide ties the same way on every worker.
    if rule.policy == "newest":
        chosen = max(candidates, key=lambda c: (c.since_us, -c.rank, c.system, c.source))
    elif rule.policy == "trust":
        chosen = max(candidates, key=lambda c: (rule.trust.get(c.system, 0), -c.rank, c.system, c.source))
    else:
        chosen = max(candidates, key=lambda c: (len(str(c.value)), -c.rank, c.system, c.source))
    return _Settled(chosen.value, chosen)


def _union(candidates: list[Candidate]) -> dict[str, str] | list[str]:
    """All entries of maps, the owner's where two differ; all tags of lists, in the order of rank."""
    if isinstance(candidates[0].value, dict):
        together: dict[str, str] = {}
        for candidate in reversed(candidates):
            together.update(candidate.value)
        # In the order in which the hub's jsonb keeps keys, so that a record that was read from there gives the same
        # bytes.
        return dict(sorted(together.items(), key=lambda pair: (len(pair[0].encode()), pair[0].encode())))
    return list(dict.fromkeys(tag for candidate in candidates for tag in candidate.value))
