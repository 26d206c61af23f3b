"""Read `connectors/ownership.yaml`: which system owns what, and by which keys two records are recognised as the same.

In: the file, and the folders beside it, which are the systems. Out: the rules. All mistakes are reported at once, each
with file, line, field and what would be right: what has a wrong form is cut out of a copy, and the rest is checked
further by `ownership_checks.py`.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from streams.dictionary.form_words import form_mistake
from streams.dictionary.problems import DictionaryError, Problem
from streams.dictionary.yaml_lines import Lines, YamlPath, dotted, existing_path, load_yaml
from streams.model.entities import ENTITIES
from streams.resolve.ownership_checks import entity_mistakes, suggestion
from streams.resolve.ownership_file import EntityOwnership, FieldOwnership, OwnershipFile, StageRule
from streams.resolve.rules import EntityRule, FieldRule, Ownership


def load_ownership(path: Path) -> Ownership:
    """The ownership rules. Without the file, systems rank by their names.

    Raises DictionaryError, a ConfigError, that lists every mistake.
    """
    rules, problems = read_ownership(path)
    if problems:
        raise DictionaryError(problems)
    return rules


def read_ownership(path: Path) -> tuple[Ownership, list[Problem]]:
    """The rules that can be read, and every mistake in the file. Never raises DictionaryError."""
    if not path.is_file():
        return Ownership(), []
    problems: list[Problem] = []
    try:
        content, lines = load_yaml(path, problems)
    except DictionaryError as error:
        return Ownership(), error.problems
    file = _parsed(path, lines, {} if content is None else content, problems)
    systems = _systems(path)
    for name, entity in file.entities.items():
        for mistake in entity_mistakes(name, entity, systems):
            where = ("entities", name, *mistake.at)
            problems.append(Problem(path, lines[where], dotted(where), mistake.what, mistake.right, where))
    entities = {name: _rule(name, entity) for name, entity in file.entities.items() if name in ENTITIES}
    window_us = round(file.flip_flop_window_seconds * 1_000_000)
    return Ownership(entities, file.flip_flop_turns, window_us), sorted(
        problems, key=lambda problem: (problem.line, problem.field)
    )


def _systems(path: Path) -> set[str]:
    """All systems: the folders beside the file that have a dictionary."""
    return {folder.parent.name for folder in path.parent.glob("*/dictionary.yaml")}


def _rule(name: str, entity: EntityOwnership) -> EntityRule:
    rules = {field: rule.rule() for field, rule in entity.fields.items()}
    for field, field_type in ENTITIES[name].fields.items():
        if field_type.kind == "map" and field not in rules:
            # Each system has attributes of its own: without a rule nothing of them may be lost.
            rules[field] = FieldRule(policy="union")
    window_us = round(entity.window_seconds * 1_000_000)
    return EntityRule(entity.owner, rules, entity.stage, entity.deletes, window_us, entity.match, entity.match_limit)


def _parsed(path: Path, lines: Lines, content: object, problems: list[Problem]) -> OwnershipFile:
    """The file as models. What has a wrong form is reported and cut out."""
    left = copy.deepcopy(content)
    for _ in range(50):  # each round cuts out at least one mistake
        try:
            return OwnershipFile.model_validate(left)
        except ValidationError as error:
            cut = set()
            for fault in error.errors():
                where = existing_path(left, fault["loc"])
                # A list is cut out as a whole, so that its items keep the lines that they have in the file.
                cut.add(where[: next((at for at, step in enumerate(where) if isinstance(step, int)), len(where))])
                right = _right(fault["type"], where)
                problems.append(Problem(path, lines[where], dotted(where) or "file", _what(fault), right, where))
            if () in cut:
                break
            for where in cut:
                _take_out(left, where)
    return OwnershipFile()


def _take_out(content: object, where: YamlPath) -> None:
    *way, last = where
    section = cast(dict[str | int, Any], content)
    for step in way:
        if step not in section:
            return  # the section that it stood in was taken out
        section = section[step]
    section.pop(last, None)


def _what(fault: ErrorDetails) -> str:
    if fault["type"] == "extra_forbidden":
        return "is nothing that stands here"
    if fault["type"] in ("model_type", "dict_type"):
        return "must be a mapping"
    return ", ".join(filter(None, form_mistake(fault)))


_LEVELS: list[type[BaseModel]] = [OwnershipFile, EntityOwnership, FieldOwnership, StageRule]
"""By depth: the file, an entity, a field, a stage. Between two levels is a name that people choose."""


def _right(kind: str, where: YamlPath) -> str:
    if kind == "extra_forbidden":
        level = _LEVELS[min((len(where) - 1) // 2, 3)]
        return suggestion(str(where[-1]), level.model_fields)
    if kind in ("model_type", "dict_type") and not where:
        return "begin with `entities:`"
    return "docs/guides/identity-and-conflicts.md shows each rule"
