"""What compiled CEL expressions call: operators and functions with the meaning that CEL gives them.

Each raises BadValue for operands for which CEL has no meaning, such as a text and a number that are added.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Context, Decimal
from functools import cache
from typing import Any

import re2  # type: ignore[import-untyped]

from streams.mapping.row_errors import BadValue
from streams.mapping.values.numbers import DIGITS, EXACT, decimal_of, exactly, opposite

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?\Z", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_QUOTIENT = Context(prec=DIGITS)
"""A third has no end, so a quotient is rounded, at a digit that is finer than any field."""


def _truth(value: object) -> bool:
    if value is True or value is False:
        return bool(value)
    raise BadValue("neither true nor false", value)


def _equal(left: object, right: object) -> bool:
    if (left.__class__ is str) != (right.__class__ is str) and left is not None and right is not None:
        what = "a text is compared with a number or a boolean (decimal(x) makes a number of a text, string(x) a text)"
        raise BadValue(what, (left, right))
    # In Python 1 == True; in CEL a number never equals a boolean.
    if (left is True or left is False) != (right is True or right is False):
        return False
    if left.__class__ is float and right.__class__ is Decimal:
        left = decimal_of(left)
    elif right.__class__ is float and left.__class__ is Decimal:
        right = decimal_of(right)
    return bool(left == right)


def _among(item: object, container: object) -> bool:
    if isinstance(container, (list, tuple)):
        is_text = item.__class__ is str
        # Of a list with texts and numbers, an item is compared with those of its kind.
        alike = [x for x in container if item is None or x is None or (x.__class__ is str) == is_text]
        return any([_equal(item, x) for x in (alike or container)])
    if isinstance(container, dict):
        return item in container
    raise BadValue("`in` needs a list or a map on its right", container)


def _number(value: object) -> int | float | Decimal:
    if value is True or value is False or not isinstance(value, (int, float, Decimal)):
        raise BadValue("not a number (use decimal(x) or int(x) for numbers that are sent as text)", value)
    return value


def _pair(left: object, right: object) -> tuple[Any, Any]:
    """Two ints, or two decimals. A float becomes the decimal of its shortest form, so that no digit is
    lost or added.
    """
    if left.__class__ is Decimal and right.__class__ is Decimal:
        return left, right
    _number(left), _number(right)
    if left.__class__ is int and right.__class__ is int:
        return left, right
    return decimal_of(left), decimal_of(right)


def _refuse_numbers_as_text(left: str, right: str) -> None:
    """9.00 and 1000.00 as texts are in another order than as numbers, and together they are 9.001000.00. Where types
    are known, such columns are numbers before they get here.
    """
    if ("." in left or "." in right) and _NUMBER.match(left) and _NUMBER.match(right):
        raise BadValue(
            "two numbers that are sent as text: use decimal(x), or string(x) if they are texts", (left, right)
        )


def _add(left: object, right: object) -> object:
    if isinstance(left, str) and isinstance(right, str):
        _refuse_numbers_as_text(left, right)
        return left + right
    if left.__class__ is str and right.__class__ is int and _DAY.match(left):
        return _moved(left, right)
    if isinstance(left, list) and isinstance(right, list):
        return left + right
    a, b = _pair(left, right)
    return a + b if a.__class__ is int else exactly(EXACT.add, a, b)


def _moved(on: str, days: int) -> str:
    try:
        return (date.fromisoformat(on) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        raise BadValue("not a day that the calendar has", (on, days)) from None


def _subtract(left: object, right: object) -> object:
    if left.__class__ is str and _DAY.match(left):
        if right.__class__ is int:
            return _moved(left, -right)
        if right.__class__ is str and _DAY.match(right):
            return (date.fromisoformat(left) - date.fromisoformat(right)).days
    a, b = _pair(left, right)
    return a - b if a.__class__ is int else exactly(EXACT.subtract, a, b)


def _multiply(left: object, right: object) -> object:
    a, b = _pair(left, right)
    return a * b if a.__class__ is int else exactly(EXACT.multiply, a, b)


def _divide(left: object, right: object) -> object:
    a, b = _pair(left, right)
    if not b:
        raise BadValue("division by zero", a)
    if isinstance(a, int) and isinstance(b, int):
        # Python's // rounds down, CEL divides towards zero: -7 / 2 is -3.
        quotient = abs(a) // abs(b)
        return quotient if (a < 0) == (b < 0) else -quotient
    return _QUOTIENT.divide(a, b)


def _remainder(left: object, right: object) -> int:
    if not isinstance(left, int) or not isinstance(right, int):
        raise BadValue("% needs two integers", (left, right))
    if not right:
        raise BadValue("division by zero", left)
    # The sign of the left operand, as in CEL; Python takes the sign of the right one.
    return int(math.copysign(1, left)) * (abs(left) % abs(right))


def _negative(value: object) -> int | Decimal:
    number = _number(value)
    return -number if isinstance(number, int) else opposite(decimal_of(number))


def _ordered(value: object) -> object:
    if value is None:
        raise BadValue("null has no order (test `x != null` before, or use coalesce(x, 0))", value)
    return decimal_of(value) if value.__class__ is float else value


def _compare(left: object, right: object, how: str) -> bool:
    """Two values of which nothing was known before there was a row."""
    if left.__class__ is str and right.__class__ is str:
        _refuse_numbers_as_text(left, right)
    return bool(_ORDER[how](_ordered(left), _ordered(right)))


def _size(value: object) -> int:
    if isinstance(value, (str, list, dict)):
        return len(value)
    raise BadValue("size() needs a text, a list or a map", value)


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    raise BadValue("string() needs a text, a number or a boolean", value)


def _int(value: object) -> int:
    number = decimal_of(value)
    whole = int(number)
    if whole != number:
        raise BadValue("not a whole number", value)
    return whole


def _double(value: object) -> float:
    number = decimal_of(value)
    double = float(number)
    if Decimal(repr(double)) != number:
        raise BadValue("more digits than a double holds (decimal(x) holds them)", value)
    return double


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise BadValue("not a text", value)


@cache
def compiled_pattern(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options)


def _coalesce(*values: object) -> object:
    for value in values:
        if value is not None:
            return value
    return None


def _index(container: object, key: object) -> object:
    if isinstance(container, list) and isinstance(key, int) and 0 <= key < len(container):
        return container[key]
    if isinstance(container, dict) and key in container:
        return container[key]
    raise BadValue(f"nothing at {key!r} in", container)


RUNTIME: dict[str, Callable[..., object]] = {
    "cel_truth": _truth,
    "cel_equal": _equal,
    "cel_among": _among,
    "cel_add": _add,
    "cel_concatenate": lambda left, right: _text(left) + _text(right),
    "cel_compare": _compare,
    "cel_subtract": _subtract,
    "cel_multiply": _multiply,
    "cel_divide": _divide,
    "cel_remainder": _remainder,
    "cel_negative": _negative,
    "cel_ordered": _ordered,
    "cel_size": _size,
    "cel_string": _string,
    "cel_int": _int,
    "cel_double": _double,
    "cel_decimal": decimal_of,
    "cel_coalesce": _coalesce,
    "cel_index": _index,
    "cel_lower": lambda v: _text(v).lower(),
    "cel_upper": lambda v: _text(v).upper(),
    "cel_trim": lambda v: _text(v).strip(),
    "cel_startsWith": lambda v, prefix: _text(v).startswith(_text(prefix)),
    "cel_endsWith": lambda v, suffix: _text(v).endswith(_text(suffix)),
    "cel_contains": lambda v, piece: _text(piece) in _text(v),
    "cel_matches": lambda v, form: compiled_pattern(_text(form)).search(_text(v)) is not None,
    "cel_replace": lambda v, old, new: _text(v).replace(_text(old), _text(new)),
    "cel_split": lambda v, separator: _text(v).split(_text(separator)),
}
"""The functions that compiled expressions call, by name; they are globals of the generated code."""
