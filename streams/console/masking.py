"""Personal data for people who may not see it: values of the fields that the Avro schemas mark (`pii`) are masked.

    record = mask(record, "customer", context.person)      # a record, a contribution, a document with its lines
    value = mask_value(value, "customer", "email", person)  # one value, such as one side of a conflict
    row = mask_row(row, person)                             # a source row, whose columns no schema describes

Plain values are for whoever sits at this machine and for admins. People with the right to unmask see masked values,
too, and one click more: `unmask_record`, which the audit keeps with its reason. So it is known who saw what.
A masked value is a text, whatever the type of the field is; null stays null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.console.people import Person
from streams.model.entities import ENTITIES

DOTS = "•••"


def sees_plain(person: Person, entity: str | None = None) -> bool:
    """Whether this person sees personal data without asking for it."""
    return person.is_local or person.may("administer", entity=entity, anywhere=False)


def is_masked(entity: str, field: str, person: Person) -> bool:
    """Whether the field is masked for this person."""
    kind = ENTITIES.get(entity)
    marked = kind is not None and field in kind.fields and kind.fields[field].pii is not None
    return marked and f"{entity}.{field}" not in person.plain_fields and not sees_plain(person, entity)


def mask_value(value: Any, entity: str, field: str, person: Person) -> Any:
    """The value of one field, masked where this person may not see it."""
    return masked(value) if is_masked(entity, field, person) else value


def mask(record: Mapping[str, Any], entity: str, person: Person) -> dict[str, Any]:
    """Field → value, masked where this person may not see it; lines within are records of their own entity."""
    kind = ENTITIES.get(entity)
    lines = kind.lines if kind else None
    made: dict[str, Any] = {}
    for field, value in record.items():
        if field == "lines" and lines and isinstance(value, list):
            made[field] = [mask(line, lines, person) if isinstance(line, Mapping) else line for line in value]
        else:
            made[field] = mask_value(value, entity, field, person)
    return made


def masked_fields(record: Mapping[str, Any], entity: str, person: Person) -> list[str]:
    """The fields of the record that have a value which this person sees masked: with some, a page offers to show."""
    return [field for field, value in record.items() if value is not None and is_masked(entity, field, person)]


def mask_row(row: Any, person: Person) -> Any:
    """JSON values of a source row or of a dead letter: every text in them is masked, since nothing says what it is.

    Numbers, booleans and names of columns stay.
    """
    return row if sees_plain(person) else _texts_masked(row)


def masked(value: Any) -> Any:
    """a…@… for an e-mail address, A… G… for words, dots for all else; a map keeps its names."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {name: masked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    if not isinstance(value, str) or len(value) > 60:
        return DOTS
    if "@" in value:
        return f"{value[0]}…@…"
    words = value.split()
    # Digits would give away numbers and postal codes, a single letter the whole of a short name.
    if all(word[0].isalpha() for word in words) and all(len(word) > 1 for word in words):
        return " ".join(f"{word[0]}…" for word in words) or DOTS
    return DOTS


def _texts_masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _texts_masked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_texts_masked(item) for item in value]
    return masked(value) if isinstance(value, str) else value
