"""Which system owns what: the rules of `connectors/ownership.yaml`, compiled for fast access to each field.

A field's rule has a policy. `owner`: the value of the first system in `rank` that has one. `newest`: the value that was
edited last, by source time. `trust`: the value of the most trusted system. `complete`: the longest value. `sum` and
`union`: all values together. `ask`: as `owner`, and the conflict stays open until a person decides. `stages` has other
rules for stages of the record.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

FieldPolicy = Literal["owner", "newest", "trust", "complete", "sum", "union", "ask"]

WINDOW_US = 60_000_000
"""Default: edits of one field by two systems are concurrent if they are closer than this."""


MATCH_LIMIT = 10
"""Default: a group of companies with one tax number has a few records; a number that anybody enters has hundreds."""


class FieldRule(msgspec.Struct, frozen=True):
    """How one field of an entity is settled."""

    rank: tuple[str, ...] = ()
    policy: FieldPolicy = "owner"
    trust: dict[str, int] = {}
    log: bool = True
    """Whether a disagreement is a conflict; False where two systems rightly describe the same thing in their own
    words.
    """
    restore: bool = False
    """Whether write-back restores the value that stands in a system that has another one, by a rule of its
    writeback.yaml.
    """
    stages: dict[str, FieldRule] = {}

    @property
    def restores(self) -> bool:
        """Whether write-back restores the field in any stage."""
        return self.restore or any(rule.restore for rule in self.stages.values())


class EntityRule(msgspec.Struct, frozen=True):
    """How the fields of an entity are settled, and by which keys two records are recognised as the same."""

    rank: tuple[str, ...] = ()
    fields: dict[str, FieldRule] = {}
    stage: str | None = None
    """The field whose value is the stage of a record."""
    deletes: Literal["all", "owner"] = "all"
    """Whose delete deletes a record: that of all systems that have it, or that of its owner."""
    window_us: int = WINDOW_US
    match: tuple[tuple[str, ...], ...] = ()
    """Match keys, each of one or more fields, the strongest first. `email_domain` is the part of `email` after the
    @.
    """
    match_limit: int = MATCH_LIMIT
    """Records of one system that may carry one match key. With more, it names nobody in particular and links nothing.
    """


_ALL = EntityRule()
_NOTHING = FieldRule()


class Ownership(msgspec.Struct, frozen=True):
    """The rules of all entities. An entity without one ranks systems by name."""

    entities: dict[str, EntityRule] = {}
    turns: int = 3
    turns_window_us: int = 86_400_000_000
    """Edits of one field that write-back may overwrite within the window. At this number it is a flip-flop, and
    write-back stops.
    """

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
        """The fields whose value write-back restores in systems that have another one."""
        rules = self.entity(entity)
        stage = record.get(rules.stage) if rules.stage is not None else None
        return [name for name in rules.fields if self.field(entity, name, stage).restore]
