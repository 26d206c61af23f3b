"""Contributions → the golden record, by ownership, and the conflicts that were met on the way. Pure.

The result depends on nothing but the contributions' values and positions, so any order of arrival gives the same. What a person decided is
a contribution of system `opshub`: it goes before all others for the fields that it names. A record that one source alone speaks of is what
that source says, at no cost.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from streams.model.names import PEOPLE
from streams.model.state import Conflict, Contribution, EntityState
from streams.resolve.rules import EntityRule, FieldRule, Ownership

__all__ = ["Ownership", "disagreement", "golden", "is_deleted"]


class Candidate(NamedTuple):
    """One value of one field: who says it, since when, and how its system ranks (0 is the owner)."""

    rank: int
    system: str
    source: str
    value: Any
    edited: tuple[int, int, int, int, str | None] | None
    said: Contribution

    @property
    def since_us(self) -> int:
        return self.edited[3] if self.edited is not None else self.said.first_us or self.said.source_us


def is_deleted(entity: EntityState, ownership: Ownership) -> bool:
    """Whether the record is gone, by the rule of its entity; a person's decisions keep no record alive."""
    contributions = entity.contributions
    if len(contributions) == 1:
        (only,) = contributions.values()
        return only.deleted or only.system == PEOPLE
    systems = [said for said in contributions.values() if said.system != PEOPLE and not said.main_row_missing]
    if ownership.entity(entity.entity).deletes == "owner" and systems:
        rank = ownership.rank(entity.entity)
        first = min(_place(rank, said.system) for said in systems)
        systems = [said for said in systems if _place(rank, said.system) == first]
    return all(said.deleted for said in systems)


def golden(entity: EntityState, ownership: Ownership) -> tuple[dict[str, Any], list[Conflict]]:
    """The golden record's fields, and the conflicts between live contributions, or between a live one and a deleted one."""
    contributions = entity.contributions
    if len(contributions) == 1:
        (only,) = contributions.values()
        return ({} if only.deleted else only.fields or {}), []
    live = [(source, said) for source, said in contributions.items() if not said.deleted]
    if not live:
        return {}, []
    rules = ownership.entity(entity.entity)
    conflicts = [] if len(live) == len(contributions) else _deleted_and_kept(entity, rules)
    if len(live) == 1:
        return live[0][1].fields or {}, conflicts
    record: dict[str, Any] = {}
    stage = _stage(entity, live, ownership)
    for name in sorted({name for _, said in live for name in said.fields or {}}):
        rule = ownership.field(entity.entity, name, stage)
        found = _candidates(live, name, rule.rank or rules.rank)
        if not found:
            record[name] = None
            continue
        if len(found) == 1 or all(other.value == found[0].value for other in found):
            record[name] = found[0].value
            if rule.policy != "sum":
                continue
        record[name], winner = _settle(found, rule)
        if winner is not None and rule.log:
            conflict = _conflict(entity, name, found, winner, rule, rules)
            if conflict is not None:
                conflicts.append(conflict)
    return record, conflicts


def disagreement(entity: EntityState, name: str, ownership: Ownership) -> Conflict | None:
    """What systems say of one field, where they say different things: also where the rule does not log it, or unites their values."""
    live = [(source, said) for source, said in entity.contributions.items() if not said.deleted]
    rules = ownership.entity(entity.entity)
    rule = ownership.field(entity.entity, name, _stage(entity, live, ownership))
    found = _candidates(live, name, rule.rank or rules.rank)
    return _conflict(entity, name, found, _settle(found, rule)[1], rule, rules)


def _stage(entity: EntityState, live: list[tuple[str, Contribution]], ownership: Ownership) -> str | None:
    rules = ownership.entity(entity.entity)
    if rules.stage is None:
        return None
    rule = ownership.field(entity.entity, rules.stage, None)
    stage: str | None = _settle(_candidates(live, rules.stage, rule.rank or rules.rank), rule)[0]
    return stage


def _place(rank: tuple[str, ...] | list[str], system: str) -> int:
    if system == PEOPLE:
        return -1
    return rank.index(system) if system in rank else len(rank)


def _candidates(live: list[tuple[str, Contribution]], name: str, rank: tuple[str, ...]) -> list[Candidate]:
    found = []
    for source, said in live:
        value = (said.fields or {}).get(name)
        if value is not None:
            edited = (said.changed or {}).get(name)
            found.append(Candidate(_place(rank, said.system), said.system, source, value, edited, said))
    found.sort(key=lambda one: (one.rank, one.system, one.source))
    return found


