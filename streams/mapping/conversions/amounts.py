"""Conversions of amounts: decimals as people write them, money in minor units, units of measure.
Arithmetic is exact.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from streams.mapping.row_errors import BadValue
from streams.mapping.values.numbers import EXACT, decimal_of, exactly, opposite
from streams.mapping.values.text import text_of
from streams.model.currency import EXPONENTS

Convert = Callable[[object], object]
_DIGITS_ONLY = re.compile(r"[0-9]*")

_NO_MINOR_UNIT = frozenset("XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX".split())
"""Codes of ISO 4217 that have no minor unit: metals, units of account, and no currency."""


def decimal(locale: str | None = None, point: str = ".", group: str = "") -> Convert:
    """Reads a number as people write it. Give either its `locale` (de_DE reads 1.234,56), or its decimal `point` and
    the separator of its `group`s of digits.

    Groups must be where the locale has them, so that 1,234 is never read as 1.234. If a locale separates groups by a
    space or an apostrophe, any kind of space or apostrophe is accepted. A number below zero has its minus sign in front
    or behind (SAP), or stands in parentheses. Full-width digits are read; signs of currencies, % and CR or DR are
    rejected. An empty text becomes null.

    Example: `{decimal: {locale: de_DE}}`: `1.234,56` → `1234.56`
    """
    if point == group:
        raise ValueError("`point` and `group` are the same")
    if locale is not None:
        return _by_locale(locale)

    def convert(value: object) -> Decimal | None:
        if value.__class__ is not str:
            return decimal_of(value)
        text = _signed(value)
        if not text:
            return None
        whole, mark, fraction = text.partition(point)
        if group and group in whole:
            head, *rest = whole.lstrip("+-").split(group)
            # The first group has one to three digits and the others exactly three, or the mark is not a group
            # separator.
            digits = all(_DIGITS_ONLY.fullmatch(piece) for piece in (head, *rest, fraction))
            if not digits or not 1 <= len(head) <= 3 or any(len(piece) != 3 for piece in rest):
                raise BadValue(f"groups of digits that are not of three (separator {group!r})", value)
            whole = whole.replace(group, "")
        if point != "." and "." in whole + fraction:
            raise BadValue(f"a point where {point!r} is the decimal mark", value)
        return decimal_of(f"{whole}.{fraction}" if mark else whole)

    return convert


def _signed(text: str) -> str:
    """A number with its sign in front, in plain digits."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    text = text.strip()
    if text[-1:] == "-" and text[:1].isdigit():
        return "-" + text[:-1].rstrip()
    if text[:1] == "(" and text[-1:] == ")" and text[1:2].isdigit():
        return "-" + text[1:-1]
    return text


_INTERCHANGEABLE = ("\u0020\u00a0\u202f", "'\u2019")
"""Group separators that people type instead of one another: spaces of three widths, and two apostrophes."""


def _by_locale(locale: str) -> Convert:
    from babel import Locale, UnknownLocaleError
    from babel.numbers import NumberFormatError, get_group_symbol, parse_decimal

    try:
        Locale.parse(locale)
    except (UnknownLocaleError, ValueError):
        raise ValueError(f"there is no locale {locale!r}; names are like de_DE, en_US, zh_CN") from None

    group = get_group_symbol(locale)
    typed = next((re.compile(f"(?<=[0-9])[{signs}](?=[0-9])") for signs in _INTERCHANGEABLE if group in signs), None)

    def convert(value: object) -> Decimal | None:
        if value.__class__ is not str:
            return decimal_of(value)
        text = _signed(value)
        if not text:
            return None
        if typed is not None:
            text = typed.sub(group, text)
        try:
            return decimal_of(parse_decimal(text, locale=locale, strict=True))
        except (NumberFormatError, InvalidOperation):  # the second for numbers of more than 28 digits
            raise BadValue(f"not a number as {locale} writes them", value) from None

    return convert


def minor_units(currency: str | None = None, currency_column: str | None = None) -> Callable[..., Decimal]:
    """Reads money that is counted in the smallest unit of its currency (ISO 4217). Give either the `currency`, or the
    `currency_column` of the row that holds it. 1250 in EUR is 12.50, in JPY 1250, in BHD 1.250.

    Example: `{minor_units: {currency: EUR}}`: `1250` → `12.50`
    """
    if (currency is None) == (currency_column is None):
        raise ValueError("needs one of `currency` and `currency_column`")
    fixed = currency_digits(currency) if currency is not None else 0

    def convert(value: object, row_currency: object = None) -> Decimal:
        digits = fixed
        if currency is None:
            try:
                digits = currency_digits(text_of(row_currency).strip().upper())
            except ValueError as error:
                raise BadValue(f"money in minor units, and {error}", row_currency) from None
        return exactly(EXACT.scaleb, decimal_of(value), Decimal(-digits))

    return convert


@cache
def _currencies() -> frozenset[str]:
    import pycountry

    return frozenset(c.alpha_3 for c in pycountry.currencies)


@cache
def currency_digits(currency: str) -> int:
    """The number of decimal places that ISO 4217 gives a currency's minor unit. Raises ValueError if there is no such
    currency, or it has no minor unit.

    babel is not the source of this: it counts the places that people show, and has none for RSD and LBP.
    """
    if currency not in _currencies():
        raise ValueError(f"there is no currency {currency!r} in ISO 4217")
    if currency in _NO_MINOR_UNIT:
        raise ValueError(f"{currency} has no minor unit in ISO 4217")
    return EXPONENTS.get(currency, 2)


def multiply(by: str | int) -> Convert:
    """Multiplies a number by `by`, exactly.

    Example: `{multiply: "0.01"}`: `1950` → `19.50`
    """
    try:
        factor = decimal_of(by)
    except BadValue as error:
        raise ValueError(str(error)) from None
    return lambda value: exactly(EXACT.multiply, decimal_of(value), factor)


def negate() -> Convert:
    """Changes the sign of a number, for systems that book credits below zero.

    Example: `negate`: `-12.5` → `12.5`
    """
    return lambda value: opposite(decimal_of(value))


def absolute() -> Convert:
    """Removes the sign of a number.

    Example: `absolute`: `-12.5` → `12.5`
    """
    return lambda value: decimal_of(value).copy_abs()


@cache
def _units() -> Any:
    from pint import UnitRegistry

    # Decimal factors: pint's own floats would not convert exactly.
    return UnitRegistry(non_int_type=Decimal, autoconvert_offset_to_baseunit=False)


def unit(source: str, to: str) -> Convert:
    """Converts a quantity from the unit `source` to the unit `to` of the same kind (g → kg, lb → kg, in → m). Units
    have the names of the Python package `pint`.

    The result is exact, except with a factor that has no end (kg → lb): that has 28 digits, so the field needs `round`.

    Example: `{unit: {source: g, to: kg}}`: `1500` → `1.500`
    """
    registry = _units()
    try:
        factor = registry.Quantity(Decimal(1), source).to(to).magnitude
        # A factor converts only units with the same zero point: 0 °C is not 0 K.
        zero = registry.Quantity(Decimal(0), source).to(to).magnitude
    except Exception as error:  # pint raises a dozen classes; each means a mistake in the dictionary
        raise ValueError(f"{source!r} cannot be converted to {to!r}: {error}") from None
    if zero:
        raise ValueError(
            f"{source!r} and {to!r} have different zero points, like °C and K: a factor cannot convert them"
        )
    return lambda value: exactly(EXACT.multiply, decimal_of(value), factor)
