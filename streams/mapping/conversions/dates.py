"""Dates and times as sources write them, made into datetime objects, which a field's type turns into microseconds or
days.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from streams.mapping.notes import AddNote, no_note
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of
from streams.mapping.values.times import (
    DAY,
    EPOCH,
    FIRST_MICRO,
    LAST_MICRO,
    NAIVE_EPOCH,
    day,
    instant,
    local_to_utc,
    micros_between,
)

Convert = Callable[[Any], Any]
_DIRECTIVES = set("YmdHMSfbBypIzjaA%")
_FOUR_DIGITS = re.compile(r"[0-9]{4}")


def yyyymmdd() -> Convert:
    """A day written as the number or text 20240131; 0, '' and 00000000 are null."""

    def convert(value: Any) -> date | None:
        if value.__class__ is date:
            return value
        text = str(value) if value.__class__ is int or value.__class__ is str else "?"
        if text.strip("0 ") == "":
            return None
        if len(text) != 8 or not (text.isascii() and text.isdigit()):
            raise BadValue("not a day in the form yyyymmdd", value)
        try:
            return date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            raise BadValue("not a day that the calendar has", value) from None

    return convert


def _formats(formats: list[str] | str, pivot: int | None, *, with_time: bool) -> list[str]:
    listed = [formats] if isinstance(formats, str) else formats
    if not listed:
        raise ValueError("needs at least one format, e.g. '%d.%m.%Y'")
    for one in listed:
        for directive in re.findall(r"%(.)", one):
            if directive not in _DIRECTIVES:
                raise ValueError(
                    f"%{directive} in {one!r} is not known; known are {' '.join('%' + d for d in sorted(_DIRECTIVES))}"
                )
        if "%y" in one.replace("%%", "") and (pivot is None or not 0 <= pivot <= 99):
            raise ValueError(
                f"%y in {one!r} has no century: say `pivot`, the first two digits that mean 19xx ({{pivot: 70}}: 70 is 1970, 69 is 2069)"
            )
        if not with_time and re.search(r"%[HMSfIpz]", one):
            raise ValueError(f"{one!r} has a time in it; use the step `datetime`")
    return listed


def _parsed(text: str, formats: list[str], pivot: int | None) -> datetime:
    """The one datetime that the formats give; BadValue if none does, or if two formats read it differently."""
    found: dict[datetime, str] = {}
    for one in formats:
        if "%Y" in one and not _FOUR_DIGITS.search(text):
            continue  # strptime reads %Y from fewer digits: 24 would be the year 24
        try:
            moment = datetime.strptime(text, one)  # noqa: DTZ007 - the zone comes later
            if pivot is not None and "%y" in one:
                last = moment.year % 100
                moment = moment.replace(year=last + (1900 if last >= pivot else 2000))
            found.setdefault(moment, one)
        except ValueError:
            continue
    if not found:
        raise BadValue(f"not in the form {' or '.join(formats)}", text)
    if len({moment.replace(tzinfo=None) for moment in found}) > 1:
        raise BadValue(f"ambiguous between {' and '.join(found.values())}", text)
    return next(iter(found))


def date_in(formats: list[str] | str, pivot: int | None = None) -> Convert:
    """A day in declared formats: '%d.%m.%Y', ['%m/%d/%Y', '%Y-%m-%d']. A text that two formats read differently is
    rejected as ambiguous. Years of two digits (%y) need `pivot`, the first that means 19xx: with 70, 70 is 1970 and 69 is 2069.
    """
    listed = _formats(formats, pivot, with_time=False)

    def convert(value: Any) -> date | None:
        if value.__class__ is date:
            return value
        text = text_of(value).strip()
        return _parsed(text, listed, pivot).date() if text else None

    return convert


def datetime_in(
    formats: list[str] | str,
    timezone: str = "UTC",
    ambiguous: str = "earlier",
    note: AddNote = no_note,
    pivot: int | None = None,
) -> Convert:
    """A moment in declared formats, local to `timezone` unless it says its own (%z).

    Where clocks went back, `ambiguous` says which: earlier (with a note), later or reject. `pivot` as for `date`.
    """
    listed = _formats(formats, pivot, with_time=True)
    if ambiguous not in ("earlier", "later", "reject"):
        raise ValueError(f"`ambiguous` is {ambiguous!r}; it is earlier, later or reject")
    to_utc = local_to_utc(_known_zone(timezone), note, ambiguous)

    def convert(value: Any) -> datetime | None:
        if isinstance(value, datetime):
            return value
        text = text_of(value).strip()
        if not text:
            return None
        moment = _parsed(text, listed, pivot)
        if moment.tzinfo is not None:
            return moment
        return _datetime(to_utc(micros_between(moment, NAIVE_EPOCH)), value)

    return convert


def local_time(
    ambiguous: str = "reject", timezone: str = "UTC", unit: str = "micros", note: AddNote = no_note
) -> Convert:
    """A timestamp without zone, local to `timezone`, and a rule for hours that come twice: earlier, later or reject."""
    if ambiguous not in ("earlier", "later", "reject"):
        raise ValueError(f"`ambiguous` is {ambiguous!r}; it is earlier, later or reject")
    convert = instant(unit, _known_zone(timezone), note, ambiguous)
    return lambda value: value if isinstance(value, datetime) else _datetime(convert(value), value)


def date_of(timezone: str = "UTC", unit: str = "micros") -> Convert:
    """The day of a moment, as the calendar of `timezone` has it. A timestamp without a zone is taken as it stands."""
    zone = ZoneInfo(_known_zone(timezone))
    utc = instant(unit)

    def convert(value: Any) -> date:
        if value.__class__ is date:
            return value
        if value.__class__ is str and len(value) <= 10:
            return _date(day(value))
        moment = _datetime(utc(value), value)
        zoned = value.__class__ is str and (value.endswith("Z") or datetime.fromisoformat(value).tzinfo is not None)
        try:
            return moment.astimezone(zone).date() if zoned or isinstance(value, datetime) else moment.date()
        except OverflowError:
            raise BadValue("a time outside the years 1 to 9999", value) from None

    return convert


def null_date(days: list[str]) -> Convert:
    """Days that mean 'none' in this system: ['1900-01-01', '9999-12-31']; a moment on such a day is null too."""
    try:
        none = {day(text) for text in days}
    except BadValue as error:
        raise ValueError(str(error)) from None
    micros = {number * DAY for number in none}
    texts = set(days)

    def convert(value: Any) -> Any:
        if value.__class__ is int:
            return None if value in none or value in micros else value
        if value.__class__ is str:
            return None if value[:10] in texts else value
        if isinstance(value, date):
            return None if value.isoformat()[:10] in texts else value
        return value

    return convert


def epoch(unit: str = "seconds") -> Convert:
    """A moment counted from 1970 in UTC, as a number or as text: seconds, millis, micros or nanos."""
    if unit not in ("seconds", "millis", "micros", "nanos"):
        raise ValueError(f"`unit` is {unit!r}; it is seconds, millis, micros or nanos")
    convert = instant(unit)

    def read(value: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        text = text_of(value).strip()
        if not re.fullmatch(r"-?[0-9]{1,20}", text):
            raise BadValue(f"not a number of {unit} since 1970", value)
        return _datetime(convert(int(text)), value)

    return read


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"there is no time zone {name!r}; names are as in the IANA database, e.g. Europe/Berlin"
        ) from None
    return name


def _datetime(micros: int, value: object) -> datetime:
    if not FIRST_MICRO <= micros <= LAST_MICRO:
        raise BadValue("a time outside the years 1 to 9999", value)
    return EPOCH.astimezone(UTC) + timedelta(microseconds=micros)


def _date(days: int) -> date:
    return date(1970, 1, 1) + timedelta(days=days)
