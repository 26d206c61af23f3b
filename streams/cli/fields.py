"""Values of canonical fields as people read and write them on the command line."""

from __future__ import annotations

import json
from typing import Any

from streams.dictionary.canonical_fields import entity_type
from streams.dictionary.readable import canonical, readable
from streams.dictionary.standards import standard_of
from streams.errors import ConfigError
from streams.mapping.conversions.registry import make_step
from streams.mapping.row_errors import BadValue

_FORMS = {
    "phone": "as in +49 30 901820",
    "tax_id": "with its country, as in DE136695976",
    "currency": "as in EUR",
    "language": "as in de",
}


def shown(entity: str, field: str, value: Any) -> str:
    """A value for a person: money with its point, days as days, a text between quotes."""
    kind = entity_type(entity)
    if kind is not None and field in kind.fields:
        value = readable(kind.fields[field], value)
        if kind.fields[field].kind in ("decimal", "timestamp", "date"):
            return "nothing" if value is None else str(value)
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _cleansed(field: str, text: str) -> str:
    """A phone, an address, a code in the form in which systems' values come: what is none would stand before all of them."""
    name = standard_of(field)
    if name is None:
        return text
    return str(make_step(name, country=None, timezone="UTC", note=lambda reason, value: None).convert(text))


def typed(entity: str, field: str, text: str) -> Any:
    """What a person wrote, as the canonical value. Raises ConfigError when the field can not have it."""
    kind = entity_type(entity)
    of = kind.fields.get(field) if kind is not None else None
    if of is None:
        raise ConfigError(f"{entity} has no field {field}", remedy="docs/model.md lists them")
    try:
        if of.kind == "bool":
            value: Any = {"true": True, "yes": True, "false": False, "no": False}[text.lower()]
        elif of.kind == "int":
            value = int(text)
        elif of.kind in ("tags", "map"):
            value = json.loads(text)
            if not isinstance(value, list if of.kind == "tags" else dict):
                raise ValueError(text)
        else:
            value = canonical(of, _cleansed(field, text), "opshub")
    except (KeyError, ValueError, BadValue) as error:
        forms = {"bool": "true or false", "int": "a whole number", "tags": '["a", "b"]', "map": '{"a": "b"}',
                 "decimal": "as in 1250.50", "date": "as in 2026-03-31", "timestamp": "as in 2026-03-31T08:00:00Z"}  # fmt: skip
        raise ConfigError(
            f"{text!r} is no value of {entity}.{field}: {error}",
            remedy=f"write it {forms.get(of.kind) or _FORMS.get(field, 'as text')}",
        ) from error
    if of.allowed and value not in of.allowed:
        raise ConfigError(f"{entity}.{field} is never {text!r}", remedy=f"one of {', '.join(of.allowed)}")
    return value
