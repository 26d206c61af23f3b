"""Decide what happens to one intent. Pure: all that it needs is passed in, the clock too; only pauses have a random
jitter.

    (intent, its rule, what the deliverer knows, now) → a decision

What the deliverer knows is one of four: what it read for a planned intent, what it read for a leased one, the
adapter's answer, or that the target gave no answer. The decision says what is recorded (`outcomes.py`) and what
happens next.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from croniter import croniter

from streams.errors import OpshubError
from streams.hub.intents import Intent, Question
from streams.writeback.approvals import open_questions, questions
from streams.writeback.breaker import after_failure, pause_of, while_not_ready, while_queued
from streams.writeback.decisions import (
    Approve,
    AskPeople,
    Decision,
    Deliver,
    Delivered,
    ForLeased,
    ForPlanned,
    GiveUp,
    KeepAsking,
    KeepPlanned,
    NothingToWrite,
    PutBack,
    Retry,
    Shadow,
    Wait,
    Withdraw,
)
from streams.writeback.documents import Document
from streams.writeback.failures import (
    AmountDiffers,
    InDoubt,
    MissingValue,
    NotReady,
    Queued,
    Refused,
    TargetChanged,
    TargetDown,
    TooEarly,
)
from streams.writeback.jobs import AlreadyDone, Answer, Job, Unchanged, Written
from streams.writeback.prepare import check_complete, prepare, why_withdrawn
from streams.writeback.rule_inputs import matches
from streams.writeback.rules import WritebackRule
from streams.writeback.values import Fields

NOT_READY_WITHIN_S = 60.0
"""Seconds for which delivery waits for the hub or the target before a person is asked, where the rule has no
`ready.within`.
"""

RETRY_QUESTION_FIRST_S, RETRY_QUESTION_MOST_S = 5.0, 300.0
"""Seconds until an intent that waits for a person because it was not ready is tried again: the first time, and at most.
"""


RETRY_AMOUNT_S = 900.0
"""Seconds until an intent is tried again that waits for a person to accept an amount, or to look for a request."""


class PlannedFacts(msgspec.Struct, frozen=True, tag=True):
    """What was read for a planned intent. `document`: None where it is neither asked about nor kept for shadow mode."""

    document: Document | NotReady | None
    last_written: Fields | None = None


class LeasedFacts(msgspec.Struct, frozen=True, tag=True):
    """What was read for an intent that is leased and not sent yet. `document`: None only where there is no rule."""

    document: Document | NotReady | None
    last_written: Fields | None = None


class AnswerFacts(msgspec.Struct, frozen=True, tag=True):
    """The adapter's answer to a job, or its refusal."""

    job: Job
    answer: Answer | OpshubError


class NoAnswerFacts(msgspec.Struct, frozen=True, tag=True):
    """The target did not answer, and what the breaker makes of it: whether this counts against the intent, and the
    pause for it.
    """

    down: TargetDown
    counts_against_intent: bool
    pause_s: float


Facts = PlannedFacts | LeasedFacts | AnswerFacts | NoAnswerFacts


def decide(intent: Intent, rule: WritebackRule | None, facts: Facts, now: datetime) -> Decision:
    """What happens to the intent. `rule`: None when writeback.yaml does not have it any more."""
    if rule is None:
        return GiveUp(f"writeback.yaml has no rule {intent.rule} any more")
    match facts:
        case PlannedFacts():
            return decide_planned(intent, rule, facts, now)
        case LeasedFacts():
            return decide_leased(intent, rule, facts)
        case AnswerFacts():
            return decide_answered(intent, rule, facts)
        case NoAnswerFacts(down=down):
            if facts.counts_against_intent:
                return decide_failed(intent, rule, Refused(str(down), in_doubt=down.in_doubt))
            return PutBack(str(down), facts.pause_s, intent.in_doubt or down.in_doubt)


def decide_planned(intent: Intent, rule: WritebackRule, facts: PlannedFacts, now: datetime) -> ForPlanned:
    """Keep a planned intent for shadow mode, ask people, or let it be delivered."""
    # The draw of a canary goes by customer: one customer never sees half of its orders written.
    if not rule.is_live_for(intent.customer_id or intent.subject_id):
        return _decide_shadow(intent, rule, facts)
    not_before = None if rule.schedule is None else croniter(rule.schedule, now).get_next(datetime)
    if rule.approval and isinstance(facts.document, Document):
        unanswered = open_questions(questions(rule, intent.target, facts.document), intent.decisions)
        if unanswered:
            return AskPeople(unanswered, rule.expires_after.total_seconds(), not_before=not_before)
    return Approve(not_before)


def _decide_shadow(intent: Intent, rule: WritebackRule, facts: PlannedFacts) -> Shadow | KeepPlanned:
    try:
        document = _document_of(facts.document)
        check_complete(intent, rule, document)
        return Shadow(prepare(intent, rule, document, facts.last_written))
    except NotReady as not_ready:
        if intent.age_s < _ready_within_s(rule):
            return KeepPlanned()
        return Shadow(problem=str(not_ready))
    except Refused as refused:
        return Shadow(problem=str(refused))


