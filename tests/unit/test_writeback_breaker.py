"""Who is at fault when there is no answer: the target, or one intent that would hold up all others."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from streams.writeback.breaker import SEVERAL, Breaker
from streams.writeback.failures import Ahead, Refused, TargetDown
from streams.writeback.noted import not_done
from streams.writeback.rules import WritebackRule
from streams.writeback.sql import _translated
from streams.writeback.work import Job, Work

RULE = WritebackRule.model_construct(ready=None, attempts=8, expires_after=None)


def work(**more: Any) -> Work:
    told: dict[str, Any] = {
        "id": 1, "key": "k", "rule": "r", "target": "t", "entity": "opportunity", "entity_id": "e", "aggregate_id": "a", "subject_id": "e",
        "customer_id": "c", "version": 1, "cause_us": 0, "given": {}, "state": "delivering", "decisions": [], "attempts": 1, "failures": 0, "age_s": 0.0,
    }  # fmt: skip
    return Work(**(told | more))


def test_the_pause_grows_until_the_target_answers_and_is_as_long_as_it_asks_for() -> None:
    breaker = Breaker()
    pauses = [breaker.failed("away") for _ in range(12)]
    assert pauses[0] < 0.6 and pauses[-1] >= 15
    breaker.answered("k")
    assert breaker.failed("away") < 0.6
    assert breaker.failed("busy", 90) == 90
    assert breaker.failed("for ever", 1e9) == 900


def test_silence_counts_against_an_intent_once_others_pass() -> None:
    breaker, hangs = Breaker(), TargetDown("no answer", blame="unclear")
    assert [breaker.silent("bad", hangs)[0] for _ in range(20)] == [False] * 20, "an outage counts against nobody"
    breaker.answered("good")
    assert breaker.silent("bad", hangs)[0]
    assert not breaker.silent("bad", hangs)[0], "nobody has passed since"
    breaker.answered("good")
    assert breaker.silent("bad", hangs)[0]
    breaker.answered("bad")
    assert not breaker.silent("bad", hangs)[0], "it was answered"


def test_a_fault_that_an_intent_sets_off_counts_when_it_stays_so() -> None:
    breaker, fault = Breaker(), TargetDown("500", blame="intent")
    assert [breaker.silent("bad", fault)[0] for _ in range(SEVERAL)] == [False] * (SEVERAL - 1) + [True]
    assert not any(breaker.silent("k", TargetDown("refused"))[0] for _ in range(20)), "it can not be reached"


@pytest.mark.parametrize(
    ("error", "alive", "said"),
    [
        (psycopg.errors.QueryCanceled("statement timeout"), True, "unclear"),
        (psycopg.errors.LockNotAvailable("lock timeout"), True, "unclear"),
        (psycopg.errors.AdminShutdown("terminating"), False, "unclear"),
        (psycopg.OperationalError("server closed the connection"), False, "unclear"),
        (psycopg.ProgrammingError("query parameter missing: nett"), True, "refused"),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), True, "refused"),
    ],
)  # fmt: skip
def test_what_has_no_sqlstate_on_a_whole_connection_is_the_rules_fault(
    error: psycopg.Error, alive: bool, said: str
) -> None:
    told = _translated(error, [Job(key="k", rule=RULE, params={})], alive)
    assert (told.blame if isinstance(told, TargetDown) else "refused") == said


def test_people_are_asked_when_it_stays_so_and_not_because_the_intent_is_old() -> None:
    ahead = Ahead("it says 8", ask="overwrite it?")
    first = not_done(work(age_s=3600.0), RULE, ahead)
    assert (first["state"], first["what"]) == ("approved", "incomplete")
    asked = not_done(work(age_s=3600.0, incomplete_s=61.0), RULE, ahead)
    assert (asked["state"], asked["what"], asked["reasons"]) == (
        "waiting",
        "waiting",
        [{"reason": "overwrite it?", "people": 1}],
    )
    # It is looked at again, less and less often, and nobody is asked the same once more.
    again = not_done(work(incomplete_s=90.0, reasons=asked["reasons"]), RULE, ahead)
    assert (again["state"], again["what"], again["reasons"], again["expires_s"]) == ("waiting", "put back", None, None)
    later = not_done(work(incomplete_s=90_000.0, reasons=asked["reasons"]), RULE, ahead)
    assert 5 <= asked["pause_s"] < again["pause_s"] < later["pause_s"] <= 300
    other = not_done(work(incomplete_s=90.0, reasons=asked["reasons"]), RULE, Ahead("it says 7", ask="overwrite 7?"))
    assert other["what"] == "waiting"


def test_what_may_have_been_done_stays_so() -> None:
    assert not_done(work(), RULE, Refused("422"))["unsure"] is False
    assert not_done(work(), RULE, Refused("read back: it is not so", unsure=True))["unsure"] is True
    assert not_done(work(unsure=True), RULE, Refused("422"))["unsure"] is True
