"""What is noted of an intent that was leased, as the hub's `finish_intents` takes it. Pure."""

from __future__ import annotations

from typing import Any

from streams.errors import OpshubError
from streams.writeback.approve import open_questions
from streams.writeback.breaker import after_failure, pause_of, while_incomplete
from streams.writeback.failures import NotYet
from streams.writeback.rules import WritebackRule
from streams.writeback.work import Work

INCOMPLETE = "incomplete"
WITHIN_S = 60.0
"""Seconds for which delivery waits for the hub or the target, where the rule says nothing, before a person is asked."""

LOOKED_AT_AFTER, LOOKED_AT_EVERY = 5.0, 300.0
"""Seconds until what waits for a person, since it was not ready, is looked at again: at first, and at most."""


def noted(work: Work, state: str, what: str, /, **more: Any) -> dict[str, Any]:
    """What became of it: its state, and the word of the log."""
    told: dict[str, Any] = {
        "problem": None, "request": None, "result": None, "pause_s": 0.0, "reasons": None, "people": None, "expires_s": None, "follow": [],
        "unsure": None, "echo": None,
    }  # fmt: skip
    return (
        told
        | more
        | {"id": work.id, "attempts": work.attempts, "cause_us": work.cause_us, "state": state, "what": what}
    )


def not_done(work: Work, rule: WritebackRule, no: OpshubError) -> dict[str, Any]:
    """Again after a pause that grows, and dead at last; what is only not ready does not count."""
    if isinstance(no, NotYet):
        return _not_yet(work, rule, no)
    dead = work.failures + 1 >= rule.attempts
    state = "dead" if dead else "failed"
    pause = 0.0 if dead else pause_of(after_failure, work.failures + 1)
    unsure = work.unsure or getattr(no, "unsure", False)
    return noted(work, state, state, problem=str(no), pause_s=pause, unsure=unsure)


def _not_yet(work: Work, rule: WritebackRule, wait: NotYet) -> dict[str, Any]:
    """Again shortly; when it has stayed so while it was looked at, a person is asked, once, and it is looked at again now and then: what
    was late comes, and nobody needs to answer.
    """
    within = rule.ready.within.total_seconds() if rule.ready is not None else WITHIN_S
    reason = {"reason": wait.ask, "people": 1}
    if work.incomplete_s < within:
        pause = pause_of(while_incomplete, work.attempts)
        return noted(work, "approved", INCOMPLETE, problem=str(wait), pause_s=pause, unsure=work.unsure)
    if open_questions([reason], work):
        pause = min(LOOKED_AT_EVERY, max(LOOKED_AT_AFTER, work.incomplete_s / 2))
        if work.reasons == [reason]:
            return noted(work, "waiting", "put back", problem=wait.ask, pause_s=pause, unsure=work.unsure)
        return noted(work, "waiting", "waiting", **waiting([reason], rule), pause_s=pause, unsure=work.unsure)
    return noted(work, "dead", "dead", problem=str(wait))


def said_yes(wait: NotYet, work: Work) -> bool:
    """Whether a person said to go on all the same."""
    return not open_questions([{"reason": wait.ask, "people": 1}], work)


def waiting(asked: list[dict[str, Any]], rule: WritebackRule) -> dict[str, Any]:
    """People are asked these questions."""
    return {
        "state": "waiting",
        "reasons": asked,
        "people": max(one["people"] for one in asked),
        "expires_s": rule.expires_after.total_seconds() if rule.expires_after is not None else None,
        "problem": "; ".join(one["reason"] for one in asked),
    }
