"""YAML with line numbers: in goes a file, out come plain values and, for each path in them, the line of that value.

Promises what a person who writes a dictionary expects and YAML 1.1 does not give: `NO`, `on` and `yes` are text, `010`
and `1:20` are text, a mapping's keys are text as they were written, and a key given twice is an error instead of a
silent last-one-wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from streams.dictionary.problems import DictionaryError, Problem

YamlPath = tuple[str | int, ...]
"""Where a value is: mapping keys and list indexes from the top."""


class Lines:
    """The line (from 1) of each path; a path that the file does not have gets the line of its nearest parent."""

    def __init__(self, lines: dict[YamlPath, int]) -> None:
        self._lines = lines

    def __getitem__(self, path: YamlPath) -> int:
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


class YamlFile:
    """A file and its lines, so that a check can name the line of what it rejects."""

    def __init__(self, file: Path, lines: Lines) -> None:
        self.path = file
        self.lines = lines

    def problem(self, path: YamlPath, what: str, right: str = "") -> Problem:
        """A problem at a path of this file: `what` is wrong, and what would be `right`."""
        return Problem(self.path, self.lines[path], dotted(path) or "dictionary", what, right, path)


_NULL = {"", "null", "Null", "NULL", "~"}
_TRUE, _FALSE = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?\Z")


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text: str = node.value
    if node.style is not None:  # in quotes, or a block: always a text
        return text
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text


def load_yaml(file: Path, repeated_keys: list[Problem] | None = None) -> tuple[Any, Lines]:
    """Read a YAML file: its plain values, and the line of each.

    DictionaryError names the line where the YAML itself is wrong, or every key that is given twice. With a list
    `repeated_keys` the second are appended to it, and the first value of such a key counts.
    """
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise _file_error(file, "there is no such file", "each folder in connectors/ has one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _file_error(file, f"cannot be read as UTF-8 text: {error}", "save it as UTF-8") from None
    return parse_yaml(text, file, repeated_keys)


def _file_error(file: Path, what: str, right: str) -> DictionaryError:
    return DictionaryError([Problem(file, 1, "file", what, right)])


def parse_yaml(text: str, file: Path, repeated_keys: list[Problem] | None = None) -> tuple[Any, Lines]:
    """As `load_yaml`, for text that was read from `file`."""
    root = _root_node(text, file)
    lines: dict[YamlPath, int] = {}
    repeated: list[Problem] = []

    def build(node: yaml.Node, path: YamlPath, line: int, parents: frozenset[int]) -> Any:
        lines[path] = line
        if id(node) in parents:
            raise DictionaryError([Problem(file, line, "yaml", "an alias that contains itself", "write the value out")])
        parents |= {id(node)}
        if isinstance(node, yaml.MappingNode):
            result: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key_node.value)
                key_line = key_node.start_mark.line + 1
                if key in result:
                    what = f"given twice (first in line {lines[(*path, key)]})"
                    repeated.append(Problem(file, key_line, dotted((*path, key)), what, "keep only one of them"))
                    continue
                result[key] = build(value_node, (*path, key), key_line, parents)
            return result
        if isinstance(node, yaml.SequenceNode):
            return [build(item, (*path, i), item.start_mark.line + 1, parents) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    data = build(root, (), root.start_mark.line + 1, frozenset()) if root is not None else None
    if repeated_keys is not None:
        repeated_keys += repeated
    elif repeated:
        raise DictionaryError(repeated)
    return data, Lines(lines)


def _root_node(text: str, file: Path) -> yaml.Node | None:
    """The file as a tree of nodes, which know their lines; None for an empty file."""
    try:
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"this is not YAML: {error.problem or error.context}"
        right = "check the indentation and the quotes of this line and of the line before"
        raise DictionaryError([Problem(file, mark.line + 1 if mark else 1, "yaml", what, right)]) from None
    except yaml.YAMLError as error:
        right = "save it as UTF-8 text without control characters"
        raise DictionaryError([Problem(file, 1, "yaml", f"this is not YAML: {error}", right)]) from None
    return root


def existing_path(content: object, loc: tuple[str | int, ...]) -> YamlPath:
    """The part of a place that the file has: pydantic also names types and unions on the way."""
    path: list[str | int] = []
    for step in loc:
        if isinstance(content, dict) and step in content:
            content = content[step]
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        else:
            continue
        path.append(step)
    return tuple(path)


def dotted(path: YamlPath) -> str:
    """A path as people read it: tables.public.accounts.to[0].fields.name."""

    def parts() -> Iterator[str]:
        for i, step in enumerate(path):
            yield f"[{step}]" if isinstance(step, int) else (f".{step}" if i else step)

    return "".join(parts())
