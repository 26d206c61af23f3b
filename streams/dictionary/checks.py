"""Every fault of a dictionary at once: of its YAML, of its form, of its meaning, and against its database.

Each of these looks needs the one before to be right. So what is wrong is told, cut out of a copy, and the rest is looked at further; what
would only follow from a cut (a required field that was cut as wrong) is not told.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from streams.dictionary.canonical_fields import entity_types
from streams.dictionary.compile import CompiledDictionary, compile_dictionary
from streams.dictionary.language import Dictionary, Source, parse_dictionary
from streams.dictionary.lines import Path_, load
from streams.mapping.problems import DictionaryError, Problem

_ROUNDS = 20
_PART_OF_A_RECORD = 4
"""Steps of the path of a record: tables, its table, to, its number."""

_NOTHING = {"entity": "customer", "part_of": True, "fields": {}}


class Looked:
    """What came of it. `dictionary` and `compiled` are of what is left without the faults; None where nothing is."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.dictionary: Dictionary | None = None
        self.compiled: CompiledDictionary | None = None
        self._cut: list[Path_] = []

    def note(self, problems: list[Problem]) -> None:
        self.problems += [one for one in problems if one not in self.problems and not self.follows(one)]

    def follows(self, problem: Problem) -> bool:
        """Whether it may only come from what was cut out."""
        path = problem.path
        return (
            (
                bool(path)
                and any(
                    one[: len(path)] == path or (path[-1] == "fields" and one[:_PART_OF_A_RECORD] == path[:-1])
                    for one in self._cut
                )
            )
            or self.cut_table(problem)
            or (bool(path) and path[-1] == "part_of" and any(len(one) in (2, 4) for one in self._cut))
        )

    def cut_table(self, problem: Problem) -> bool:
        """Whether it names a table that was cut out."""
        return any(len(one) == 2 and str(one[1]) in problem.what for one in self._cut)

    def cut(self, data: Any, problems: list[Problem]) -> bool:
        """Take out what each fault makes useless; False if nothing was taken."""
        cuts = {_useless(one.path) for one in problems}
        done = [path for path in sorted(cuts, key=_last_first, reverse=True) if path and _take_out(data, path)]
        self._cut += done
        return bool(done)


def look(path: Path, systems: Collection[str] | None = None) -> Looked:
    """Every fault of a dictionary.yaml (or of the folder that holds it). Never raises DictionaryError.

    With `systems`, the folders that there are, its own name is held against its folder's, and those that it refers to against them.
    """
    file = path / "dictionary.yaml" if path.is_dir() else path
    looked = Looked()
    try:
        data, lines = load(file, looked.problems)
    except DictionaryError as error:
        looked.problems += error.problems
        return looked
    source = Source(file, lines)
    left = copy.deepcopy(data)
    for _ in range(_ROUNDS):
        try:
            looked.dictionary = parse_dictionary(left, source)
            looked.compiled = compile_dictionary(looked.dictionary, systems)
            break
        except DictionaryError as error:
            looked.note(error.problems)
            if not looked.cut(left, error.problems):
                break
    folder = file.resolve().parent.name
    if systems is not None and looked.dictionary is not None and looked.dictionary.system != folder:
        what = f"{looked.dictionary.system!r} is not the name of its folder, {folder}"
        looked.problems.append(source.problem(("system",), what, f"say `system: {folder}`, or rename the folder"))
    looked.problems.sort(key=lambda one: (one.line, one.field))
    return looked


def _useless(path: Path_) -> Path_:
    """What a fault at `path` leaves without a meaning: a field, a word, a record, a table."""
    for number, step in enumerate(path):
        if number >= _PART_OF_A_RECORD and step in ("fields", "attributes") and len(path) > number + 1:
            return path[: number + 2]
    if len(path) > _PART_OF_A_RECORD:
        return path[:_PART_OF_A_RECORD] if path[4] in ("entity", "key", "fields") else path[:5]
    if len(path) == 3 and path[2] in ("key", "to"):
        return path[:2]
    return path


def _last_first(path: Path_) -> tuple[tuple[int, str], ...]:
    return tuple((step, "") if isinstance(step, int) else (0, step) for step in path)


def _take_out(data: Any, path: Path_) -> bool:
    """Take the value at `path` out. A record gives way to one that says nothing, so that those after it keep their numbers."""
    try:
        for step in path[:-1]:
            data = data[step]
        if len(path) != _PART_OF_A_RECORD:
            del data[path[-1]]
        elif data[path[-1]] == _NOTHING:
            return False
        else:
            data[path[-1]] = _meant(data[path[-1]])
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _meant(record: Any) -> dict[str, Any]:
    """A record whose entity is only misspelt, spelt right: its fields can be looked at. Else one that says nothing."""
    name = record.get("entity") if isinstance(record, dict) else None
    if isinstance(name, str) and name not in entity_types():
        near = get_close_matches(name, entity_types(), n=1)
        if near:
            return {**record, "entity": near[0]}
    return dict(_NOTHING)
