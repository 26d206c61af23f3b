"""Checks the sums that the hub keeps (receivables, stock) against their records, computed in another way than the
pipeline's.

In: every aggregate of the hub, with nothing in flight: a sum follows its records by seconds. Out: a line for each sum
that is wrong, and for each that belongs to no record.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
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


class _Parts:
    """The records that sums are made of, by the customer or product that they belong to."""

    def __init__(self, states: Iterable[AggregateState]) -> None:
        self.invoices: dict[str, list[Record]] = defaultdict(list)
        self.requests: Counter[str] = Counter()
        self.available: Counter[str] = Counter()
        self.sums: dict[tuple[str, str], Record] = {}
        self.roots: set[tuple[str, str]] = set()
        for member in _emitted(states):
            self._add(member)

    def _add(self, member: EntityState) -> None:
        record = member.record
        if member.entity in ("customer", "product"):
            # Also a deleted customer: what it owes is still owed.
            self.roots.add((member.entity, member.id))
        if member.deleted:
            return
        if member.entity == "invoice" and record.get("status") not in ("draft", "cancelled"):
            self.invoices[record.get("customer_id") or ""].append(record)
        elif member.entity == "service_request" and record.get("status") not in ("resolved", "closed"):
            self.requests[record.get("customer_id") or ""] += 1
        elif member.entity == "inventory_level":
            self.available[record.get("product_id") or ""] += record.get("available") or 0
        elif member.entity in ("receivables", "stock"):
            owner = record["customer_id" if member.entity == "receivables" else "product_id"]
            self.sums[member.entity, owner] = record


def wrong_sums(states: Iterable[AggregateState]) -> Iterator[str]:
    """Each sum that is wrong, in words."""
    parts = _Parts(states)
    for kind, key in parts.roots:
        if kind == "customer":
            name, record = "receivables", parts.sums.get(("receivables", key), {})
            actual: object = _owed(record)
            expected: object = _computed_owed(parts.invoices.get(key, []), parts.requests[key])
        else:
            name, record = "stock", parts.sums.get(("stock", key), {})
            actual, expected = record.get("available") or 0, parts.available[key]
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


def _computed_owed(invoices: list[Record], requests: int) -> Owed:
    today = (datetime.now(UTC).date() - date(1970, 1, 1)).days
    open_amounts: Counter[str] = Counter()
    overdue = 0
    for invoice in invoices:
        is_credit = invoice.get("kind") == "credit_note"
        amount = invoice.get("open_amount") or 0
        open_amounts[invoice.get("currency") or ""] += -amount if is_credit else amount
        due = invoice.get("due_date")
        is_late = invoice.get("status") == "overdue" or (due is not None and due < today)
        overdue += bool(amount) and not is_credit and is_late
    amounts = {currency: _decimal(amount) for currency, amount in open_amounts.items() if amount}
    return Owed(amounts, overdue, requests)


def _owed(record: Record) -> Owed:
    """The same from the stored sum: one currency in `open_amount`, the others in a map."""
    amounts = {currency: text for currency, text in (record.get("other_open_amounts") or {}).items() if text != "0"}
    if record.get("open_amount"):
        amounts[record.get("currency") or ""] = _decimal(record["open_amount"])
    return Owed(amounts, record.get("overdue_invoice_count") or 0, record.get("open_request_count") or 0)


def _decimal(unscaled: int) -> str:
    """A money value (scale 4) as text without trailing zeros."""
    return f"{unscaled / 10_000:.4f}".rstrip("0").rstrip(".")
