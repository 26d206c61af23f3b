"""One intent from its first attempt to its end, with the real adapter and the real decisions, on a clock that jumps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec

from streams.hub.intents import Intent
from streams.writeback.breaker import Breaker
from streams.writeback.decide import AnswerFacts, NoAnswerFacts, decide
from streams.writeback.decisions import AskPeople, Deliver, Delivered, GiveUp, KeepAsking, PutBack, Retry, Wait
from streams.writeback.failures import TargetDown
from streams.writeback.forms import duration
from streams.writeback.http import HttpAdapter
from streams.writeback.http_rules import HttpAction, HttpTarget
from streams.writeback.jobs import AlreadyDone, Answer, Job, Written
from streams.writeback.rules import WritebackRule
from tests.integration.odd_server import OddServer
from tests.unit.writeback_records import make_intent

ORDER: dict[str, Any] = {
    "look_up": {
        "method": "GET", "path": "/orders", "query": {"ref": "$key"}, "record_path": "items",
        "match": {"ref": "key"}, "result": {"order.id": "id"},
    },
    "send": {"path": "/orders", "json": {"ref": "$key", "amount": "$amount"}},
    "result": {"order.id": "order.id"},
    "read_back": {"method": "GET", "path": "/orders/$order.id"},
    "compare": {"amount": "amount", "ref": "key"},
}  # fmt: skip
START = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Clock:
    """Seconds since the start of the test; waiting takes no time."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def moment(self) -> datetime:
        return START + timedelta(seconds=self.now_s)


class End(NamedTuple):
    """How it ended. `asked`: a person is asked, by a question or a dead intent. `paused`: the target is tried again
    and again, and people were alerted.
    """

    how: Literal["delivered", "asked", "paused"]
    answer: Answer | None
    problem: str
    attempts: int
    failures: int


class OneIntent:
    """An intent with the columns that the hub keeps of it."""

    def __init__(self, adapter: HttpAdapter, rule: WritebackRule, clock: Clock, **job: Any) -> None:
        self.adapter = adapter
        self.rule = rule
        self.clock = clock
        self.job = job
        self.breaker = Breaker()
        self.sent_at: float | None = None
        self.queued_at: float | None = None
        self.intent: Intent = make_intent(key="k1", attempts=0)
        self.pauses: list[float] = []

    async def _still_leased(self, jobs: Sequence[Job]) -> list[Job]:
        self.sent_at, self.queued_at = self.clock(), None
        return list(jobs)

    def in_doubt_since(self, seconds: float) -> None:
        """A deliverer died after it sent the request."""
        self.intent = msgspec.structs.replace(self.intent, in_doubt=True)
        self.sent_at = self.clock() - seconds

    async def run(self, rounds: int = 30) -> End:
        """Deliver until it is over, or `rounds` attempts were made."""
        problem = ""
        for attempt in range(1, rounds + 1):
            now = self.clock()
            self.intent = msgspec.structs.replace(
                self.intent, attempts=attempt, not_ready_s=now,
                sent_s=None if self.sent_at is None else now - self.sent_at,
                sent_at=None if self.sent_at is None else START + timedelta(seconds=self.sent_at),
                queued_s=None if self.queued_at is None else now - self.queued_at,
            )  # fmt: skip
            intent = self.intent
            job = Job(
                key=intent.key, rule=self.rule, in_doubt=intent.in_doubt, failed_before=intent.failures > 0,
                sent_s=intent.sent_s, sent_at=intent.sent_at, queued_s=intent.queued_s, **self.job,
            )  # fmt: skip
            (((_, answer),),) = [portion async for portion in self.adapter.deliver([job], self._still_leased)]
            pause_s = 0.0
            if isinstance(answer, TargetDown):
                verdict = self.breaker.unanswered(intent.key, answer)
                facts: Any = NoAnswerFacts(answer, verdict.counts_against_intent, verdict.pause_s)
                if not verdict.counts_against_intent:
                    pause_s = self.breaker.target_failed(str(answer), answer.retry_after_s, refuses=answer.refuses)
            else:
                self.breaker.answered(intent.key)
                facts = AnswerFacts(job, answer)
            decision = decide(intent, self.rule, facts, self.clock.moment())
            match decision:
                case Delivered(answer=done):
                    assert isinstance(done, Written | AlreadyDone)
                    return End("delivered", done, "", attempt, intent.failures)
                case GiveUp(problem=problem) | KeepAsking(problem=problem):
                    return End("asked", None, problem, attempt, intent.failures)
                case AskPeople(questions=questions):
                    return End("asked", None, questions[0].reason, attempt, intent.failures)
                case Retry() | Wait() | PutBack():
                    problem = decision.problem
                    queued = isinstance(decision, Wait) and decision.queued
                    self.queued_at = (self.queued_at or self.clock()) if queued else self.queued_at
                    pause_s = max(pause_s, decision.retry_s)
                    failures = intent.failures + isinstance(decision, Retry)
                    in_doubt = intent.in_doubt if decision.in_doubt is None else decision.in_doubt
                    self.intent = msgspec.structs.replace(intent, in_doubt=in_doubt, failures=failures)
                case _:
                    assert not isinstance(decision, Deliver)
                    raise AssertionError(decision)
            self.pauses.append(pause_s)
            self.clock.now_s += pause_s
        return End("paused", None, problem, rounds, self.intent.failures)


def intent(server: OddServer, clock: Clock, action: dict[str, Any] = ORDER, **target: Any) -> OneIntent:
    given = {"timeout": duration("5 s"), "most_bytes": 1_000_000} | target
    adapter = HttpAdapter(HttpTarget(adapter="http", base_url=f"http://127.0.0.1:{server.port}", **given))
    server.adapters.append(adapter)
    rule = WritebackRule.model_construct(http=HttpAction.model_validate(action))
    return OneIntent(adapter, rule, clock, params={"amount": 12.5})


def holds(server: OddServer, end: End) -> None:
    """Nothing is lost and nothing is there twice."""
    made = [order["ref"] for order in server.orders]
    assert made in ([], ["k1"]), f"{made} after {end}"
    if end.how == "delivered":
        assert made == ["k1"], end
        assert isinstance(end.answer, Written | AlreadyDone)
        assert str(end.answer.result["order"]["id"]) == "1", end
    else:
        assert end.problem
        assert "Decimal(" not in end.problem
