"""Watermarks: how far the changes of a table are read, in the source's own values. Pure.

In: what a column of a row holds. Out: a value that can be compared, its text for the hub, and the text for a query. It
never follows a time that is ahead of our clock: one row with a date in the future would hide every later change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from streams.provision.source_file import Watermark

Mark = datetime | Decimal | str


def mark_of(watermark: Watermark, value: Any) -> Mark | None:
    """A value of the column; None where it is none."""
    try:
        return parse_mark(watermark, value)
    except (ValueError, InvalidOperation, OverflowError, OSError):
        return None


def parse_mark(watermark: Watermark, value: Any) -> Mark:
    """As `mark_of`. Raises ValueError or InvalidOperation for a value that is none."""
    if value is None or value == "" or isinstance(value, bool):
        raise ValueError("no value")
    if watermark.form == "text":
        return str(value)
    if watermark.form == "iso":
        moment = datetime.fromisoformat(str(value).strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError("no number")
    if watermark.form == "number":
        return number
    seconds = float(number) / (1000 if watermark.form == "epoch_ms" else 1)
    return datetime.fromtimestamp(seconds, UTC)


def mark_text(mark: Mark) -> str:
    """A mark as the hub keeps it."""
    return mark.isoformat() if isinstance(mark, datetime) else format(mark, "f") if isinstance(mark, Decimal) else mark


def kept_mark(watermark: Watermark, text: str) -> Mark:
    """A mark that the hub kept."""
    if watermark.form in ("iso", "epoch", "epoch_ms"):
        return datetime.fromisoformat(text)
    return Decimal(text) if watermark.form == "number" else text


def query_text(watermark: Watermark, mark: Mark) -> str:
    """What a query asks for: the mark, less the overlap."""
    overlap = watermark.overlap
    if isinstance(mark, datetime):
        mark -= overlap if isinstance(overlap, timedelta) else timedelta(seconds=overlap)
        if watermark.form == "iso":
            return mark.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        # Rounded down: what the source rounds must not fall between.
        return str(int(mark.timestamp() * (1000 if watermark.form == "epoch_ms" else 1)))
    if isinstance(mark, Decimal):
        return format(mark - overlap if isinstance(overlap, int) else mark, "f")
    return mark


def not_ahead(mark: Mark, now: datetime) -> Mark:
    """The mark, or our clock where it is ahead of that."""
    return min(mark, now) if isinstance(mark, datetime) else mark


def is_later(mark: Mark, other: Mark | None) -> bool:
    """Whether a mark is later than another of the same form; than None always."""
    return other is None or mark > other  # type: ignore[operator]


def micros(mark: Mark | None) -> int | None:
    """Of a time: microseconds since 1970."""
    return int(mark.timestamp() * 1e6) if isinstance(mark, datetime) else None
