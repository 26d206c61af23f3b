"""Order lines that wait for goods, and what of a product can be promised: a class for each row, a function for each
statement of `sql/supply.sql`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.errors import ConfigError
from streams.hub.intent_review import Hub
from streams.hub.statements import fetch_structs


class WaitingLine(msgspec.Struct, frozen=True):
    """An order line that waits for goods. Quantities are unscaled, days are days since 1970."""

    id: str
    flow_id: str
    order_number: str | None
    line_no: int | None
    status: str
    customer: str | None
    customer_id: str | None
    sku: str | None
    product: str | None
    product_id: str | None
    left_quantity: int | None
    ready_quantity: int | None
    unit: str | None
    promised_date: int | None
    expected_date: int | None
    late_days: int | None
    waits_for: str | None
    """Number of the purchase or production order that comes last."""
    waits_for_id: str | None
    supplier: str | None
    supplier_id: str | None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are wanted. `document`: id of a purchase or production order; `supplier`: part of its name, its
    number or id; `product`: article number or id; `late`: only those that come after the promised day, or not at all.
    """

    document: str | None = None
    supplier: str | None = None
    product: str | None = None
    late: bool = False
    after: str | None = None
    """Continue after this one: late days and id of the last line, as `after_of` gives them."""
    limit: int = 50


class Promise(msgspec.Struct, frozen=True):
    """What of a product can be promised. Quantities are unscaled, in `unit`."""

    id: str
    sku: str | None
    name: str | None
    unit: str | None
    stock: dict[str, Any]
    """The record `stock`; empty where the hub knows none."""

    @property
    def promisable(self) -> int:
        """What lies there or is on its way, and is promised to nobody."""
        coming = (self.stock.get("incoming") or 0) - (self.stock.get("incoming_for_orders") or 0)
        return int(self.stock.get("available") or 0) + int(coming)


class SupplyDocument(msgspec.Struct, frozen=True):
    """A purchase or production order."""

    id: str
    entity: str


def waiting_lines(hub: Hub, wanted: Waiting) -> list[WaitingLine]:
    """Order lines that wait for goods, the latest first. Raises ConfigError for an `after` that no list has given."""
    late, _, last = (wanted.after or "").partition(":")
    if wanted.after and not (late.isdigit() and len(last) == 36):
        raise ConfigError(f"no list ends at {wanted.after}", remedy="take what the list before said")
    parameters = {
        "document": wanted.document, "supplier": wanted.supplier, "product": wanted.product, "late": wanted.late,
        "after_late": int(late) if late else None, "after_id": last or None, "limit": wanted.limit,
    }  # fmt: skip
    return fetch_structs(hub, WaitingLine, "waiting_lines", parameters)


def after_of(lines: list[WaitingLine], limit: int) -> str | None:
    """Where the next page begins; None where there is none."""
    return f"{lines[-1].late_days or 0}:{lines[-1].id}" if len(lines) == limit else None


def supply_document(hub: Hub, number: str) -> SupplyDocument:
    """The purchase or production order with this number or id. Raises ConfigError where there is none, or more than
    one.
    """
    documents = fetch_structs(hub, SupplyDocument, "supply_documents", {"number": number})
    if len(documents) == 1:
        return documents[0]
    if not documents:
        raise ConfigError(f"no purchase or production order has the number {number}", remedy="look it up in the ERP")
    ids = ", ".join(f"{document.entity.replace('_', ' ')} {document.id}" for document in documents)
    raise ConfigError(f"{len(documents)} documents have the number {number}", remedy=f"give the id of one: {ids}")


def product_promise(hub: Hub, product: str) -> Promise:
    """What of a product can be promised, by its article number or id. Raises ConfigError where nobody knows it."""
    products = fetch_structs(hub, Promise, "product_promise", {"product": product})
    if not products:
        raise ConfigError(f"the hub knows no product {product}", remedy="give an article number, as the ERP has it")
    return products[0]