def _settle(found: list[Candidate], rule: FieldRule) -> tuple[Any, Candidate | None]:
    """The value by the rule's policy, and whose it is (None: everybody's). `found` is in rank order."""
    if not found:
        return None, None
    first = found[0]
    if first.system == PEOPLE or rule.policy in ("owner", "ask"):
        return first.value, first
    if rule.policy == "sum":
        return sum(one.value for one in found), None
    if rule.policy == "union":
        return _union(found), None
    if rule.policy == "newest":
        chosen = max(found, key=lambda one: (one.since_us, -one.rank, one.system, one.source))
    elif rule.policy == "trust":
        chosen = max(found, key=lambda one: (rule.trust.get(one.system, 0), -one.rank, one.system, one.source))
    else:
        chosen = max(found, key=lambda one: (len(str(one.value)), -one.rank, one.system, one.source))
    return chosen.value, chosen


def _union(found: list[Candidate]) -> Any:
    if isinstance(found[0].value, dict):
        together: dict[str, str] = {}
        for one in reversed(found):
            together.update(one.value)
        # In the order in which the hub's jsonb keeps keys, so that a record read from there gives the same bytes.
        return dict(sorted(together.items(), key=lambda pair: (len(pair[0].encode()), pair[0].encode())))
    return list(dict.fromkeys(part for one in found for part in one.value))


def _conflict(
    entity: EntityState,
    name: str,
    found: list[Candidate],
    winner: Candidate | None,
    rule: FieldRule,
    rules: EntityRule,
) -> Conflict | None:
    """What kind of disagreement it is; None where only a person's decision differs from what all systems agree on."""
    by_system: dict[str, Candidate] = {}
    for one in found:
        by_system.setdefault(one.system, one)
    systems = [one for one in by_system.values() if one.system != PEOPLE]
    if len(systems) < 2 or all(one.value == systems[0].value for one in systems):
        return None
    by_hand = winner is not None and winner.system == PEOPLE
    stands = systems[0] if winner is None or by_hand else winner
    edits = sorted(one.edited[3] for one in systems if one.edited is not None)
    kind = "disagreement"
    if any(one.edited is not None and one.value != stands.value and one.since_us > stands.since_us for one in systems):
        kind = "owned_field_changed"
    if any(later - earlier <= rules.window_us for earlier, later in pairwise(edits)):
        kind = "concurrent_edit"
    told = {
        "owner": "owner wins",
        "newest": "newest wins",
        "trust": "highest trust",
        "complete": "most complete",
        "sum": "all together",
        "union": "all together",
        "ask": "ask a person",
    }
    return Conflict(
        "", entity.entity, entity.id, name, kind, {one.system: one.value for one in systems},
        None if winner is None else winner.system,
        "a person decided" if by_hand else told[rule.policy],
        "decided" if by_hand else "open" if rule.policy == "ask" else "settled",
        {one.system: _where(one.said, one.edited) for one in systems},
    )  # fmt: skip


def _where(said: Contribution, edited: tuple[int, int, int, int, str | None] | None) -> tuple[str, int, str | None]:
    if edited is not None:
        return f"{edited[0]}/{edited[1]}/{edited[2]}", edited[3], edited[4]
    return f"{said.epoch}/{said.major}/{said.minor}", said.source_us, said.tx


def _deleted_and_kept(entity: EntityState, rules: EntityRule) -> list[Conflict]:
    """One system deleted the record, another has it still."""
    by_system: dict[str, Contribution] = {}
    for source in sorted(entity.contributions):
        said = entity.contributions[source]
        if (
            said.system != PEOPLE
            and not said.main_row_missing
            and (said.system not in by_system or by_system[said.system].deleted)
        ):
            by_system[said.system] = said
    gone = {system for system, said in by_system.items() if said.deleted}
    if not gone or len(gone) == len(by_system):
        return []
    first = min(by_system, key=lambda system: (_place(rules.rank, system), system))
    kept = first not in gone if rules.deletes == "owner" else True
    winner = first if rules.deletes == "owner" else min(set(by_system) - gone)
    values = {system: "deleted" if system in gone else "kept" for system in sorted(by_system)}
    rule = "the owner's delete counts" if rules.deletes == "owner" else "kept while one system has it"
    said_of = {system: _where(said, None) for system, said in by_system.items()}
    return [
        Conflict(
            "",
            entity.entity,
            entity.id,
            "*",
            "delete_update",
            values,
            winner,
            rule,
            "settled" if kept else "deleted",
            said_of,
        )
    ]
