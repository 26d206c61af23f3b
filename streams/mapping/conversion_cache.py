"""A cache of conversions: pure functions, called again and again with the same few countries, days and names."""

from __future__ import annotations

from collections.abc import Callable

_MOST_ENTRIES = 4_096
"""One cache belongs to one step of one field, so a worker has some hundreds of them: each must stay small. Emptying a
full cache costs less than keeping the order of its entries.
"""
_LONGEST_TEXT = 200
"""Longer texts (memos) seldom come twice, and would fill the memory."""


class ConversionCache(dict[object, object]):
    """value → `convert(value)`. A dict, so that generated code looks a value up without a call of Python.

    Use it for texts, pairs and only one kind of number: 1, 1.0 and True are the same key of a dict. A rejected value is
    not kept.
    """

    def __init__(self, convert: Callable[..., object]) -> None:
        self._convert = convert

    def __missing__(self, value: object) -> object:
        converted = self._convert(value)
        texts = value if value.__class__ is tuple else (value,)
        if converted.__class__ is list or any(text.__class__ is str and len(text) > _LONGEST_TEXT for text in texts):
            return converted  # a list must not be shared between records, and a long text is not worth its memory
        if len(self) >= _MOST_ENTRIES:
            self.clear()
        self[value] = converted
        return converted


def of_pair(convert: Callable[..., object]) -> Callable[..., object]:
    """A conversion of two values as a conversion of one pair."""
    return lambda pair: convert(*pair)
