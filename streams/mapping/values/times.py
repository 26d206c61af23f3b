"""Moments and days of sources, as microseconds since 1970 in UTC and days since 1970.

A time without a zone is local to a declared zone. In the hour that comes twice when clocks go back, it is ambiguous:
the earlier reading is taken, with a mapping note. In the hour that is skipped when clocks go forward, it never existed:
it is read with the offset from before, with a mapping note. Years are 1 to 9999; infinity and year 0 are rejected.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from streams.mapping.notes import AddNote, no_note
from streams.mapping.row_errors import BadValue

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = date(1970, 1, 1).toordinal()
FIRST_DAY = date(1, 1, 1).toordinal() - EPOCH_DAY
LAST_DAY = date(9999, 12, 31).toordinal() - EPOCH_DAY
DAY = 86_400_000_000
FIRST_MICRO = FIRST_DAY * DAY
LAST_MICRO = (LAST_DAY + 1) * DAY - 1
NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a local clock has no zone
_LONGEST_UTC = len("2024-05-01T10:00:00.123456Z")
_FRACTIONS = re.compile(r"[.,]([0-9]+)")
_BLOCK = 900_000_000
"""A quarter of an hour. Zones seldom change their offset within one, so one offset is remembered for each block."""
_MOST_BLOCKS = 100_000
"""Remembered blocks of a zone, some 10 MB: three years of quarters."""
_DAYS = "a number of days, read as a time (a `date` column? `opshub apply` reads the types of the columns)"
INFINITE = {
    -2_147_472_693: "infinity", -2_147_472_692: "-infinity", 2_146_033_979: "infinity", -2_147_472_691: "-infinity",
    **{-622_191_234 + n: "infinity" for n in (-1, 0, 1)}, **{-625_821_272 + n: "-infinity" for n in (-1, 0, 1)},
    9_223_372_036_825_200_000: "infinity", -9_223_372_036_832_400_000: "-infinity",
    2**63 - 1: "infinity", -(2**63): "-infinity",
}  # fmt: skip
"""What Debezium sends for infinite days and timestamps without zone (PostgresValueConverter, PGStatement). The stream
sends the days 2146033979 and -2147472691 (seen with 3.7). A snapshot cuts an infinite day to 32 bits, which of three
neighbours depends on the time zone of Connect, and a time to 64 bits. `verify` makes the first two.
"""
NEXT_TO_LAST, NEXT_TO_FIRST = "+10000-01-01T", "0000-12-31T"
"""How moments in UTC begin that are on the last or first day of the calendar only in other zones."""
_PER_UNIT = {"seconds": 1_000_000, "millis": 1_000, "micros": 1}


def micros_between(moment: datetime, since: datetime) -> int:
    """Whole microseconds from one datetime to another."""
    span = moment - since
    return span.days * DAY + span.seconds * 1_000_000 + span.microseconds


def local_to_utc(timezone: str, note: AddNote = no_note, ambiguous: str = "earlier") -> Callable[[int], int]:
    """A function from local microseconds since 1970 (as if the local clock were UTC) to microseconds in UTC;
    `ambiguous` is earlier, later or reject.
    """
    if timezone == "UTC":
        return lambda local: local
    zone = ZoneInfo(timezone)
    offsets: dict[int, int] = {}
    # Two days inside the range of datetime, so that neither an offset nor the end of a block leaves it.
    first, last = FIRST_MICRO + 2 * DAY, LAST_MICRO - 2 * DAY

    def offset(naive: datetime, fold: int) -> int:
        delta = naive.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()
        return delta.days * DAY + delta.seconds * 1_000_000 + delta.microseconds

    def exact(local: int) -> int:
        if not first <= local <= last:
            return local - offset(NAIVE_EPOCH + timedelta(microseconds=min(max(local, first), last)), 0)
        naive = NAIVE_EPOCH + timedelta(microseconds=local)
        # PEP 495: fold 0 and 1 are the two readings of a local time. They differ only in an hour that comes twice or
        # never.
        before, after = offset(naive, 0), offset(naive, 1)
        if before == after:
            return local - before
        kind = "ambiguous" if before > after else "skipped"
        if ambiguous == "reject":
            raise BadValue(f"{kind} local time in {timezone}", naive.isoformat(" "))
        later = ambiguous == "later" and kind == "ambiguous"
        note(
            f"{kind} local time in {timezone}, read as the {'later' if later else 'earlier'} one", naive.isoformat(" ")
        )
        return local - (after if later else before)

    def block_offset(block: int) -> int | None:
        """The offset of a whole quarter of an hour, or None if it changes within."""
        start = block * _BLOCK
        if not first <= start <= last:
            return None
        ends = [NAIVE_EPOCH + timedelta(microseconds=start), NAIVE_EPOCH + timedelta(microseconds=start + _BLOCK - 1)]
        seen = {offset(end, fold) for end in ends for fold in (0, 1)}
        return seen.pop() if len(seen) == 1 else None

    def convert(local: int) -> int:
        block = local // _BLOCK
        known = offsets.get(block)
        if known is None:
            known = block_offset(block)
            if known is None:
                return exact(local)
            if len(offsets) > _MOST_BLOCKS:
                offsets.clear()
            offsets[block] = known
        return local - known

    return convert


def micros_of_local(value: int) -> int:
    """Local microseconds of a column, checked: BadValue for a number of days, and outside the years 1 to 9999.

    Debezium sends a date as days and a timestamp without zone as microseconds, both as a number. Read as microseconds,
    every day of the calendar is within three seconds of 1970: no time of a business but a whole second.
    """
    if value <= LAST_DAY and value >= FIRST_DAY and value % 1_000_000:
        raise BadValue(_DAYS, value)
    if not FIRST_MICRO <= value <= LAST_MICRO:
        raise BadValue("a time outside the years 1 to 9999 (infinity, or another unit?)", value)
    return value


def instant(
    unit: str = "micros", timezone: str = "UTC", note: AddNote = no_note, ambiguous: str = "earlier"
) -> Callable[[object], int]:
    """A function from a timestamp to microseconds since 1970 in UTC.

    It takes an int in `unit` (as if the local clock were UTC, the way Debezium sends a timestamp without zone); ISO
    8601 text with a zone, or without one in `timezone`; or a datetime or a day (its midnight) that a step returned. It
    raises BadValue for times outside the years 1 to 9999, for infinity, for times finer than a microsecond, and for
    anything else.
    """
    to_utc = local_to_utc(timezone, note, ambiguous)
    factor = _PER_UNIT.get(unit)
    is_utc = timezone == "UTC"

    def of_int(value: int) -> int:
        if factor is None:
            if value % 1000:
                raise BadValue("finer than a microsecond", value)
            local = value // 1000
        elif factor == 1:
            if value <= LAST_DAY and value >= FIRST_DAY and value % 1_000_000:
                raise BadValue(_DAYS, value)
            local = value
        else:
            local = value * factor
        if not FIRST_MICRO <= local <= LAST_MICRO:
            raise BadValue("a time outside the years 1 to 9999 (infinity, or another unit?)", value)
        result = local if is_utc else to_utc(local)
        if not FIRST_MICRO <= result <= LAST_MICRO:
            raise BadValue("a time outside the years 1 to 9999", value)
        return result

    def in_range(micros: int, value: object) -> int:
        if FIRST_MICRO <= micros <= LAST_MICRO:
            return micros
        raise BadValue("a time outside the years 1 to 9999", value)

    def of_datetime(moment: datetime, value: object) -> int:
        if moment.tzinfo is not None:
            return in_range(micros_between(moment, EPOCH), value)
        local = micros_between(moment, NAIVE_EPOCH)
        return in_range(local if is_utc else to_utc(local), value)

    def convert(value: object) -> int:
        if value.__class__ is str:
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                raise BadValue("not an ISO 8601 time (infinity, or a format for the step `datetime`?)", value) from None
            # A text in the usual form that is not longer than this has no room for nanoseconds: no need to search for
            # them.
            if value[-1] == "Z" and len(value) <= _LONGEST_UTC and value[4] == "-" and value[13:14] == ":":
                span = moment - EPOCH
                return span.days * DAY + span.seconds * 1_000_000 + span.microseconds
            _refuse_nanos(value)
            return of_datetime(moment, value)
        if value.__class__ is int:
            return of_int(value)
        if value.__class__ is date:  # a day as a moment: its midnight in the time zone
            local = (value.toordinal() - EPOCH_DAY) * DAY
            return in_range(local if is_utc else to_utc(local), value)
        if isinstance(value, datetime):
            return of_datetime(value, value)
        raise BadValue("not a time", value)

    return convert


def _refuse_nanos(value: str) -> None:
    """datetime.fromisoformat cuts digits after the microsecond in silence. ISO 8601 also allows a comma as
    the point.
    """
    if any(fraction[6:].strip("0") for fraction in _FRACTIONS.findall(value)):
        raise BadValue("finer than a microsecond", value)


def day(value: object) -> int:
    """Days since 1970 from an int of days (Debezium's form), ISO text YYYY-MM-DD, or a date that a step returned."""
    if value.__class__ is int:
        if FIRST_DAY <= value <= LAST_DAY:
            return value
        raise BadValue(
            "a day outside the years 1 to 9999 (infinity, a timestamp, or yyyymmdd? there are steps for these)", value
        )
    if value.__class__ is str and len(value) == 10:
        try:
            return date.fromisoformat(value).toordinal() - EPOCH_DAY
        except ValueError:
            pass
    if value.__class__ is date:
        return value.toordinal() - EPOCH_DAY
    raise BadValue("not a day in the form YYYY-MM-DD (the step `date` reads other forms)", value)