def decide_leased(intent: Intent, rule: WritebackRule, facts: LeasedFacts) -> ForLeased:
    """Deliver a leased intent, or find out why it is not delivered now.

    Everything is checked as it is now: the cause may be gone, the document may have changed, and an approval covers
    only what was seen.
    """
    try:
        document = _document_of(facts.document)
        # First: what was taken back needs no approval and no complete document (decisions, 45).
        withdrawn = why_withdrawn(rule, document)
        if withdrawn is not None:
            return Withdraw(withdrawn)
        try:
            check_complete(intent, rule, document)
        except NotReady as not_ready:
            if not is_approved(not_ready, intent):
                raise
        unanswered = open_questions(questions(rule, intent.target, document), intent.decisions)
        if unanswered:
            return AskPeople(unanswered, rule.expires_after.total_seconds())
        job = prepare(intent, rule, document, facts.last_written)
    except OpshubError as problem:
        return decide_failed(intent, rule, problem)
    if matches(rule.skip_when, job.wanted):
        return NothingToWrite()
    return Deliver(job)


def decide_answered(intent: Intent, rule: WritebackRule, facts: AnswerFacts) -> ForLeased:
    """Record what the target did, do once more what a person approved meanwhile, or try again."""
    job, answer = facts.job, facts.answer
    if isinstance(answer, Written | AlreadyDone | Unchanged):
        return Delivered(job, answer)
    if isinstance(answer, NotReady) and is_approved(answer, intent):
        # `!=`: what was approved and failed all the same is not done once more in this pass.
        as_approved = _as_approved(job, answer)
        if as_approved != job:
            return Deliver(as_approved)
    return decide_failed(intent, rule, answer)


def _as_approved(job: Job, not_ready: NotReady) -> Job:
    """The job once a person approved to go on: overwrite the row, accept the amounts, or send it again."""
    match not_ready:
        case TargetChanged():
            return msgspec.structs.replace(job, overwrite=True)
        case AmountDiffers():
            # A job that was sent is in doubt now: it is looked up, and not sent once more.
            in_doubt = job.in_doubt or not_ready.in_doubt
            return msgspec.structs.replace(job, accepted=not_ready.amounts, in_doubt=in_doubt)
        case InDoubt():
            return msgspec.structs.replace(job, send_again=True)
    return job


def decide_failed(intent: Intent, rule: WritebackRule, problem: OpshubError) -> ForLeased:
    """Try again after a growing pause, and give up after `attempts` failures. What is only not ready does not count
    as a failure.
    """
    if isinstance(problem, NotReady):
        return _decide_not_ready(intent, rule, problem)
    # An intent in doubt stays so until an answer is recorded: a refusal now says nothing about the request before.
    in_doubt = intent.in_doubt or (isinstance(problem, Refused | TargetDown) and problem.in_doubt)
    if intent.failures + 1 >= rule.attempts:
        return GiveUp(str(problem), in_doubt)
    return Retry(str(problem), pause_of(after_failure, intent.failures + 1), in_doubt)


def _decide_not_ready(intent: Intent, rule: WritebackRule, not_ready: NotReady) -> ForLeased:
    """Try again shortly. When it has been so for long, ask a person once, and go on trying now and then: late data
    still comes, and then nobody needs to answer.
    """
    in_doubt = intent.in_doubt or not_ready.in_doubt
    if isinstance(not_ready, TooEarly):
        queued = isinstance(not_ready, Queued)
        pause_s = max(not_ready.retry_s, pause_of(while_queued, intent.attempts) if queued else 0.0)
        return Wait(str(not_ready), pause_s, in_doubt, queued=queued)
    if not not_ready.asks_at_once and intent.not_ready_s < _ready_within_s(rule):
        return Wait(str(not_ready), pause_of(while_not_ready, intent.attempts), in_doubt)
    if is_approved(not_ready, intent) and not isinstance(not_ready, MissingValue):
        # A person said to write it all the same, and it cannot be written: nothing that happens by itself will
        # change that.
        return GiveUp(str(not_ready), in_doubt)
    question = _question_of(not_ready)
    retry_s = min(RETRY_QUESTION_MOST_S, max(RETRY_QUESTION_FIRST_S, intent.not_ready_s / 2))
    if not_ready.asks_at_once:
        # Only people change this: it is tried now and then, in case they did so in the source or the target.
        retry_s = RETRY_AMOUNT_S
    # The same question again would be a second message for the same thing.
    if intent.reasons == [question]:
        return KeepAsking(not_ready.question, retry_s, in_doubt)
    return AskPeople([question], rule.expires_after.total_seconds(), retry_s, in_doubt=in_doubt)


def _ready_within_s(rule: WritebackRule) -> float:
    return rule.ready.within.total_seconds() if rule.ready is not None else NOT_READY_WITHIN_S


def is_approved(not_ready: NotReady, intent: Intent) -> bool:
    """Whether a person approved to go on although it is not ready."""
    return not open_questions([_question_of(not_ready)], intent.decisions)


def _question_of(not_ready: NotReady) -> Question:
    return Question(not_ready.question, people=1)


def _document_of(document: Document | NotReady | None) -> Document:
    """The document. Raises NotReady where the hub does not have the record any more."""
    if isinstance(document, NotReady):
        raise document
    assert document is not None
    return document
