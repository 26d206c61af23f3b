"""Are the sums that the hub keeps (receivables, stock) those of their records? Folded anew, by another way than they were made.

In: every aggregate of the hub. Out: a line for each sum that is wrong or missing. Ask with nothing in flight: a sum follows its records by
seconds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from streams.model.state import AggregateState, EntityState


def wrong_sums(states: Iterable[AggregateState]) -> Iterator[str]:
    """What does not hold, in words."""
    bills: dict[str, list[dict[str, Any]]] = defaultdict(list)
    requests: Counter[str] = Counter()
    available: dict[str, list[int]] = defaultdict(list)
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    roots: set[tuple[str, str]] = set()
    for member in _there(states):
        record = member.record
        if member.entity in ("customer", "product"):
            roots.add((member.entity, member.id))  # also a deleted one: what it owes is owed
        if member.deleted:
            continue
        if member.entity == "invoice" and record.get("status") not in ("draft", "cancelled"):
            bills[record.get("customer_id") or ""].append(record)
        elif member.entity == "service_request" and record.get("status") not in ("resolved", "closed"):
            requests[record.get("customer_id") or ""] += 1
        elif member.entity == "inventory_level":
            available[record.get("product_id") or ""].append(record.get("available") or 0)
        elif member.entity in ("receivables", "stock"):
            sums[member.entity, record["customer_id" if member.entity == "receivables" else "product_id"]] = record
    for kind, key in roots:
        should: Any
        said: Any
        if kind == "customer":
            told = sums.get(("receivables", key), {})
            should = _owed(bills.get(key, []), requests[key])
            said = (_by_currency(told), told.get("overdue_invoice_count") or 0, told.get("open_request_count") or 0)
        else:
            should, said = sum(available.get(key, [])), sums.get(("stock", key), {}).get("available") or 0
        if said != should:
            yield f"{'receivables' if kind == 'customer' else 'stock'} of {kind} {key}: {said}, should be {should}"
    for entity, key in sums:
        if (("customer" if entity == "receivables" else "product"), key) not in roots:
            yield f"{entity} of {key}, which is not there"


def _there(states: Iterable[AggregateState]) -> Iterator[EntityState]:
    for state in states:
        for member in state.members.values():
            if member.merged_into is None and member.version:
                yield member


def _owed(bills: list[dict[str, Any]], requests: int) -> tuple[dict[str, str], int, int]:
    today = (datetime.now(UTC).date() - date(1970, 1, 1)).days
    open_of: Counter[str] = Counter()
    late = 0
    for bill in bills:
        credit = bill.get("kind") == "credit_note"
        amount = bill.get("open_amount") or 0
        open_of[bill.get("currency") or ""] += -amount if credit else amount
        due = bill.get("due_date")
        late += bool(amount) and not credit and (bill.get("status") == "overdue" or (due is not None and due < today))
    return {currency: _plain(amount) for currency, amount in open_of.items() if amount}, late, requests


def _by_currency(told: dict[str, Any]) -> dict[str, str]:
    amounts = {one: text for one, text in (told.get("other_open_amounts") or {}).items() if text != "0"}
    if told.get("open_amount"):
        amounts[told.get("currency") or ""] = _plain(told["open_amount"])
    return amounts


def _plain(unscaled: int) -> str:
    return f"{unscaled / 10_000:.4f}".rstrip("0").rstrip(".")
