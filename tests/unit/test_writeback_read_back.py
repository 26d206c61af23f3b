"""Amounts that are read back may differ by rounding, and by no more; messages show amounts as people write them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from streams.hub.intents import Approval, Question
from streams.writeback.decide import AnswerFacts, decide
from streams.writeback.decisions import AskPeople, Deliver
from streams.writeback.failures import AmountDiffers, Refused
from streams.writeback.jobs import Job
from streams.writeback.read_back import Compared, amount_text, check_read_back, is_same, tolerance_of
from streams.writeback.values import shown
from tests.unit.test_writeback_decide import NOW
from tests.unit.writeback_records import ORDER_RULE, make_intent


def job(lines: int, currency: str = "EUR", **more: Any) -> Job:
    tolerance = tolerance_of(None, currency, lines)
    return Job(key="k", rule=ORDER_RULE, params={}, about="SO-17", currency=currency, tolerance=tolerance, **more)


def compared(has: object, wanted: str = "954030.0000") -> list[Compared]:
    return [Compared("net", "net", has, Decimal(wanted))]


@pytest.mark.parametrize(
    ("currency", "lines", "tolerance"),
    [("EUR", 1, "0.005"), ("EUR", 40, "0.2"), ("JPY", 3, "1.5"), ("KWD", 2, "0.001"), (None, 0, "0.005"), ("XAU", 1, "0.005")],
)  # fmt: skip
def test_tolerance_is_half_of_the_smallest_unit_a_line(currency: str | None, lines: int, tolerance: str) -> None:
    assert tolerance_of(None, currency, lines) == Decimal(tolerance)


def test_tolerance_may_be_declared() -> None:
    assert tolerance_of(Decimal("0.05"), "EUR", 3) == Decimal("0.15")
    assert tolerance_of({"JPY": Decimal(1)}, "JPY", 2) == 2
    assert tolerance_of({"JPY": Decimal(1)}, "EUR", 2) == Decimal("0.01"), "a currency that is not named"


@pytest.mark.parametrize("has", ["954029.80", 954029.8, Decimal("954030.20"), "954030"])
def test_rounding_of_forty_lines_is_accepted(has: object) -> None:
    check_read_back(job(40), compared(has))


def test_more_than_rounding_asks_a_person_with_both_amounts() -> None:
    with pytest.raises(AmountDiffers) as caught:
        check_read_back(job(3), compared(Decimal("954029.80")))
    question = "SO-17: net is 954,029.80 EUR there and 954,030.00 EUR here: accept what the target has?"
    assert caught.value.question == question
    intent = make_intent(failures=7)
    asked = decide(intent, ORDER_RULE, AnswerFacts(job(3), caught.value), NOW)
    assert isinstance(asked, AskPeople), "never dead for rounding"
    # Who approves accepts this amount, and no other.
    approved = make_intent(decisions=[Approval("ada", "approve", [Question(question, people=1)])])
    again = decide(approved, ORDER_RULE, AnswerFacts(job(3), caught.value), NOW)
    assert isinstance(again, Deliver)
    check_read_back(again.job, compared(Decimal("954029.80")))
    with pytest.raises(AmountDiffers):
        check_read_back(again.job, compared(Decimal("954029.70")))


@pytest.mark.parametrize("has", [None, "", "n/a", True, [1]])
def test_what_is_no_amount_is_refused(has: object) -> None:
    with pytest.raises(Refused) as caught:
        check_read_back(job(40), compared(has))
    assert "should be 954030.00" in str(caught.value)


def test_other_values_have_no_tolerance_and_no_python_in_messages() -> None:
    values = [Compared("curr", "curr", "USD", "EUR"), *compared(Decimal("954029.80"))]
    with pytest.raises(Refused) as caught:
        check_read_back(job(40), values)
    assert str(caught.value) == "k: read back, curr is 'USD', should be 'EUR'"


def test_values_are_shown_as_people_write_them() -> None:
    assert [shown(value) for value in (None, Decimal("12.5000"), Decimal(7), "x")] == ["nothing", "12.50", "7", "'x'"]
    assert shown({"a": [Decimal("1.50")]}) == '{"a": ["1.50"]}' and len(shown("x" * 10_000)) < 210
    assert amount_text(Decimal("954030.0000"), "EUR") == "954,030.00 EUR"
    assert amount_text(Decimal("1200"), "JPY") == "1,200 JPY"
    assert amount_text(Decimal("1.2345"), "EUR") == "1.2345 EUR"


@pytest.mark.parametrize(
    ("has", "wanted", "same"),
    [(7, "7", True), ("007", 7, True), ("a ", "a", True), (1, True, False), (None, None, True), (0, None, False), (Decimal("0.1"), 0.1, True)],
)  # fmt: skip
def test_equal_values(has: object, wanted: object, same: bool) -> None:
    assert is_same(has, wanted) == same
