"""Texts of sources: which values are a text, a key, or a list of texts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from streams.mapping.row_errors import BadValue
from streams.mapping.values.numbers import decimal_of
from streams.model import limits


def text_of(value: object) -> str:
    """A text as it is; a number or a boolean as its shortest exact text; a day or a moment that a step returned in ISO
    form. Raises BadValue for lists, maps, and texts of
    more than `limits.TEXT` characters.
    """
    if value.__class__ is str:
        if len(value) > limits.TEXT:
            raise BadValue(f"a text of more than {limits.TEXT:,} characters", value)
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if value.__class__ is int or value.__class__ is float:
        return str(value)
    if value.__class__ is Decimal:
        return format(decimal_of(value), "f")
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise BadValue("not a text (a list or a map: give a `path`, or a step that makes a text of it)", value)


def key_text(value: object) -> str:
    """One column of a key as text. Raises BadValue for null, and for types that cannot be a key."""
    if value.__class__ is str:
        return value
    if value.__class__ is int:
        return str(value)
    if value.__class__ is Decimal:  # an expression that gives a column of type numeric
        return format(value, "f")
    if value is None:
        raise BadValue("a key that is null", value)
    raise BadValue("not usable as a key (text, integers and uuids are)", value)


def key_part(value: object) -> str:
    """One column of a composite key: as `key_text`, with '|' and '\\' escaped, so that two keys never look the same."""
    text = key_text(value)
    return text.replace("\\", "\\\\").replace("|", "\\|") if "|" in text or "\\" in text else text


def tags_of(value: object) -> list[str]:
    """A list of texts."""
    if isinstance(value, list):
        return [text_of(item) for item in value if item is not None]
    raise BadValue("not a list of texts (the step `list` splits a text)", value)
