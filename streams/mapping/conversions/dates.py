"""Conversions of dates and times: what a source writes becomes a date or datetime; the field's type then makes days or
microseconds of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from streams.mapping.notes import AddNote, no_note
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of
from streams.mapping.values.times import (
    DAY,
    EPOCH,
    EPOCH_DAY,
    FIRST_DAY,
    FIRST_MICRO,
    INFINITE,
    LAST_DAY,
    LAST_MICRO,
    NAIVE_EPOCH,
    NEXT_TO_FIRST,
    NEXT_TO_LAST,
    day,
    instant,
    local_to_utc,
    micros_between,
)

Convert = Callable[[object], object]
_DIRECTIVES = set("YmdHMSfbBypIzjaA%")
_AHEAD_OF_UTC, _BEHIND_UTC = 14 * 3_600_000_000, 12 * 3_600_000_000
"""The first zone in which a day begins, and the last."""
_FOUR_DIGITS = re.compile(r"[0-9]{4}")


def yyyymmdd() -> Convert:
    """Reads a day that is written as the number or text yyyymmdd. 0, 00000000 and an empty text become null.

    Example: `yyyymmdd`: `20240131` → `2024-01-31`
    """

    def convert(value: object) -> date | None:
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
    # As `_parsed` does with texts: full-width digits and signs are those of East Asian keyboards.
    listed = [unicodedata.normalize("NFKC", form) for form in listed]
    if not listed:
        raise ValueError("needs at least one format, e.g. '%d.%m.%Y'")
    for form in listed:
        for directive in re.findall(r"%(.)", form):
            if directive not in _DIRECTIVES:
                raise ValueError(
                    f"%{directive} in {form!r} is not known; known are {' '.join('%' + d for d in sorted(_DIRECTIVES))}"
                )
        if "%y" in form.replace("%%", "") and (pivot is None or not 0 <= pivot <= 99):
            raise ValueError(
                f"%y in {form!r} has no century: add `pivot`, the first two digits that mean 19xx"
                " ({pivot: 70}: 70 is 1970, 69 is 2069)"
            )
        if not with_time and re.search(r"%[HMSfIpz]", form):
            raise ValueError(f"{form!r} has a time in it; use the step `datetime`")
    return listed


def _parsed(text: str, formats: list[str], pivot: int | None) -> datetime:
    """The datetime that the formats give. Raises BadValue if none fits, or if two formats read the text differently."""
    readings: dict[datetime, str] = {}
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    for form in formats:
        if "%Y" in form and not _FOUR_DIGITS.search(text):
            continue  # strptime reads %Y from fewer digits: 24 would be the year 24
        try:
            moment = datetime.strptime(text, form)  # noqa: DTZ007 - the zone comes later
            if pivot is not None and "%y" in form:
                last = moment.year % 100
                moment = moment.replace(year=last + (1900 if last >= pivot else 2000))
            if "%j" in form and f"{moment.year % 100:02}" not in text:
                continue  # strptime takes day 366 of a year with 365 for the first of the next one
            readings.setdefault(moment, form)
        except ValueError:
            continue
    if not readings:
        raise BadValue(f"not in the form {' or '.join(formats)}", text)
    if len({moment.replace(tzinfo=None) for moment in readings}) > 1:
        raise BadValue(f"ambiguous between {' and '.join(readings.values())}", text)
    return next(iter(readings))


def date_in(formats: list[str] | str, pivot: int | None = None) -> Convert:
    """Reads a day in one or several `formats`, written as in Python's strptime: '%d.%m.%Y', ['%m/%d/%Y', '%Y-%m-%d']. A
    text that two formats read differently is rejected. Years of two digits (%y) need `pivot`, the first two digits that
    mean 19xx: with 70, 70 is 1970 and 69 is 2069. An empty text becomes null.

    Example: `{date: "%d.%m.%Y"}`: `31.01.2024` → `2024-01-31`
    """
    listed = _formats(formats, pivot, with_time=False)

    def convert(value: object) -> date | None:
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
    """Reads a moment in one or several `formats`, written as in Python's strptime. A text without a zone (%z) is local
    time in `timezone`. In the hour that comes twice when clocks go back, `ambiguous` says which one: earlier (with a
    mapping note), later or reject. `pivot` as for `date`. An empty text becomes null.

    Example: `{datetime: {formats: "%Y%m%d %H%M", timezone: Asia/Tokyo}}`: `20240701 1200` → `2024-07-01 03:00:00+00:00`
    """
    listed = _formats(formats, pivot, with_time=True)
    if ambiguous not in ("earlier", "later", "reject"):
        raise ValueError(f"`ambiguous` is {ambiguous!r}; it is earlier, later or reject")
    to_utc = local_to_utc(_known_zone(timezone), note, ambiguous)

    def convert(value: object) -> datetime | None:
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
    """Reads a timestamp without a zone as local time in `timezone`. In the hour that comes twice when clocks go back,
    `ambiguous` says which one: earlier, later or reject. A number is counted in `unit`.

    Example: `{local_time: {timezone: Europe/Berlin}}`: `"2024-07-01T12:00:00"` → `2024-07-01 10:00:00+00:00`
    """
    if ambiguous not in ("earlier", "later", "reject"):
        raise ValueError(f"`ambiguous` is {ambiguous!r}; it is earlier, later or reject")
    convert = instant(unit, _known_zone(timezone), note, ambiguous)
    return lambda value: value if isinstance(value, datetime) else _datetime(convert(value), value)


def date_of(timezone: str = "UTC", unit: str = "micros") -> Convert:
    """Takes the day of a moment, in the calendar of `timezone`. A timestamp without a zone keeps the day that it shows.
    A number is counted in `unit`.

    Example: `{date_of: {timezone: Europe/Berlin}}`: `"2024-07-01T23:30:00Z"` → `2024-07-02`
    """
    zone = ZoneInfo(_known_zone(timezone))
    utc = instant(unit)

    def convert(value: object) -> date:
        if value.__class__ is date:
            return value
        if value.__class__ is str and len(value) <= 10:
            return _date(day(value))
        moment = _datetime(utc(value), value)
        # A text without a zone keeps its day; only a moment with a zone is moved into `timezone`.
        zoned = value.__class__ is str and (value.endswith("Z") or datetime.fromisoformat(value).tzinfo is not None)
        try:
            return moment.astimezone(zone).date() if zoned or isinstance(value, datetime) else moment.date()
        except OverflowError:
            raise BadValue("a time outside the years 1 to 9999", value) from None

    return convert


def null_date(days: list[str]) -> Convert:
    """Changes the listed `days` to null: those that mean "no date" in this system; `infinity` and `-infinity` may be
    among them. A time without a zone becomes null if it is on such a day, and a moment with a zone if it is on such a
    day in any zone of the world.

    Example: `{null_date: ["1900-01-01", "9999-12-31"]}`: `"9999-12-31"` → `null`
    """
    try:
        null_days = {day(text) for text in days if text not in INFINITE.values()}
    except BadValue as error:
        raise ValueError(str(error)) from None
    texts = set(days)
    without_zone = {number + EPOCH_DAY for number in null_days}

    def of_moment(micros: int) -> bool:
        first, last = (micros - _BEHIND_UTC) // DAY, (micros + _AHEAD_OF_UTC) // DAY
        return not null_days.isdisjoint(range(first, last + 1))

    def of_int(value: int) -> bool:
        if value in INFINITE:
            return INFINITE[value] in texts
        is_day = FIRST_DAY <= value <= LAST_DAY and (value % 1_000_000 or not value)
        return (value if is_day else value // DAY) in null_days

    def of_text(text: str) -> bool:
        if text in texts or text[:10] in texts:
            return True
        for beginning, last_day in ((NEXT_TO_LAST, LAST_DAY), (NEXT_TO_FIRST, FIRST_DAY)):
            if text.startswith(beginning):
                return last_day in null_days
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return False
        if moment.tzinfo is None:
            return moment.toordinal() in without_zone
        return of_moment(micros_between(moment, EPOCH))

    def is_null(value: object) -> bool:
        if value.__class__ is int:
            return of_int(value)
        if value.__class__ is str:
            return of_text(value)
        if isinstance(value, datetime) and value.tzinfo is not None:
            return of_moment(micros_between(value, EPOCH))
        return isinstance(value, date) and value.toordinal() in without_zone

    return lambda value: None if is_null(value) else value


def epoch(unit: str = "seconds") -> Convert:
    """Reads a moment that is counted from 1970 in UTC, as a number or a text. `unit` is seconds, millis, micros or
    nanos.

    Example: `epoch`: `1704067200` → `2024-01-01 00:00:00+00:00`
    """
    if unit not in ("seconds", "millis", "micros", "nanos"):
        raise ValueError(f"`unit` is {unit!r}; it is seconds, millis, micros or nanos")
    convert = instant(unit)

    def read(value: object) -> datetime:
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
