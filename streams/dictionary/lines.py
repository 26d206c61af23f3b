"""YAML with line numbers: in goes a file, out come plain values and, for each path in them, the line that it stands on.

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

from streams.mapping.problems import DictionaryError, Problem

Path_ = tuple[str | int, ...]
"""Where a value stands: mapping keys and list indexes from the top."""


class Lines:
    """For each path, the line (from 1) that it stands on; a path that is not there has its nearest parent's line."""

    def __init__(self, lines: dict[Path_, int]) -> None:
        self._lines = lines

    def __getitem__(self, path: Path_) -> int:
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


_NULL = {"", "null", "Null", "NULL", "~"}
_TRUE, _FALSE = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?\Z")


def _scalar(node: yaml.ScalarNode) -> Any:
    if node.style is not None:
        return node.value
    text: str = node.value
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text


def load(file: Path, twice: list[Problem] | None = None) -> tuple[Any, Lines]:
    """Read a YAML file. DictionaryError names the line of a fault in the YAML itself, or of every key that is given
    twice, unless a list is given to take those.
    """
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise DictionaryError(
            [Problem(file, 1, "file", "there is no such file", "each folder in connectors/ has one")]
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DictionaryError(
            [Problem(file, 1, "file", f"cannot be read as UTF-8 text: {error}", "save it as UTF-8")]
        ) from None
    return loads(text, file, twice)


def loads(text: str, file: Path, twice: list[Problem] | None = None) -> tuple[Any, Lines]:
    """As `load`, for text that was read from `file`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"this is not YAML: {error.problem or error.context}"
        raise DictionaryError(
            [
                Problem(
                    file,
                    mark.line + 1 if mark else 1,
                    "yaml",
                    what,
                    "check the indentation and the quotes of this line and of the one before",
                )
            ]
        ) from None
    except yaml.YAMLError as error:
        raise DictionaryError(
            [Problem(file, 1, "yaml", f"this is not YAML: {error}", "save it as UTF-8 text without control characters")]
        ) from None
    lines: dict[Path_, int] = {}
    repeated: list[Problem] = []

    def build(node: yaml.Node, path: Path_, line: int, within: frozenset[int]) -> Any:
        lines[path] = line
        if id(node) in within:
            raise DictionaryError([Problem(file, line, "yaml", "an alias that contains itself", "write the value out")])
        within |= {id(node)}
        if isinstance(node, yaml.MappingNode):
            result: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key_node.value)
                at = key_node.start_mark.line + 1
                if key in result:
                    where = dotted((*path, key))
                    first = lines[(*path, key)]
                    repeated.append(
                        Problem(
                            file, at, where, f"given twice (first in line {first})", "keep one; a field has one source"
                        )
                    )
                    continue
                result[key] = build(value_node, (*path, key), at, within)
            return result
        if isinstance(node, yaml.SequenceNode):
            return [build(item, (*path, i), item.start_mark.line + 1, within) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    data = build(node, (), node.start_mark.line + 1, frozenset()) if node is not None else None
    if twice is not None:
        twice += repeated
    elif repeated:
        raise DictionaryError(repeated)
    return data, Lines(lines)


def dotted(path: Path_) -> str:
    """A path as people read it: tables.public.accounts.to[0].fields.name."""

    def parts() -> Iterator[str]:
        for i, step in enumerate(path):
            yield f"[{step}]" if isinstance(step, int) else (f".{step}" if i else step)

    return "".join(parts())
