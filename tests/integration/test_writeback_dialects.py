"""HTTP targets as real ones are: several steps, JSON-RPC of their own kind, forms, files, XML; and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from streams.writeback.failures import InDoubt, Refused, TargetDown, TooEarly
from streams.writeback.http import HttpAdapter
from streams.writeback.http_rules import HttpAction, HttpTarget
from streams.writeback.jobs import AlreadyDone, Answer, Job, Written
from streams.writeback.rules import WritebackRule
from tests.integration.dialects import Erp, open_erp

SEARCH = {"path": "/rpc", "rpc": {"method": "order.search", "version": "1.0"}, "record_path": "."}
ORDER: dict[str, Any] = {
    "look_up": {
        **SEARCH,
        "json": [{"reference": "$key", "state": "confirmed"}],
        "result": {"order.id": "id"},
        "lag": "0 s",
    },
    "steps": [
        {
            "name": "create",
            "path": "/rpc",
            "rpc": {"method": "order.create", "version": "1.0"},
            "json": [{"reference": "$key", "party": "$party"}],
            "find": {**SEARCH, "json": [{"reference": "$key"}], "lag": "0 s"},
            "result": {"order.id": "id", "order.lines": "lines.*.id"},
        },
        {
            "name": "quote",
            "path": "/rpc",
            "rpc": {"method": "order.quote", "version": "1.0"},
            "json": ["$order.id"],
            "repeatable": True,
        },
    ],
    "send": {"path": "/rpc", "rpc": {"method": "order.confirm", "version": "1.0"}, "json": ["$order.id"]},
    "read_back": {**SEARCH, "json": [{"id": "$order.id"}]},
    "compare": {"reference": "key", "state": "confirmed"},
}


@pytest.fixture
def erp() -> Iterator[Erp]:
    with open_erp() as server:
        yield server


def job(action: dict[str, Any], **more: Any) -> Job:
    rule = WritebackRule.model_construct(http=HttpAction.model_validate(action))
    return Job(key="k1", rule=rule, params={"party": 7, "name": "A & <B>", "confirmed": "confirmed"}, **more)


async def deliver(erp: Erp, to_do: Job, leases: int = 99) -> Answer | None:
    target = HttpAdapter(HttpTarget(adapter="http", base_url=f"http://127.0.0.1:{erp.server_port}"))
    left = leases

    async def leased(jobs: Sequence[Job]) -> list[Job]:
        nonlocal left
        left -= 1
        return list(jobs) if left >= 0 else []

    try:
        answers = [
            answer for batch in [found async for found in target.deliver([to_do], leased)] for _, answer in batch
        ]
    finally:
        await target.close()
    if answers and isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0] if answers else None  # type: ignore[return-value]


async def test_steps_hand_on_what_they_returned(erp: Erp) -> None:
    answer = await deliver(erp, job(ORDER))
    assert isinstance(answer, Written) and answer.result == {"order": {"id": 1, "lines": [10, 11]}}
    assert erp.orders[1]["state"] == "confirmed"
    assert erp.calls == ["order.search", "order.create", "order.quote", "order.confirm", "order.search"]


async def test_steps_that_were_done_before_are_found_and_not_done_twice(erp: Erp) -> None:
    erp.faults.add("dies after create")
    with pytest.raises(TargetDown):
        await deliver(erp, job(ORDER))
    answer = await deliver(erp, job(ORDER, in_doubt=True, sent_s=60.0))
    assert isinstance(answer, Written) and answer.result["order"] == {"id": 1, "lines": [10, 11]}
    assert len(erp.orders) == 1 and erp.orders[1]["state"] == "confirmed"
    again = await deliver(erp, job(ORDER, in_doubt=True, sent_s=60.0))
    assert isinstance(again, AlreadyDone) and len(erp.orders) == 1


async def test_step_that_is_not_there_is_not_repeated_while_it_may_still_come(erp: Erp) -> None:
    slow = {
        **ORDER,
        "steps": [{**ORDER["steps"][0], "find": {**ORDER["steps"][0]["find"], "lag": "30 s"}}, *ORDER["steps"][1:]],
    }
    with pytest.raises(TooEarly):
        await deliver(erp, job(slow, in_doubt=True, sent_s=5.0))
    assert erp.orders == {}


async def test_deliverer_that_lost_its_lease_between_two_steps_sends_nothing_more(erp: Erp) -> None:
    assert await deliver(erp, job(ORDER), leases=1) is None
    assert [call for call in erp.calls if call != "order.search"] == ["order.create"]


async def test_refusal_reaches_people_in_the_words_of_the_target(erp: Erp) -> None:
    erp.faults.add("blocked")
    with pytest.raises(Refused, match="“Ada” is exceeded.; Ask your accountant.") as refused:
        await deliver(erp, job(ORDER))
    assert not refused.value.in_doubt and erp.orders == {}


async def test_locked_record_is_refused_and_its_next_try_goes_on_where_it_stopped(erp: Erp) -> None:
    erp.faults.add("locked")
    with pytest.raises(Refused, match="being edited by another user"):
        await deliver(erp, job(ORDER))
    answer = await deliver(erp, job(ORDER, failed_before=True, sent_s=60.0))
    assert isinstance(answer, Written) and len(erp.orders) == 1


async def test_field_that_the_target_drops_is_noticed(erp: Erp) -> None:
    erp.faults.add("drops the reference")
    with pytest.raises(Refused, match="reference is nothing, should be 'k1'") as refused:
        await deliver(erp, job(ORDER))
    assert refused.value.in_doubt


async def test_request_that_does_no_harm_twice_needs_no_look_up(erp: Erp) -> None:
    erp.orders[1] = {"id": 1, "state": "draft", "reference": "k1"}
    call = {"path": "/rpc", "rpc": {"method": "order.quote", "version": "1.0"}, "json": [1]}
    proof = {"read_back": {**SEARCH, "json": [{"id": 1}]}, "compare": {"reference": "key"}}
    with pytest.raises(InDoubt):
        await deliver(erp, job({"send": call, **proof}, in_doubt=True))
    assert isinstance(await deliver(erp, job({"send": {**call, "repeatable": True}, **proof}, in_doubt=True)), Written)


async def test_form_and_files_are_sent_as_such(erp: Erp) -> None:
    form = {"send": {"path": "/x", "form": {"name": "$name", "party": "$party"}}, "result": {"id": "id"}}
    assert isinstance(await deliver(erp, job(form)), Written)
    assert erp.files == [("application/x-www-form-urlencoded", "", '{"name": "A & <B>", "party": "7"}')]
    erp.files.clear()
    files = {"note": "$name", "order": {"file": "$party-order.csv", "content": "a;b\n$party;1\n", "type": "text/csv"}}
    assert isinstance(
        await deliver(erp, job({"send": {"path": "/x", "multipart": files}, "result": {"id": "id"}})), Written
    )
    assert erp.files == [("note", "None", "A & <B>"), ("order", "7-order.csv", "a;b\n7;1\n")]


SOAP = {
    "send": {"path": "/soap", "xml": "<Envelope><Body><name>$name</name></Body></Envelope>", "error": "Envelope.Body.Fault"},
    "result": {"id": "Envelope.Body.made.id", "ref": "Envelope.Body.made.@ref", "lines": "Envelope.Body.made.line.*.id"},
}  # fmt: skip


async def test_xml_is_sent_escaped_and_its_answer_is_read(erp: Erp) -> None:
    answer = await deliver(erp, job(SOAP))
    assert isinstance(answer, Written) and answer.result == {"id": "42", "ref": "R1", "lines": ["1", "2"]}
    kind, _, text = erp.files[0]
    assert kind == "application/xml; charset=utf-8" and "<name>A &amp; &lt;B&gt;</name>" in text


async def test_fault_in_xml_is_a_refusal_in_its_words(erp: Erp) -> None:
    erp.faults.add("fault")
    with pytest.raises(Refused, match="the target refuses: Name is taken"):
        await deliver(erp, job(SOAP))


async def test_xml_with_a_document_type_is_no_answer(erp: Erp) -> None:
    erp.faults.add("bomb")
    with pytest.raises(TargetDown, match="no answer of the interface") as down:
        await deliver(erp, job(SOAP))
    assert down.value.in_doubt


def test_every_request_is_described_with_what_only_answers_can_say() -> None:
    target = HttpAdapter(HttpTarget(adapter="http", base_url="http://x", secrets={"key": "geheim"}))
    requests = target.requests(job(ORDER))
    assert list(requests) == ["look_up", "create.find", "create", "quote", "send", "read_back"]
    assert requests["send"]["json"] == {"method": "order.confirm", "params": ["<order.id>"]}
    assert target.describe(job(ORDER))[0]["json"]["params"] == [{"reference": "k1", "party": 7}]


BATCH: dict[str, Any] = {
    "look_up": {"method": "GET", "path": "/orders", "query": {"ref": "$key"}, "record_path": "orders", "lag": "0 s"},
    "send": {"path": "/batch", "json": {"orders": {"each": "intents", "do": {"ref": "$key", "party": "$party"}}}},
    "batch": {"items": "made", "match": {"ref": "key"}, "error": "problem", "most": 3},
    "result": {"id": "id"},
}


async def deliver_all(erp: Erp, jobs: list[Job], leased: int = 99) -> dict[str, Any]:
    """Key → the answer to it."""
    target = HttpAdapter(HttpTarget(adapter="http", base_url=f"http://127.0.0.1:{erp.server_port}"))

    async def still_leased(some: Sequence[Job]) -> list[Job]:
        return list(some)[:leased]

    try:
        return {job.key: answer async for group in target.deliver(jobs, still_leased) for job, answer in group}
    finally:
        await target.close()


def batch_jobs(count: int, **more: Any) -> list[Job]:
    rule = WritebackRule.model_construct(http=HttpAction.model_validate(BATCH))
    return [Job(key=f"k{n}", rule=rule, params={"party": n}, **more) for n in range(1, count + 1)]


async def test_intents_go_together_and_each_is_proved_by_its_own_item(erp: Erp) -> None:
    jobs = batch_jobs(5)
    jobs[1].params["party"] = None
    answers = await deliver_all(erp, jobs)
    assert erp.calls == ["batch of 3", "batch of 2"]
    assert (
        isinstance(answers["k2"], Refused) and "party: is missing" in str(answers["k2"]) and not answers["k2"].in_doubt
    )
    made = {key: answer.result["id"] for key, answer in answers.items() if isinstance(answer, Written)}
    assert made.keys() == {"k1", "k3", "k4", "k5"} and all(erp.orders[id]["ref"] == key for key, id in made.items())


async def test_batch_without_an_answer_is_looked_up_one_by_one(erp: Erp) -> None:
    erp.faults.add("dies after the batch")
    answers = await deliver_all(erp, batch_jobs(3))
    assert all(isinstance(answer, TargetDown) for answer in answers.values())
    answers = await deliver_all(erp, batch_jobs(3, in_doubt=True, sent_s=60.0))
    assert all(isinstance(answer, AlreadyDone) for answer in answers.values()) and len(erp.orders) == 3


async def test_intent_that_the_answer_leaves_out_is_in_doubt(erp: Erp) -> None:
    erp.faults.add("leaves one out")
    answers = await deliver_all(erp, batch_jobs(3))
    (refused,) = [answer for answer in answers.values() if isinstance(answer, Refused)]
    assert refused.in_doubt and len(erp.orders) == 3


async def test_what_failed_before_goes_individually_and_without_a_lease_goes_nothing(erp: Erp) -> None:
    answers = await deliver_all(erp, batch_jobs(2, failed_before=True))
    assert erp.calls == ["batch of 1", "batch of 1"] and len(answers) == 2
    erp.calls.clear()
    assert len(await deliver_all(erp, batch_jobs(3), leased=1)) == 1 and erp.calls == ["batch of 1"]
