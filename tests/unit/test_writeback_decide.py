"""What the deliverer decides about one intent, and what it records: every decision without a server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from streams.errors import OpshubError
from streams.hub.intents import Approval, Intent, IntentOutcome, Question
from streams.writeback.decide import AnswerFacts, LeasedFacts, NoAnswerFacts, PlannedFacts, decide
from streams.writeback.decisions import (
    Approve,
    AskPeople,
    Decision,
    Deliver,
    Delivered,
    ForLeased,
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
from streams.writeback.documents import Document, EntityView
from streams.writeback.failures import NotReady, Refused, TargetChanged, TargetDown
from streams.writeback.jobs import AlreadyDone, Job, Unchanged, Written
from streams.writeback.outcomes import record_outcome, record_planned
from streams.writeback.prepare import check_complete
from streams.writeback.rules import WritebackRule
from tests.unit.writeback_records import ORDER_RULE, PRICE_RULE, make_document, make_intent

NOW = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)
RULE = ORDER_RULE.model_copy(update={"ready": None})
COMPLETE = make_document(100_0000, lines=(60_0000, 40_0000))
JOB = Job(key="k", rule=RULE, params={})


def planned(intent: Intent, rule: WritebackRule | None, document: Document | NotReady | None) -> Decision:
    return decide(intent, rule, PlannedFacts(document), NOW)


def leased(
    intent: Intent,
    document: Document | NotReady,
    rule: WritebackRule = RULE,
    last_written: dict[str, Any] | None = None,
) -> Decision:
    return decide(intent, rule, LeasedFacts(document, last_written), NOW)


def failed(intent: Intent, problem: OpshubError, rule: WritebackRule = RULE, job: Job = JOB) -> Decision:
    return decide(intent, rule, AnswerFacts(job, problem), NOW)


def recorded(intent: Intent, decision: Decision) -> IntentOutcome:
    assert not isinstance(decision, KeepPlanned | Approve | Shadow)
    return record_outcome(intent, decision, lambda job: [{"key": job.key}], lambda answer: [])


def approved(*questions: str) -> Sequence[Approval]:
    return [Approval("ada", "approve", [Question(reason, people=1) for reason in questions])]


# -- planned


def test_planned_intent_is_approved_when_nobody_is_asked() -> None:
    assert planned(make_intent(state="planned"), RULE, COMPLETE) == Approve(None)


def test_planned_intent_waits_for_its_schedule() -> None:
    hourly = RULE.model_copy(update={"schedule": "0 * * * *"})
    assert planned(make_intent(), hourly, COMPLETE) == Approve(datetime(2026, 11, 30, 13, tzinfo=UTC))


def test_planned_intent_asks_people() -> None:
    decision = planned(make_intent(state="planned"), RULE, make_document(600_000_0000))
    assert isinstance(decision, AskPeople)
    row = record_planned(make_intent(state="planned"), decision, lambda job: [])
    assert (row.was, row.state, row.people, row.expires_s) == ("planned", "waiting", 1, 3 * 86_400)
    assert row.reasons == decision.questions and row.problem == decision.questions[0].reason


def test_planned_intent_without_a_rule_is_dead() -> None:
    decision = planned(make_intent(), None, None)
    assert decision == GiveUp("writeback.yaml has no rule demo-erp/order_from_opportunity any more")


def test_shadow_mode_keeps_what_would_be_sent() -> None:
    shadow = ORDER_RULE.model_copy(update={"mode": "shadow"})
    intent = make_intent(state="planned", age_s=1.0)
    decision = planned(intent, shadow, COMPLETE)
    assert isinstance(decision, Shadow) and decision.job is not None
    assert record_planned(intent, decision, lambda job: [{"key": job.key}]).request == [{"key": "k"}]

    def refuse(job: Job) -> list[dict[str, Any]]:
        raise Refused("it cannot be formed")

    row = record_planned(intent, decision, refuse)
    assert (row.state, row.request, row.problem) == ("shadow", None, "it cannot be formed")


def test_shadow_mode_waits_for_a_complete_document() -> None:
    shadow = ORDER_RULE.model_copy(update={"mode": "shadow"})
    half = make_document(100_0000, lines=(60_0000,))
    assert planned(make_intent(age_s=1.0), shadow, half) == KeepPlanned()
    decision = planned(make_intent(age_s=31.0), shadow, half)
    assert isinstance(decision, Shadow) and "1 lines make 60" in (decision.problem or "")


# -- leased


def test_leased_intent_is_delivered() -> None:
    decision = leased(make_intent(in_doubt=True, failures=1), COMPLETE)
    assert isinstance(decision, Deliver)
    assert (decision.job.key, decision.job.in_doubt, decision.job.failed_before) == ("k", True, True)


def test_leased_intent_is_withdrawn_when_its_cause_was_taken_back() -> None:
    intent = make_intent()
    decision = leased(intent, make_document(100_0000, stage="negotiation"))
    assert decision == Withdraw("the cause was taken back: stage is 'negotiation' now")
    row = recorded(intent, decision)
    assert (row.state, row.what) == ("superseded", "withdrawn")


def test_leased_intent_asks_again_for_another_reason() -> None:
    intent = make_intent(decisions=approved("the customer's credit is blocked"))
    assert isinstance(leased(intent, make_document(1_0000, blocked=True)), AskPeople)
    seen = [Question("the customer's credit is blocked", people=1, amount=1_0000, currency="EUR")]
    intent = make_intent(decisions=[Approval("ada", "approve", seen)])
    assert isinstance(leased(intent, make_document(1_0000, blocked=True, lines=(1_0000,))), Deliver)
    decision = leased(intent, make_document(600_000_0000, blocked=True))
    assert isinstance(decision, AskPeople) and len(decision.questions) == 2
    row = recorded(intent, decision)
    assert (row.state, row.what, row.not_ready, row.in_doubt) == ("waiting", "waiting", False, None)


def test_leased_intent_waits_for_a_record_that_the_hub_does_not_have() -> None:
    gone = NotReady("the hub has no live opportunity e", question="the record is gone: write it all the same?")
    assert isinstance(leased(make_intent(), gone), Wait)


def test_incomplete_document_is_sent_when_a_person_approved_that() -> None:
    half = make_document(100_0000, lines=(60_0000,))
    assert isinstance(leased(make_intent(), half, ORDER_RULE), Wait)
    question = "the document is not complete: 1 lines make 60, the header says 100"
    assert isinstance(leased(make_intent(decisions=approved(question)), half, ORDER_RULE), Deliver)


PRICE = Document(
    main=EntityView({"id": "e", "list_price": 12_3450}, contributions={"demo-erp": {"list_price": 12_3450}}),
    subject=EntityView({"id": "e"}, {"demo-crm": "7"}, {"demo-crm": {"list_price": 9_0000}}),
)
LIVE_PRICE = PRICE_RULE.model_copy(update={"mode": "live"})


def test_update_expects_what_the_hub_or_the_last_delivery_knew() -> None:
    decision = leased(make_intent(target="demo-crm"), PRICE, LIVE_PRICE, {"list_price": 8_0000})
    assert isinstance(decision, Deliver)
    assert (decision.job.subject_key, decision.job.wanted) == ("7", {"list_price": 12_3500})
    assert decision.job.expected == [{"list_price": 9_0000}, {"list_price": 8_0000}]


def test_update_without_a_subject_in_the_target_waits() -> None:
    unknown = msgspec.structs.replace(PRICE, subject=EntityView({"id": "e"}))
    assert isinstance(leased(make_intent(target="demo-crm"), unknown, LIVE_PRICE), Wait)


def test_update_is_skipped_when_skip_when_holds() -> None:
    none = msgspec.structs.replace(PRICE, main=EntityView({"id": "e"}))
    intent = make_intent(target="demo-crm")
    decision = leased(intent, none, LIVE_PRICE)
    assert decision == NothingToWrite()
    assert (recorded(intent, decision).state, recorded(intent, decision).what) == ("delivered", "nothing to write")


# -- answered


@pytest.mark.parametrize(
    ("answer", "what", "result", "echo"),
    [
        (Written({"order": {"id": 1}}), "written", {"order": {"id": 1}}, None),
        (AlreadyDone({"order": {"id": 1}}), "already done", {"order": {"id": 1}}, None),
        (Unchanged({"a": 1}), "unchanged", {"written": {"a": 1}}, {"a": 1}),
        (
            Written({}, {"a": 1, "attributes.b": 2}),
            "written",
            {"written": {"a": 1, "attributes.b": 2}},
            {"a": 1, "attributes": {"b": 2}},
        ),
    ],
)
def test_answer_is_recorded_as_delivered(
    answer: Written | AlreadyDone | Unchanged, what: str, result: dict[str, Any], echo: dict[str, Any] | None
) -> None:
    intent = make_intent(attempts=3)
    decision = decide(intent, RULE, AnswerFacts(JOB, answer), NOW)
    assert decision == Delivered(JOB, answer)
    row = recorded(intent, decision)
    assert (row.id, row.attempts, row.state, row.what) == (1, 3, "delivered", what)
    assert (row.request, row.result, row.echo, row.is_logged) == ([{"key": "k"}], result, echo, True)


def test_changed_row_is_overwritten_only_when_a_person_approved_that() -> None:
    changed = TargetChanged("it has 8", question="overwrite 8?")
    assert isinstance(failed(make_intent(), changed), Wait)
    intent = make_intent(decisions=approved("overwrite 8?"))
    assert failed(intent, changed) == Deliver(msgspec.structs.replace(JOB, overwrite=True))
    assert isinstance(failed(intent, TargetChanged("it has 7", question="overwrite 7?")), Wait)


def test_refusal_is_retried_and_dead_at_last() -> None:
    intent = make_intent()
    decision = failed(intent, Refused("422"))
    assert isinstance(decision, Retry) and 0 < decision.retry_s < 2
    row = recorded(intent, decision)
    assert (row.state, row.what, row.problem, row.pause_s) == ("failed", "failed", "422", decision.retry_s)
    assert failed(make_intent(failures=RULE.attempts - 1), Refused("422")) == GiveUp("422", in_doubt=False)


def test_intent_in_doubt_stays_in_doubt() -> None:
    def in_doubt(intent: Intent, problem: Refused) -> bool | None:
        return recorded(intent, failed(intent, problem)).in_doubt

    assert in_doubt(make_intent(), Refused("422")) is False
    assert in_doubt(make_intent(), Refused("read back: it has another value", in_doubt=True)) is True
    assert in_doubt(make_intent(in_doubt=True), Refused("422")) is True


def test_people_are_asked_when_it_stays_not_ready_and_not_because_the_intent_is_old() -> None:
    changed = TargetChanged("it has 8", question="overwrite it?")
    intent = make_intent(age_s=3600.0)
    first = recorded(intent, failed(intent, changed))
    assert (first.state, first.what, first.not_ready) == ("approved", "not ready", True)
    intent = make_intent(age_s=3600.0, not_ready_s=61.0)
    asked = recorded(intent, failed(intent, changed))
    assert (asked.state, asked.what, asked.not_ready) == ("waiting", "waiting", True)
    assert asked.reasons == [Question("overwrite it?", people=1)]
    # It is tried again, less and less often, and nobody is asked the same once more.
    intent = make_intent(not_ready_s=90.0, reasons=asked.reasons)
    assert isinstance(failed(intent, changed), KeepAsking)
    again = recorded(intent, failed(intent, changed))
    assert (again.state, again.is_logged, again.reasons, again.expires_s) == ("waiting", False, None, None)
    intent = make_intent(not_ready_s=90_000.0, reasons=asked.reasons)
    later = recorded(intent, failed(intent, changed))
    assert 5 <= asked.pause_s < again.pause_s < later.pause_s <= 300
    intent = make_intent(not_ready_s=90.0, reasons=asked.reasons)
    other = recorded(intent, failed(intent, TargetChanged("it has 7", question="overwrite 7?")))
    assert other.what == "waiting"


def test_not_ready_after_an_approval_is_dead() -> None:
    intent = make_intent(not_ready_s=61.0, decisions=approved("write it once it has?"))
    decision = failed(intent, NotReady("demo-crm does not have e", question="write it once it has?"))
    assert decision == GiveUp("demo-crm does not have e", in_doubt=False)


# -- unanswered


def test_unanswered_intent_is_put_back_and_in_doubt() -> None:
    intent = make_intent()
    decision = decide(intent, RULE, NoAnswerFacts(TargetDown("time-out", blame="unclear"), False, 1.5), NOW)
    assert decision == PutBack("time-out", 1.5, in_doubt=True)
    row = recorded(intent, decision)
    assert (row.state, row.what, row.pause_s, row.in_doubt, row.not_ready) == (
        "approved",
        "target down",
        1.5,
        True,
        False,
    )
    never_sent = decide(intent, RULE, NoAnswerFacts(TargetDown("away"), False, 0.0), NOW)
    assert never_sent == PutBack("away", 0.0, in_doubt=False)


def test_silence_that_counts_against_the_intent_is_a_refusal() -> None:
    down = TargetDown("500", blame="intent")
    decision = decide(make_intent(), RULE, NoAnswerFacts(down, True, 1.0), NOW)
    assert isinstance(decision, Retry) and decision.in_doubt


def test_intents_that_were_only_leased_are_put_back_without_a_log_entry() -> None:
    left: ForLeased = PutBack("away", was_sent=False)
    row = recorded(make_intent(), left)
    assert (row.state, row.is_logged, row.in_doubt, row.pause_s) == ("approved", False, None, 0.0)


# -- complete


def test_document_waits_for_what_it_refers_to() -> None:
    def document(**more: Any) -> Document:
        complete = make_document(100_0000, lines=(100_0000,))
        complete.main.record["customer_id"] = complete.lines[0].line.record["product_id"] = "an id"
        complete.lines[0].references["product"] = EntityView({"id": "p"})
        return msgspec.structs.replace(complete, **more)

    check_complete(make_intent(), ORDER_RULE, document())
    with pytest.raises(NotReady, match="the hub does not have its customer an id yet"):
        check_complete(make_intent(), ORDER_RULE, document(references={}))
    without = document()
    del without.lines[0].references["product"]
    with pytest.raises(NotReady, match="the hub does not have its product an id yet"):
        check_complete(make_intent(), ORDER_RULE, without)


def test_half_written_document_waits() -> None:
    check_complete(make_intent(), ORDER_RULE, make_document(100_0000, lines=(60_0000, 40_0000)))
    check_complete(make_intent(), ORDER_RULE, make_document(100_0000, lines=(60_0000, 40_0100)))
    with pytest.raises(NotReady, match="1 lines make 60, the header says 100"):
        check_complete(make_intent(), ORDER_RULE, make_document(100_0000, lines=(60_0000,)))
    with pytest.raises(NotReady):
        check_complete(make_intent(), ORDER_RULE, make_document(100_0000))


def test_canary_draws_the_same_lot_each_time() -> None:
    half = ORDER_RULE.model_copy(update={"share": 0.5})
    lots = [half.is_live_for(str(number)) for number in range(400)]
    assert 150 < sum(lots) < 250
    assert lots == [half.is_live_for(str(number)) for number in range(400)]
    assert not ORDER_RULE.model_copy(update={"mode": "shadow"}).is_live_for("c")
