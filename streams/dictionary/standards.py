"""Canonical fields whose texts have one form in every system, and the conversion that gives it."""

from __future__ import annotations

_BY_NAME = frozenset({"phone", "email", "tax_id", "country", "currency", "language"})


def standard_of(field: str) -> str | None:
    """The conversion whose results a field holds; None if any text will do."""
    name = "country" if field.endswith("_country") else field
    return name if name in _BY_NAME else None
