"""Dates and times as sources write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from streams.mapping.problems import BadValue

Convert = Callable[[Any], Any]


def yyyymmdd() -> Convert:
    """A day written as the number or text 20240131; 0, '' and 00000000 are null."""

    def convert(value: Any) -> date | None:
        text = str(value) if value.__class__ is int or value.__class__ is str else ""
        if text.strip("0 ") == "" and value.__class__ in (int, str):
            return None
        if len(text) != 8 or not (text.isascii() and text.isdigit()):
            raise BadValue("not a day in the form yyyymmdd", value)
        try:
            return date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            raise BadValue("not a day that the calendar has", value) from None

    return convert
