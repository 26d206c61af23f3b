"""Text conversions: blanks, case, booleans of every fashion, values that mean null."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.mapping.cleanse.text import text_of
from streams.mapping.problems import BadValue

Convert = Callable[[Any], Any]

_TRUE = {"true", "t", "yes", "y", "1", "on", "x", "ja", "j", "oui", "si", "sí", "s", "是", "真", "有"}
_FALSE = {"false", "f", "no", "n", "0", "off", "", "-", "nein", "non", "否", "假", "无"}


def trim() -> Convert:
    """Takes blanks off both ends; a text of nothing but blanks becomes null."""
    return lambda value: (value if value.__class__ is str else text_of(value)).strip() or None


def collapse() -> Convert:
    """Takes blanks off both ends and makes each run of blanks, tabs and line ends one blank; nothing but blanks becomes null."""
    return lambda value: " ".join(text_of(value).split()) or None


def upper() -> Convert:
    """Capitals."""
    return lambda value: text_of(value).upper()


def lower() -> Convert:
    """Small letters."""
    return lambda value: text_of(value).lower()


def boolean(true: list[str] | None = None, false: list[str] | None = None) -> Convert:
    """Reads Y/N, yes/no, T/F, 1/0, X/blank, on/off and the like (German, French, Spanish, Chinese too); `true` and `false` name others instead."""
    yes = {x.casefold() for x in true} if true is not None else _TRUE
    no = {x.casefold() for x in false} if false is not None else _FALSE

    def convert(value: Any) -> bool:
        if value is True or value is False:
            return bool(value)
        text = text_of(value).strip().casefold()
        if text in yes:
            return True
        if text in no:
            return False
        raise BadValue("neither true nor false", value)

    return convert


def null_if(values: list[Any]) -> Convert:
    """Values that mean null in this system: '', 'N/A', 0, '1900-01-01'."""
    listed = {(type(v) is bool, v) for v in values}
    return lambda value: None if (type(value) is bool, value) in listed else value
