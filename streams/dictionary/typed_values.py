"""Values of canonical fields as people read and write them: on the command line and in forms."""

from __future__ import annotations

import json
from typing import Any

from streams.dictionary.canonical_fields import entity_type
from streams.dictionary.readable import canonical, readable
from streams.dictionary.standards import standard_of
from streams.errors import ConfigError
from streams.mapping.conversions.registry import make_step
from streams.mapping.notes import no_note
from streams.mapping.row_errors import BadValue

_FORM_OF_KIND = {
    "bool": "true or false",
    "int": "a whole number",
    "tags": '["a", "b"]',
    "map": '{"a": "b"}',
    "decimal": "as in 1250.50",
    "date": "as in 2026-03-31",
    "timestamp": "as in 2026-03-31T08:00:00Z",
}
_FORM_OF_FIELD = {
    "phone": "as in +49 30 901820",
    "tax_id": "with its country, as in DE136695976",
    "currency": "as in EUR",
    "language": "as in de",
}


def readable_value(entity: str, field: str, value: object) -> str:
    """A canonical value for a person: money with its point, days as days, a text in quotes, null as `nothing`."""
    known = entity_type(entity)
    if known is not None and field in known.fields:
        value = readable(known.fields[field], value)
        if known.fields[field].kind in ("decimal", "timestamp", "date"):
            return "nothing" if value is None else str(value)
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _in_standard_form(field: str, text: str) -> str:
    """A phone number, an address or a code in the form in which the values of systems arrive. Otherwise it would never
    equal theirs, and would win over all of them.
    """
    conversion = standard_of(field)
    if conversion is None:
        return text
    return str(make_step(conversion, country=None, timezone="UTC", note=no_note).convert(text))


def parse_value(entity: str, field: str, text: str) -> Any:
    """The text that a person wrote, as the canonical value. Raises ConfigError when the field cannot have it."""
    known = entity_type(entity)
    field_type = known.fields.get(field) if known is not None else None
    if field_type is None:
        raise ConfigError(f"{entity} has no field {field}", remedy="docs/model.md lists them")
    value: object
    try:
        if field_type.kind == "bool":
            value = {"true": True, "yes": True, "false": False, "no": False}[text.lower()]
        elif field_type.kind == "int":
            value = int(text)
        elif field_type.kind in ("tags", "map"):
            value = json.loads(text)
            if not isinstance(value, list if field_type.kind == "tags" else dict):
                raise ValueError(text)
        else:
            value = canonical(field_type, _in_standard_form(field, text), "opshub")
    except (KeyError, ValueError, BadValue) as error:
        raise ConfigError(
            f"{text!r} is not a value of {entity}.{field}: {error}",
            remedy=f"write it {_FORM_OF_KIND.get(field_type.kind) or _FORM_OF_FIELD.get(field, 'as text')}",
        ) from error
    if field_type.allowed and value not in field_type.allowed:
        raise ConfigError(f"{entity}.{field} is never {text!r}", remedy=f"one of {', '.join(field_type.allowed)}")
    return value
