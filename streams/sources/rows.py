"""What a system without a database says → the raw record that a worker decodes. Pure.

In: a row as the interface or file has it. Out: its columns in the form that Debezium gives a column of that type, the
text of its key, and the envelope. A value that does not fit its type stays as it is: a worker rejects it, and the row
becomes a dead letter with its reason. In a file it is refused at once (`strict`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from streams.provision.source_file import Column, ColumnKind

_EPOCH = date(1970, 1, 1).toordinal()
_MISSING = object()
_TRUTH: dict[object, bool] = {"true": True, "false": False, "1": True, "0": False, 1: True, 0: False}

encode_json = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode


class Feed(msgspec.Struct, frozen=True):
    """One table: where its rows go, and how they are read. `columns`: those that source.yaml names."""

    system: str
    table: str
    topic: str
    key: tuple[str, ...]
    columns: Mapping[str, Column]
    timezone: str = "UTC"


class FeedRow(msgspec.Struct, frozen=True):
    """One row. `row`: None says that it is gone; `version`: its age, as the source counts it; `source_us`: when it
    changed, microseconds since 1970.
    """

    key: str
    row: dict[str, Any] | None
    version: str | None = None
    source_us: int | None = None


def reach(value: object, path: str | None) -> Any:
    """What is at a path with dots (`data.items.0.id`); None where it leads nowhere. Without a path the value itself."""
    reached = _reach(value, path)
    return None if reached is _MISSING else reached


def _reach(value: object, path: str | None) -> Any:
    for step in path.split(".") if path else ():
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _MISSING
    return value


def holds(body: object, where: Mapping[str, Any]) -> bool:
    """Whether each path has its value, or one of its list."""
    return all(reach(body, path) in (value if isinstance(value, list) else [value]) for path, value in where.items())


def row_of(feed: Feed, content: Mapping[str, Any], *, strict: bool = False) -> dict[str, Any]:
    """The columns of a row. Raises ValueError, which begins with the column, for a value that does not fit (`strict`).

    A column that the row does not have is left out: absent is not null. A column of the key is null then, so that the
    row becomes a dead letter that says so.
    """
    row = {}
    for name, column in feed.columns.items():
        value = _reach(content, column.path or name)
        if value is not _MISSING:
            row[name] = _formed(name, column.type, value, feed.timezone, strict)
    for name, value in content.items():
        if name not in feed.columns:
            row[name] = _formed(name, "text", value, feed.timezone, strict)
    for name in feed.key:
        row.setdefault(name, None)
    return row


def _formed(name: str, kind: ColumnKind, value: Any, timezone: str, strict: bool) -> Any:
    try:
        return None if value is None else form_value(kind, value, timezone)
    except (ValueError, InvalidOperation, OverflowError):
        if strict:
            raise ValueError(f"{name}: {str(value)[:80]!r} is no {kind}") from None
        return value if isinstance(value, str | int | bool) else text_of(value)


def form_value(kind: ColumnKind, value: Any, timezone: str = "UTC") -> Any:
    """A value as Debezium sends a column of this type. Raises ValueError or InvalidOperation where it does not fit."""
    if kind == "text":
        return text_of(value)
    if kind == "json":
        return value if isinstance(value, str) else encode_json(value).decode()
    if kind == "boolean":
        key = value.strip().lower() if isinstance(value, str) else value
        if not isinstance(key, str | int) or key not in _TRUTH:
            raise ValueError
        return _TRUTH[key]
    if kind == "date":
        return _day(value).toordinal() - _EPOCH
    if kind == "timestamp":
        return _instant(value, timezone).isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        raise ValueError
    number = Decimal(value.strip() if isinstance(value, str) else str(value))
    if not number.is_finite():
        raise ValueError
    if kind == "number":
        return format(number, "f")
    if number != number.to_integral_value():
        raise ValueError
    return int(number)


def text_of(value: object) -> str:
    """A value as text: numbers without exponent, structures as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, Decimal | float):
        return format(Decimal(str(value)), "f")
    return value.isoformat() if isinstance(value, date | datetime) else encode_json(value).decode()


def _day(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = str(value).strip()
    return datetime.fromisoformat(text).date() if len(text) > 10 else date.fromisoformat(text)


def _instant(value: Any, timezone: str) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(timezone))
    return moment.astimezone(UTC)


def key_text(values: Sequence[Any]) -> str | None:
    """The key of a row as text; None where a part of it is missing. 17 and "17" are the same key."""
    if any(value is None or value == "" for value in values):
        return None
    return "|".join(text_of(value).replace("\\", "\\\\").replace("|", "\\|") for value in values)


def feed_row(
    feed: Feed, row: dict[str, Any], *, version: str | None = None, source_us: int | None = None, gone: bool = False
) -> FeedRow:
    """A row with its key. One without a key is known by its content: it becomes a dead letter, once."""
    key = key_text([row[name] for name in feed.key])
    if key is None:
        return FeedRow("?" + hashlib.sha256(encode_json(row)).hexdigest(), row, version, source_us)
    return FeedRow(key, None if gone else row, version, source_us)


def digest_of(row: dict[str, Any] | None) -> bytes:
    """Differs for each content of a row; empty for one that is gone."""
    return b"" if row is None else hashlib.blake2b(encode_json(row), digest_size=16).digest()


def message_key(feed: Feed, row: Mapping[str, Any]) -> bytes | None:
    """The key of the raw record: the key's columns; None where one is missing."""
    values = {name: row.get(name) for name in feed.key}
    return None if any(value is None or value == "" for value in values.values()) else msgspec.json.encode(values)


def envelope(
    feed: Feed, before: dict[str, Any] | None, after: dict[str, Any] | None, position: int, source_us: int
) -> bytes:
    """The raw record, as Debezium's connectors write theirs; `source.position` says where in the source it is."""
    schema, _, table = feed.table.partition(".")
    source = {
        "connector": "feed", "name": feed.system, "schema": schema, "table": table, "position": position,
        "ts_us": source_us, "ts_ms": source_us // 1000, "snapshot": "false",
    }  # fmt: skip
    op = "d" if after is None else "c" if before is None else "u"
    return encode_json({"before": before, "after": after, "source": source, "op": op, "ts_ms": source_us // 1000})


def is_older(version: str | None, known: str | None) -> bool:
    """Whether a version is older than the known one: compared as numbers, as times, else as text."""
    if version is None or known is None:
        return False
    try:
        return Decimal(version) < Decimal(known)
    except InvalidOperation:
        pass
    try:
        return _instant(version, "UTC") < _instant(known, "UTC")
    except ValueError:
        return version < known
