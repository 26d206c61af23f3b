"""Exchange rates from a captured table: the newest rate of a pair of currencies that is not after a day.

A `RateTable` is told of the row changes of the rates table, as a `LookupTable` is. Converted amounts are exact
products; the field's `round` says how they are cut to its scale. The rate, its day and the original amount are kept in
`attributes`.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from streams.dictionary.language import Rates
from streams.mapping.cleanse.numbers import EXACT, decimal_of, exactly
from streams.mapping.cleanse.text import key_text, text_of
from streams.mapping.cleanse.times import DAY, FIRST_DAY, LAST_DAY, day
from streams.mapping.lookups import LookupPending, identity_of
from streams.mapping.problems import BadValue
from streams.model.change import UNCHANGED, Position, RowChange

Pair = tuple[str, str]


def any_day(value: Any) -> int:
    """Days since 1970 of a day or a moment as sources send it: days, yyyymmdd, microseconds, ISO text."""
    if value.__class__ is int:
        if FIRST_DAY <= value <= LAST_DAY:
            return int(value)
        if 10_000_101 <= value <= 99_991_231:
            try:
                return day(date(value // 10_000, value // 100 % 100, value % 100))
            except ValueError:
                raise BadValue("not a day that the calendar has", value) from None
        return day(value // DAY)
    return day(value[:10] if value.__class__ is str else value)


class RateTable:
    """The rates that are known, by pair and day."""

    def __init__(self, rates: Rates) -> None:
        self.table = rates.table
        self.rates = rates
        self._days: dict[Pair, list[tuple[int, Decimal]]] = {}
        self._seen: dict[str, tuple[Position, tuple[Pair, tuple[int, Decimal]] | None]] = {}

    def apply(self, change: RowChange, attribute: Callable[[str], str], key_columns: tuple[str, ...]) -> bool:
        """Take in one row change of the rates table. True if an amount may now convert differently. BadValue for a row
        that is no rate.
        """
        identity = identity_of(change, attribute, key_columns)
        seen, held = self._seen.get(identity, (None, None))
        if seen is not None and change.position < seen:
            return False
        entry = None if change.after is None else self._entry(change.after, attribute)
        if held is not None:
            self._days[held[0]].remove(held[1])
        if entry is not None:
            insort(self._days.setdefault(entry[0], []), entry[1])
        self._seen[identity] = (change.position, entry)
        return held != entry

    def _entry(self, row: Any, attribute: Callable[[str], str]) -> tuple[Pair, tuple[int, Decimal]]:
        of = self.rates
        values = [getattr(row, attribute(c)) for c in (of.source, of.to, of.rate, of.date)]
        if any(v is None or v is UNCHANGED for v in values):
            raise BadValue(f"a row of {self.table} without currencies, rate or day", values)
        rate = decimal_of(values[2])
        if rate <= 0:
            raise BadValue("a rate that is not above zero", values[2])
        return (text_of(values[0]).strip().upper(), text_of(values[1]).strip().upper()), (any_day(values[3]), rate)

    def find(self, source: str, to: str, on: int) -> tuple[int, Decimal]:
        """The day and the rate that hold on a day. LookupPending if none is known yet."""
        rates = self._days.get((source, to), [])
        index = bisect_right(rates, (on, Decimal("Infinity")))
        if index == 0:
            raise LookupPending(self.table, f"{source} to {to} on {date(1970, 1, 1) + timedelta(days=on)}")
        return rates[index - 1]

    def converter(self, to: str) -> Callable[[Any, Any, Any], Decimal]:
        """convert(amount, currency, day) → the amount in `to`."""

        def convert(amount: Any, currency: Any, on: Any) -> Decimal:
            source = _currency(currency)
            if source == to:
                return decimal_of(amount)
            return exactly(EXACT.multiply, decimal_of(amount), self.find(source, to, any_day(_given(on)))[1])

        return convert

    def keeper(self, to: str, what: str) -> Callable[[Any, Any, Any], str | None]:
        """keep(amount, currency, day) → what is kept of a conversion, as text: `rate`, `rate_date` or `original`; null
        if none was made.
        """

        def keep(amount: Any, currency: Any, on: Any) -> str | None:
            if amount is None or _currency(currency) == to:
                return None
            if what == "original":
                return f"{decimal_of(amount):f} {_currency(currency)}"
            known, rate = self.find(_currency(currency), to, any_day(_given(on)))
            return f"{rate:f}" if what == "rate" else (date(1970, 1, 1) + timedelta(days=known)).isoformat()

        return keep


def _currency(value: Any) -> str:
    if value is None:
        raise BadValue("an amount without a currency cannot be converted", value)
    return key_text(value).strip().upper()


def _given(value: Any) -> Any:
    if value is None:
        raise BadValue("an amount without a day cannot be converted", value)
    return value
