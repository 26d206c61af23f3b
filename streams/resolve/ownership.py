"""Read `connectors/ownership.yaml`: who masters what, and by what two records are known to be one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from streams.errors import ConfigError
from streams.model.entities import ENTITIES
from streams.resolve.rules import EntityRule, FieldRule, Ownership, Policy


def _short(told: Any) -> Any:
    """A list of systems is a rule whose owner it lists."""
    return {"owner": told} if isinstance(told, list) else told


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageRule(_Part):
    """How a field is settled in one stage."""

    owner: tuple[str, ...] = Field(default=(), description="systems, the master first; default: those of the entity")
    policy: Policy = "owner"
    trust: dict[str, int] = Field(default={}, description="for `trust`: how much each system is trusted")
    log: bool = Field(default=True, description="whether a disagreement is a conflict")
    restore: bool = Field(default=False, description="whether a system that says something else is given what stands")

    @model_validator(mode="after")
    def _restores_what_is_logged(self) -> Self:
        if self.restore and (not self.log or self.policy in ("sum", "union")):
            raise ValueError("`restore` needs a value of one system and `log`: turns are counted by the conflicts")
        return self

    def rule(self) -> FieldRule:
        return FieldRule(self.owner, self.policy, self.trust, self.log, self.restore)


class FieldOwnership(StageRule):
    """How a field is settled, with exceptions by stage."""

    stages: dict[str, Annotated[StageRule, BeforeValidator(_short)]] = {}

    def rule(self) -> FieldRule:
        stages = {stage: told.rule() for stage, told in self.stages.items()}
        return FieldRule(self.owner, self.policy, self.trust, self.log, self.restore, stages)


class EntityOwnership(_Part):
    """How an entity is settled."""

    owner: tuple[str, ...] = Field(default=(), description="systems, the master first")
    stage: str | None = Field(default=None, description="the field that says in which stage a record is")
    deletes: Literal["all", "owner"] = Field(default="all", description="whose delete deletes the record")
    window_seconds: float = Field(default=60, gt=0, description="edits of one field closer than this are concurrent")
    match: tuple[tuple[str, ...], ...] = Field(
        default=(), description="keys by which records of two systems are one, strongest first"
    )
    fields: dict[str, Annotated[FieldOwnership, BeforeValidator(_short)]] = {}


class OwnershipFile(_Part):
    """connectors/ownership.yaml."""

    flip_flop_turns: int = Field(
        default=3, ge=2, description="times that one disagreement may come back before it is stopped"
    )
    entities: dict[str, EntityOwnership] = {}


def load_ownership(path: Path) -> Ownership:
    """The ownership rules; where the file is missing no system goes before another but by its name.

    Raises ConfigError that names file, entity and field.
    """
    if not path.is_file():
        return Ownership()
    try:
        told: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {error}", remedy="mend the YAML") from error
    try:
        file = OwnershipFile.model_validate(told)
    except ValidationError as error:
        wrong = "; ".join(f"{' → '.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{path}: {wrong}", remedy="docs/guides/identity-and-conflicts.md shows each rule") from error
    return Ownership({name: _checked(path, name, one) for name, one in file.entities.items()}, file.flip_flop_turns)


def _checked(path: Path, name: str, one: EntityOwnership) -> EntityRule:
    if name not in ENTITIES:
        raise ConfigError(f"{path}: there is no entity {name!r}", remedy=f"one of {', '.join(sorted(ENTITIES))}")
    fields = ENTITIES[name].fields
    named = [
        *one.fields,
        *([one.stage] if one.stage else []),
        *(part for key in one.match for part in key if part != "email_domain"),
    ]
    for field in named:
        if field not in fields:
            raise ConfigError(f"{path}: {name} has no field {field!r}", remedy=f"one of {', '.join(sorted(fields))}")
    for field, rule in one.fields.items():
        kind = fields[field].kind
        policies = {rule.policy, *(stage.policy for stage in rule.stages.values())}
        if "sum" in policies and kind not in ("int", "decimal"):
            raise ConfigError(
                f"{path}: {name}.{field} is {kind} and can not be summed",
                remedy="another policy, such as owner or newest",
            )
        if "union" in policies and kind not in ("tags", "map"):
            raise ConfigError(
                f"{path}: {name}.{field} is {kind} and has no union", remedy="another policy, such as owner or complete"
            )
        if "trust" in policies and not (rule.trust or any(stage.trust for stage in rule.stages.values())):
            raise ConfigError(
                f"{path}: {name}.{field} says `trust` but not whom", remedy="add `trust: {system: number}`"
            )
        if rule.stages and one.stage is None:
            raise ConfigError(
                f"{path}: {name}.{field} has stages but {name} names no `stage` field",
                remedy="add `stage: status` to the entity",
            )
    rules = {field: rule.rule() for field, rule in one.fields.items()}
    for field, kind_of in fields.items():
        if kind_of.kind == "map" and field not in rules:
            rules[field] = FieldRule(policy="union")
    return EntityRule(one.owner, rules, one.stage, one.deletes, round(one.window_seconds * 1_000_000), one.match)
