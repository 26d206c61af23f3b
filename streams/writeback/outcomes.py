"""Decisions → the rows that record them in the hub. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streams.hub.intents import Intent, IntentOutcome, PlannedDecision, Question, Request, State
from streams.model.intent import NewIntent
from streams.writeback.decisions import (
    Approve,
    AskPeople,
    Delivered,
    ForLeased,
    GiveUp,
    KeepAsking,
    NothingToWrite,
    PutBack,
    Retry,
    Shadow,
    Wait,
    Withdraw,
)
from streams.writeback.failures import Refused
from streams.writeback.jobs import AlreadyDone, Answer, Job, Unchanged, Written
from streams.writeback.values import Fields

WRITTEN, ALREADY_DONE, UNCHANGED, NOTHING_TO_WRITE = "written", "already done", "unchanged", "nothing to write"
NOT_READY, TARGET_DOWN, PUT_BACK, QUEUED = "not ready", "target down", "put back", "queued by the target"
"""Words of an intent's log, and of the deliverer's counters."""

Describe = Callable[[Job], Request]
"""What an adapter would send, or sent, for a job. Raises Refused for what cannot be formed."""


def record_planned(
    intent: Intent, decision: Approve | Shadow | AskPeople | GiveUp, describe: Describe
) -> PlannedDecision:
    """The row for `decide_planned`."""

    def row(state: State, **columns: Any) -> PlannedDecision:
        return PlannedDecision(id=intent.id, was=intent.state, state=state, **columns)

    match decision:
        case Approve(not_before=not_before):
            return row("approved", not_before=not_before)
        case Shadow(job=None, problem=problem):
            return row("shadow", problem=problem)
        case Shadow(job=job):
            assert job is not None
            try:
                return row("shadow", request=describe(job))
            except Refused as refused:
                return row("shadow", problem=str(refused))
        case AskPeople(questions=asked_now, expires_s=expires_s, not_before=not_before):
            return row(
                "waiting",
                reasons=asked_now,
                people=_people(asked_now),
                problem=_text(asked_now),
                expires_s=expires_s,
                not_before=not_before,
            )
        case GiveUp(problem=problem):
            return row("dead", problem=problem)


def record_outcome(
    intent: Intent, decision: ForLeased, describe: Describe, follow: Callable[[Answer], Sequence[NewIntent]]
) -> IntentOutcome:
    """The row for `finish_intents`. `follow`: the intents that follow from a delivery."""

    def row(state: State, what: str, **columns: Any) -> IntentOutcome:
        return IntentOutcome(id=intent.id, attempts=intent.attempts, state=state, what=what, **columns)

    match decision:
        case Delivered(job=job, answer=answer):
            result, values = _result(answer)
            return row(
                "delivered",
                word_of(answer),
                request=describe(job),
                result=result if values is None else {**result, "written": values},
                follow=list(follow(answer)),
                echo=None if values is None else nest_attributes(values),
            )
        case NothingToWrite():
            return row("delivered", NOTHING_TO_WRITE)
        case AskPeople(questions=asked_now, expires_s=expires_s, retry_s=retry_s, in_doubt=in_doubt):
            return row(
                "waiting",
                "waiting",
                reasons=asked_now,
                people=_people(asked_now),
                problem=_text(asked_now),
                expires_s=expires_s,
                pause_s=retry_s,
                in_doubt=in_doubt,
                not_ready=retry_s > 0,
            )
        case KeepAsking(problem=problem, retry_s=retry_s, in_doubt=in_doubt):
            # Not logged: it is tried every few minutes, and a person was asked already.
            return row(
                "waiting",
                PUT_BACK,
                problem=problem,
                pause_s=retry_s,
                in_doubt=in_doubt,
                not_ready=True,
                is_logged=False,
            )
        case Wait(problem=problem, retry_s=retry_s, in_doubt=in_doubt, queued=queued):
            return row(
                "approved",
                QUEUED if queued else NOT_READY,
                problem=problem,
                pause_s=retry_s,
                in_doubt=in_doubt,
                not_ready=not queued,
                queued=queued,
            )
        case Retry(problem=problem, retry_s=retry_s, in_doubt=in_doubt):
            return row("failed", "failed", problem=problem, pause_s=retry_s, in_doubt=in_doubt)
        case GiveUp(problem=problem, in_doubt=in_doubt):
            return row("dead", "dead", problem=problem, in_doubt=in_doubt)
        case Withdraw(problem=problem):
            return row("superseded", "withdrawn", problem=problem)
        case PutBack(was_sent=True):
            return row(
                "approved", TARGET_DOWN, problem=decision.problem, pause_s=decision.retry_s, in_doubt=decision.in_doubt
            )
        case PutBack():
            return row("approved", PUT_BACK, problem=decision.problem, is_logged=False)
        case _:
            raise AssertionError(f"{type(decision).__name__} is carried out, not recorded")


def word_of(answer: Answer) -> str:
    """How the log names an answer."""
    match answer:
        case Written():
            return WRITTEN
        case AlreadyDone():
            return ALREADY_DONE
        case Unchanged():
            return UNCHANGED


def _result(answer: Answer) -> tuple[Fields, Fields | None]:
    return ({}, answer.values) if isinstance(answer, Unchanged) else (answer.result, answer.values)


def _people(questions: Sequence[Question]) -> int:
    return max(question.people for question in questions)


def _text(questions: Sequence[Question]) -> str:
    return "; ".join(question.reason for question in questions)


def nest_attributes(fields: Fields) -> Fields:
    """`attributes.x` under `attributes`, as records have it."""
    nested = {field: value for field, value in fields.items() if not field.startswith("attributes.")}
    attributes = {field.removeprefix("attributes."): value for field, value in fields.items() if field not in nested}
    return nested | ({"attributes": attributes} if attributes else {})
