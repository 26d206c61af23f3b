"""Finds the value that does not fit a schema, in a record that an encoder refused. Thorough, not fast.

In: an Avro schema and a value in the internal form. Out: a sentence that names the field, as a path such as
`lines[2].quantity`, or None.
"""

from __future__ import annotations

from typing import Any

DAYS = (-719_162, 2_932_896)
"""Days since 1970 of the years 1 to 9999: the dates that Python and other languages of consumers can hold."""
MICROS = (DAYS[0] * 86_400_000_000, (DAYS[1] + 1) * 86_400_000_000 - 1)

_INTEGERS = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1), "date": DAYS, "timestamp-micros": MICROS}
_SHOWN = 80
"""Characters of a value in a message."""


Avro = str | list["Avro"] | dict[str, Any]
"""An Avro schema: the name of a type, a union, or a record or another type with its properties."""


def misfit(schema: Avro, value: object, path: str = "") -> str | None:
    """The first field of `value` that `schema` cannot hold, and why; None when all fit."""
    if isinstance(schema, list):
        if value is None:
            return None
        return misfit(next(branch for branch in schema if branch != "null"), value, path)
    if isinstance(schema, str):
        return _plain(schema, value, path)
    logical = schema.get("logicalType")
    if logical == "decimal":
        return _decimal(schema, value, path)
    if logical == "uuid":
        if isinstance(value, str) and len(value) != 36:
            return f"{path} is no id of 36 characters: {_shown(value)}"
        return _plain("string", value, path)
    if schema["type"] == "record":
        return _record(schema, value, path)
    if schema["type"] == "array":
        if not isinstance(value, list | tuple):
            return f"{path} is to be a list, and is {_shown(value)}"
        return next(
            (problem for n, item in enumerate(value) if (problem := misfit(schema["items"], item, f"{path}[{n}]"))),
            None,
        )
    if schema["type"] == "map":
        if not isinstance(value, dict):
            return f"{path} is to be a map of texts, and is {_shown(value)}"
        problems = (
            _plain("string", key, f"{path} key {key!r}") or misfit(schema["values"], item, f"{path}[{key!r}]")
            for key, item in value.items()
        )
        return next((problem for problem in problems if problem), None)
    return _plain(logical if logical in _INTEGERS else schema["type"], value, path)


def _record(schema: dict[str, Any], value: object, path: str) -> str | None:
    if not isinstance(value, dict):
        return f"{path or 'the record'} is to be a {schema['name']}, and is {_shown(value)}"
    for field in schema["fields"]:
        name = f"{path}.{field['name']}" if path else field["name"]
        if value.get(field["name"]) is None and not isinstance(field["type"], list):
            if field["name"] in value or "default" not in field:
                return f"{name} is missing, and may not be"
            continue
        problem = misfit(field["type"], value.get(field["name"]), name)
        if problem:
            return problem
    return None


def _decimal(schema: dict[str, Any], value: object, path: str) -> str | None:
    if type(value) is not int:
        return f"{path} is to be an integer unscaled by {schema['scale']} digits, and is {_shown(value)}"
    if abs(value) >= 10 ** schema["precision"]:
        return f"{path} has more than {schema['precision']} digits: {value} (unscaled by {schema['scale']})"
    return None


def _plain(kind: str, value: object, path: str) -> str | None:
    if kind == "string":
        if not isinstance(value, str):
            return f"{path} is to be a text, and is {_shown(value)}"
        try:
            value.encode()
        except UnicodeEncodeError as error:
            return f"{path} has half a character (a lone surrogate) at {error.start}"
        return None
    if kind == "boolean":
        return None if isinstance(value, bool) else f"{path} is to be true or false, and is {_shown(value)}"
    if type(value) is not int:
        return f"{path} is to be an integer, and is {_shown(value)}"
    low, high = _INTEGERS[kind]
    if low <= value <= high:
        return None
    if kind in ("date", "timestamp-micros"):
        return f"{path} is a {kind.partition('-')[0]} outside the years 1 to 9999: {value}"
    return f"{path} does not fit {kind}: {value}"


def _shown(value: object) -> str:
    text = f"{type(value).__name__} {value!r}"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
