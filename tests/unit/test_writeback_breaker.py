"""Who is at fault when there is no answer: the target, or one intent that would block all others."""

from __future__ import annotations

import psycopg
import pytest

from streams.writeback.breaker import FAULTS_OF_INTENT, Breaker
from streams.writeback.failures import TargetDown
from streams.writeback.jobs import Job
from streams.writeback.rules import WritebackRule
from streams.writeback.sql import translate

RULE = WritebackRule.model_construct(attempts=8)


def test_pause_grows_until_the_target_answers_and_is_as_long_as_it_asks_for() -> None:
    breaker = Breaker()
    pauses = [breaker.target_failed("away") for _ in range(12)]
    assert pauses[0] < 0.6 and pauses[-1] >= 15
    breaker.answered("k")
    assert breaker.target_failed("away") < 0.6
    assert breaker.target_failed("busy", 90) == 90
    assert breaker.target_failed("for ever", 1e9) == 86_400
    refused = [Breaker().target_failed("401", refuses=True)] + [
        breaker.target_failed("401", refuses=True) for _ in range(12)
    ]
    assert refused[0] < 2.1 and refused[-1] >= 900


def test_silence_counts_against_an_intent_once_others_pass() -> None:
    breaker, hangs = Breaker(), TargetDown("no answer", blame="unclear")
    assert [breaker.unanswered("bad", hangs)[0] for _ in range(20)] == [False] * 20, "an outage counts against nobody"
    breaker.answered("good")
    assert breaker.unanswered("bad", hangs)[0]
    assert not breaker.unanswered("bad", hangs)[0], "nobody has passed since"
    breaker.answered("good")
    assert breaker.unanswered("bad", hangs)[0]
    breaker.answered("bad")
    assert not breaker.unanswered("bad", hangs)[0], "it was answered"


def test_fault_of_one_intent_counts_when_it_stays_so() -> None:
    breaker, fault = Breaker(), TargetDown("500", blame="intent")
    assert [breaker.unanswered("bad", fault)[0] for _ in range(FAULTS_OF_INTENT)] == [False] * (
        FAULTS_OF_INTENT - 1
    ) + [True]
    assert not any(breaker.unanswered("k", TargetDown("refused"))[0] for _ in range(20)), "it can not be reached"


@pytest.mark.parametrize(
    ("error", "is_alive", "blame"),
    [
        (psycopg.errors.QueryCanceled("statement timeout"), True, "unclear"),
        (psycopg.errors.LockNotAvailable("lock timeout"), True, "unclear"),
        (psycopg.errors.AdminShutdown("terminating"), False, "unclear"),
        (psycopg.OperationalError("server closed the connection"), False, "unclear"),
        (psycopg.ProgrammingError("query parameter missing: nett"), True, "refused"),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), True, "refused"),
    ],
)  # fmt: skip
def test_error_without_sqlstate_on_a_usable_connection_is_the_rules_fault(
    error: psycopg.Error, is_alive: bool, blame: str
) -> None:
    failure = translate(error, [Job(key="k", rule=RULE, params={})], is_alive=is_alive)
    assert (failure.blame if isinstance(failure, TargetDown) else "refused") == blame
