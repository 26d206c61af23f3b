"""Values for a target: from a document of canonical records to what a statement or a request carries.

In: a `Value` as writeback.yaml writes it, and the document (see `context.py`): nested dicts reached by dotted paths.
Out: a Python value. Decimals are unscaled integers in canonical records, dates days, timestamps microseconds: `as` says how
the target wants them. What a rule's `values` say stays in canonical form (`cents`: money of whole cents); the adapter knows the column.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streams.model.entities import ENTITIES, FieldType

EPOCH = date(1970, 1, 1)
EPOCH_TIME = datetime(1970, 1, 1, tzinfo=UTC)

Fields = dict[str, Any]
"""Canonical field → value, as a record or a contribution has them: values are JSON."""

As = Literal[
    "as it is",
    "text",
    "money",
    "cents",
    "qty",
    "rate",
    "float",
    "date",
    "yyyymmdd",
    "timestamp",
    "local_time",
    "initials",
]
_SCALE = {"money": 4, "qty": 6, "rate": 4}


class Value(BaseModel):
    """One value: `from` a path, or a constant `value`; `as` its form, `values` a table of codes, `default` for what is empty."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    path: str | None = Field(default=None, alias="from")
    value: Any = None
    form: As = Field(default="as it is", alias="as")
    values: dict[str, Any] | None = None
    unknown: Any = None
    default: Any = None
    timezone: str | None = None
    most: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, told: Any) -> Any:
        return {"from": told} if isinstance(told, str) else told

    @model_validator(mode="after")
    def _one_of(self) -> Value:
        if (self.path is None) == (self.value is None):
            raise ValueError("needs either `from`, a path, or `value`, a constant")
        if self.timezone is not None:
            ZoneInfo(self.timezone)
        return self


def reach(document: Any, path: str) -> Any:
    """What the dotted path leads to; None where it breaks off."""
    at = document
    for part in path.split("."):
        if not isinstance(at, dict):
            return None
        at = at.get(part)
    return at


def value_of(spec: Value, document: Mapping[str, Any]) -> Any:
    """The value as the target wants it. Raises ValueError for one that has no such form."""
    found = spec.value if spec.path is None else reach(document, spec.path)
    if found is None or found == "":
        return spec.default
    formed = _formed(spec, found)
    if spec.values is not None:
        formed = spec.values.get(_code(formed), spec.unknown if spec.unknown is not None else spec.default)
    if spec.most is not None and isinstance(formed, str):
        formed = formed[: spec.most]
    return formed


def _code(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return str(value)


def _formed(spec: Value, found: Any) -> Any:
    form = spec.form
    if form in _SCALE:
        return Decimal(found).scaleb(-_SCALE[form])
    if form == "cents":
        return int(Decimal(found).scaleb(-2).quantize(Decimal(1), ROUND_HALF_UP)) * 100
    if form == "float":
        return float(Decimal(found).scaleb(-6))
    if form == "text":
        return str(found)
    if form == "date":
        return EPOCH + timedelta(days=found)
    if form == "yyyymmdd":
        return int((EPOCH + timedelta(days=found)).strftime("%Y%m%d"))
    if form in ("timestamp", "local_time"):
        at = EPOCH_TIME + timedelta(microseconds=found)
        return at if form == "timestamp" else at.astimezone(ZoneInfo(spec.timezone or "UTC")).replace(tzinfo=None)
    if form == "initials":
        return "".join(word[0] for word in str(found).split()).upper()
    return found


def kind_of(entity: str, field: str) -> FieldType | None:
    """What a field of a canonical record is; None for an attribute."""
    return ENTITIES[entity].fields.get(field)


def outward(kind: FieldType | None, value: Any) -> Any:
    """A canonical value as a target takes it: decimals with their point, days and microseconds as date and time."""
    if kind is None or not isinstance(value, int) or isinstance(value, bool):
        return value
    if kind.scale is not None:
        return Decimal(value).scaleb(-kind.scale)
    if kind.kind == "date":
        return EPOCH + timedelta(days=value)
    if kind.kind == "timestamp":
        return EPOCH_TIME + timedelta(microseconds=value)
    return value


def inward(kind: FieldType | None, value: Any) -> Any:
    """The same back, from a column or from JSON. What has no such form stays as it is, so that it equals nothing."""
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
            at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            return (at.replace(tzinfo=at.tzinfo or UTC) - EPOCH_TIME) // timedelta(microseconds=1)
    except (ValueError, ArithmeticError):
        pass
    return plain(value)


def plain(value: Any) -> Any:
    """A value as JSON tells it: dates and times in ISO form, decimals as text."""
    if value is None or isinstance(value, str | bool | int | float | list | dict):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)
