"""What people call a record: its number and name, its customer, its amount. The one place that names records."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

import msgspec

from streams.hub.intent_review import Hub
from streams.hub.statements import fetch_structs


class RecordName(msgspec.Struct, frozen=True):
    """How a record is named to people. Amounts are unscaled."""

    id: str
    entity: str
    number: str | None = None
    name: str | None = None
    line_no: str | None = None
    document: str | None = None
    """Of a line: the kind of the document that it stands in."""
    document_number: str | None = None
    customer: str | None = None
    amount: int | None = None
    """With tax."""
    net_amount: int | None = None
    """Without tax."""
    currency: str | None = None
    source: str | None = None
    """system:key of its row."""

    @property
    def text(self) -> str:
        """As in "sales order SO-1042 of Acme GmbH, 1,190.00 EUR gross"; without any name, system and key."""
        kind = self.entity.replace("_", " ")
        if self.line_no is not None:
            document = (self.document or "").replace("_", " ")
            text = f"line {self.line_no} of {document} {self.document_number or ''}".rstrip()
        else:
            words = [self.number, self.name if self.name != self.number else None]
            text = " ".join([kind, *(word for word in words if word)])
            if not any(words):
                text = f"{kind} {self.source or self.id}"
        if self.customer and self.customer not in text:
            text += f" of {self.customer}"
        amount = self.amount if self.amount is not None else self.net_amount
        if amount is not None and self.line_no is None:
            text += f", {money(amount, self.currency)}"
            if self.entity in _WITH_TAX_OR_WITHOUT:
                text += " gross" if self.amount is not None else " net"
        return text


_WITH_TAX_OR_WITHOUT = ("sales_order", "invoice", "order_flow")
"""Entities that have amounts with tax and without: which one it is, must be said."""


def money(unscaled: int | None, currency: str | None = None) -> str:
    """An amount as people write it: 1,190.00 EUR; `unknown` where there is none."""
    if unscaled is None:
        return "unknown"
    return f"{Decimal(unscaled).scaleb(-4):,.2f} {currency or ''}".rstrip()


def record_names(hub: Hub, ids: Iterable[object]) -> dict[str, RecordName]:
    """Id → name, of those ids that are records of the hub. What is no id is left out."""
    wanted = sorted({str(value) for value in ids if is_id(value)})
    if not wanted:
        return {}
    return {name.id: name for name in fetch_structs(hub, RecordName, "record_names", {"ids": wanted})}


def is_id(value: object) -> bool:
    """Whether a value can be the id of a record."""
    if not isinstance(value, str) or len(value) != 36:
        return False
    try:
        UUID(value)
    except ValueError:
        return False
    return True
