"""CEL expressions of a dictionary, compiled to Python source.

In goes the text of an expression, out comes an `Expression`: a Python expression over the row's columns and the names
of the columns that it reads. `cel-python` parses; only the node kinds listed here are translated, each to source that
this module writes, so nothing but these operators and functions can run: no attribute access, no names but columns and
`FUNCTIONS`, no loops. cel-python's own evaluator costs some 200 us for an expression; the compiled form well under 1
us.

The meaning is CEL's (https://github.com/google/cel-spec/blob/master/doc/langdef.md): no value is true but `true`,
integers divide towards zero, a comparison of null with a number is an error. Added: `decimal(x)` for exact arithmetic,
`lower`, `upper`, `trim`, `replace`, `split`, `coalesce`, and `row["Any Name"]` for columns whose names CEL cannot
spell.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

import re2  # type: ignore[import-untyped]
from lark import Token, Tree

from streams.mapping.problems import BadValue

Node = Tree[Token] | Token


class ExpressionError(ValueError):
    """An expression cannot be compiled; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Expression:
    """`python` is source in which each column c of `columns` stands as `{c}`-free text that `name(c)` gave."""

    python: str
    columns: tuple[str, ...]
    boolean: bool
    """True if it can give nothing but true and false."""


# ---- what compiled expressions call ----


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
def _pattern(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def _coalesce(*values: Any) -> Any:
    return next((v for v in values if v is not None), None)


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
    "cel_matches": lambda v, pattern: _pattern(_text(pattern)).search(_text(v)) is not None,
    "cel_replace": lambda v, old, new: _text(v).replace(_text(old), _text(new)),
    "cel_split": lambda v, separator: _text(v).split(_text(separator)),
}
"""The names that compiled expressions use; put into the globals of the code that holds them."""

FUNCTIONS: dict[str, tuple[int, int, bool]] = {
    "size": (1, 1, False),
    "string": (1, 1, False),
    "int": (1, 1, False),
    "double": (1, 1, False),
    "decimal": (1, 1, False),
    "coalesce": (1, 9, False),
    "lower": (1, 1, False),
    "upper": (1, 1, False),
    "trim": (1, 1, False),
    "startsWith": (2, 2, True),
    "endsWith": (2, 2, True),
    "contains": (2, 2, True),
    "matches": (2, 2, True),
    "replace": (3, 3, False),
    "split": (2, 2, False),
}
"""Function -> fewest and most arguments (a method's object is the first), and whether it gives a boolean. Each may be
called as f(x) or x.f().
"""


@cache
def _parser() -> Any:
    from celpy.celparser import CELParser

    return CELParser()


def compile_expression(text: str, name: Callable[[str], str]) -> Expression:
    """Compile a CEL expression; `name` gives the Python name under which a column's value will stand. Raises
    ExpressionError.
    """
    from celpy.celparser import CELParseError

    try:
        tree = _parser().parse(text)
    except CELParseError as error:
        at = f" at column {error.column}" if error.column else ""
        raise ExpressionError(f"not a CEL expression{at}: {text!r}") from None
    translator = _Translator(name)
    python, boolean = translator.visit(tree)
    return Expression(python, tuple(translator.columns), boolean)


_RELATIONS = {"relation_lt": "<", "relation_le": "<=", "relation_gt": ">", "relation_ge": ">="}
_ARITHMETIC = {
    "addition_add": "cel_add",
    "addition_sub": "cel_subtract",
    "multiplication_mul": "cel_multiply",
    "multiplication_div": "cel_divide",
    "multiplication_mod": "cel_remainder",
}


