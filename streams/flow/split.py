"""Divide money among the lines of a document so that the parts add up to it exactly. Pure.

Amounts are unscaled integers. What stands in a line is that line's; what stands only in the header (freight, discount,
tax, rounding) is divided in proportion, and what rounding leaves goes to the largest remainders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streams.model.currency import EXPONENTS

Record = Mapping[str, Any]

MONEY_SCALE = 4
_PERCENT = 100
_RATE_SCALE = 10**4
"""Scale of `tax_rate`."""


def proportional(amount: int, weights: Sequence[int], grain: int = 1) -> list[int]:
    """`amount` in parts like `weights`. The parts add up to `amount`; equal parts where all weights are 0. They are
    multiples of `grain` if the amount is one.

    Weights of both signs (a line of goods and a line that takes some back) count with their sign unless they nearly
    cancel: then parts many times as large as the amount would result, and their sizes count.
    """
    total, sizes = sum(weights), sum(abs(weight) for weight in weights)
    if 4 * abs(total) < sizes:
        weights, total = [abs(weight) for weight in weights], sizes
    if not total:
        weights, total = [1] * len(weights), len(weights)
    if total < 0:
        weights, total = [-weight for weight in weights], -total
    if grain > 1 and amount % grain == 0:
        return [portion * grain for portion in proportional(amount // grain, weights)]
    parts = [amount * weight // total for weight in weights]
    left = amount - sum(parts)  # less than one for each portion, for // rounds down
    by_remainder = sorted(range(len(parts)), key=lambda at: (-(amount * weights[at] % total), at))
    for at in by_remainder[:left]:
        parts[at] += 1
    return parts


def split_money(header: Record, lines: Sequence[Sequence[Record]]) -> list[dict[str, int | None]]:
    """The money fields of a document for each group of its lines. A field that the header leaves empty is empty in
    every portion. There is at least one group; what lines in no group amount to is divided among the groups.
    """
    grain = grain_of(header.get("currency"))
    weights = _weights(lines)
    sizes = [abs(weight) for weight in weights]
    nothing = [0] * len(lines)
    freight = _divided(header.get("freight_amount"), nothing, sizes, grain)
    discount = _divided(header.get("discount_amount"), nothing, sizes, grain)
    named = [sum(line.get("net_amount") or 0 for line in group) for group in lines]
    expected = [
        sum(amounts) for amounts in zip(named, freight or nothing, [-d for d in discount or nothing], strict=True)
    ]
    net = _divided(header.get("net_amount"), expected, sizes, grain)
    worth = net or weights
    taxes = [sum(_tax(line, grain) for line in group) for group in lines]
    tax = _divided(header.get("tax_amount"), taxes, worth, grain)
    with_tax = [sum(amounts) for amounts in zip(net, tax or taxes, strict=True)] if net is not None else nothing
    gross = _divided(header.get("gross_amount"), with_tax, worth, grain)
    still_open = _divided(header.get("open_amount"), nothing, gross or worth, grain)
    return [
        {
            field: None if amounts is None else amounts[at]
            for field, amounts in zip(MONEY, (freight, discount, net, tax, gross, still_open), strict=True)
        }
        for at in range(len(lines))
    ]


MONEY = ("freight_amount", "discount_amount", "net_amount", "tax_amount", "gross_amount", "open_amount")
"""The fields that `split_money` divides."""


def grain_of(currency: str | None) -> int:
    """The smallest coin of a currency as unscaled money: 100 for a cent."""
    return int(10 ** (MONEY_SCALE - EXPONENTS.get(currency or "", 2)))


def _divided(total: int | None, known: list[int], weights: Sequence[int], grain: int) -> list[int] | None:
    """`known`, and of what `total` has beyond it each portion's share."""
    if total is None:
        return None
    rest = total - sum(known)
    if not rest:
        return known
    return [portion + more for portion, more in zip(known, proportional(rest, weights, grain), strict=True)]


def _weights(lines: Sequence[Sequence[Record]]) -> list[int]:
    """What each group weighs: the amounts of its lines, else quantity by price; the quantities where no line of the
    document has an amount.
    """
    amounts = [[_amount(line) for line in group] for group in lines]
    if all(amount is None for group in amounts for amount in group):
        return [sum(line.get("quantity") or 0 for line in group) for group in lines]
    return [sum(amount or 0 for amount in group) for group in amounts]


def _amount(line: Record) -> int | None:
    amount, quantity, price = line.get("net_amount"), line.get("quantity"), line.get("unit_price")
    if amount is not None or quantity is None or price is None:
        return amount
    return int(quantity) * int(price) // 10**6


def _tax(line: Record, grain: int) -> int:
    """The tax of a line, as far as it names the amount or the rate."""
    amount: int | None = line.get("tax_amount")
    if amount is not None:
        return amount
    coin = _RATE_SCALE * _PERCENT * grain
    return (int(line.get("net_amount") or 0) * int(line.get("tax_rate") or 0) + coin // 2) // coin * grain
