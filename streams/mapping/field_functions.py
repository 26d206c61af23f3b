"""What generated mapping code calls besides conversions: joined and split columns, JSON paths, value maps, typed
references.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation

import msgspec

from streams.mapping.row_errors import BadValue
from streams.mapping.values.numbers import LONGEST
from streams.mapping.values.source_forms import decimal_text
from streams.mapping.values.text import text_of

Convert = Callable[[object], object]
_MISSING = object()
_STEP = re.compile(r"([A-Za-z_\u0080-\uffff][\w\-]*)|\[(-?\d+)\]|\[\"([^\"]+)\"\]|\[\*\]")


def joined(separator: str) -> Callable[..., str | None]:
    """A function that joins columns; null and empty columns are left out, and if all are, the result is null."""

    def join(*values: object) -> str | None:
        texts = [text_of(v) for v in values if v is not None and v != ""]
        return separator.join(texts) if texts else None

    return join


def piece(separator: str, number: int) -> Callable[[object], str | None]:
    """A function that returns one piece of a text, without spaces around it; a piece that does not exist is null."""

    def cut(value: object) -> str | None:
        pieces = text_of(value).split(separator)
        return pieces[number].strip() or None if -len(pieces) <= number < len(pieces) else None

    return cut


def json_path(path: str) -> Convert:
    """A function that reads a path (`a.b[0]["c d"]`, `[*]` for all items) in a JSON column, sent as text or as JSON.
    A place that does not exist is null.

    Raises ValueError for a path that cannot be parsed; the function raises BadValue for text that is not JSON.
    """
    steps = _path_steps(path)
    decode = msgspec.json.Decoder(float_hook=_number).decode

    def read(value: object) -> object:
        if value.__class__ is str:
            try:
                value = decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise BadValue("not JSON", value) from None
        result = follow(value, 0)
        if result.__class__ is str and "\0" in result:
            raise BadValue("a text with a NUL character", result)
        return result

    def follow(value: object, start: int) -> object:
        for i in range(start, len(steps)):
            step = steps[i]
            if step is None:
                if not isinstance(value, list):
                    return None
                return [inner for item in value if (inner := follow(item, i + 1)) is not None]
            if isinstance(step, str):
                value = value.get(step) if isinstance(value, dict) else None
            else:
                value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
            if value is None:
                return None
        return value

    return read


def _path_steps(path: str) -> list[str | int | None]:
    """The steps of a JSON path: a name, an index, or None for all items."""
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
    return steps


def _number(text: str) -> Decimal | str:
    """A number of a JSON text, digit for digit: a float would cut a long amount. A number that is too long stays a
    text.
    """
    try:
        return Decimal(text) if len(text) <= LONGEST else text
    except InvalidOperation:
        return text


def chooser(values: Mapping[str, object], unknown: str, to_type: Convert, allowed: Iterable[str] = ()) -> Convert:
    """A value map as a function. Keys are compared as text; null stays null.

    A value that the map does not list follows `unknown`: `null`, `pass` (the value in the field's type, which must be
    one of `allowed` if there are any) or `reject`.
    """
    get = values.get
    names = tuple(allowed)

    def choose(value: object) -> object:
        if value is None:
            return None
        chosen = get(value if value.__class__ is str else text_of(value), _MISSING)
        if chosen is _MISSING and value.__class__ is Decimal:  # 1.00 of an expression is the key 1
            chosen = get(decimal_text(value), _MISSING)
        if chosen is not _MISSING:
            return chosen
        if unknown == "null":
            return None
        if unknown == "pass":
            passed = to_type(value)
            if not names or passed in names:
                return passed
            raise BadValue(f"not one of {', '.join(names)}", value)
        raise BadValue(f"no rule for this value; known are {', '.join(map(repr, values))}", value)

    return choose


def typed_key(types: frozenset[str]) -> Callable[[object], str | None]:
    """A function from 'sale.line,1' to '1' if 'sale.line' is one of `types`, else to null."""

    def read(value: object) -> str | None:
        kind, comma, key = text_of(value).rpartition(",")
        if not comma:
            raise BadValue("not a reference of the form 'type,key'", value)
        key = key.strip()
        # 0 and -1 are what such systems store for "no record".
        return key if kind.strip() in types and key and key not in ("-1", "0") else None

    return read


def forgiving(keep: bool, add_note: Callable[[str, object, str], None]) -> Callable[[BadValue, object], str | None]:
    """A function for a rejected value: it adds a mapping note with the reason, and returns null, or with `keep` the
    text as it came.
    """
    kind = "passed as it is" if keep else "taken as null"

    def forgive(error: BadValue, value: object) -> str | None:
        add_note(kind, value, error.reason)
        return text_of(value) if keep and value is not None else None

    return forgive


def refuse_null() -> object:
    """Generated code calls it where a field that must have a value is null."""
    raise BadValue("null, and this field must have a value", None)
