"""The one text of a key: values that a database calls equal give one text, by the type of the key's column.

A citext is equal in any case, 42 and 42.00 are one number, a char(n) has no trailing spaces, a UUID has one spelling.
The key of a record and every reference to it go through `key_form` of the column that is the key: both are one text.
Which values a collation calls equal only Postgres knows: `map check --live` reports such keys.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from streams.mapping.row_errors import BadValue
from streams.mapping.source_types import SourceType
from streams.mapping.values.source_forms import decimal_text
from streams.mapping.values.text import key_text

KeyForm = Callable[[object], str]

_LONGEST_NUMBER = 80
"""Characters; a longer text is no number that a column holds."""


def without_case(value: object) -> str:
    """As citext compares: in lower case."""
    return key_text(value).lower()


def without_padding(value: object) -> str:
    """As char(n) compares: without spaces at its end."""
    return key_text(value).rstrip(" ")


def as_number(value: object) -> str:
    """A number without zeros that say nothing: 0042 and 42.00 are 42. What is no number stays as it is."""
    text = key_text(value)
    if len(text) > _LONGEST_NUMBER:
        return text
    try:
        return decimal_text(text.strip())
    except BadValue:
        return text


def as_uuid(value: object) -> str:
    """A UUID in lower case, with its hyphens and without braces. What is no UUID stays as it is."""
    text = key_text(value)
    try:
        return str(UUID(text.strip()))
    except ValueError:
        return text


_FORMS: dict[str, KeyForm] = {
    "citext": without_case,
    "character": without_padding,
    "uuid": as_uuid,
    "numeric": as_number,
    "money": as_number,
    "smallint": as_number,
    "integer": as_number,
    "bigint": as_number,
    "oid": as_number,
}
"""Type of a key's column → the text of its values."""

_ALWAYS: dict[str, KeyForm] = {"character": without_padding, "numeric": as_number}
"""Type of a column that refers → the text of its values, whatever the type of the key."""

_SENT_AS_IT_IS = {"uuid", "smallint", "integer", "bigint", "oid"}
"""Types whose values come in one form only."""


def key_form(own: SourceType | None, key: SourceType | None) -> KeyForm | None:
    """The function for a column of type `own` that holds a key whose own column is of type `key`; None where its values
    are that text already. None for a type that is not known.
    """
    first = _ALWAYS.get(own.name) if own is not None else None
    form = _FORMS.get(key.name) if key is not None else None
    if own is not None and key is not None and own.name in _SENT_AS_IT_IS:
        same_kind = own.name == key.name or (own.name != "uuid" and form is as_number)
        form = None if same_kind else form
    if form is None or form is first:
        return first
    return form if first is None else _both(first, form)


def _both(first: KeyForm, then: KeyForm) -> KeyForm:
    return lambda value: then(first(value))


def why_not_equal(own: SourceType, key: SourceType) -> str | None:
    """Why a reference of type `own` may miss a key of type `key` that people call equal; None where it cannot."""
    if own.name == key.name or key.name in _FORMS or key.form != "text":
        return None
    if own.name == "citext":
        return "the key distinguishes upper and lower case"
    if own.name == "uuid":
        return "a UUID is sent in lower case with hyphens, and the key may be spelled otherwise"
    if own.form in ("whole", "number"):
        return "a number has no leading zeros, and the key may have some (0042)"
    return None
