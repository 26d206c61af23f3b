"""Numbers: whole ones, decimals at a field's scale, and how people write them. Nothing is rounded unless the dictionary
says how.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from typing import Any

from streams.mapping.row_errors import BadValue

INT_MAX = 2**31 - 1
"""The canonical model's ints are Avro `int`s: 32 bits."""
DIGITS = 60
"""The most digits that a computed number has; what needs more is rejected, but for a division, which is rounded to them."""
_ROUNDING = {"half_even": ROUND_HALF_EVEN, "half_up": ROUND_HALF_UP, "down": ROUND_DOWN}
_SHIFT = Context(prec=1000)
EXACT = Context(prec=DIGITS, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
LONGEST = 400
"""No number that a database sends is longer; more is an attack or a fault, and big powers cost time."""

Number = str | int | float | Decimal


def decimal_of(value: Any) -> Decimal:
    """The exact decimal that a source's number is: text, int or float (a float is what its shortest form says).
    BadValue for anything else, NaN and infinity too.
    """
    kind = value.__class__
    if kind is Decimal:
        number = Decimal(value)
    elif kind is int:
        return Decimal(value)
    elif kind is float:
        number = Decimal(repr(value))
    elif kind is str and len(value) <= LONGEST and value.isascii() and "_" not in value:
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise BadValue("not a number", value) from None
    else:
        raise BadValue("not a number", value)
    if not number.is_finite():
        raise BadValue("not a finite number", value)
    if abs(number.adjusted()) > LONGEST:
        raise BadValue("too large or too small for a number", value)
    return number


def exactly(operation: Callable[[Decimal, Decimal], Decimal], left: Decimal, right: Decimal) -> Decimal:
    """What an operation of `EXACT` gives; BadValue where its digits do not suffice. Python's own context would round to 28."""
    try:
        return operation(left, right)
    except ArithmeticError:
        raise BadValue(f"the result has more than {DIGITS} digits", (left, right)) from None


def opposite(number: Decimal) -> Decimal:
    """The number with the other sign, digit for digit; 0 has none."""
    return number.copy_negate() if number else number.copy_abs()


def unscaled(scale: int, precision: int, rounding: str | None = None) -> Callable[[Any], int]:
    """A function from a number to its integer at `scale` decimals (12.5 at scale 4 is 125000).

    Promises that the value is the same, or BadValue: more than `precision` digits, more decimals than `scale` (unless
    `rounding` says how), NaN, infinity, no number.
    """
    limit = 10**precision
    powers = tuple(10 ** (scale - n) for n in range(scale + 1))
    mode = _ROUNDING[rounding] if rounding else None

    def slow(value: Any) -> int:
        shifted: Decimal = decimal_of(value).scaleb(scale, _SHIFT)
        whole = shifted.to_integral_value(mode or ROUND_DOWN)
        if whole != shifted and mode is None:
            raise BadValue(f"more than {scale} decimals, and no `round` says what to do", value)
        if not -limit < whole < limit:
            raise BadValue(f"more than {precision - scale} digits before the point", value)
        return int(whole)

    def convert(value: Any) -> int:
        kind = value.__class__
        text = value if kind is str else repr(value) if kind is float else str(value) if kind is Decimal else None
        if text is not None:
            whole, _, fraction = text.partition(".")
            decimals = len(fraction)
            if decimals > scale:
                fraction = fraction.rstrip("0")
                decimals = len(fraction)
            if decimals <= scale:
                digits = whole + fraction
                if (
                    digits.isascii()
                    and len(digits) < precision
                    and (digits.isdigit() or (digits[:1] == "-" and digits[1:].isdigit()))
                ):
                    number: int = int(digits) * powers[decimals]
                    if -limit < number < limit:
                        return number
        return slow(value)

    return convert


def whole_number(value: Any) -> int:
    """An int from an int, a text or a float that is whole and fits 32 bits."""
    number: int
    if value.__class__ is int:
        number = value
    else:
        exact = decimal_of(value)
        number = int(exact)
        if number != exact:
            raise BadValue("not a whole number", value)
    if not -INT_MAX - 1 <= number <= INT_MAX:
        raise BadValue("does not fit 32 bits", value)
    return number


def truth(value: Any) -> bool:
    """A boolean from true, false, 1 and 0 (MariaDB's tinyint(1)); other fashions take the step `boolean`."""
    if value is True or value is False:
        return bool(value)
    if value.__class__ is int and value in (0, 1):
        return bool(value == 1)
    raise BadValue("neither true nor false (the step `boolean` reads Y/N, yes/no, T/F, X and more)", value)
