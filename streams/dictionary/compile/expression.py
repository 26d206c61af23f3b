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
from typing import Any, Literal, NamedTuple

import re2  # type: ignore[import-untyped]
from lark import Token, Tree

from streams.mapping.expression_runtime import compiled_pattern
from streams.mapping.source_types import SourceType

__all__ = ["FUNCTIONS", "ColumnRead", "Expression", "ExpressionError", "compile_expression"]

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
    refusal: str
    """What can never be right in it, by the types of its columns: a number compared with a text. Its rows are rejected.
    """


class ColumnRead(NamedTuple):
    """A column in an expression."""

    python: str
    """Its value as its type says: a number is a number, a day is ISO text."""
    raw: str
    """The name of the value as it came; enough to compare it with null."""
    source: SourceType | None
    """Its type, if that is known."""


Kind = Literal["bool", "text", "number", "null", "any"]
"""What a part of an expression gives; `any` where that is not known before there is a row. Every part may also give
null.
"""
Part = tuple[str, Kind]
"""Python source, and what it gives."""

_KINDS: dict[str, Kind] = {
    "text": "text", "number": "number", "float": "number", "whole": "number", "day": "text", "local": "text",
    "instant": "text", "time": "text", "timetz": "text", "interval": "text",
}  # fmt: skip
"""Form of a column → what it gives. A boolean is not among them: `bool` says that it is never null."""

FUNCTIONS: dict[str, tuple[int, int, Kind]] = {
    "size": (1, 1, "number"),
    "string": (1, 1, "text"),
    "int": (1, 1, "number"),
    "double": (1, 1, "number"),
    "decimal": (1, 1, "number"),
    "coalesce": (1, 9, "any"),
    "lower": (1, 1, "text"),
    "upper": (1, 1, "text"),
    "trim": (1, 1, "text"),
    "startsWith": (2, 2, "bool"),
    "endsWith": (2, 2, "bool"),
    "contains": (2, 2, "bool"),
    "matches": (2, 2, "bool"),
    "replace": (3, 3, "text"),
    "split": (2, 2, "any"),
}
"""Function -> fewest and most arguments (a method's object is the first), and what it gives. Each may be called as f(x)
or x.f().
"""


@cache
def _parser() -> Any:
    from celpy.celparser import CELParser

    return CELParser()


def compile_expression(text: str, read: Callable[[str], ColumnRead]) -> Expression:
    """Compile a CEL expression; `read` says how a column is read. Raises ExpressionError."""
    from celpy.celparser import CELParseError

    try:
        tree = _parser().parse(text)
    except CELParseError as error:
        at = f" at column {error.column}" if error.column else ""
        raise ExpressionError(f"not a CEL expression{at}: {text!r}") from None
    translator = _Translator(read)
    python, kind = translator.visit(tree)
    return Expression(python, tuple(translator.columns), kind == "bool", translator.refusal)


_RELATIONS = {"relation_lt": "<", "relation_le": "<=", "relation_gt": ">", "relation_ge": ">="}
_ARITHMETIC = {
    "addition_add": "cel_add",
    "addition_sub": "cel_subtract",
    "multiplication_mul": "cel_multiply",
    "multiplication_div": "cel_divide",
    "multiplication_mod": "cel_remainder",
}


