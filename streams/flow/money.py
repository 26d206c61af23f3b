"""What of the invoices of a flow is paid, settled otherwise and open. Pure.

The system of an invoice masters it: what it calls open is open, and an invoice that it calls paid has nothing open,
whatever the payments add up to (cash discount, tax withheld, written off, set off, paid in another currency). Where it
says neither, payments decide. `canonical.receivables` sums invoices by the same rules (`streams/hub/sql/sums.sql`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from streams.model.state import EntityState

NOT_BILLED = ("draft", "cancelled")
"""Statuses of an invoice that does not count."""


class Bill(NamedTuple):
    """An invoice or credit note that counts. Amounts are unscaled, those of a credit note negative; None: not known."""

    invoice: EntityState
    currency: str | None
    is_credit: bool
    net: int | None
    gross: int | None
    open: int | None
    overpaid: int
    """What was paid beyond an invoice of which its system says that nothing is open."""


class Paid(NamedTuple):
    """A payment and what it is for."""

    payment: EntityState
    invoice: EntityState | None
    amount: int
    """Unscaled; a refund is negative."""
    currency: str | None
    is_refund: bool
    is_cleared: bool


def is_billed(invoice: EntityState) -> bool:
    """Whether an invoice or credit note counts."""
    return invoice.record.get("status") not in NOT_BILLED


def is_cleared(payment: EntityState) -> bool:
    """Whether the money arrived. A system without a status only stores payments that did."""
    return payment.record.get("status") not in ("pending", "reversed")


def payments_of(payments: Iterable[EntityState], invoices: Iterable[EntityState], currency: str | None) -> list[Paid]:
    """The payments in the given order. A payment on a credit note is a refund, whatever its sign. A payment without a
    currency is in that of its invoice, else in `currency`, the flow's.
    """
    invoice_of = {invoice.id: invoice for invoice in invoices}
    paid_amounts = []
    for payment in payments:
        record = payment.record
        invoice = invoice_of.get(payment.parent or "")
        header: dict[str, Any] = invoice.record if invoice is not None else {}
        amount = record.get("amount") or 0
        if header.get("kind") == "credit_note":
            amount = -abs(amount)
        paid_in = record.get("currency") or header.get("currency") or currency
        paid_amounts.append(Paid(payment, invoice, amount, paid_in, amount < 0, is_cleared(payment)))
    return paid_amounts


def bills_of(invoices: Iterable[EntityState], payments: Sequence[Paid], currency: str | None) -> list[Bill]:
    """What is open of these invoices and credit notes, all of which count."""
    paid_on: dict[tuple[str, str | None], int] = {}
    for paid in payments:
        if paid.is_cleared and paid.invoice is not None:
            key = (paid.invoice.id, paid.currency)
            paid_on[key] = paid_on.get(key, 0) + paid.amount
    bills = []
    for invoice in invoices:
        record = invoice.record
        in_currency = record.get("currency") or currency
        net, gross, still_open = record.get("net_amount"), record.get("gross_amount"), record.get("open_amount")
        tax = record.get("tax_amount")
        if gross is None and net is not None and tax is not None:
            gross = net + tax
        is_credit = record.get("kind") == "credit_note"
        if is_credit:
            net, gross, still_open = _taken_back(net), _taken_back(gross), _taken_back(still_open)
        paid_amount = paid_on.get((invoice.id, in_currency), 0)
        overpaid = 0
        if still_open is None and record.get("status") != "paid":
            still_open = gross - paid_amount if gross is not None else None
        else:
            still_open = still_open or 0
            if not is_credit and gross is not None and still_open >= 0 and paid_amount > gross:
                overpaid = _beyond(gross, [p for p in payments if p.invoice is invoice and p.currency == in_currency])
        bills.append(Bill(invoice, in_currency, is_credit, net, gross, still_open, overpaid))
    return bills


def _taken_back(amount: int | None) -> int | None:
    return -abs(amount) if amount is not None else None


def _beyond(gross: int, payments: Iterable[Paid]) -> int:
    """What these payments on one invoice are beyond it. A payment for several invoices names only one of them: where
    its system says what of it is not matched (`open_amount`), that is beyond, and no more.
    """
    unmatched, left = 0, gross
    unknown = 0
    for paid in payments:
        if paid.is_cleared:
            still_open = paid.payment.record.get("open_amount")
            if still_open is None:
                unknown += paid.amount
            else:
                unmatched += still_open
                left -= paid.amount - still_open
    return unmatched + max(0, unknown - max(0, left))
