"""Read `connectors/<system>/writeback.yaml` of all systems.

In: the folder of the connectors. Out: a `WritebackConfig` for each system that has the file. Promised: all mistakes of
all files at once, each with file, line, field and what would be right; `opshub map check`, `plan` and `run` say the
same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from streams.dictionary.problems import DictionaryError, Problem
from streams.dictionary.yaml_lines import Lines, YamlPath, dotted, existing_path, load_yaml
from streams.errors import ConfigError
from streams.writeback.check import RuleError, find_errors
from streams.writeback.rules import WritebackConfig

GUIDE = "docs/guides/write-back.md shows what a rule may contain"
FILE = "writeback.yaml"

Resolve = Callable[[str, Path], str]
"""(text, file) → the text with `${env:NAME}` filled in."""


def load_rules(folder: Path, systems: list[str], resolve: Resolve = lambda text, _: text) -> dict[str, WritebackConfig]:
    """system → its write-back, for the systems that have a writeback.yaml. Raises DictionaryError, a ConfigError, with
    all mistakes of all files.
    """
    configs, problems = read_rules(folder, systems, resolve)
    if problems:
        raise DictionaryError(problems)
    return configs


def read_rules(
    folder: Path, systems: Sequence[str], resolve: Resolve = lambda text, _: text
) -> tuple[dict[str, WritebackConfig], list[Problem]]:
    """The files that have the right form, and all mistakes of all files."""
    configs: dict[str, WritebackConfig] = {}
    files: dict[str, tuple[Any, Lines]] = {}
    problems: list[Problem] = []
    for system in systems:
        path = folder / system / FILE
        if not path.is_file():
            continue
        try:
            content, lines = load_yaml(path, problems)
        except DictionaryError as error:
            problems += error.problems
            continue
        files[system] = content, lines
        config = _parsed(path, system, content, lines, resolve, problems)
        if config is not None:
            configs[system] = config
    folders = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set[str]()
    for system, errors in find_errors(configs, folders | set(systems)).items():
        for wrong in errors:
            # A rule of a file that is wrong already cannot be seen, and must not be reported as missing.
            if wrong.field != "after" or len(configs) == len(files):
                problems.append(_problem_of_rule(folder / system / FILE, configs[system], wrong, *files[system]))
    return configs, sorted(problems, key=lambda problem: (str(problem.file), problem.line, problem.field))


def _parsed(
    path: Path, system: str, content: Any, lines: Lines, resolve: Resolve, problems: list[Problem]
) -> WritebackConfig | None:
    def add(where: YamlPath, what: str, right: str = "") -> None:
        problems.append(Problem(path, lines[where], dotted(where) or "file", what, right, where))

    def resolved(value: Any, where: YamlPath) -> Any:
        # Variables are filled in after the YAML was parsed: a password with a `#` or a quote must not be read as YAML.
        if isinstance(value, dict):
            return {name: resolved(inner, (*where, name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [resolved(inner, (*where, index)) for index, inner in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        if where[:1] == ("rules",) and "http" in where[2:3]:
            add(
                where,
                "what a rule sends is kept in the hub",
                "name it in target.secrets, and write $secret.<name> here",
            )
            return value
        try:
            return resolve(value, path)
        except ConfigError as error:
            add(where, str(error), error.remedy)
            return value

    before = len(problems)
    filled = resolved(content, ())
    try:
        config = WritebackConfig.model_validate(filled)
    except ValidationError as error:
        for fault in error.errors():
            where = existing_path(content, fault["loc"])
            add(where, *_what_and_right(fault))
        return None
    if config.system != system:
        add(("system",), f"is {config.system!r}, but the folder is {system}", f"write system: {system}")
    return config if len(problems) == before else None


def _what_and_right(fault: ErrorDetails) -> tuple[str, str]:
    """What is wrong, and what would be right. The value is left out: it may be a secret."""
    name = str(fault["loc"][-1]) if fault["loc"] else ""
    match fault["type"]:
        case "extra_forbidden":
            near = get_close_matches(name, _words(WritebackConfig), 1)
            return "there is no such word here", f"did you mean {near[0]!r}?" if near else GUIDE
        case "missing":
            return f"{name!r} is missing", GUIDE
    return fault["msg"].removeprefix("Value error, "), GUIDE


def _words(model: type[BaseModel]) -> set[str]:
    """Every word that the file may have."""
    words: set[str] = set()
    models, seen = [model], set[type[BaseModel]]()
    while models:
        now = models.pop()
        if now in seen:
            continue
        seen.add(now)
        for name, field in now.model_fields.items():
            words.add(field.alias or name)
            models += _models_in(field.annotation)
    return words


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]


def _problem_of_rule(file: Path, config: WritebackConfig, error: RuleError, content: Any, lines: Lines) -> Problem:
    where = _place(content["rules"][error.rule], _by_index(config, error), ("rules", error.rule))
    return Problem(file, lines[where], f"rules.{error.rule}.{error.field}", error.what, "", where)


def _by_index(config: WritebackConfig, error: RuleError) -> str:
    """The field with the number of a step instead of its name."""
    sql = config.rules[error.rule].sql
    match = re.match(r"sql\.steps\.([^.]+)", error.field)
    if sql is None or match is None:
        return error.field
    index = next(index for index, step in enumerate(sql.steps) if step.name == match.group(1))
    return f"sql.steps.{index}{error.field[match.end() :]}"


def _place(content: Any, field: str, where: YamlPath) -> YamlPath:
    """The place of a dotted field. Names may have dots themselves: the longest that is there counts."""
    steps = field.split(".")
    for count in range(len(steps), 0, -1):
        name: str | int = ".".join(steps[:count])
        if isinstance(content, list) and name.isdecimal():  # type: ignore[union-attr]
            name = int(name)
        try:
            inner = content[name]
        except (KeyError, IndexError, TypeError):
            continue
        return _place(inner, ".".join(steps[count:]), (*where, name)) if count < len(steps) else (*where, name)
    return where