class _Translator:
    """Visits a parse tree; each visit gives Python source and what it gives.

    Where both sides of an operator are known to be texts, or one is a literal and the other a text, Python's own
    operator is written. Everything else calls the runtime, which rejects a row where a text meets a number.
    """

    def __init__(self, read: Callable[[str], ColumnRead]) -> None:
        self.read = read
        self.columns: dict[str, None] = {}
        self.refusal = ""
        self.items: dict[str, set[Kind]] = {}
        """Source of each list that is written out → what its items are."""

    def visit(self, node: Node) -> Part:
        if isinstance(node, Token):
            raise ExpressionError(f"{node} is not allowed here")
        method = getattr(self, f"_{node.data}", None)
        if method is None:
            raise ExpressionError(f"`{str(node.data).replace('_', ' ')}` is not part of the language")
        result: Part = method(*node.children)
        return result

    def _condition(self, node: Node) -> str:
        python, kind = self.visit(node)
        return python if kind == "bool" else f"cel_truth({python})"

    def _expr(self, first: Node, *rest: Node) -> Part:
        if not rest:
            return self.visit(first)
        condition, yes, no = self._condition(first), self.visit(rest[0]), self.visit(rest[1])
        return f"({yes[0]} if {condition} else {no[0]})", yes[1] if yes[1] == no[1] else "any"

    def _conditionalor(self, first: Node, *rest: Node) -> Part:
        if not rest:
            return self.visit(first)
        return f"({self._condition(first)} or {self._condition(rest[0])})", "bool"

    def _conditionaland(self, first: Node, *rest: Node) -> Part:
        if not rest:
            return self.visit(first)
        return f"({self._condition(first)} and {self._condition(rest[0])})", "bool"

    def _relation(self, first: Tree[Token], *rest: Node) -> Part:
        if not rest:
            return self.visit(first)
        other = first.children[0]
        if first.data in ("relation_eq", "relation_ne"):
            return self._equality(other, rest[0], first.data == "relation_ne"), "bool"
        left, right = self.visit(other), self.visit(rest[0])
        if first.data == "relation_in":
            return self._among(left, right), "bool"
        if left[1] == right[1] == "any":
            return f"cel_compare({left[0]}, {right[0]}, {_RELATIONS[first.data]!r})", "bool"
        self._comparable(left, right)
        return f"(cel_ordered({left[0]}) {_RELATIONS[first.data]} cel_ordered({right[0]}))", "bool"

    def _equality(self, left_node: Node, right_node: Node, no: bool) -> str:
        left, right = self.visit(left_node), self.visit(right_node)
        if "null" in (left[1], right[1]):
            side, node = (right, right_node) if left[1] == "null" else (left, left_node)
            return f"({self._raw(node) or side[0]} {'is not' if no else 'is'} None)"
        self._comparable(left, right)
        python = f"{left[0]} {'!=' if no else '=='} {right[0]}"
        call = f"{'not ' if no else ''}cel_equal({left[0]}, {right[0]})"
        # Most conditions compare with a text: of texts, Python's own operators mean the same as CEL's.
        if left[1] == right[1] == "text":
            return f"({python})"
        if right[1] == "text" and left[0].isidentifier():
            return f"({python} if {left[0]}.__class__ is str else {call})"
        return f"({call})"

    def _among(self, left: Part, right: Part) -> str:
        kinds = self.items.get(right[0], set())
        for kind in kinds:
            self._comparable(left, ("", kind))
        inside = f"{left[0]} in ({right[0][1:-1]},)"
        if kinds == {"text"} and left[1] == "text":
            return f"({inside})"
        if kinds == {"text"} and left[0].isidentifier():
            return f"({inside} if {left[0]}.__class__ is str else cel_among({left[0]}, {right[0]}))"
        return f"cel_among({left[0]}, {right[0]})"

    def _comparable(self, left: Part, right: Part) -> None:
        kinds = sorted({left[1], right[1]} - {"any", "null"})
        if len(kinds) > 1:
            self.refusal = f"compares a {kinds[0]} with a {kinds[1]}, which are never equal"

    def _raw(self, node: Node) -> str | None:
        """The name of the value as it came, if the node is nothing but a column."""
        name = _identifier(node)
        return self.read(name).raw if name is not None else None

    def _addition(self, first: Tree[Token], *rest: Node) -> Part:
        if not rest:
            return self.visit(first)
        left, right = self.visit(first.children[0]), self.visit(rest[0])
        if left[1] == right[1] == "text" and first.data == "addition_add":
            return f"cel_concatenate({left[0]}, {right[0]})", "text"
        kind: Kind = "number" if left[1] == right[1] == "number" else "any"
        return f"{_ARITHMETIC[first.data]}({left[0]}, {right[0]})", kind

    _multiplication = _addition

    def _unary(self, first: Tree[Token], *rest: Node) -> Part:
        if not rest:
            return self.visit(first)
        if first.data == "unary_not":
            return f"(not {self._condition(rest[0])})", "bool"
        return f"cel_negative({self.visit(rest[0])[0]})", "number"

    def _member(self, child: Node) -> Part:
        return self.visit(child)

    _primary = _paren_expr = _member

    def _column(self, column: str) -> Part:
        self.columns[column] = None
        read = self.read(column)
        if read.source is None or read.source.is_list:
            return read.python, "any"
        return read.python, _KINDS.get(read.source.form, "any")

    def _ident(self, token: Token) -> Part:
        return self._column(str(token))

    def _member_dot(self, base: Node, name: Token) -> Part:
        if _identifier(base) == "row":
            return self._column(str(name))
        return f"cel_index({self.visit(base)[0]}, {str(name)!r})", "any"

    def _member_index(self, base: Node, key: Node) -> Part:
        inner = self.visit(key)[0]
        if _identifier(base) == "row":
            if inner[0] not in "'\"":
                raise ExpressionError('row[…] needs a column\'s name in quotes: row["Order No"]')
            return self._column(ast.literal_eval(inner))
        return f"cel_index({self.visit(base)[0]}, {inner})", "any"

    def _call(self, function: str, arguments: list[Part]) -> Part:
        if function not in FUNCTIONS:
            raise ExpressionError(f"there is no function `{function}`; there are {', '.join(sorted(FUNCTIONS))}")
        fewest, most, kind = FUNCTIONS[function]
        if not fewest <= len(arguments) <= most:
            raise ExpressionError(
                f"`{function}` takes {' to '.join(map(str, sorted({fewest, most})))} values; it has {len(arguments)}"
            )
        if function == "matches" and arguments[1][0][0] in "'\"":
            try:
                compiled_pattern(ast.literal_eval(arguments[1][0]))
            except re2.error:
                raise ExpressionError(f"{arguments[1][0]} is not a regular expression (RE2)") from None
        kinds = {given for _, given in arguments} - {"null"}
        if function == "coalesce" and len(kinds) == 1:
            kind = kinds.pop()
        return f"cel_{function}({', '.join(python for python, _ in arguments)})", kind

    def _ident_arg(self, name: Token, *rest: Node) -> Part:
        return self._call(str(name), self._list(*rest))

    def _member_dot_arg(self, base: Node, name: Token, *rest: Node) -> Part:
        return self._call(str(name), [self.visit(base), *self._list(*rest)])

    def _list(self, *rest: Node | None) -> list[Part]:
        if not rest or rest[0] is None or isinstance(rest[0], Token):
            return []
        return [self.visit(child) for child in rest[0].children]

    def _list_lit(self, *rest: Node) -> Part:
        parts = self._list(*rest)
        python = f"[{', '.join(python for python, _ in parts)}]"
        self.items[python] = {kind for _, kind in parts}
        return python, "any"

    def _literal(self, token: Token) -> Part:
        kind, text = token.type, str(token)
        if kind == "NULL_LIT":
            return "None", "null"
        if kind == "BOOL_LIT":
            return ("True" if text == "true" else "False"), "bool"
        if kind == "INT_LIT":
            return str(int(text, 0)), "number"
        if kind == "FLOAT_LIT":
            return repr(float(text)), "number"
        if kind in ("STRING_LIT", "MLSTRING_LIT"):
            try:
                return repr(ast.literal_eval(text)), "text"
            except (SyntaxError, ValueError):
                raise ExpressionError(f"{text} is not a text that can be read; check its backslashes") from None
        raise ExpressionError(f"{text} is not part of the language")


_WRAPPERS = ("relation", "addition", "multiplication", "unary", "member", "primary")
"""Nodes that the grammar puts around a name which no operator touches."""


def _identifier(node: Node) -> str | None:
    """The name, if the node is nothing but an identifier."""
    while isinstance(node, Tree) and node.data in _WRAPPERS and len(node.children) == 1:
        node = node.children[0]
    return str(node.children[0]) if isinstance(node, Tree) and node.data == "ident" else None
