"""Read `connectors/ownership.yaml`: who masters what, and by what two records are known to be one.

In: the file, and the folders beside it, which are the systems. Out: the rules. Every mistake is told at once, with file, line, field and
what would be right: what is wrong in form is cut out of a copy, and the rest is looked at further.
"""

from __future__ import annotations

import copy
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from streams.dictionary.problems import DictionaryError, Problem
from streams.dictionary.yaml_lines import Lines, YamlPath, dotted, load_yaml
from streams.model.entities import ENTITIES, FieldType
from streams.resolve.rules import EntityRule, FieldPolicy, FieldRule, Ownership

MATCHED = ("customer", "product")
"""Entities of which records are one by a match key."""


def _short(told: Any) -> Any:
    """A list of systems is a rule whose owner it lists."""
    return {"owner": told} if isinstance(told, list) else told


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageRule(_Part):
    """How a field is settled in one stage."""

    owner: tuple[str, ...] = Field(default=(), description="systems, the master first; default: those of the entity")
    policy: FieldPolicy = "owner"
    trust: dict[str, int] = Field(default={}, description="for `trust`: how much each system is trusted")
    log: bool = Field(default=True, description="whether a disagreement is a conflict")
    restore: bool = Field(default=False, description="whether a system that says something else is given what stands")

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
        default=3,
        ge=2,
        description="edits of one field that write-back may write over within the window before it is stopped",
    )
    flip_flop_window_seconds: float = Field(default=86_400, gt=0, description="the window of `flip_flop_turns`")
    entities: dict[str, EntityOwnership] = {}


def load_ownership(path: Path) -> Ownership:
    """The ownership rules; where the file is missing no system goes before another but by its name.

    Raises DictionaryError, a ConfigError, with every mistake.
    """
    rules, problems = look(path)
    if problems:
        raise DictionaryError(problems)
    return rules


def look(path: Path) -> tuple[Ownership, list[Problem]]:
    """The rules, as far as they can be read, and every mistake in the file. Never raises DictionaryError."""
    if not path.is_file():
        return Ownership(), []
    problems: list[Problem] = []
    try:
        told, lines = load_yaml(path, problems)
    except DictionaryError as error:
        return Ownership(), error.problems
    file = _parsed(path, lines, {} if told is None else told, problems)
    for name, one in file.entities.items():
        problems += _Entity(path, lines, name, one, _systems(path)).problems()
    entities = {name: _rule(name, one) for name, one in file.entities.items() if name in ENTITIES}
    window_us = round(file.flip_flop_window_seconds * 1_000_000)
    return Ownership(entities, file.flip_flop_turns, window_us), sorted(problems, key=lambda one: (one.line, one.field))


def _systems(path: Path) -> set[str]:
    """The systems that there are: folders beside the file that have a dictionary."""
    return {folder.parent.name for folder in path.parent.glob("*/dictionary.yaml")}


def _rule(name: str, one: EntityOwnership) -> EntityRule:
    rules = {field: rule.rule() for field, rule in one.fields.items()}
    for field, kind_of in ENTITIES[name].fields.items():
        if kind_of.kind == "map" and field not in rules:
            rules[field] = FieldRule(policy="union")
    return EntityRule(one.owner, rules, one.stage, one.deletes, round(one.window_seconds * 1_000_000), one.match)


def _parsed(path: Path, lines: Lines, told: Any, problems: list[Problem]) -> OwnershipFile:
    """The file's form; what is wrong in it is told, and cut out."""
    left = copy.deepcopy(told)
    for _ in range(50):
        try:
            return OwnershipFile.model_validate(left)
        except ValidationError as error:
            cut = set()
            for fault in error.errors():
                where = _there(left, fault["loc"])
                # A list goes as a whole, so that its places stay what they are in the file.
                cut.add(where[: next((at for at, step in enumerate(where) if isinstance(step, int)), len(where))])
                right = _right(fault["type"], where)
                problems.append(Problem(path, lines[where], dotted(where) or "file", _what(fault), right, where))
            if () in cut:
                break
            for where in cut:
                _take_out(left, where)
    return OwnershipFile()


def _there(told: Any, loc: tuple[str | int, ...]) -> YamlPath:
    """As much of a place as pydantic names it as there is in the file."""
    found: list[str | int] = []
    for step in loc:
        if isinstance(told, dict) and step in told:
            told = told[step]
        elif isinstance(told, list) and isinstance(step, int) and step < len(told):
            told = told[step]
        else:
            continue
        found.append(step)
    return tuple(found)


def _take_out(told: Any, where: YamlPath) -> None:
    *way, last = where
    for step in way:
        if step not in told:
            return  # what it stands in was taken out
        told = told[step]
    told.pop(last, None)


