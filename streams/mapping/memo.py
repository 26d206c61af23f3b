"""What a conversion gave lately. Conversions are pure, and columns hold the same few countries, days and names again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_KEPT = 4_096
_LONGEST = 200


class Memo(dict[Any, Any]):
    """value → `convert(value)`, for texts, pairs and one kind of number: 1, 1.0 and True are one key. What is rejected is not kept."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self._convert = convert

    def __missing__(self, value: Any) -> Any:
        made = self._convert(value)
        texts = value if value.__class__ is tuple else (value,)
        if made.__class__ is list or any(text.__class__ is str and len(text) > _LONGEST for text in texts):
            return made  # not to be shared, or not worth its memory
        if len(self) >= _KEPT:
            self.clear()
        self[value] = made
        return made


def of_pair(convert: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """A conversion of two values as one of a pair."""
    return lambda pair: convert(*pair)
