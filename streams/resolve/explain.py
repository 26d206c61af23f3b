"""Why a field of a golden record has its value: what each system says, since when, and which rule decided.

In: an entity with its contributions, and the rules. Out: a `FieldOrigin` for each field. Pure, and by the same
functions that settle the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from streams.model.names import PEOPLE
from streams.model.state import EntityState
from streams.resolve.disagreement import Candidate
from streams.resolve.golden import _candidates, _live, _settle, _stage
from streams.resolve.rules import FieldPolicy, Ownership


class SourceValue(msgspec.Struct, frozen=True):
    """What one row of a system says of a field."""

    system: str
    key: str
    source: str
    """The source id of the row."""
    value: Any
    since_us: int
    """Since when it says so, µs since 1970 by its own clock."""
    position: str
    """Of its newest change of the record: epoch/major/minor."""
    tx: str | None
    stands: bool
    """Whether the golden record has this value, or it is a part of it."""


class FieldOrigin(msgspec.Struct, frozen=True):
    """Why a field has its value."""

    field: str
    value: Any
    policy: FieldPolicy
    """How the rule settles it, where systems say different things."""
    owners: list[str]
    """Systems in the order of the rule, the owner first."""
    decided_by: str
    """`one source`, `agree`, `rule`, `person`, `together` (sum, union) or `nobody` says anything."""
    winner: str | None
    """The system whose value it is; None where it is made of all."""
    since_us: int | None
    values: list[SourceValue]

    @property
    def differs(self) -> bool:
        """Whether systems say different things."""
        return any(not value.stands for value in self.values)


def explain_fields(entity: EntityState, ownership: Ownership, fields: Sequence[str]) -> list[FieldOrigin]:
    """Why these fields have their values."""
    live = _live(entity)
    rules = ownership.entity(entity.entity)
    stage = _stage(entity, live, ownership)
    origins = []
    for name in fields:
        rule = ownership.field(entity.entity, name, stage)
        rank = rule.rank or rules.rank
        candidates = _candidates(live, name, rank)
        settled = _settle(candidates, rule)
        value = entity.record.get(name)
        winner = settled.winner
        values = [_source_value(candidate, value, together=winner is None) for candidate in candidates]
        origins.append(
            FieldOrigin(
                name, value, rule.policy, list(rank), _decided(candidates, winner),
                winner.system if winner is not None else None, winner.since_us if winner is not None else None, values,
            )
        )  # fmt: skip
    return origins


def _source_value(candidate: Candidate, value: Any, *, together: bool) -> SourceValue:
    contribution = candidate.contribution
    position = f"{contribution.epoch}/{contribution.major}/{contribution.minor}"
    return SourceValue(
        candidate.system, contribution.key, candidate.source, candidate.value, candidate.since_us, position,
        contribution.tx, together or candidate.value == value,
    )  # fmt: skip


def _decided(candidates: list[Candidate], winner: Candidate | None) -> str:
    if not candidates:
        return "nobody"
    if winner is None:
        return "together"
    if winner.system == PEOPLE:
        return "person"
    if len({candidate.system for candidate in candidates}) == 1:
        return "one source"
    return "agree" if all(candidate.value == winner.value for candidate in candidates) else "rule"
