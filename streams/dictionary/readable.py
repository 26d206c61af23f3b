"""Canonical values as people read and write them: decimals with a point, times and days in ISO form, references by key.

In the pipeline a value is scaled, counted or hashed (`streams.model.change`); examples, `map try` and `map explain`
show it in these forms.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from streams.dictionary.canonical_fields import FieldType, entity_type
from streams.mapping.cleanse.numbers import unscaled
from streams.mapping.cleanse.times import day, instant
from streams.mapping.problems import BadValue
from streams.model.change import Mapped
from streams.model.ids import source_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def readable(field: FieldType, value: Any) -> Any:
    """A canonical value in its readable form."""
    if value is None:
        return None
    if field.kind == "decimal":
        return format(Decimal(value).scaleb(-field.scale).normalize() + 0, "f")
    if field.kind == "timestamp":
        return (_EPOCH + timedelta(microseconds=value)).isoformat().replace("+00:00", "Z")
    if field.kind == "date":
        return (date(1970, 1, 1) + timedelta(days=value)).isoformat()
    return value


def canonical(field: FieldType, text: Any, system: str) -> Any:
    """The canonical value of a readable form. A reference is `key`, or `system/entity/key`. BadValue if it is none of
    the field's type.
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
        return reference(str(text), system, field.ref)
    return text


def reference(text: str, system: str, entity: str) -> str:
    """The id that `key` or `system/entity/key` names."""
    parts = text.split("/", 2)
    if len(parts) == 3 and entity_type(parts[1]) is not None:
        return source_id(*parts)
    return source_id(system, entity, text)


def fields_shown(mapped: Mapped) -> dict[str, Any]:
    """The fields of a mapped record, readable."""
    entity = entity_type(mapped.entity)
    assert entity is not None
    return {name: readable(entity.fields[name], value) for name, value in mapped.fields.items()}


def differences(mapped: Mapped, wanted: dict[str, Any], system: str) -> list[tuple[str, Any, Any]]:
    """(field, wanted, made) for each field of `wanted` that the record does not have so."""
    entity = entity_type(mapped.entity)
    assert entity is not None
    found: list[tuple[str, Any, Any]] = []
    for name, text in wanted.items():
        field = entity.fields.get(name)
        if field is None:
            found.append((name, text, f"{mapped.entity} has no such field"))
            continue
        made = mapped.fields.get(name, _ABSENT)
        try:
            same = made is not _ABSENT and canonical(field, text, system) == made
        except BadValue as error:
            found.append((name, text, str(error)))
            continue
        if not same:
            found.append((name, text, "not said" if made is _ABSENT else readable(field, made)))
    return found


_ABSENT = object()
