"""Charges: what the header of a document adds to its lines. Pure."""

from __future__ import annotations

from typing import Any


def charges(record: dict[str, Any]) -> int:
    """Freight less discount of the whole document, without tax: the document's `net_amount` is the sum of its lines
    plus this.
    """
    return (record.get("freight_amount") or 0) - (record.get("discount_amount") or 0)
