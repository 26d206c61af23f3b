"""Templates of HTTP requests: JSON with `$name` in its texts. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from streams.writeback.failures import NotSent
from streams.writeback.values import plain

NAME = re.compile(r"\$(text:)?([A-Za-z_][A-Za-z0-9_.]*)")
"""A parameter in a template. `$text:` before its name gives a number as text."""


def fill(template: Any, params: Mapping[str, object], lines: Sequence[Mapping[str, object]]) -> Any:
    """The template with its parameters. A text that is one name only becomes the value itself, in a type of JSON.

    `{"each": "lines", "do": …}` becomes a list over the lines. Raises NotSent for a name that is no parameter.
    """
    if isinstance(template, dict):
        if template.get("each") == "lines" and "do" in template:
            return [fill(template["do"], {**params, **line}, []) for line in lines]
        return {name: fill(value, params, lines) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(value, params, lines) for value in template]
    if not isinstance(template, str):
        return template
    whole = NAME.fullmatch(template)
    if whole is not None and whole.group(1) is None:
        return json_value(param(params, whole.group(2)))
    if whole is not None and param(params, whole.group(2)) is None:
        return None
    return NAME.sub(lambda match: text_value(param(params, match.group(2))), template)


def fill_path(template: str, params: Mapping[str, object]) -> str:
    """A path with its parameters. A value is one step of it, whatever characters it has; a path that is one name only
    is an address that the target gave. Raises NotSent for an empty value, which would make another path.
    """

    def step(match: re.Match[str]) -> str:
        text = text_value(param(params, match.group(2)))
        if text in ("", ".", ".."):
            raise NotSent(
                f"{template}: ${match.group(2)} is {text!r}" if text else f"{template}: ${match.group(2)} is empty"
            )
        return text if match.group() == template else quote(text, safe="")

    return NAME.sub(step, template)


def param(params: Mapping[str, object], name: str) -> object:
    """The value of a parameter. Raises NotSent where there is none of this name."""
    if name not in params:
        raise NotSent(f"the rule names ${name}, which is no parameter", remedy=f"one of {', '.join(sorted(params))}")
    return params[name]


def json_value(value: object) -> object:
    """A value in a type of JSON: decimals become numbers, days and times become texts."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return plain(value)


def text_value(value: object) -> str:
    """A value as a text: a number with its digits, null as an empty text."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return "" if value is None else str(json_value(value))
