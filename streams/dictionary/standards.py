"""Canonical fields whose texts have the same form for every system, and the conversion that makes it."""

from __future__ import annotations

_BY_NAME = frozenset({"phone", "email", "tax_id", "country", "currency", "language"})


def standard_of(field: str) -> str | None:
    """The conversion whose result a field must have; None if any text is allowed."""
    name = "country" if field.endswith("_country") else field
    return name if name in _BY_NAME else None
