"""What a conversion gave lately. Conversions are pure, and columns hold the same few countries, days and names again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_KEPT = 8_192
_LONGEST = 200


class Memo(dict[Any, Any]):
    """value → `convert(value)`, for texts and one kind of number: 1, 1.0 and True are one key. What is rejected is asked again."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self._convert = convert

    def __missing__(self, value: Any) -> Any:
        made = self._convert(value)
        if made.__class__ is list or (value.__class__ is str and len(value) > _LONGEST):
            return made  # not to be shared, or not worth its memory
        if len(self) >= _KEPT:
            self.clear()
        self[value] = made
        return made


class PairMemo(dict[tuple[str, str], Any]):
    """(value, the other column's value) → `convert(value, other)`, for two texts."""

    def __init__(self, convert: Callable[[Any, Any], Any]) -> None:
        self._convert = convert

    def __missing__(self, pair: tuple[str, str]) -> Any:
        made = self._convert(*pair)
        if made.__class__ is list or len(pair[0]) > _LONGEST or len(pair[1]) > _LONGEST:
            return made
        if len(self) >= _KEPT:
            self.clear()
        self[pair] = made
        return made
