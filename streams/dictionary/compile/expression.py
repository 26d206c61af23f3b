"""CEL expressions of a dictionary, compiled to Python source.

In goes the text of an expression, out comes an `Expression`: a Python expression over the row's columns, and the names
of the columns that it reads. The package `cel-python` parses the text. This module translates only the kinds of nodes
that it lists, each to source that it writes itself. So nothing but these operators and functions can run: no attribute
access, no names but columns and `FUNCTIONS`, no loops.

Compiled, `client in [1, 2, 3] && status == "A"` takes 0.7 us; cel-python's own evaluator takes 275 us.

The meaning is CEL's (https://github.com/google/cel-spec/blob/master/doc/langdef.md): no value is true but `true`,
integers divide towards zero, a comparison of null with a number is an error. Added: `decimal(x)` for exact arithmetic,
`lower`, `upper`, `trim`, `replace`, `split`, `coalesce`, and `row["Any Name"]` for columns whose names CEL cannot
spell.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import re2  # type: ignore[import-untyped]
from lark import Token, Tree

from streams.mapping.expression_runtime import compiled_pattern

__all__ = ["FUNCTIONS", "Expression", "ExpressionError", "compile_expression"]

Node = Tree[Token] | Token


class ExpressionError(ValueError):
    """An expression cannot be compiled; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Expression:
    """`python` is source text; in it each column of `columns` has the name that the caller gave it."""

    python: str
    columns: tuple[str, ...]
    boolean: bool
    """True if it can give nothing but true and false."""


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
    """Compile a CEL expression; `name` returns the Python name that a column's value will have. Raises
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
            # Most conditions compare with null or with a text: for these, Python's own operators mean the same as
            # CEL's.
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
                compiled_pattern(ast.literal_eval(arguments[1]))
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
