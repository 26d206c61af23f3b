"""What compiled CEL expressions call: operators and functions with CEL's meaning. Each raises BadValue for what CEL has no meaning for."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

import re2  # type: ignore[import-untyped]

from streams.mapping.problems import BadValue


def _truth(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise BadValue("neither true nor false", value)


def _equal(left: Any, right: Any) -> bool:
    if (left is True or left is False) != (right is True or right is False):
        return False
    return bool(left == right)


def _among(item: Any, container: Any) -> bool:
    if isinstance(container, (list, tuple)):
        return any(_equal(item, x) for x in container)
    if isinstance(container, dict):
        return item in container
    raise BadValue("`in` needs a list or a map on its right", container)


def _number(value: Any) -> Any:
    if value is True or value is False or not isinstance(value, (int, float, Decimal)):
        raise BadValue("not a number (use decimal(x) or int(x) for numbers that are sent as text)", value)
    return value


def _pair(left: Any, right: Any) -> tuple[Any, Any]:
    if left.__class__ is Decimal and right.__class__ is Decimal:
        return left, right
    _number(left), _number(right)
    if isinstance(left, Decimal) and isinstance(right, float):
        right = Decimal(repr(right))
    elif isinstance(right, Decimal) and isinstance(left, float):
        left = Decimal(repr(left))
    return left, right


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        return left + right
    left, right = _pair(left, right)
    return left + right


def _subtract(left: Any, right: Any) -> Any:
    left, right = _pair(left, right)
    return left - right


def _multiply(left: Any, right: Any) -> Any:
    left, right = _pair(left, right)
    return left * right


def _divide(left: Any, right: Any) -> Any:
    left, right = _pair(left, right)
    if not right:
        raise BadValue("division by zero", left)
    if isinstance(left, int) and isinstance(right, int):
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    return left / right


def _remainder(left: Any, right: Any) -> Any:
    if not isinstance(left, int) or not isinstance(right, int):
        raise BadValue("% needs two integers", (left, right))
    if not right:
        raise BadValue("division by zero", left)
    return int(math.copysign(1, left)) * (abs(left) % abs(right))


def _negative(value: Any) -> Any:
    return -_number(value)


def _ordered(value: Any) -> Any:
    if value is None:
        raise BadValue("null has no order (test `x != null` before, or use coalesce(x, 0))", value)
    return value


def _size(value: Any) -> int:
    if isinstance(value, (str, list, dict)):
        return len(value)
    raise BadValue("size() needs a text, a list or a map", value)


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    raise BadValue("string() needs a text, a number or a boolean", value)


def _int(value: Any) -> int:
    number = _decimal(value)
    whole = int(number)
    if whole != number and isinstance(value, str):
        raise BadValue("not a whole number", value)
    return whole


def _decimal(value: Any) -> Decimal:
    if value.__class__ is int:
        return Decimal(value)
    if isinstance(value, Decimal):
        return value
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        try:
            number = Decimal(value if isinstance(value, (str, int)) else repr(value))
        except InvalidOperation:
            raise BadValue("not a number", value) from None
        if number.is_finite():
            return number
    raise BadValue("not a number", value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise BadValue("not a text", value)


@cache
def pattern(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options)


def _coalesce(*values: Any) -> Any:
    for value in values:
        if value is not None:
            return value
    return None


def _index(container: Any, key: Any) -> Any:
    if isinstance(container, list) and isinstance(key, int) and 0 <= key < len(container):
        return container[key]
    if isinstance(container, dict) and key in container:
        return container[key]
    raise BadValue(f"nothing at {key!r} in", container)


RUNTIME: dict[str, Any] = {
    "cel_truth": _truth,
    "cel_equal": _equal,
    "cel_among": _among,
    "cel_add": _add,
    "cel_subtract": _subtract,
    "cel_multiply": _multiply,
    "cel_divide": _divide,
    "cel_remainder": _remainder,
    "cel_negative": _negative,
    "cel_ordered": _ordered,
    "cel_size": _size,
    "cel_string": _string,
    "cel_int": _int,
    "cel_double": lambda v: float(_decimal(v)),
    "cel_decimal": _decimal,
    "cel_coalesce": _coalesce,
    "cel_index": _index,
    "cel_lower": lambda v: _text(v).lower(),
    "cel_upper": lambda v: _text(v).upper(),
    "cel_trim": lambda v: _text(v).strip(),
    "cel_startsWith": lambda v, prefix: _text(v).startswith(_text(prefix)),
    "cel_endsWith": lambda v, suffix: _text(v).endswith(_text(suffix)),
    "cel_contains": lambda v, piece: _text(piece) in _text(v),
    "cel_matches": lambda v, form: pattern(_text(form)).search(_text(v)) is not None,
    "cel_replace": lambda v, old, new: _text(v).replace(_text(old), _text(new)),
    "cel_split": lambda v, separator: _text(v).split(_text(separator)),
}
"""The names that compiled expressions use; put into the globals of the code that holds them."""