def _what(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return "is nothing that stands here"
    if fault["type"] in ("model_type", "dict_type"):
        return "must be a mapping"
    return str(fault["msg"]).removeprefix("Value error, ").replace("Input should", "should")


_LEVELS: list[type[BaseModel]] = [OwnershipFile, EntityOwnership, FieldOwnership, StageRule]
"""By what a path has beside the names that people choose: the file, an entity, a field, a stage."""


def _right(kind: str, where: YamlPath) -> str:
    if kind == "extra_forbidden":
        level = _LEVELS[min((len(where) - 1) // 2, 3)]
        return _one_of(str(where[-1]), level.model_fields)
    if kind in ("model_type", "dict_type") and not where:
        return "begin with `entities:`"
    return "docs/guides/identity-and-conflicts.md shows each rule"


def _one_of(name: str, names: Any) -> str:
    close = get_close_matches(name, list(names), 1)
    return (f"did you mean {close[0]}? " if close else "") + f"there are {', '.join(sorted(names))}"


class _Entity:
    """What can not be meant in the rules of one entity."""

    def __init__(self, path: Path, lines: Lines, name: str, one: EntityOwnership, systems: set[str]) -> None:
        self._path, self._lines, self._name, self._one, self._systems = path, lines, name, one, systems
        self._found: list[Problem] = []

    def problems(self) -> list[Problem]:
        name, one = self._name, self._one
        if name not in ENTITIES:
            self._tell(
                (), f"there is no entity {name!r}", _one_of(name, [n for n, e in ENTITIES.items() if not e.computed])
            )
            return self._found
        if ENTITIES[name].computed:
            self._tell((), f"{name} is worked out by the hub, no system says it", "give rules to what it is made of")
            return self._found
        fields = ENTITIES[name].fields
        self._owners(("owner",), one.owner)
        if one.stage is not None and one.stage not in fields:
            self._tell(("stage",), f"{name} has no field {one.stage!r}", _one_of(one.stage, fields))
        for number, key in enumerate(one.match):
            self._match(number, key, fields)
        if one.match and name not in MATCHED:
            self._tell(
                ("match",), f"records of {name} are not joined by keys", f"only those of {' and '.join(MATCHED)} are"
            )
        for field, rule in one.fields.items():
            if field not in fields:
                self._tell(("fields", field), f"{name} has no field {field!r}", _one_of(field, fields))
                continue
            self._field(("fields", field), fields[field], rule)
            stages = fields[one.stage].values if one.stage in fields else ()
            if rule.stages and one.stage is None:
                self._tell(
                    ("fields", field, "stages"),
                    f"there are stages, but {name} names no `stage` field",
                    "add `stage: status` to the entity",
                )
            for stage, special in rule.stages.items():
                at = ("fields", field, "stages", stage)
                if stages and stage not in stages:
                    self._tell(at, f"{one.stage} is never {stage!r}", _one_of(stage, stages))
                self._field(at, fields[field], special)
        return self._found

    def _tell(self, at: YamlPath, what: str, right: str) -> None:
        where = ("entities", self._name, *at)
        self._found.append(Problem(self._path, self._lines[where], dotted(where), what, right, where))

    def _owners(self, at: YamlPath, owner: tuple[str, ...]) -> None:
        for number, system in enumerate(owner):
            if self._systems and system not in self._systems:
                self._tell((*at, number), f"there is no system {system!r}", _one_of(system, self._systems))
            if system in owner[:number]:
                self._tell((*at, number), f"{system} is there twice", "keep the first")

    def _match(self, number: int, key: tuple[str, ...], fields: dict[str, FieldType]) -> None:
        at = ("match", number)
        for part in key:
            field = "email" if part == "email_domain" else part
            if field not in fields:
                names = [*fields, "email_domain"] if "email" in fields else list(fields)
                self._tell(at, f"{self._name} has no field {part!r}", _one_of(part, names))
            elif fields[field].kind in ("map", "tags", "bool"):
                self._tell(at, f"{part} is {fields[field].kind} and no key", "take a field that few records share")
        if not key or set(key) == {"email_domain"}:
            self._tell(
                at,
                "everybody at one domain would be one record" if key else "an empty key",
                "add what tells them apart, as in [email_domain, name]",
            )

    def _field(self, at: YamlPath, field: FieldType, rule: StageRule) -> None:
        self._owners((*at, "owner"), rule.owner)
        for system in rule.trust:
            if self._systems and system not in self._systems:
                self._tell((*at, "trust", system), f"there is no system {system!r}", _one_of(system, self._systems))
        if rule.policy == "trust" and not rule.trust:
            self._tell(at, "`trust` does not say whom", "add `trust: {system: number}`")
        if rule.trust and rule.policy != "trust":
            self._tell((*at, "trust"), f"the policy is {rule.policy}, which asks nobody's trust", "add `policy: trust`")
        if rule.policy == "sum" and field.kind not in ("int", "decimal"):
            self._tell(at, f"{field.kind} can not be summed", "another policy, such as owner or newest")
        if rule.policy == "union" and field.kind not in ("tags", "map"):
            self._tell(at, f"{field.kind} has no union", "another policy, such as owner or complete")
        if rule.restore and rule.policy in ("sum", "union"):
            self._tell(
                (*at, "restore"), "there is no value of one system to restore", "take `restore` out, or another policy"
            )
