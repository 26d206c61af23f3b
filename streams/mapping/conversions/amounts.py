"""Amounts: decimals as people write them, money in minor units, percentages, units of measure. Arithmetic is exact."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from streams.mapping.row_errors import BadValue
from streams.mapping.values.numbers import EXACT, decimal_of, exactly, opposite
from streams.mapping.values.text import text_of

Convert = Callable[[Any], Any]
_DIGITS_ONLY = re.compile(r"[0-9]*")

_EXPONENTS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
_EXPONENTS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3) | {"CLF": 4, "UYW": 4}
"""Currencies whose minor unit is not a hundredth. Source: ISO 4217, List One, as SIX publishes it (2026-01-01)."""
_WITHOUT = frozenset("XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX".split())
"""Codes of List One that have no minor unit: metals, units of account, and no currency."""


def decimal(locale: str | None = None, point: str = ".", group: str = "") -> Convert:
    """A number as people write it: with a `locale` (de_DE reads 1.234,56), or with a decimal `point` and a `group`
    separator. Where a locale parts groups by a blank or an apostrophe, any blank or apostrophe will do.

    Groups must be where the locale has them, so that 1,234 is never taken for 1.234. '' is null.
    """
    if point == group:
        raise ValueError("`point` and `group` are the same")
    if locale is not None:
        return _by_locale(locale)

    def convert(value: Any) -> Decimal | None:
        if value.__class__ is not str:
            return decimal_of(value)
        text = value.strip()
        if not text:
            return None
        whole, mark, fraction = text.partition(point)
        if group and group in whole:
            head, *rest = whole.lstrip("+-").split(group)
            digits = all(_DIGITS_ONLY.fullmatch(piece) for piece in (head, *rest, fraction))
            if not digits or not 1 <= len(head) <= 3 or any(len(piece) != 3 for piece in rest):
                raise BadValue(f"groups of digits that are not of three (separator {group!r})", value)
            whole = whole.replace(group, "")
        if point != "." and "." in whole + fraction:
            raise BadValue(f"a point where {point!r} is the decimal mark", value)
        return decimal_of(f"{whole}.{fraction}" if mark else whole)

    return convert


_TYPED = ("\u0020\u00a0\u202f", "'\u2019")
"""Separators of groups that people type for one another: blanks of three widths, and two apostrophes."""


def _by_locale(locale: str) -> Convert:
    from babel import Locale, UnknownLocaleError
    from babel.numbers import NumberFormatError, get_group_symbol, parse_decimal

    try:
        Locale.parse(locale)
    except (UnknownLocaleError, ValueError):
        raise ValueError(f"there is no locale {locale!r}; names are like de_DE, en_US, zh_CN") from None

    group = get_group_symbol(locale)
    typed = next((re.compile(f"(?<=[0-9])[{signs}](?=[0-9])") for signs in _TYPED if group in signs), None)

    def convert(value: Any) -> Decimal | None:
        if value.__class__ is not str:
            return decimal_of(value)
        if not value.strip():
            return None
        text = value.strip() if typed is None else typed.sub(group, value.strip())
        try:
            return decimal_of(parse_decimal(text, locale=locale, strict=True))
        except (NumberFormatError, InvalidOperation):  # the second for numbers of more than 28 digits
            raise BadValue(f"not a number as {locale} writes them", value) from None

    return convert


def minor_units(currency: str | None = None, currency_column: str | None = None) -> Callable[..., Decimal]:
    """Money counted in the smallest unit of a currency (ISO 4217), the row's or a fixed one: 1250 in EUR is 12.50, in
    JPY 1250, in BHD 1.250.
    """
    if (currency is None) == (currency_column is None):
        raise ValueError("needs one of `currency` and `currency_column`")
    fixed = currency_digits(currency) if currency is not None else 0

    def convert(value: Any, row_currency: Any = None) -> Decimal:
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
    """How many decimals ISO 4217 gives a currency's minor unit, however many people show (babel's RSD and LBP have none).
    ValueError if there is no such currency, or it has no minor unit.
    """
    if currency not in _currencies():
        raise ValueError(f"there is no currency {currency!r} in ISO 4217")
    if currency in _WITHOUT:
        raise ValueError(f"{currency} has no minor unit in ISO 4217")
    return _EXPONENTS.get(currency, 2)


def multiply(by: str | int) -> Convert:
    """The number times `by`, exactly: {multiply: '0.01'} for a percentage that is kept as 1950."""
    try:
        factor = decimal_of(by)
    except BadValue as error:
        raise ValueError(str(error)) from None
    return lambda value: exactly(EXACT.multiply, decimal_of(value), factor)


def negate() -> Convert:
    """The number with the other sign, for systems that book credits below zero."""
    return lambda value: opposite(decimal_of(value))


def absolute() -> Convert:
    """The number without its sign."""
    return lambda value: decimal_of(value).copy_abs()


@cache
def _units() -> Any:
    from pint import UnitRegistry

    return UnitRegistry(non_int_type=Decimal, autoconvert_offset_to_baseunit=False)


def unit(source: str, to: str) -> Convert:
    """Converts a quantity between units of one kind (g → kg, lb → kg, in → m); units are named as pint names them. Exact, but
    for a factor without an end (kg → lb), which has 28 digits: say `round`.
    """
    registry = _units()
    try:
        factor = registry.Quantity(Decimal(1), source).to(to).magnitude
        zero = registry.Quantity(Decimal(0), source).to(to).magnitude
    except Exception as error:  # pint raises a dozen kinds; each is a mistake in the dictionary
        raise ValueError(f"{source!r} cannot be converted to {to!r}: {error}") from None
    if zero:
        raise ValueError(f"{source!r} and {to!r} do not share a zero; only factors are converted")
    return lambda value: exactly(EXACT.multiply, decimal_of(value), factor)


_UNIT_CODES: dict[str, str] = {}
for _code, _names in {
    "C62": "c62 pcs pc pce piece pieces ea each h87 st stk stck stück stueck un unit units 个 件 只 台",
    "KGM": "kgm kg kilogram kilograms kilo 千克 公斤",
    "GRM": "grm g gram grams gramm 克",
    "TNE": "tne t ton tonne tonnes to 吨",
    "MTR": "mtr m metre meter metres meters 米",
    "CMT": "cmt cm",
    "MMT": "mmt mm",
    "MTK": "mtk m2 m² sqm qm 平方米",
    "MTQ": "mtq m3 m³ cbm 立方米",
    "LTR": "ltr l litre liter litres liters 升",
    "HUR": "hur h hour hours hr hrs std stunde stunden 小时",
    "DAY": "day d days tag tage 天",
    "SET": "set sets satz 套",
    "BX": "bx box boxes karton ktn ctn carton cartons 箱",
    "PF": "pf pal pallet pallets palette paletten 托",
    "PR": "pr pair paar 对 双",
    "RO": "ro roll rolls rolle rollen 卷",
}.items():
    _UNIT_CODES |= dict.fromkeys(_names.split(), _code)


def unit_code(unknown: str = "reject") -> Convert:
    """The UN/ECE Recommendation 20 code of a unit of measure (Stk, EA, 个 → C62; kg → KGM), from codes and usual names;
    `unknown`: reject or pass.
    """
    if unknown not in ("reject", "pass"):
        raise ValueError(f"`unknown` is {unknown!r}; it is reject or pass")

    def convert(value: Any) -> str | None:
        text = text_of(value).strip()
        if not text:
            return None
        code = _UNIT_CODES.get(text.casefold().rstrip("."))
        if code is None and unknown == "reject":
            raise BadValue("not a unit of measure that is known", value)
        return code or text

    return convert
