"""The demo's real systems: what is read of Creme's forms, and how far a deal has come."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from streams.demo.real.check import check_deals, open_deals
from streams.demo.real.creme import _Form
from streams.demo.real.people import Done, Won

PAGE = """
<form><input type="hidden" name="csrfmiddlewaretoken" value="t&amp;1"><input name="name" value="Deal"><input type="checkbox" name="a" value="1">
<input type="checkbox" name="b" value="2" checked><select name="phase"><option value="1">New</option><option value="5" selected>Won</option></select>
<select name="currency"><option value="">---</option><option value="1">Euro</option></select><textarea name="notes"> two
lines </textarea></form>
"""


class Session:
    """A person's session, with what its system has."""

    def __init__(self, sales: list[dict[str, Any]], references: dict[int, str]) -> None:
        self._sales, self._references = sales, references

    def ids(self, model: str, *domain: Any) -> list[int]:
        return list(range(len(self._sales)))

    def read(self, model: str, ids: list[int], *fields: str) -> list[dict[str, Any]]:
        return self._sales

    def shown(self, path: str, field: str) -> str:
        return self._references[int(path.rsplit("/", 1)[1])]

    def close(self) -> None:
        pass


class Pair:
    def __init__(self, sales: list[dict[str, Any]], references: dict[int, str]) -> None:
        self.tryton = self.creme = self
        self._session = Session(sales, references)

    def session(self, login: str) -> Session:
        return self._session


def sale(deal: int, number: str = "7", amount: str = "20.00", state: str = "done") -> dict[str, Any]:
    created = {"year": 2026, "month": 12, "day": 1, "hour": 0, "minute": 0, "second": 2, "microsecond": 0}
    return {
        "reference": f"creme:{deal}", "number": number, "state": state, "create_date": created,
        "untaxed_amount": {"decimal": amount},
    }  # fmt: skip


def done(*deals: int) -> Done:
    return Done(won={deal: Won(Decimal("20.00"), 1_796_083_200.0) for deal in deals})


def test_form_holds_what_a_browser_would_send() -> None:
    form = _Form(PAGE)
    assert form.values == {
        "csrfmiddlewaretoken": "t&1", "name": "Deal", "b": "2", "phase": "5", "currency": "", "notes": "two\nlines"
    }  # fmt: skip
    assert form.choices["phase"] == {"New": "1", "Won": "5"}


def test_deal_that_is_one_paid_sale_and_shows_it_holds() -> None:
    pair: Any = Pair([sale(5)], {5: "7"})
    verdict = check_deals(pair, done(5))
    assert verdict.holds and verdict.waited_s == [2.0] and open_deals(pair, done(5)) == []


@pytest.mark.parametrize(
    ("sales", "shown", "what"),
    [
        ([], "", "lost"),
        ([sale(5), sale(5, "8")], "7", "doubled"),
        ([sale(5, amount="19.99")], "7", "differing"),
        ([sale(5, state="processing")], "7", "unpaid"),
        ([sale(5)], "", "not_shown"),
    ],
)
def test_what_is_wrong_with_a_deal_is_counted(sales: list[dict[str, Any]], shown: str, what: str) -> None:
    pair: Any = Pair(sales, {5: shown})
    verdict = check_deals(pair, done(5))
    assert not verdict.holds and getattr(verdict, what) == 1 and verdict.examples
    assert what == "differing" or open_deals(pair, done(5)) == [5]
