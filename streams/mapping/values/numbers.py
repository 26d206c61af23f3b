"""Numbers of sources as canonical numbers: 32-bit integers, and decimals as integers at a field's scale.

Nothing is rounded unless the dictionary says how.
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

from streams.mapping.row_errors import BadValue

INT_MAX = 2**31 - 1
"""The canonical model's ints are Avro `int`s: 32 bits."""
DIGITS = 60
"""The most digits of a computed number. A result that needs more is rejected; only a quotient is rounded to this many.
"""
_ROUNDING = {"half_even": ROUND_HALF_EVEN, "half_up": ROUND_HALF_UP, "down": ROUND_DOWN}
_SHIFT = Context(prec=1000)
EXACT = Context(prec=DIGITS, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
LONGEST = 400
"""No number that a database sends has more characters. A longer one is an attack or a defect: big powers cost time."""


def decimal_of(value: object) -> Decimal:
    """The exact decimal of a source's number: a text, an int, a Decimal or a float (its shortest form, as repr writes
    it). Raises BadValue for anything else, also for NaN and infinity.
    """
    if value.__class__ is Decimal:
        number = value
    elif value.__class__ is int:
        return Decimal(value)
    elif value.__class__ is float:
        number = Decimal(repr(value))
    # Decimal() would also take digits of other scripts and underscores, which are not numbers to a database.
    elif value.__class__ is str and len(value) <= LONGEST and value.isascii() and "_" not in value:
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise BadValue("not a number", value) from None
    else:
        raise BadValue("not a number", value)
    if not number.is_finite():
        raise BadValue("not a finite number", value)
    # 1e999999999 is a short text, but a number of a thousand million digits once it is computed with.
    if abs(number.adjusted()) > LONGEST:
        raise BadValue("too large or too small for a number", value)
    return number


def exactly(operation: Callable[[Decimal, Decimal], Decimal], left: Decimal, right: Decimal) -> Decimal:
    """The result of an operation of `EXACT`. Raises BadValue if it needs more digits; Python's own context would round
    it to 28 digits in silence.
    """
    try:
        return operation(left, right)
    except ArithmeticError:
        raise BadValue(f"the result has more than {DIGITS} digits", (left, right)) from None


def opposite(number: Decimal) -> Decimal:
    """The number with the other sign, digit for digit; 0 has none."""
    return number.copy_negate() if number else number.copy_abs()


def unscaled(scale: int, precision: int, rounding: str | None = None) -> Callable[[object], int]:
    """A function from a number to its integer at `scale` decimal places (12.5 at scale 4 is 125000).

    It returns exactly the same value, or raises BadValue: for more than `precision` digits, for more decimal places
    than `scale` (unless `rounding` says how), for NaN, infinity and what is not a number.
    """
    limit = 10**precision
    powers = tuple(10 ** (scale - n) for n in range(scale + 1))
    mode = _ROUNDING[rounding] if rounding else None

    def slow(value: object) -> int:
        shifted: Decimal = decimal_of(value).scaleb(scale, _SHIFT)
        whole = shifted.to_integral_value(mode or ROUND_DOWN)
        if whole != shifted and mode is None:
            raise BadValue(f"more than {scale} decimals, and no `round` says what to do", value)
        if not -limit < whole < limit:
            raise BadValue(f"more than {precision - scale} digits before the point", value)
        return int(whole)

    def convert(value: object) -> int:
        # The usual amount is a short text: its digits are joined without a Decimal. Everything else takes `slow`.
        text: str | None
        if value.__class__ is str:
            text = value
        elif value.__class__ is float:
            text = repr(value)
        else:
            text = str(value) if value.__class__ is Decimal else None
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


def whole_number(value: object) -> int:
    """The int of an int, a text or a float that is whole and fits 32 bits."""
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


def truth(value: object) -> bool:
    """The boolean of true, false, 1 and 0 (MariaDB's tinyint(1)); the step `boolean` reads other forms."""
    if value is True or value is False:
        return bool(value)
    if value.__class__ is int and value in (0, 1):
        return bool(value == 1)
    raise BadValue("neither true nor false (the step `boolean` reads Y/N, yes/no, T/F, X and more)", value)
