"""The form of `connectors/ownership.yaml`, as pydantic models that also describe each field for people."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from streams.resolve.rules import MATCH_LIMIT, FieldPolicy, FieldRule


def _short(value: object) -> object:
    """A list of systems is short for a rule with these owners."""
    return {"owner": value} if isinstance(value, list) else value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageRule(_Section):
    """How a field is settled in one stage."""

    owner: tuple[str, ...] = Field(default=(), description="systems, the master first; default: those of the entity")
    policy: FieldPolicy = "owner"
    trust: dict[str, int] = Field(default={}, description="for `trust`: how much each system is trusted")
    log: bool = Field(default=True, description="whether a disagreement is a conflict")
    restore: bool = Field(
        default=False, description="whether write-back restores the value that stands in a system that has another one"
    )

    def rule(self) -> FieldRule:
        return FieldRule(self.owner, self.policy, self.trust, self.log, self.restore)


class FieldOwnership(StageRule):
    """How a field is settled, with exceptions by stage."""

    stages: dict[str, Annotated[StageRule, BeforeValidator(_short)]] = {}

    def rule(self) -> FieldRule:
        stages = {name: stage.rule() for name, stage in self.stages.items()}
        return FieldRule(self.owner, self.policy, self.trust, self.log, self.restore, stages)


class EntityOwnership(_Section):
    """How an entity is settled."""

    owner: tuple[str, ...] = Field(default=(), description="systems, the master first")
    stage: str | None = Field(default=None, description="the field that says in which stage a record is")
    deletes: Literal["all", "owner"] = Field(default="all", description="whose delete deletes the record")
    window_seconds: float = Field(default=60, gt=0, description="edits of one field closer than this are concurrent")
    match: tuple[tuple[str, ...], ...] = Field(
        default=(), description="keys by which records of two systems are recognised as the same, strongest first"
    )
    match_limit: int = Field(
        default=MATCH_LIMIT,
        ge=1,
        description="records of one system that may carry one match key; with more, it links none",
    )
    fields: dict[str, Annotated[FieldOwnership, BeforeValidator(_short)]] = {}


class OwnershipFile(_Section):
    """connectors/ownership.yaml."""

    flip_flop_turns: int = Field(
        default=3,
        ge=2,
        description="edits of one field that write-back may write over within the window before it is stopped",
    )
    flip_flop_window_seconds: float = Field(default=86_400, gt=0, description="the window of `flip_flop_turns`")
    entities: dict[str, EntityOwnership] = {}