class _Translator:
    """Visits a parse tree; each visit gives Python source and whether it can only be true or false."""

    def __init__(self, name: Callable[[str], str]) -> None:
        self.name = name
        self.columns: dict[str, None] = {}

    def visit(self, node: Node) -> tuple[str, bool]:
        if isinstance(node, Token):
            raise ExpressionError(f"{node} is not allowed here")
        method = getattr(self, f"_{node.data}", None)
        if method is None:
            raise ExpressionError(f"`{str(node.data).replace('_', ' ')}` is not part of the language")
        result: tuple[str, bool] = method(*node.children)
        return result

    def _condition(self, node: Node) -> str:
        python, boolean = self.visit(node)
        return python if boolean else f"cel_truth({python})"

    def _expr(self, first: Node, *rest: Node) -> tuple[str, bool]:
        if not rest:
            return self.visit(first)
        yes, no = self.visit(rest[0]), self.visit(rest[1])
        return f"({yes[0]} if {self._condition(first)} else {no[0]})", yes[1] and no[1]

    def _conditionalor(self, first: Node, *rest: Node) -> tuple[str, bool]:
        if not rest:
            return self.visit(first)
        return f"({self._condition(first)} or {self._condition(rest[0])})", True

    def _conditionaland(self, first: Node, *rest: Node) -> tuple[str, bool]:
        if not rest:
            return self.visit(first)
        return f"({self._condition(first)} and {self._condition(rest[0])})", True

    def _relation(self, first: Tree[Token], *rest: Node) -> tuple[str, bool]:
        if not rest:
            return self.visit(first)
        left, right = self.visit(first.children[0])[0], self.visit(rest[0])[0]
        if first.data in ("relation_eq", "relation_ne"):
            no = first.data == "relation_ne"
            if "None" in (left, right):
                return f"({right if left == 'None' else left} {'is not' if no else 'is'} None)", True
            if left[0] in "'\"" or right[0] in "'\"":
                return f"({left} {'!=' if no else '=='} {right})", True
            return f"({'not ' if no else ''}cel_equal({left}, {right}))", True
        if first.data == "relation_in":
            if right.startswith("[") and "'" in right and all(x.startswith("'") for x in right[1:-1].split(", ")):
                return f"({left} in ({right[1:-1]},))", True
            return f"cel_among({left}, {right})", True
        return f"(cel_ordered({left}) {_RELATIONS[first.data]} cel_ordered({right}))", True

    def _addition(self, first: Tree[Token], *rest: Node) -> tuple[str, bool]:
        if not rest:
            return self.visit(first)
        return f"{_ARITHMETIC[first.data]}({self.visit(first.children[0])[0]}, {self.visit(rest[0])[0]})", False

    _multiplication = _addition

    def _unary(self, first: Tree[Token], *rest: Node) -> tuple[str, bool]:
        if not rest:
            return self.visit(first)
        if first.data == "unary_not":
            return f"(not {self._condition(rest[0])})", True
        return f"cel_negative({self.visit(rest[0])[0]})", False

    def _member(self, child: Node) -> tuple[str, bool]:
        return self.visit(child)

    _primary = _paren_expr = _member

    def _column(self, column: str) -> tuple[str, bool]:
        self.columns[column] = None
        return self.name(column), False

    def _ident(self, token: Token) -> tuple[str, bool]:
        return self._column(str(token))

    def _member_dot(self, base: Node, name: Token) -> tuple[str, bool]:
        if _identifier(base) == "row":
            return self._column(str(name))
        return f"cel_index({self.visit(base)[0]}, {str(name)!r})", False

    def _member_index(self, base: Node, key: Node) -> tuple[str, bool]:
        inner = self.visit(key)[0]
        if _identifier(base) == "row":
            if inner[0] not in "'\"":
                raise ExpressionError('row[…] needs a column\'s name in quotes: row["Order No"]')
            return self._column(ast.literal_eval(inner))
        return f"cel_index({self.visit(base)[0]}, {inner})", False

    def _call(self, function: str, arguments: list[str]) -> tuple[str, bool]:
        if function not in FUNCTIONS:
            raise ExpressionError(f"there is no function `{function}`; there are {', '.join(sorted(FUNCTIONS))}")
        fewest, most, boolean = FUNCTIONS[function]
        if not fewest <= len(arguments) <= most:
            raise ExpressionError(
                f"`{function}` takes {' to '.join(map(str, sorted({fewest, most})))} values; it has {len(arguments)}"
            )
        if function == "matches" and arguments[1][0] in "'\"":
            try:
                _pattern(ast.literal_eval(arguments[1]))
            except re2.error:
                raise ExpressionError(f"{arguments[1]} is not a regular expression (RE2)") from None
        return f"cel_{function}({', '.join(arguments)})", boolean

    def _ident_arg(self, name: Token, *rest: Node) -> tuple[str, bool]:
        return self._call(str(name), self._list(*rest))

    def _member_dot_arg(self, base: Node, name: Token, *rest: Node) -> tuple[str, bool]:
        return self._call(str(name), [self.visit(base)[0], *self._list(*rest)])

    def _list(self, *rest: Node | None) -> list[str]:
        if not rest or rest[0] is None or isinstance(rest[0], Token):
            return []
        return [self.visit(child)[0] for child in rest[0].children]

    def _list_lit(self, *rest: Node) -> tuple[str, bool]:
        return f"[{', '.join(self._list(*rest))}]", False

    def _literal(self, token: Token) -> tuple[str, bool]:
        kind, text = token.type, str(token)
        if kind == "NULL_LIT":
            return "None", False
        if kind == "BOOL_LIT":
            return ("True" if text == "true" else "False"), True
        if kind == "INT_LIT":
            return str(int(text, 0)), False
        if kind == "FLOAT_LIT":
            return repr(float(text)), False
        if kind in ("STRING_LIT", "MLSTRING_LIT"):
            try:
                return repr(ast.literal_eval(text)), False
            except (SyntaxError, ValueError):
                raise ExpressionError(f"{text} is not a text that can be read; check its backslashes") from None
        raise ExpressionError(f"{text} is not part of the language")


def _identifier(node: Node) -> str | None:
    """The name, if the node is nothing but an identifier."""
    while isinstance(node, Tree) and node.data in ("member", "primary") and len(node.children) == 1:
        node = node.children[0]
    return str(node.children[0]) if isinstance(node, Tree) and node.data == "ident" else None
