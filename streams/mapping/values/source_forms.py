"""What Debezium sends for days, times and numbers, as what it means: ISO texts, decimals, local midnights.

Those of MariaDB that are sent as something that they are not come last: an unsigned number, a zero date.

In: a value as Debezium sends it with `time.precision.mode=microseconds`, `decimal.handling.mode=string` and
`interval.handling.mode=string`. Each function takes a text as well where it is in its form already. Infinite days
and times are the texts `infinity` and `-infinity`. Raises BadValue for a value that this type cannot have: the column
has another type by now.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

from streams.mapping.row_errors import BadValue
from streams.mapping.values.numbers import decimal_of
from streams.mapping.values.times import (
    DAY,
    EPOCH_DAY,
    INFINITE,
    NAIVE_EPOCH,
    NEXT_TO_FIRST,
    NEXT_TO_LAST,
    day,
    instant,
    micros_of_local,
)

_DURATION = re.compile(
    r"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)W)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d+(?:\.\d+)?)S)?)?\Z"
)
_UNITS = ("Y", "M", "W", "D"), ("H", "M", "S")
_RETRY = "`opshub apply` reads the types of the columns again"
_CACHED = 20_000
ZERO_MOMENT = "1970-01-01T00:00:00Z"
_utc = instant()
_INFINITE_TEXTS = frozenset(INFINITE.values())


def date_text(value: object) -> str:
    """A number of days as YYYY-MM-DD."""
    if value in INFINITE or value in _INFINITE_TEXTS:
        return INFINITE[value] if isinstance(value, int) else str(value)
    return date.fromordinal(day(value) + EPOCH_DAY).isoformat()


def local_text(value: object) -> str:
    """Local microseconds as YYYY-MM-DDTHH:MM:SS, with a fraction only where there is one."""
    if value.__class__ is str:
        return value
    if value.__class__ is not int:
        raise BadValue("not a time", value)
    if value in INFINITE:
        return INFINITE[value]
    return _trimmed((NAIVE_EPOCH + timedelta(microseconds=micros_of_local(value))).isoformat())


def instant_text(value: object) -> str:
    """A moment as YYYY-MM-DDTHH:MM:SSZ, in UTC, with a fraction only where there is one."""
    if value.__class__ is not str:
        raise BadValue(f"not a moment with a time zone ({_RETRY})", value)
    if value in _INFINITE_TEXTS or value.startswith((NEXT_TO_LAST, NEXT_TO_FIRST)):
        return value
    return _trimmed((NAIVE_EPOCH + timedelta(microseconds=_utc(value))).isoformat()) + "Z"


def time_text(value: object) -> str:
    """Microseconds since midnight as HH:MM:SS, with a fraction only where there is one; a day ends at 24:00:00."""
    if value.__class__ is str:
        return value
    if value.__class__ is not int or not 0 <= value <= DAY:
        raise BadValue(f"not a time of a day ({_RETRY})", value)
    seconds, micros = divmod(value, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return _trimmed(f"{text}.{micros:06}") if micros else text


def span_text(value: object) -> str:
    """MariaDB's TIME, which may be negative and of up to 838 hours: microseconds as -838:59:59."""
    if value.__class__ is not int:
        raise BadValue(f"not a time ({_RETRY})", value)
    seconds, micros = divmod(abs(value), 1_000_000)
    text = f"{'-' if value < 0 else ''}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return _trimmed(f"{text}.{micros:06}") if micros else text


def duration_text(value: object) -> str:
    """An interval in the shortest form of ISO 8601: P0Y0M1DT2H0M0S is P1DT2H."""
    match = _DURATION.match(value) if value.__class__ is str else None
    if match is None:
        raise BadValue("not an interval in ISO 8601", value)
    days, times = match.groups()[:4], match.groups()[4:]
    seconds = times[2]
    if seconds is not None and "." in seconds:
        times = (*times[:2], seconds.rstrip("0").rstrip("."))
    whole = "".join(n + unit for n, unit in zip(days, _UNITS[0], strict=True) if n is not None and float(n))
    parts = "".join(n + unit for n, unit in zip(times, _UNITS[1], strict=True) if n is not None and float(n))
    return f"P{whole}{'T' if parts else ''}{parts}" if whole or parts else "PT0S"


def number_text(value: object) -> object:
    """A number as it was sent, digit for digit. Debezium sends NaN and infinity as words."""
    if value.__class__ is str and not value[-1:].isdigit():
        raise BadValue("not a finite number", value)
    return value


def number(value: object) -> Decimal:
    """A number that is sent as text or as a float, as the number, digit for digit."""
    return decimal_of(value) if value.__class__ is str else Decimal(decimal_text(value))


def decimal_text(value: object) -> str:
    """A number digit for digit, without zeros that say nothing: 1.00 is 1, and 1.50 is 1.5."""
    # Quantities and prices repeat: looking one up takes a tenth of working it out.
    return _decimal_text(value) if value.__class__ is str else _worked_out(value)


def _worked_out(value: object) -> str:
    text = format(decimal_of(value), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


_decimal_text = lru_cache(maxsize=_CACHED)(_worked_out)


def midnight(value: object) -> int:
    """A number of days as the day's midnight, in local microseconds."""
    return day(value) * DAY


def unsigned(value: object) -> object:
    """BIGINT UNSIGNED: Debezium sends it as a signed number of the same 64 bits."""
    return value + (1 << 64) if value.__class__ is int and value < 0 else value


def six_digits(value: object) -> object:
    """FLOAT: its server writes six digits into a snapshot, and as many as it has into the binlog."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def year(value: object) -> object:
    """YEAR: 0000 comes as 1900, which no YEAR can be."""
    return None if value == 1900 else value


def moment_or_zero(value: object) -> object:
    """TIMESTAMP: '0000-00-00' comes as 1970-01-01T00:00:00Z, which no TIMESTAMP can be; or as null."""
    return None if value == ZERO_MOMENT else value


def no_zero_moment(value: object) -> object:
    """TIMESTAMP NOT NULL. Raises BadValue for '0000-00-00': it means nothing, and the column allows no null."""
    if value == ZERO_MOMENT:
        raise BadValue("a zero date ('0000-00-00')", value)
    return value


def no_zero_date(value: object) -> object:
    """DATE and DATETIME NOT NULL. Raises BadValue for 0: Debezium sends '0000-00-00' so, and 1970-01-01, too."""
    if value == 0:
        raise BadValue("a zero date ('0000-00-00'), or 1970-01-01: Debezium sends both alike", value)
    return value


def list_of(item: Callable[[object], object]) -> Callable[[object], object]:
    """The function for each item of a list; null stays null."""

    def each(value: object) -> object:
        if not isinstance(value, list):
            raise BadValue(f"not a list ({_RETRY})", value)
        return [None if entry is None else item(entry) for entry in value]

    return each


def unknown_number(kind: str) -> Callable[[object], object]:
    """For a column whose type is not known: everything but a number passes. A number may be a day or a time."""

    def check(value: object) -> object:
        if value.__class__ is int or (value.__class__ is list and any(entry.__class__ is int for entry in value)):
            raise BadValue(f"a number of a column whose type is not known, for a {kind} ({_RETRY})", value)
        return value

    return check


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
