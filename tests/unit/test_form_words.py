"""Mistakes of form in a file are named without the words of pydantic or Python."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from streams.dictionary.form_words import form_mistake, shown

PYTHON_WORDS = ("Input should", "valid tuple", "None", "Decimal(", "datetime", "True", "False", "dict", "tuple", "str ")


class Part(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("form", "given", "what", "right"),
    [
        (tuple[Part, ...], {"column": "a"}, "is {column: a}, not a list", "write a list"),
        (list[str], "a", "is a, not a list", "write a list"),
        (dict[str, int], ["a"], "is [a], not a mapping", "write a mapping"),
        (Part, None, "is nothing, not a mapping", "write a mapping"),
        (str, 7, "is 7, not a text", "write a text"),
        (bool, "maybe", "is maybe, not true or false", "write true or false"),
        (int, 1.5, "is 1.5, not a whole number", "write a whole number"),
        (Decimal, "a b", 'is "a b", not a number', "write a number"),
        (Literal["a", "b"], True, "true is not known", "one of 'a' or 'b'"),
    ],
)
def test_a_mistake_says_what_it_is_and_what_would_be_right(form: object, given: object, what: str, right: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(form).validate_python(given, strict=form is str)
    mistake = form_mistake(caught.value.errors()[0])
    assert mistake.what == what
    assert mistake.right.startswith(right)
    assert not any(word in part for part in mistake for word in PYTHON_WORDS)


def test_values_are_shown_as_the_file_has_them() -> None:
    assert shown({"a": [None, True, "x y", 1.5], "b": {}}) == '{a: [null, true, "x y", 1.5], b: {}}'
    assert shown(None) == "nothing"
