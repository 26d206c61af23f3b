"""Who masters what: the rules of `connectors/ownership.yaml`, ready to be asked for each field.

A field's rule has a policy. `owner`: the first system in `rank` that says a value. `newest`: the value that was edited last, by source
time. `trust`: the value of the system that is trusted most. `complete`: the longest value. `sum` and `union`: all values together. `ask`:
as `owner` until a person decides, and the disagreement stays open. `stages` has another rule for a stage of the record.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

FieldPolicy = Literal["owner", "newest", "trust", "complete", "sum", "union", "ask"]

WINDOW_US = 60_000_000
"""Edits of one field by two systems that are closer than this are concurrent, where no rule says otherwise."""


class FieldRule(msgspec.Struct, frozen=True):
    """How one field of an entity is settled."""

    rank: tuple[str, ...] = ()
    policy: FieldPolicy = "owner"
    trust: dict[str, int] = {}
    log: bool = True
    """Whether a disagreement is a conflict; False where two systems rightly speak of the same thing in words of their own."""
    restore: bool = False
    """Whether a system that says something else is given the value that stands, by a rule of its writeback.yaml."""
    stages: dict[str, FieldRule] = {}

    @property
    def restores(self) -> bool:
        """Whether it restores in any stage."""
        return self.restore or any(rule.restore for rule in self.stages.values())


class EntityRule(msgspec.Struct, frozen=True):
    """How the fields of an entity are settled, and by what two records are known to be one."""

    rank: tuple[str, ...] = ()
    fields: dict[str, FieldRule] = {}
    stage: str | None = None
    """Field whose value says in which stage a record is."""
    deletes: Literal["all", "owner"] = "all"
    """A record is deleted when all systems that have it say so, or when its owner does."""
    window_us: int = WINDOW_US
    match: tuple[tuple[str, ...], ...] = ()
    """Keys, each of one or more fields (`email_domain` is the part of `email` behind the @), strongest first."""


_ALL = EntityRule()
_NOTHING = FieldRule()


class Ownership(msgspec.Struct, frozen=True):
    """The rules of all entities. An entity without one ranks systems by name."""

    entities: dict[str, EntityRule] = {}
    turns: int = 3
    turns_window_us: int = 86_400_000_000
    """Edits of one field of a record, within the window, that write-back may write over before it is called a flip-flop, and stopped."""

    def entity(self, entity: str) -> EntityRule:
        return self.entities.get(entity, _ALL)

    def rank(self, entity: str, field: str | None = None) -> list[str]:
        """Systems in order, the owner first."""
        rule = self.entity(entity)
        special = rule.fields.get(field) if field is not None else None
        return list((special.rank if special is not None else ()) or rule.rank)

    def field(self, entity: str, field: str, stage: str | None) -> FieldRule:
        """The rule of one field, for a record in `stage`."""
        rule = self.entity(entity).fields.get(field, _NOTHING)
        return rule.stages.get(stage, rule) if stage is not None and rule.stages else rule

    def restored(self, entity: str, record: dict[str, Any]) -> list[str]:
        """Fields of which a system that says something else is given the value that stands."""
        rules = self.entity(entity)
        stage = record.get(rules.stage) if rules.stage is not None else None
        return [name for name in rules.fields if self.field(entity, name, stage).restore]
