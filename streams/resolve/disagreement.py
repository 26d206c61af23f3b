"""What kind of conflict a disagreement is: between values of one field, or between a delete and a record that is kept.
Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from streams.model.names import PEOPLE
from streams.model.state import Conflict, Contribution, EntityState
from streams.resolve.rules import EntityRule, FieldPolicy, FieldRule

Edit = tuple[int, int, int, int, str | None]
"""(epoch, major, minor, commit time in µs, transaction) of the last edit of a field."""

RULE_TEXT: dict[FieldPolicy, str] = {
    "owner": "owner wins",
    "newest": "newest wins",
    "trust": "highest trust",
    "complete": "most complete",
    "sum": "all together",
    "union": "all together",
    "ask": "ask a person",
}
"""How a conflict names the policy that settled it."""


class Candidate(NamedTuple):
    """One value of one field."""

    rank: int
    """Of its system: 0 is the owner, -1 a person's decision."""
    system: str
    source: str
    value: Any
    edit: Edit | None
    """The last edit, if the field changed after the hub first heard of the record."""
    contribution: Contribution

    @property
    def since_us(self) -> int:
        """Since when the source has this value, in µs."""
        return self.edit[3] if self.edit is not None else self.contribution.first_us or self.contribution.source_us


def rank_of(rank: Sequence[str], system: str) -> int:
    """The place of a system in `rank`; people come before all, systems that are not listed after all."""
    if system == PEOPLE:
        return -1
    return rank.index(system) if system in rank else len(rank)


def field_conflict(
    entity: EntityState,
    name: str,
    candidates: list[Candidate],
    winner: Candidate | None,
    rule: FieldRule,
    rules: EntityRule,
) -> Conflict | None:
    """The conflict over one field; None where all systems agree, whatever a person decided.

    `concurrent_edit`: two systems edited it within the window. `owned_field_changed`: somebody edited it after the
    value that stands was entered. Else it is a plain `disagreement`.
    """
    by_system: dict[str, Candidate] = {}
    for candidate in candidates:
        by_system.setdefault(candidate.system, candidate)
    systems = [candidate for candidate in by_system.values() if candidate.system != PEOPLE]
    if len(systems) < 2 or all(candidate.value == systems[0].value for candidate in systems):
        return None
    by_hand = winner is not None and winner.system == PEOPLE
    stands = systems[0] if winner is None or by_hand else winner
    kind = "disagreement"
    for candidate in systems:
        if candidate.edit is not None and candidate.value != stands.value and candidate.since_us > stands.since_us:
            kind = "owned_field_changed"
    edits = sorted(candidate.edit[3] for candidate in systems if candidate.edit is not None)
    if any(later - earlier <= rules.window_us for earlier, later in pairwise(edits)):
        kind = "concurrent_edit"
    return Conflict(
        "", entity.entity, entity.id, name, kind, {candidate.system: candidate.value for candidate in systems},
        None if winner is None else winner.system,
        "a person decided" if by_hand else RULE_TEXT[rule.policy],
        "decided" if by_hand else "open" if rule.policy == "ask" else "settled",
        {candidate.system: _asserted(candidate.contribution, candidate.edit) for candidate in systems},
    )  # fmt: skip


def deleted_and_kept(entity: EntityState, rules: EntityRule) -> list[Conflict]:
    """The conflict between systems that deleted the record and systems that still have it; none if all agree."""
    by_system: dict[str, Contribution] = {}
    for source in sorted(entity.contributions):
        contribution = entity.contributions[source]
        if contribution.system == PEOPLE or contribution.main_row_missing:
            continue
        # A system with several records of the entity keeps it while one of them is live.
        if contribution.system not in by_system or by_system[contribution.system].deleted:
            by_system[contribution.system] = contribution
    gone = {system for system, contribution in by_system.items() if contribution.deleted}
    if not gone or len(gone) == len(by_system):
        return []
    if rules.deletes == "owner":
        winner = min(by_system, key=lambda system: (rank_of(rules.rank, system), system))
        rule, outcome = "the owner's delete counts", "deleted" if winner in gone else "settled"
    else:
        winner = min(set(by_system) - gone)
        rule, outcome = "kept while one system has it", "settled"
    values = {system: "deleted" if system in gone else "kept" for system in sorted(by_system)}
    asserted = {system: _asserted(contribution, None) for system, contribution in by_system.items()}
    return [
        Conflict("", entity.entity, entity.id, "*", "delete_update", values, winner, rule, outcome, asserted)
    ]  # fmt: skip


def _asserted(contribution: Contribution, edit: Edit | None) -> tuple[str, int, str | None]:
    """Where in its source, when and in which transaction a system asserted its value."""
    if edit is not None:
        return f"{edit[0]}/{edit[1]}/{edit[2]}", edit[3], edit[4]
    position = f"{contribution.epoch}/{contribution.major}/{contribution.minor}"
    return position, contribution.source_us, contribution.tx
