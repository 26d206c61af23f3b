"""What generated mapping code calls besides conversions: joined and split columns, JSON paths, value maps, typed
references.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from streams.mapping.cleanse.numbers import LONGEST
from streams.mapping.cleanse.text import text_of
from streams.mapping.problems import BadValue

Convert = Callable[[Any], Any]
_MISSING = object()
_STEP = re.compile(r"([A-Za-z_\u0080-\uffff][\w\-]*)|\[(-?\d+)\]|\[\"([^\"]+)\"\]|\[\*\]")


def joined(separator: str) -> Callable[..., str | None]:
    """A function that joins columns; null and empty ones are left out, and nothing at all is null."""

    def join(*values: Any) -> str | None:
        parts = [text_of(v) for v in values if v is not None and v != ""]
        return separator.join(parts) if parts else None

    return join


def piece(separator: str, part: int) -> Convert:
    """A function that gives one piece of a text, without blanks around it; a piece that is not there is null."""

    def cut(value: Any) -> str | None:
        pieces = text_of(value).split(separator)
        return pieces[part].strip() or None if -len(pieces) <= part < len(pieces) else None

    return cut


def json_path(path: str) -> Convert:
    """A function that reads a path (`a.b[0]["c d"]`, `[*]` for all items) in a JSON column, sent as text or as JSON.
    What is not there is null.

    ValueError for a path that cannot be read; BadValue for text that is no JSON.
    """
    steps: list[str | int | None] = []
    rest = path.removeprefix("$").lstrip(".")
    while rest:
        match = _STEP.match(rest)
        if match is None:
            raise ValueError(f"{path!r} is not a path: stops at {rest!r}")
        name, index, quoted = match.groups()
        steps.append(name or quoted or (int(index) if index is not None else None))
        rest = rest[match.end() :]
        if rest.startswith("."):
            rest = rest[1:]
            if not rest or rest.startswith("["):
                raise ValueError(f"{path!r} is not a path: a name must follow the dot")
    if not steps:
        raise ValueError(f"{path!r} is an empty path")
    decode = msgspec.json.Decoder(float_hook=_number).decode

    def read(value: Any) -> Any:
        found = find(value)
        if found.__class__ is str and "\0" in found:
            raise BadValue("a text with a NUL character", found)
        return found

    def find(value: Any) -> Any:
        if value.__class__ is str:
            try:
                value = decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise BadValue("not JSON", value) from None
        return walk(value, 0)

    def walk(value: Any, at: int) -> Any:
        for i in range(at, len(steps)):
            step = steps[i]
            if step is None:
                if not isinstance(value, list):
                    return None
                return [found for item in value if (found := walk(item, i + 1)) is not None]
            if isinstance(step, str):
                value = value.get(step) if isinstance(value, dict) else None
            else:
                value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
            if value is None:
                return None
        return value

    return read


def _number(text: str) -> Decimal | str:
    """A number of a JSON text, digit for digit: a float would cut a long amount. One that is no decimal of ours stays a text."""
    try:
        return Decimal(text) if len(text) <= LONGEST else text
    except InvalidOperation:
        return text


def chooser(values: dict[str, Any], unknown: str, finish: Convert, allowed: Iterable[str] = ()) -> Convert:
    """A value map as a function. Keys are compared as text; null stays null."""
    get = values.get
    names = tuple(allowed)

    def choose(value: Any) -> Any:
        if value is None:
            return None
        key = value if value.__class__ is str else text_of(value)
        found = get(key, _MISSING)
        if found is not _MISSING:
            return found
        if unknown == "null":
            return None
        if unknown == "pass":
            made = finish(value)
            if not names or made in names:
                return made
            raise BadValue(f"not one of {', '.join(names)}", value)
        raise BadValue(f"no rule for this value; known are {', '.join(map(repr, values))}", value)

    return choose


def typed_key(types: frozenset[str]) -> Convert:
    """A function from 'sale.line,1' to '1' if 'sale.line' is one of `types`, else to null."""

    def read(value: Any) -> str | None:
        kind, comma, key = text_of(value).rpartition(",")
        if not comma:
            raise BadValue("not a reference of the form 'type,key'", value)
        key = key.strip()
        return key if kind.strip() in types and key and key not in ("-1", "0") else None

    return read


def forgiving(keep: bool, note: Callable[[str, object, str], None]) -> Callable[[BadValue, Any], Any]:
    """A function for a value that was rejected: it notes why, and gives null, or the text as it came."""
    kind = "passed as it is" if keep else "taken as null"

    def forgive(fault: BadValue, value: Any) -> Any:
        note(kind, value, fault.reason)
        return text_of(value) if keep and value is not None else None

    return forgive


def refuse_null() -> Any:
    """For a field that must have a value."""
    raise BadValue("null, and this field must have a value", None)


def filled(attributes: dict[str, str | None]) -> dict[str, str]:
    """The `attributes` map: extras that have a value."""
    return {name: value for name, value in attributes.items() if value is not None}
