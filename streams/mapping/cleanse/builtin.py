"""The table of built-in conversions: the name that a dictionary writes, and the factory that makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.mapping.cleanse import dates, words

BUILTIN: dict[str, Callable[..., Callable[[Any], Any]]] = {
    "trim": words.trim,
    "collapse": words.collapse,
    "upper": words.upper,
    "lower": words.lower,
    "boolean": words.boolean,
    "null_if": words.null_if,
    "yyyymmdd": dates.yyyymmdd,
}
