"""Canonical values as people read and write them: decimals with a point, times and days in ISO form, references by key.

In the pipeline a value is scaled, counted or hashed (`streams.model.change`). Examples, `map try` and `map explain`
show it in the readable form.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, Protocol

from streams.dictionary.canonical_fields import FieldType, entity_type
from streams.mapping.row_errors import BadValue
from streams.mapping.values.numbers import unscaled
from streams.mapping.values.times import day, instant
from streams.model.change import Mapped
from streams.model.ids import source_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ABSENT = object()


class TypeOfField(Protocol):
    """What `readable` needs of a canonical field."""

    @property
    def kind(self) -> str: ...
    @property
    def scale(self) -> int | None: ...


def readable(field: TypeOfField, value: object) -> object:
    """A canonical value in its readable form."""
    if isinstance(value, dict):
        return {name: entry for name, entry in value.items() if entry is not None}
    if value is None or not isinstance(value, int):
        return value
    if field.kind == "decimal":
        return format(Decimal(value).scaleb(-(field.scale or 0)).normalize() + 0, "f")
    if field.kind == "timestamp":
        return (_EPOCH + timedelta(microseconds=value)).isoformat().replace("+00:00", "Z")
    if field.kind == "date":
        return (date(1970, 1, 1) + timedelta(days=value)).isoformat()
    return value


def canonical(field: FieldType, text: object, system: str) -> object:
    """The canonical value of a readable form. A reference is `key`, or `system/entity/key`. Raises BadValue if the
    field cannot have this value.
    """
    if text is None:
        return None
    if field.kind == "decimal":
        return unscaled(field.scale, field.precision)(text)
    if field.kind == "timestamp":
        return instant()(text)
    if field.kind == "date":
        return day(text)
    if field.ref is not None:
        return reference_id(str(text), system, field.ref)
    return text


def reference_id(text: str, system: str, entity: str) -> str:
    """The id that `key` or `system/entity/key` names."""
    parts = text.split("/", 2)
    if len(parts) == 3 and entity_type(parts[1]) is not None:
        return source_id(*parts)
    return source_id(system, entity, text)


def readable_fields(mapped: Mapped) -> dict[str, object]:
    """The fields of a mapped record in their readable form."""
    entity = entity_type(mapped.entity)
    assert entity is not None
    return {name: readable(entity.fields[name], value) for name, value in mapped.fields.items()}


class Difference(NamedTuple):
    """A field whose value is not the expected one; both in readable form. `actual` may also be what is wrong with
    `expected`.
    """

    field: str
    expected: object
    actual: object


def differences(mapped: Mapped, expected: Mapping[str, object], system: str) -> list[Difference]:
    """Each field of `expected` for which the record has another value."""
    entity = entity_type(mapped.entity)
    assert entity is not None
    result: list[Difference] = []
    for name, text in expected.items():
        field = entity.fields.get(name)
        if field is None:
            result.append(Difference(name, text, f"{mapped.entity} has no such field"))
            continue
        made = mapped.fields.get(name, _ABSENT)
        try:
            known = readable(field, made) if isinstance(made, dict) else made
            same = made is not _ABSENT and canonical(field, text, system) == known
        except BadValue as error:
            result.append(Difference(name, text, str(error)))
            continue
        if not same:
            result.append(Difference(name, text, "absent" if made is _ABSENT else readable(field, made)))
    return result
