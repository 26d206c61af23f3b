"""Conversions of identifiers with rules of their own: bank accounts, article numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from streams.mapping.conversion_cache import ConversionCache
from streams.mapping.notes import AddNote, no_note
from streams.mapping.placeholders import stands_for_anybody
from streams.mapping.row_errors import BadValue
from streams.mapping.values.text import text_of

Convert = Callable[..., str | None]


def iban() -> Convert:
    """Checks the check digits of a bank account number (IBAN) and removes its spaces. An empty text becomes null.

    Example: `iban`: `DE89 3704 0044 0532 0130 00` → `DE89370400440532013000`
    """
    from stdnum import iban as rules

    return _checked_number(rules, "IBAN")


def gtin(note: AddNote = no_note) -> Convert:
    """Checks the check digit of an article number (GTIN-8, 12, 13 or 14; EAN, UPC) and removes its spaces. Leading
    zeros that only fill a longer form are removed. A number that stands for anything (only zeros, 1234567890128) gets a
    mapping note: it links no records. An empty text becomes null.

    Example: `gtin`: `"04006381333931"` → `4006381333931`
    """
    from stdnum import ean as rules

    checked = _checked_number(rules, "GTIN")

    def judged(value: object) -> tuple[str, bool] | None:
        """(the number, whether it stands for anything)."""
        number = checked(value)
        if number is None:
            return None
        digits = number.lstrip("0")
        number = digits.zfill(next(length for length in (8, 12, 13, 14) if len(digits) <= length))
        return number, stands_for_anybody("gtin", number)

    # The step itself is not cached, since it makes notes: a note is due each time.
    known = ConversionCache(judged)

    def convert(value: object) -> str | None:
        judgement: Any = known[value] if value.__class__ is str else judged(value)
        if judgement is None:
            return None
        number, stands_for_anything = judgement
        if stands_for_anything:
            note("an article number that stands for anything links nothing", number)
        return str(number)

    return convert


def _checked_number(rules: Any, name: str) -> Convert:
    """A conversion by one module of python-stdnum."""
    from stdnum.exceptions import InvalidChecksum, ValidationError

    def convert(value: object) -> str | None:
        text = re.sub(r"[\s\-]", "", text_of(value))
        if not text:
            return None
        if not text.isascii():
            raise BadValue(f"not an {name}", value)
        try:
            return str(rules.validate(text))
        except InvalidChecksum:
            raise BadValue(f"an {name} with a wrong check digit", value) from None
        except (ValidationError, ValueError):
            raise BadValue(f"not an {name}", value) from None

    return convert
