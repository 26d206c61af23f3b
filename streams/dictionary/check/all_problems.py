"""Every mistake of a dictionary at once: of its YAML, of its form and of its meaning.

Each of these checks needs a correct result of the one before. So what is wrong is reported and removed from a copy, and
the rest is checked further. Problems that may only follow from such a removal (a required field whose rule was removed
because it is wrong) are not reported.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from streams.dictionary.canonical_fields import entity_types
from streams.dictionary.compile.compiler import compile_with_warnings
from streams.dictionary.language.dictionary import Dictionary
from streams.dictionary.language.read import parse_dictionary
from streams.dictionary.problems import DictionaryError, Problem
from streams.dictionary.yaml_lines import YamlFile, YamlPath, load_yaml
from streams.mapping.compiled import CompiledDictionary

_MOST_ROUNDS = 20
"""Each round removes what the round before reported. A dictionary that still has new problems then has too many to
list.
"""
_RECORD_PATH_LENGTH = 4
"""Steps of the path of a record: tables, its table, to, its number."""

_EMPTY_RECORD = {"entity": "customer", "part_of": True, "fields": {}}
"""Takes the place of a record that cannot be checked, so that the records after it keep their numbers."""


class DictionaryCheck:
    """The result of a check: all problems, and what could be read. `dictionary` and `compiled` are made from the file
    without its wrong places; they are None where nothing is left.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.dictionary: Dictionary | None = None
        self.compiled: CompiledDictionary | None = None
        self._removed: list[YamlPath] = []

    def add(self, problems: list[Problem]) -> None:
        """Add problems that are new and do not only follow from a removal."""
        self.problems += [p for p in problems if p not in self.problems and not self._follows_from_removal(p)]

    def _follows_from_removal(self, problem: Problem) -> bool:
        path = problem.path
        if self.names_removed_table(problem):
            return True
        if not path:
            return False
        if path[-1] == "part_of" and any(len(removed) in (2, _RECORD_PATH_LENGTH) for removed in self._removed):
            return True  # the record that it adds to may be the one that was removed
        return any(
            removed[: len(path)] == path or (path[-1] == "fields" and removed[:_RECORD_PATH_LENGTH] == path[:-1])
            for removed in self._removed
        )

    def names_removed_table(self, problem: Problem) -> bool:
        """Whether the problem is about a table that was removed because it is wrong."""
        return any(len(removed) == 2 and str(removed[1]) in problem.what for removed in self._removed)

    def remove(self, data: Any, problems: list[Problem]) -> bool:
        """Remove from the plain values what each problem makes useless; False if nothing was removed."""
        paths = {_useless_part(problem.path) for problem in problems}
        removed = [path for path in sorted(paths, key=_position, reverse=True) if path and _remove_at(data, path)]
        self._removed += removed
        return bool(removed)


def check_dictionary(path: Path, systems: Collection[str] | None = None) -> DictionaryCheck:
    """Find every mistake of a dictionary.yaml (`path` is the file, or the folder that holds it). Never raises
    DictionaryError.

    `systems` are the systems that exist: a reference must name one of them, and the dictionary must have the name of
    its folder. None leaves both unchecked.
    """
    path = path / "dictionary.yaml" if path.is_dir() else path
    check = DictionaryCheck()
    try:
        data, lines = load_yaml(path, check.problems)
    except DictionaryError as error:
        check.problems += error.problems
        return check
    file = YamlFile(path, lines)
    remaining = copy.deepcopy(data)
    for _ in range(_MOST_ROUNDS):
        try:
            check.dictionary = parse_dictionary(remaining, file)
            check.compiled, check.warnings, *_ = compile_with_warnings(check.dictionary, systems)
            break
        except DictionaryError as error:
            check.add(error.problems)
            if not check.remove(remaining, error.problems):
                break
    if check.dictionary is not None:
        check.warnings += _lines_without_kind(check.dictionary, file)
    folder = path.resolve().parent.name
    if systems is not None and check.dictionary is not None and check.dictionary.system != folder:
        what = f"{check.dictionary.system!r} is not the name of its folder, {folder}"
        check.problems.append(file.problem(("system",), what, f"write `system: {folder}`, or rename the folder"))
    check.problems.sort(key=lambda problem: (problem.line, problem.field))
    return check


def _lines_without_kind(dictionary: Dictionary, file: YamlFile) -> list[Problem]:
    """Order lines that do not say what they are, though the products do: a flow is joined from its lines alone, so a
    service would wait for its shipment for ever.
    """
    records = [
        (("tables", name, "to", number, "fields"), target)
        for name, table in dictionary.tables.items()
        for number, target in enumerate(table.to)
    ]
    if not any(target.entity == "product" and "kind" in target.fields for _, target in records):
        return []
    lines = [(place, target) for place, target in records if target.entity == "sales_order_line"]
    if any("kind" in target.fields for _, target in lines):
        return []
    what = "the products have a `kind`, the lines of orders have none: each line with a product counts as goods"
    right = "map `kind` of the lines too, by a lookup in the products (docs/guides/order-to-cash.md shows it)"
    return [file.problem(place, what, right) for place, target in lines if "product_id" in target.fields]


def _useless_part(path: YamlPath) -> YamlPath:
    """The part of the file that a problem at `path` makes useless: a field, a word, a record or a table."""
    for number, step in enumerate(path):
        if number >= _RECORD_PATH_LENGTH and step in ("fields", "attributes") and len(path) > number + 1:
            return path[: number + 2]
    if len(path) > _RECORD_PATH_LENGTH:
        return path[:_RECORD_PATH_LENGTH] if path[4] in ("entity", "key", "fields") else path[:5]
    if len(path) == 3 and path[2] in ("key", "to"):
        return path[:2]
    return path


def _position(path: YamlPath) -> tuple[tuple[int, str], ...]:
    """A sort key that lets the last item of a list be removed first, so that the indexes of the others stay valid."""
    return tuple((step, "") if isinstance(step, int) else (0, step) for step in path)


def _remove_at(data: Any, path: YamlPath) -> bool:
    """Remove the value at `path`; a record is replaced. False if nothing is at `path`, or it was replaced before."""
    try:
        for step in path[:-1]:
            data = data[step]
        if len(path) != _RECORD_PATH_LENGTH:
            del data[path[-1]]
        elif data[path[-1]] == _EMPTY_RECORD:
            return False
        else:
            data[path[-1]] = _replacement(data[path[-1]])
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _replacement(record: object) -> dict[str, object]:
    """The record with its entity's misspelt name corrected, so that its fields can be checked; else an empty record."""
    name = record.get("entity") if isinstance(record, dict) else None
    if isinstance(record, dict) and isinstance(name, str) and name not in entity_types():
        near = get_close_matches(name, entity_types(), n=1)
        if near:
            return {**record, "entity": near[0]}
    return dict(_EMPTY_RECORD)
