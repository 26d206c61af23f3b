"""Values for a target: from a document of canonical records to what a statement or a request carries. Pure.

In: a `ValueSpec` as writeback.yaml has it, and a document: nested dicts that dotted paths lead into (see
`documents.py`). Out: a Python value. In canonical records decimals are unscaled integers, dates are days and
timestamps are microseconds; `as` gives the form that the target wants. Values of a rule's `values` stay in
canonical form (`cents`: money of whole cents); the adapter knows the column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streams.model.entities import ENTITIES, FieldType

LONGEST_SHOWN = 200
"""Characters of a value in a message."""
EPOCH = date(1970, 1, 1)
EPOCH_TIME = datetime(1970, 1, 1, tzinfo=UTC)

Fields = dict[str, Any]
"""Canonical field → value, as a record or a contribution has them: values are JSON."""

Paths = dict[str, Any]
"""Nested dicts in which the dotted paths of a rule begin; see `documents.py`."""

As = Literal[
    "as it is",
    "text",
    "money",
    "cents",
    "qty",
    "rate",
    "float",
    "int",
    "date",
    "yyyymmdd",
    "timestamp",
    "local_time",
    "initials",
]
_SCALE = {"money": 4, "qty": 6, "rate": 4}


class ValueSpec(BaseModel):
    """One value: `from` a path, or a constant `value`. `as`: its form. `values`: a table of codes, with `unknown` for
    a code that it lacks. `default`: for an empty value. `max_length`: a longer text is cut. `required`: whether
    nothing is sent without it; None: see `required.py`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    path: str | None = Field(default=None, alias="from")
    value: Any = None
    form: As = Field(default="as it is", alias="as")
    values: dict[str, Any] | None = None
    unknown: Any = None
    default: Any = None
    timezone: str | None = None
    max_length: int | None = None
    required: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, content: object) -> object:
        """A text alone is a path."""
        return {"from": content} if isinstance(content, str) else content

    @model_validator(mode="after")
    def _path_or_constant(self) -> ValueSpec:
        if (self.path is None) == (self.value is None):
            raise ValueError("needs either `from`, a path, or `value`, a constant")
        if self.timezone is not None:
            ZoneInfo(self.timezone)  # Raises for a zone that does not exist.
        return self


def reach(document: object, path: str) -> Any:
    """What a dotted path leads to; None where it ends early."""
    value = document
    for step in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def value_of(spec: ValueSpec, document: Mapping[str, object]) -> object:
    """The value in the form that its target wants. Raises ValueError for one that has no such form."""
    value = spec.value if spec.path is None else reach(document, spec.path)
    if value is None or value == "":
        return spec.default
    formed = _in_form(spec, value)
    if spec.values is not None:
        formed = spec.values.get(_code_text(formed), spec.unknown if spec.unknown is not None else spec.default)
    if spec.max_length is not None and isinstance(formed, str):
        formed = formed[: spec.max_length]
    return formed


def _code_text(value: object) -> str:
    """A value as a key of a table of codes in YAML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return str(value)


def _in_form(spec: ValueSpec, value: Any) -> object:
    form = spec.form
    if form in _SCALE:
        return Decimal(value).scaleb(-_SCALE[form])
    if form == "cents":
        return int(Decimal(value).scaleb(-2).quantize(Decimal(1), ROUND_HALF_UP)) * 100
    if form == "float":
        return float(Decimal(value).scaleb(-6))
    if form == "int":
        # Keys are texts here; many interfaces take them as numbers only.
        return _whole(value)
    if form == "text":
        return str(value)
    if form == "date":
        return EPOCH + timedelta(days=value)
    if form == "yyyymmdd":
        return int((EPOCH + timedelta(days=value)).strftime("%Y%m%d"))
    if form in ("timestamp", "local_time"):
        moment = EPOCH_TIME + timedelta(microseconds=value)
        if form == "timestamp":
            return moment
        return moment.astimezone(ZoneInfo(spec.timezone or "UTC")).replace(tzinfo=None)
    if form == "initials":
        return "".join(word[0] for word in str(value).split()).upper()
    return value


_LONGEST_INT = 40
"""Digits, less one. 1e999999 is a short text and a long number."""


def _whole(value: object) -> int:
    number = Decimal(str(value))
    if number.adjusted() > _LONGEST_INT or number != number.to_integral_value():
        raise ValueError(f"{value!r} is no whole number")
    return int(number)


def kind_of(entity: str, field: str) -> FieldType | None:
    """The type of a field of a canonical record; None for an attribute."""
    return ENTITIES[entity].fields.get(field)


def outward(kind: FieldType | None, value: object) -> object:
    """A canonical value as a target takes it: decimals with their point, days and microseconds as dates and times."""
    if kind is None or not isinstance(value, int) or isinstance(value, bool):
        return value
    if kind.scale is not None:
        return Decimal(value).scaleb(-kind.scale)
    if kind.kind == "date":
        return EPOCH + timedelta(days=value)
    if kind.kind == "timestamp":
        return EPOCH_TIME + timedelta(microseconds=value)
    return value


def inward(kind: FieldType | None, value: object) -> object:
    """The reverse of `outward`, from a column or from JSON. A value without a canonical form stays as it is: it
    equals no canonical value.
    """
    if kind is None or value is None or isinstance(value, bool):
        return plain(value)
    try:
        if kind.scale is not None and isinstance(value, Decimal | int | float | str):
            unscaled = Decimal(str(value)).scaleb(kind.scale)
            return int(unscaled) if unscaled == unscaled.to_integral_value() else str(value)
        if kind.kind == "date":
            day = value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
            return ((day.date() if isinstance(day, datetime) else day) - EPOCH).days
        if kind.kind == "timestamp":
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH_TIME) // timedelta(microseconds=1)
    except (ValueError, ArithmeticError):
        pass
    return plain(value)


def plain(value: object) -> object:
    """A value as JSON has it: dates and times in ISO form, decimals as text."""
    if value is None or isinstance(value, str | bool | int | float | list | dict):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def shown(value: object) -> str:
    """A value in a message."""
    if value is None:
        return "nothing"
    if isinstance(value, Decimal):
        # At least the cents that it has, without the zeros of the hub's scale.
        whole, point, places = format(value, "f").partition(".")
        return whole + point + places.rstrip("0").ljust(min(2, len(places)), "0")
    if isinstance(value, datetime | date):
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, default=shown, ensure_ascii=False)[:LONGEST_SHOWN]
    return repr(value[:LONGEST_SHOWN]) if isinstance(value, str) else str(value)
