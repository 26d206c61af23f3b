"""What differs between two records, in words: the record by its number or name, the field, and both values.

Maps have no order, decimals are equal by value, and a field that is absent is a field that is null.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import msgspec

from streams.dictionary.readable import readable
from streams.model.entities import ENTITIES, FieldType
from streams.model.record import Record

_NAMES = ("number", "sku", "name", "last_name", "line_no")
"""Fields by which people know a record; the first that it has counts."""

_LONGEST = 80
"""Characters of a value in a message."""


class FieldDifference(NamedTuple):
    """A field, as a path such as `lines[2].quantity`, that has two values."""

    field: str
    ours: object
    theirs: object


def record_name(entity: str, record_id: str, record: object) -> str:
    """A record as people know it, with its id: sales_order "SO-1001" (6f70…)."""
    for name in _NAMES:
        value = record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)
        if value is not None:
            return f"{entity} {json.dumps(value, ensure_ascii=False)} ({record_id})"
    return f"{entity} {record_id}"


def field_differences(ours: object, theirs: object, path: str = "") -> Iterator[FieldDifference]:
    """Every field that differs between two typed records; lines are compared by their ids."""
    if ours == theirs:
        return
    if isinstance(ours, Record) and isinstance(theirs, Record):
        for name in ours.__struct_fields__:
            inner = f"{path}.{name}" if path else name
            yield from field_differences(getattr(ours, name), getattr(theirs, name, None), inner)
    elif isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for name in sorted(ours.keys() | theirs.keys()):
            yield from field_differences(ours.get(name), theirs.get(name), f"{path}.{name}" if path else name)
    elif isinstance(ours, tuple) and isinstance(theirs, tuple) and _have_ids(ours) and _have_ids(theirs):
        yield from _line_differences(ours, theirs, path)
    else:
        yield FieldDifference(path, ours, theirs)


def _have_ids(lines: tuple[object, ...]) -> bool:
    return all(hasattr(line, "id") for line in lines)


def _line_differences(ours: tuple[object, ...], theirs: tuple[object, ...], path: str) -> Iterator[FieldDifference]:
    by_id = {getattr(line, "id"): line for line in theirs}  # noqa: B009
    differs = False
    for number, line in enumerate(ours):
        other = by_id.pop(getattr(line, "id"), None)  # noqa: B009
        name = f"{path}[{getattr(line, 'line_no', None) or number}]"
        if other is None:
            differs = True
            yield FieldDifference(name, line, None)
        else:
            for difference in field_differences(line, other, name):
                differs = True
                yield difference
    for line in by_id.values():
        differs = True
        yield FieldDifference(f"{path}[{getattr(line, 'line_no', None) or '?'}]", None, line)
    if not differs:
        yield FieldDifference(f"the order of {path}", len(ours), len(theirs))


def canonical_differences(
    entity: str, ours: Mapping[str, object], theirs: Mapping[str, object]
) -> Iterator[FieldDifference]:
    """Every field that differs between two records in the form of the pipeline, with both values in readable form."""
    fields = ENTITIES[entity].fields
    for name in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(name), theirs.get(name)
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            yield from field_differences(mine, other, name)
        elif mine != other:
            yield FieldDifference(name, _shown(fields.get(name), mine), _shown(fields.get(name), other))


def _shown(field: FieldType | None, value: object) -> object:
    shown = value if field is None else readable(field, value)
    return Decimal(shown) if isinstance(shown, str) and field is not None and field.kind == "decimal" else shown


def value_text(value: object) -> str:
    """A value for people: null as `nothing`, a text in quotes, a number with its point, a time in ISO form."""
    if value is None:
        return "nothing"
    if isinstance(value, Decimal):
        return format(value.normalize() + 0, "f")
    if isinstance(value, date):
        return value.isoformat().replace("+00:00", "Z")
    text = json.dumps(msgspec.to_builtins(value, str_keys=True), ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def in_words(difference: FieldDifference, ours: str, theirs: str) -> str:
    """`status is "open" in the topic, "paid" in the hub`. `ours` and `theirs`: where the values stand."""
    return f"{difference.field} is {value_text(difference.ours)} in {ours}, {value_text(difference.theirs)} in {theirs}"
