"""Exchange rates from a captured table: the newest rate of a pair of currencies that is not after a day.

A `RateTable` receives the row changes of the rates table, as a `LookupTable` does. Converted amounts are exact
products; the field's `round` says how they are cut to its scale. The rate, its day and the original amount are kept in
the record's `attributes`.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from streams.mapping.lookups import identity_of
from streams.mapping.row_errors import BadValue, LookupPending
from streams.mapping.values.numbers import EXACT, decimal_of, exactly
from streams.mapping.values.text import key_text, text_of
from streams.mapping.values.times import DAY, FIRST_DAY, LAST_DAY, day
from streams.model.change import UNCHANGED, Position, RowChange

Pair = tuple[str, str]
"""The currency that is converted, and the currency that it becomes."""
_FIRST_YYYYMMDD, _LAST_YYYYMMDD = 10_000_101, 99_991_231


class RateColumns(NamedTuple):
    """The columns of a rates table: 1 `source` is `rate` `to`, from `date` on."""

    source: str
    to: str
    rate: str
    date: str


def any_day(value: object) -> int:
    """Days since 1970 of a day or a moment as sources send it: days, yyyymmdd, microseconds, ISO text.

    A number is a day where it can be one, then yyyymmdd, then microseconds. The ranges do not overlap within the years
    that business data has: 2932896 days are the year 9999, and 99991231 microseconds are within the first two minutes
    of 1970.
    """
    if value.__class__ is int:
        if FIRST_DAY <= value <= LAST_DAY:
            return value
        if _FIRST_YYYYMMDD <= value <= _LAST_YYYYMMDD:
            try:
                return day(date(value // 10_000, value // 100 % 100, value % 100))
            except ValueError:
                raise BadValue("not a day that the calendar has", value) from None
        return day(value // DAY)
    return day(value[:10] if value.__class__ is str else value)


class RateTable:
    """The known rates, by pair of currencies and day."""

    def __init__(self, table: str, columns: RateColumns) -> None:
        self.table = table
        self.columns = columns
        self._rates: dict[Pair, list[tuple[int, Decimal]]] = {}
        """(day, rate) of each pair, in the order of days."""
        self._rows: dict[str, tuple[Position, tuple[Pair, tuple[int, Decimal]] | None]] = {}
        """The newest position and rate of each row, by its key: so that a change replaces the row's old rate."""

    def apply(self, change: RowChange, attribute: Callable[[str], str], key_columns: tuple[str, ...]) -> bool:
        """Take in one row change of the rates table. True if an amount may now convert differently. Raises BadValue for
        a row that is not a rate.
        """
        identity = identity_of(change, attribute, key_columns)
        position, old_entry = self._rows.get(identity, (None, None))
        if position is not None and change.position < position:
            return False
        entry = None if change.after is None else self._entry(change.after, attribute)
        if old_entry is not None:
            self._rates[old_entry[0]].remove(old_entry[1])
        if entry is not None:
            insort(self._rates.setdefault(entry[0], []), entry[1])
        self._rows[identity] = (change.position, entry)
        return old_entry != entry

    def _entry(self, row: object, attribute: Callable[[str], str]) -> tuple[Pair, tuple[int, Decimal]]:
        values = [getattr(row, attribute(column)) for column in self.columns]
        if any(v is None or v is UNCHANGED for v in values):
            raise BadValue(f"a row of {self.table} without currencies, rate or day", values)
        source, to, rate, on = values
        exact = decimal_of(rate)
        if exact <= 0:
            raise BadValue("a rate that is not above zero", rate)
        return (text_of(source).strip().upper(), text_of(to).strip().upper()), (any_day(on), exact)

    def find(self, source: str, to: str, on: int) -> tuple[int, Decimal]:
        """The day and the rate that are valid on a day. Raises LookupPending if none is known yet."""
        rates = self._rates.get((source, to), [])
        # With Infinity as the rate, every entry of the day itself sorts before this place.
        index = bisect_right(rates, (on, Decimal("Infinity")))
        if index == 0:
            raise LookupPending(self.table, f"{source} to {to} on {date(1970, 1, 1) + timedelta(days=on)}")
        return rates[index - 1]

    def converter(self, to: str) -> Callable[[object, object, object], Decimal]:
        """convert(amount, currency, day) → the amount in `to`."""

        def convert(amount: object, currency: object, on: object) -> Decimal:
            source = _currency(currency)
            if source == to:  # no rate is needed, so a missing day is no mistake here
                return decimal_of(amount)
            return exactly(EXACT.multiply, decimal_of(amount), self.find(source, to, any_day(_not_null(on)))[1])

        return convert

    def keeper(self, to: str, what: str) -> Callable[[object, object, object], str | None]:
        """keep(amount, currency, day) → the text that `attributes` keep of a conversion: its `rate`, `rate_date` or
        `original`; null if nothing was converted.
        """

        def keep(amount: object, currency: object, on: object) -> str | None:
            if amount is None or _currency(currency) == to:
                return None
            if what == "original":
                return f"{decimal_of(amount):f} {_currency(currency)}"
            valid_from, rate = self.find(_currency(currency), to, any_day(_not_null(on)))
            return f"{rate:f}" if what == "rate" else (date(1970, 1, 1) + timedelta(days=valid_from)).isoformat()

        return keep


def _currency(value: object) -> str:
    if value is None:
        raise BadValue("an amount without a currency cannot be converted", value)
    return key_text(value).strip().upper()


def _not_null(on: object) -> object:
    if on is None:
        raise BadValue("an amount without a day cannot be converted", on)
    return on
