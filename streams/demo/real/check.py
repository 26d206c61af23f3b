"""Check the deals: each that was won in Creme is one sale in Tryton with its amount, is paid, and shows its number."""

from __future__ import annotations

import contextlib
import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec

from streams.demo.real.pair import RealPair
from streams.demo.real.people import Done


class DealsVerdict(msgspec.Struct):
    """What became of the deals that were won."""

    won: int = 0
    lost: int = 0
    """Won, and no sale in Tryton."""
    doubled: int = 0
    """Won, and more than one sale."""
    differing: int = 0
    """The sale has another amount than the quote."""
    unpaid: int = 0
    not_shown: int = 0
    """The deal does not show the sale's number."""
    waited_s: list[float] = []
    """From the moment in which a deal was won to its sale."""
    examples: list[str] = []

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.differing or self.unpaid or self.not_shown)


def open_deals(pair: RealPair, done: Done) -> list[int]:
    """Deals that were won and are not yet a sale that is done, with its number in Creme."""
    sales = _sales(pair)
    undone = [deal for deal in done.won if [sale["state"] for sale in sales.get(deal, [])] != ["done"]]
    if undone:
        return undone
    shown = _references(pair, done)
    return [deal for deal in done.won if shown[deal] != sales[deal][0]["number"]]


def check_deals(pair: RealPair, done: Done) -> DealsVerdict:
    """Compare the deals with the sales. Call it when nothing is in flight."""
    verdict, sales, shown = (
        DealsVerdict(won=len(done.won), waited_s=[], examples=[]),
        _sales(pair),
        _references(pair, done),
    )
    for deal, won in done.won.items():
        mine = sales.get(deal, [])
        if len(mine) != 1:
            verdict.lost += not mine
            verdict.doubled += len(mine) > 1
            _example(verdict, f"deal {deal} has {len(mine)} sales")
            continue
        (sale,) = mine
        amount, created = Decimal(sale["untaxed_amount"]["decimal"]), sale["create_date"]
        verdict.waited_s.append(max(0.0, _moment(created) - won.at))
        if amount != won.amount:
            verdict.differing += 1
            _example(verdict, f"deal {deal} is worth {won.amount}, its sale {amount}")
        if sale["state"] != "done":
            verdict.unpaid += 1
            _example(verdict, f"the sale {sale['number']} of deal {deal} is {sale['state']}")
        if shown[deal] != sale["number"]:
            verdict.not_shown += 1
            _example(verdict, f"deal {deal} shows {shown[deal]!r}, its sale is {sale['number']}")
    return verdict


def _sales(pair: RealPair) -> dict[int, list[dict[str, Any]]]:
    """Deal → its sales, whatever they are worth; cancelled ones left out."""
    by_deal: dict[int, list[dict[str, Any]]] = {}
    with contextlib.closing(pair.tryton.session("finance")) as person:
        ids = person.ids("sale.sale", ["reference", "like", "creme:%"], ["state", "!=", "cancelled"])
        fields = ("reference", "number", "state", "untaxed_amount", "create_date")
        for sale in person.read("sale.sale", ids, *fields) if ids else []:
            by_deal.setdefault(int(sale["reference"].removeprefix("creme:")), []).append(sale)
    return by_deal


def _references(pair: RealPair, done: Done) -> dict[int, str]:
    """Deal → what its form in Creme shows as reference."""
    with contextlib.closing(pair.creme.session("sales")) as person:
        return {deal: person.shown(f"/opportunities/opportunity/edit/{deal}", "reference") for deal in done.won}


def _moment(stamp: dict[str, Any]) -> float:
    """Seconds since 1970 of a time in Tryton's JSON."""
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return dt.datetime(*(int(stamp[name]) for name in names), tzinfo=dt.UTC).timestamp()  # type: ignore[misc,arg-type]


def _example(verdict: DealsVerdict, text: str) -> None:
    if len(verdict.examples) < 20:
        verdict.examples.append(text)
