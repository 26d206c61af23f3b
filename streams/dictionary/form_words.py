"""Mistakes of form in a file, in words for the person who writes it: what is wrong, and what would be right."""

from __future__ import annotations

import json
from typing import NamedTuple

from pydantic_core import ErrorDetails

_MOST_CHARACTERS = 120
"""A value that is quoted is cut here: it may be a whole part of the file."""

_FORMS = {
    "tuple_type": ("a list", "write a list, each entry after a dash"),
    "list_type": ("a list", "write a list, each entry after a dash"),
    "set_type": ("a list", "write a list, each entry after a dash"),
    "dict_type": ("a mapping", "write a mapping: {name: value}"),
    "mapping_type": ("a mapping", "write a mapping: {name: value}"),
    "model_type": ("a mapping", "write a mapping: {word: value}"),
    "model_attributes_type": ("a mapping", "write a mapping: {word: value}"),
    "string_type": ("a text", 'write a text; "in quotes" where YAML reads a number, a date or a truth value'),
    "bool_type": ("true or false", "write true or false"),
    "bool_parsing": ("true or false", "write true or false"),
    "int_type": ("a whole number", "write a whole number, as in 3"),
    "int_parsing": ("a whole number", "write a whole number, as in 3"),
    "int_from_float": ("a whole number", "write a whole number, as in 3"),
    "float_type": ("a number", "write a number, as in 2.5"),
    "float_parsing": ("a number", "write a number, as in 2.5"),
    "decimal_parsing": ("a number", "write a number, as in 2.5"),
    "decimal_type": ("a number", "write a number, as in 2.5"),
    "none_required": ("empty", "leave it empty"),
}
"""Kind of a mistake of type → (what it must be, what to write)."""


class FormMistake(NamedTuple):
    """`what` follows the place in the file: "is {column: a}, not a list"."""

    what: str
    right: str


def form_mistake(detail: ErrorDetails) -> FormMistake:
    """A mistake that pydantic found, without its words and without Python's."""
    kind, given, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    if kind == "missing":
        return FormMistake("is missing", "")
    if kind == "extra_forbidden":
        return FormMistake("is not a word that is known here", "")
    if kind in ("value_error", "assertion_error"):
        return FormMistake(str(context["error"]), "")
    if kind in _FORMS:
        must, right = _FORMS[kind]
        return FormMistake(f"is {shown(given)}, not {must}", right)
    if kind in ("literal_error", "enum"):
        return FormMistake(f"{shown(given)} is not known", f"one of {context['expected']}")
    if kind == "string_pattern_mismatch":
        return FormMistake(f"{shown(given)} does not have the form {context['pattern']}", "")
    if kind in ("too_short", "string_too_short"):
        return FormMistake(f"is {shown(given)}", f"give at least {context['min_length']}")
    if kind in ("too_long", "string_too_long"):
        return FormMistake(f"is {shown(given)}", f"give at most {context['max_length']}")
    for bound, text in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than")):
        if bound in context:
            return FormMistake(f"is {shown(given)}", f"write a number of {text} {context[bound]}")
    message = detail["msg"].removeprefix("Input should ").removeprefix("Value should ")
    return FormMistake(f"is {shown(given)}", f"it should {message}" if message.startswith("be ") else message)


def shown(value: object) -> str:
    """A value of a file as people write it there; `nothing` for an empty one."""
    if value is None:
        return "nothing"
    return _flow(value)[:_MOST_CHARACTERS]


def _flow(value: object) -> str:
    """YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and not value.isidentifier() else str(value)
