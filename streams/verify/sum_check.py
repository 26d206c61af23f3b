"""Checks the sums that the hub keeps (receivables, stock) against their records, computed in another way than the
pipeline's.

In: every aggregate of the hub, with nothing in flight: a sum follows its records by seconds. Out: a line for each sum
that is wrong, and for each that belongs to no record.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any, NamedTuple

from streams.model.state import AggregateState, EntityState

Record = dict[str, Any]
"""The fields of a golden record."""


class Owed(NamedTuple):
    """What a customer owes, as `receivables` has it."""

    open_amounts: dict[str, str]
    """Currency → amount, those of 0 left out."""
    overdue_invoices: int
    open_requests: int


class Incoming:
    """Counts what is bought or made and has not come, by product."""

    ENTITIES = ("purchase_order", "purchase_order_line", "goods_receipt", "goods_receipt_line", "production_order")

    def __init__(self) -> None:
        self._of: dict[str, dict[str, EntityState]] = {entity: {} for entity in self.ENTITIES}
        self.units: dict[str, str | None] = {}

    def add(self, member: EntityState) -> None:
        self._of[member.entity][member.id] = member

    def by_product(self) -> Counter[str]:
        """Product → quantity in its unit, unscaled."""
        received: Counter[str] = Counter()
        for line in self._of["goods_receipt_line"].values():
            receipt = self._of["goods_receipt"].get(line.parent or "")
            if receipt is not None and receipt.record.get("status") == "received":
                came = (line.record.get("quantity") or 0) - (line.record.get("rejected_quantity") or 0)
                received[line.record.get("purchase_order_line_id") or ""] += came
        result: Counter[str] = Counter()
        for line in self._of["purchase_order_line"].values():
            purchase = self._of["purchase_order"].get(line.parent or "")
            if purchase is not None and not _is_over(purchase) and not _is_over(line):
                came = line.record.get("received_quantity")
                self._count(result, line.record, received[line.id] if came is None else came)
        for production in self._of["production_order"].values():
            if not _is_over(production):
                self._count(result, production.record, production.record.get("finished_quantity") or 0)
        return result

    def _count(self, result: Counter[str], record: Record, came: int) -> None:
        product, ordered = record.get("product_id") or "", record.get("quantity") or 0
        left, unit = max(0, ordered - came), record.get("unit")
        if unit is not None and unit != self.units.get(product):
            if record.get("base_unit") is None or record["base_unit"] != self.units.get(product) or not ordered:
                return  # it cannot be compared
            left = round(Fraction(left * (record.get("base_quantity") or 0), ordered))
        result[product] += left


def _is_over(member: EntityState) -> bool:
    return member.record.get("status") in ("received", "finished", "closed", "cancelled")


class _Parts:
    """The records that sums are made of, by the customer or product that they belong to."""

    def __init__(self, states: Iterable[AggregateState]) -> None:
        self.invoices: dict[str, list[tuple[str, Record]]] = defaultdict(list)
        self.payments: dict[str, list[Record]] = defaultdict(list)
        self.requests: Counter[str] = Counter()
        self.available: Counter[str] = Counter()
        self.incoming = Incoming()
        self.sums: dict[tuple[str, str], Record] = {}
        self.roots: set[tuple[str, str]] = set()
        for member in _emitted(states):
            self._add(member)

    def _add(self, member: EntityState) -> None:
        record = member.record
        if member.entity in ("customer", "product"):
            # Also a deleted customer: what it owes is still owed.
            self.roots.add((member.entity, member.id))
            self.incoming.units[member.id] = record.get("unit")
        if member.deleted:
            return
        if member.entity == "invoice":
            self.invoices[record.get("customer_id") or ""].append((member.id, record))
        elif member.entity == "payment" and record.get("status") not in ("pending", "reversed"):
            self.payments[member.parent or ""].append(record)
        elif member.entity == "service_request" and record.get("status") not in ("resolved", "closed"):
            self.requests[record.get("customer_id") or ""] += 1
        elif member.entity in Incoming.ENTITIES:
            self.incoming.add(member)
        elif member.entity == "inventory_level":
            self.available[record.get("product_id") or ""] += record.get("available") or 0
        elif member.entity in ("receivables", "stock"):
            owner = record["customer_id" if member.entity == "receivables" else "product_id"]
            self.sums[member.entity, owner] = record


def wrong_sums(states: Iterable[AggregateState]) -> Iterator[str]:
    """Each sum that is wrong, in words."""
    parts = _Parts(states)
    incoming = parts.incoming.by_product()
    for kind, key in parts.roots:
        if kind == "customer":
            name, record = "receivables", parts.sums.get(("receivables", key), {})
            actual: object = _owed(record)
            expected: object = _computed_owed(parts, key)
        else:
            name, record = "stock", parts.sums.get(("stock", key), {})
            actual = (record.get("available") or 0, record.get("incoming") or 0)
            expected = (parts.available[key], incoming.get(key, 0))
        if actual != expected:
            yield f"{name} of {kind} {key}: {actual}, should be {expected}"
    for name, key in parts.sums:
        if (("customer" if name == "receivables" else "product"), key) not in parts.roots:
            yield f"{name} of {key}, a record that does not exist"


def _emitted(states: Iterable[AggregateState]) -> Iterator[EntityState]:
    for state in states:
        for member in state.members.values():
            if member.merged_into is None and member.version:
                yield member


def _computed_owed(parts: _Parts, customer: str) -> Owed:
    today = (datetime.now(UTC).date() - date(1970, 1, 1)).days
    open_amounts: Counter[str] = Counter()
    overdue = 0
    for id, invoice in parts.invoices.get(customer, []):
        is_credit = invoice.get("kind") == "credit_note"
        amount = _open(invoice, parts.payments.get(id, []))
        open_amounts[invoice.get("currency") or ""] += -amount if is_credit else amount
        due = invoice.get("due_date")
        is_late = invoice.get("status") == "overdue" or (due is not None and due < today)
        is_void = invoice.get("status") in ("draft", "cancelled")
        overdue += bool(amount) and not is_credit and not is_void and is_late
    amounts = {currency: _decimal(amount) for currency, amount in open_amounts.items() if amount}
    return Owed(amounts, overdue, parts.requests[customer])


def _open(invoice: Record, payments: list[Record]) -> Any:
    """What is open of an invoice or credit note, positive: by its system, else what its payments leave. What was paid
    on one that does not count is a credit of the customer's.
    """
    is_credit = invoice.get("kind") == "credit_note"
    currency = invoice.get("currency")
    mine = [pay for pay in payments if currency is None or pay.get("currency") in (None, currency)]
    if invoice.get("status") in ("draft", "cancelled"):
        if is_credit:
            return -sum(abs(pay.get("amount") or 0) for pay in mine)
        return -sum(pay.get("amount") or 0 if pay.get("open_amount") is None else pay["open_amount"] for pay in mine)
    given, gross = invoice.get("open_amount"), invoice.get("gross_amount")
    if given is not None:
        return -given if is_credit and (gross or 0) < 0 else given
    if gross is None and invoice.get("net_amount") is not None and invoice.get("tax_amount") is not None:
        gross = invoice["net_amount"] + invoice["tax_amount"]
    if gross is None or invoice.get("status") == "paid":
        return 0
    if is_credit:
        return abs(gross) - sum(abs(pay.get("amount") or 0) for pay in mine)
    return gross - sum(pay.get("amount") or 0 for pay in mine)


def _owed(record: Record) -> Owed:
    """The same from the stored sum: one currency in `open_amount`, the others in a map."""
    amounts = {currency: text for currency, text in (record.get("other_open_amounts") or {}).items() if text != "0"}
    if record.get("open_amount"):
        amounts[record.get("currency") or ""] = _decimal(record["open_amount"])
    return Owed(amounts, record.get("overdue_invoice_count") or 0, record.get("open_request_count") or 0)


def _decimal(unscaled: int) -> str:
    """A money value (scale 4) as text without trailing zeros."""
    return f"{unscaled / 10_000:.4f}".rstrip("0").rstrip(".")
