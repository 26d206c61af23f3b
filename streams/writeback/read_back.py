"""Compare what a target has with what it was given: texts and numbers exactly, amounts within a tolerance. Pure.

A system that computes a total from quantity, price and discount rounds each line, so its total may differ by half of
the smallest unit of the currency a line. What differs by more is asked: a person sees both amounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from streams.mapping.conversions.amounts import currency_digits
from streams.writeback.failures import AmountDiffers, Refused
from streams.writeback.jobs import Job
from streams.writeback.templates import json_value
from streams.writeback.values import shown

DIGITS = 2
"""Decimal places where a record names no currency, or one without a minor unit."""


class Compared(NamedTuple):
    """One value that was read back: where it was read, the parameter that was sent, both values."""

    place: str
    name: str
    has: Any
    wanted: Any


def tolerance_of(per_line: Decimal | dict[str, Decimal] | None, currency: str | None, lines: int) -> Decimal:
    """How much an amount of a document may differ. `per_line`: as the rule declares it; None: half of the smallest
    unit of the currency.
    """
    declared = per_line.get(currency or "") if isinstance(per_line, dict) else per_line
    each = Decimal(5).scaleb(-digits_of(currency) - 1) if declared is None else declared
    return each * max(1, lines)


def digits_of(currency: str | None) -> int:
    """Decimal places of the currency's smallest unit: EUR 2, JPY 0, KWD 3."""
    try:
        return currency_digits((currency or "").upper())
    except ValueError:
        return DIGITS


def amount_text(amount: Decimal, currency: str | None) -> str:
    """An amount as people write it: 954,030.00 EUR. No digit is left out."""
    exponent = amount.normalize().as_tuple().exponent
    places = max(digits_of(currency), -exponent if isinstance(exponent, int) else 0)
    return f"{amount:,.{places}f} {currency or ''}".rstrip()


def check_read_back(job: Job, values: Sequence[Compared]) -> None:
    """Raise Refused where the target has another value than it was given, AmountDiffers where only amounts differ, by
    more than the tolerance, and no person accepted that.
    """
    wrong = [value for value in values if not is_same(value.has, value.wanted)]
    amounts = {}
    other = []
    for value in wrong:
        has = _number(value.has)
        if value.name not in job.rule.amounts or has is None:
            other.append(value)
        elif abs(has - Decimal(str(value.wanted))) > job.tolerance and job.accepted.get(value.name) != has:
            amounts[value.name] = has
    if other:
        raise Refused(
            f"{job.key}: read back, "
            + "; ".join(f"{value.place} is {shown(value.has)}, should be {shown(value.wanted)}" for value in other),
            remedy="the target drops or changes what it does not accept: correct the rule, or the record there",
        )
    if amounts:
        differences = "; ".join(
            f"{value.name} is {amount_text(amounts[value.name], job.currency)} there and "
            f"{amount_text(Decimal(str(value.wanted)), job.currency)} here"
            for value in wrong
            if value.name in amounts
        )
        about = f"{job.about}: " if job.about else ""
        raise AmountDiffers(
            f"{job.key}: read back, {differences}; the tolerance is {amount_text(job.tolerance, job.currency)}",
            question=f"{about}{differences}: accept what the target has?",
            amounts=amounts,
        )


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, Decimal | int | float | str):
        return None
    try:
        number = Decimal(str(value).strip())
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def is_same(has: object, wanted: object) -> bool:
    """Whether a value of the target is the wanted one: numbers by value, also as texts; texts without the blanks of a
    fixed-width column; days may have a time.
    """
    if isinstance(wanted, datetime):
        moment = _moment(has)
        return moment is not None and moment == wanted.replace(tzinfo=wanted.tzinfo or UTC)
    if isinstance(wanted, date):
        return has == wanted if isinstance(has, date) else str(has)[:10] == wanted.isoformat()
    if isinstance(wanted, Decimal | int | float) and not isinstance(wanted, bool):
        number = _number(has)
        return number is not None and number == Decimal(str(wanted))
    if isinstance(wanted, str) and isinstance(has, str | int) and not isinstance(has, bool):
        return str(has).strip() == wanted.strip()
    if isinstance(wanted, bool) or isinstance(has, bool):
        return has is wanted
    if not isinstance(has, str | int | float | bool | list | dict | Decimal | date | None):
        has = None  # MISSING: the target does not have the field.
    return bool(json_value(has) == json_value(wanted))


def _moment(value: object) -> datetime | None:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)
