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


ORDERED, ORDERED_GROSS, SHIPPED, INVOICED, INVOICED_NET, PAID, OPEN = range(7)

Sums = list[int | None]
"""Amounts in one currency, at the indexes above; None: a part of the sum is not known."""
Amounts = dict[str | None, Sums]
"""Currency → sums."""


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


def payments_of(payments: Sequence[EntityState], invoices: Iterable[EntityState], currency: str | None) -> list[Paid]:
    """The payments in the given order. A payment on a credit note is a refund, whatever its sign. A payment without a
    currency is in that of its invoice, else in `currency`, the flow's.
    """
    if not payments:
        return []
    invoice_of = {invoice.id: invoice for invoice in invoices}
    made = []
    for payment in payments:
        record = payment.record
        invoice = invoice_of.get(payment.parent or "")
        header: dict[str, Any] = invoice.record if invoice is not None else {}
        amount = record.get("amount") or 0
        if header.get("kind") == "credit_note":
            amount = -abs(amount)
        paid_in = record.get("currency") or header.get("currency") or currency
        made.append(Paid(payment, invoice, amount, paid_in, amount < 0, is_cleared(payment)))
    return made


class Settled(NamedTuple):
    """What the invoices of a flow come to, beside its sums."""

    credit: int
    """The largest credit balance of the customer in one currency."""
    net: int | None
    """The invoices in the flow's currency without credit notes: without tax, and with it."""
    gross: int | None


def settle_bills(
    bills: Iterable[EntityState], payments: Sequence[Paid], currency: str | None, sums: Amounts
) -> Settled:
    """Add what is invoiced, paid and open to `sums`. `bills`: the invoices and credit notes that count."""
    paid_on: dict[tuple[str, str | None], int] = {}
    for paid in payments:
        if paid.is_cleared:
            in_currency = sums_in(sums, paid.currency)
            add(in_currency, PAID, paid.amount)
            invoice = paid.invoice
            if invoice is not None and is_billed(invoice):
                key = (invoice.id, paid.currency)
                paid_on[key] = paid_on.get(key, 0) + paid.amount
            else:
                # Paid before there is an invoice, or for one that was cancelled: it stands against what will be open.
                left = paid.payment.record.get("open_amount")
                add(in_currency, OPEN, -(paid.amount if left is None else left))
    credits: dict[str | None, int] = {}
    all_net: int | None = 0
    all_gross: int | None = 0
    for invoice in bills:
        get = invoice.record.get
        code = get("currency") or currency
        net, gross, still_open = get("net_amount"), get("gross_amount"), get("open_amount")
        if gross is None and net is not None and (tax := get("tax_amount")) is not None:
            gross = net + tax
        is_credit = get("kind") == "credit_note"
        if is_credit:
            if gross is None or gross >= 0:  # some systems keep the amounts of a credit note negative
                net, gross, still_open = _negative(net), _negative(gross), _negative(still_open)
        elif code == currency:
            all_net = None if all_net is None or net is None else all_net + net
            all_gross = None if all_gross is None or gross is None else all_gross + gross
        paid_amount = paid_on.get((invoice.id, code), 0) if paid_on else 0
        if still_open is None and get("status") != "paid":
            still_open = gross - paid_amount if gross is not None else None
        else:
            still_open = still_open or 0
            if paid_amount and not is_credit and gross is not None and still_open >= 0 and paid_amount > gross:
                mine = [paid for paid in payments if paid.invoice is invoice and paid.currency == code]
                credits[code] = credits.get(code, 0) + _beyond(gross, mine)
        in_currency = sums_in(sums, code)
        add(in_currency, INVOICED, gross)
        add(in_currency, INVOICED_NET, net)
        add(in_currency, OPEN, still_open)
    credit = max([credits.get(code, 0) + max(0, -(of_code[OPEN] or 0)) for code, of_code in sums.items()])
    return Settled(credit, all_net, all_gross)


def sums_in(sums: Amounts, currency: str | None) -> Sums:
    """The sums in a currency."""
    in_currency = sums.get(currency)
    if in_currency is None:
        in_currency = sums[currency] = [0, 0, 0, 0, 0, 0, 0]
    return in_currency


def add(sums: Sums, at: int, amount: int | None) -> None:
    """Add to a sum; what is not known makes it not known."""
    so_far = sums[at]
    sums[at] = None if so_far is None or amount is None else so_far + amount


def _negative(amount: int | None) -> int | None:
    return None if amount is None else -amount


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
