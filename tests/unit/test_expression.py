"""CEL, compiled: what an expression means, and what it can never do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.dictionary.compile.expression import ColumnRead, ExpressionError, compile_expression
from streams.mapping.expression_runtime import RUNTIME
from streams.mapping.row_errors import BadValue


def read(name: str) -> ColumnRead:
    python = "c_" + "".join(c if c.isalnum() else "_" for c in name)
    return ColumnRead(python, python, None)


def run(text: str, **columns: Any) -> Any:
    made = compile_expression(text, read)
    values = {"c_" + "".join(c if c.isalnum() else "_" for c in k): v for k, v in columns.items()}
    return eval(made.python, {"__builtins__": {"str": str}, **RUNTIME}, values)


@pytest.mark.parametrize(
    ("text", "columns", "made"),
    [
        ("a == 'x' && b != null", {"a": "x", "b": 1}, True), ("a == 'x' || b", {"a": "y", "b": False}, False), ("!(a > 1)", {"a": 1}, True),
        ("a in ['x', 'y']", {"a": "y"}, True), ("a in [1, 2]", {"a": True}, False), ("a == 1", {"a": True}, False), ("a == 1", {"a": 1.0}, True),
        ("a ? 'yes' : 'no'", {"a": True}, "yes"), ("7 / 2", {}, 3), ("-7 / 2", {}, -3), ("-7 % 3", {}, -1), ("7.0 / 2.0", {}, Decimal("3.5")),
        ("decimal(a) * decimal(b)", {"a": "0.1", "b": "0.2"}, Decimal("0.02")), ("decimal(a) + 1", {"a": "0.1"}, Decimal("1.1")),
        ("a + b", {"a": "x", "b": "y"}, "xy"), ("size(a)", {"a": "abc"}, 3), ("a.size()", {"a": [1]}, 1), ("string(a)", {"a": 1}, "1"),
        ("int(a)", {"a": "42"}, 42), ("int(a)", {"a": 4.0}, 4), ("coalesce(a, b, 'z')", {"a": None, "b": None}, "z"), ("upper(trim(a))", {"a": " x "}, "X"),
        ("a.startsWith('SO') && a.endsWith('1') && a.contains('O1')", {"a": "SO1"}, True), ("a.matches('^[A-Z]+$')", {"a": "ABC"}, True),
        ("a.replace('-', '')", {"a": "1-2"}, "12"), ("a.split('/')[1]", {"a": "x/y"}, "y"), ("a.b", {"a": {"b": 5}}, 5), ("a[0]", {"a": ["x"]}, "x"),
        ("a == null", {"a": None}, True), ("null == a", {"a": 0}, False), ("a >= 'b'", {"a": "c"}, True), ("'it\\'s' == a", {"a": "it's"}, True),
        ("true", {}, True), ("[a, 'y']", {"a": "x"}, ["x", "y"]), ("a < b ? a : b", {"a": 2, "b": 1}, 1),
    ],
)  # fmt: skip
def test_expression_has_the_value_that_cel_gives_it(text: str, columns: dict[str, Any], made: Any) -> None:
    result = run(text, **columns)
    assert result == made and type(result) is type(made)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a && true", {"a": 1}), ("a > 1", {"a": None}), ("a + 1", {"a": "1"}), ("a / 0", {"a": 1}), ("a.size()", {"a": 5}), ("int(a)", {"a": "x"}),
        ("decimal(a)", {"a": "NaN"}), ("a[5]", {"a": ["x"]}), ("a.b", {"a": {}}), ("upper(a)", {"a": None}), ("a in b", {"a": 1, "b": 1}), ("-a", {"a": "x"}),
        ("a % 2", {"a": 1.5}), ("int(a)", {"a": "1.5"}), ("a ? 1 : 2", {"a": None}),
        ("a == b", {"a": "1", "b": 1}), ("a != 0", {"a": "0.00"}), ("a == '1'", {"a": 1}), ("a in [1, 2]", {"a": "1.00"}), ("a in ['1']", {"a": 1}),
        ("a > b", {"a": "9.00", "b": "1000.00"}), ("a + b", {"a": "9.00", "b": "1.00"}), ("a == true", {"a": "true"}),
    ],
)  # fmt: skip
def test_expression_rejects_values_without_a_meaning(text: str, columns: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        run(text, **columns)


@pytest.mark.parametrize(
    "text",
    [
        "", "a ==", "a b", "__import__('os')", "a.__class__()", "open('x')", "[1, 2].map(x, x)", "{'a': 1}", "b'x'", "1u", "a.matches('(')", "size(a, b)",
        "row[a]", "Type{x: 1}", "a = 1", "import os", "lambda: 1",
    ],
)  # fmt: skip
def test_text_that_is_not_in_the_language_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text, read)


def test_columns_may_have_any_name() -> None:
    made = compile_expression('row["Order No"] == a && row.b', lambda name: ColumnRead(f"<{name}>", name, None))
    assert made.columns == ("Order No", "a", "b")


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="ab_.()[]'\"\\ =!&|<>+-*/%?:,1u{}\n", max_size=30))
def test_generated_code_names_only_columns_and_the_runtime(text: str) -> None:
    try:
        made = compile_expression(text, read)
    except ExpressionError:
        return
    names = set(compile(made.python, "x", "eval").co_names)
    assert names <= set(RUNTIME) | {f"c_{c}" for c in made.columns}
