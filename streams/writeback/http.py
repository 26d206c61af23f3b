"""Write through an HTTP interface, REST or JSON-RPC, by the templates of a rule.

Many systems have rules that only their interface runs, so opshub calls it as its own clients do. An interface
rarely promises to do a thing once. Whenever a request may have been done already (a time-out, a lease that was
taken over, an answer that proves nothing), the rule's `look_up` comes first; without one a person is asked rather than
the request sent twice. Nothing is sent without a lease that lasts until the answer. What was written or found is read
back and compared, because some interfaces answer 200 and drop a field.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import msgspec

from streams.errors import OpshubError
from streams.hub.intents import Request
from streams.writeback.failures import AmountDiffers, NotReady, Refused, TargetDown
from streams.writeback.http_answers import (
    MISSING,
    HttpAnswer,
    check_sent,
    find_record,
    pick_result,
    plain_json,
    reach_answer,
    united,
    unproven,
    words_of,
)
from streams.writeback.http_batch import batch_request, groups, result_of
from streams.writeback.http_client import HttpClient
from streams.writeback.http_repeat import check_lag, check_may_repeat
from streams.writeback.http_requests import HttpRequest, build_request
from streams.writeback.http_rules import Call, HttpAction, HttpStep, HttpTarget, LookUp, ReadCall, Results, SendCall
from streams.writeback.jobs import (
    AlreadyDone,
    Answer,
    Job,
    JobAnswer,
    Parameters,
    StillLeased,
    Unchanged,
    Written,
    target_changed,
)
from streams.writeback.read_back import Compared, check_read_back
from streams.writeback.values import Fields, inward, kind_of, outward, reach, shown

MOST_KEPT = 20
"""Fields of a record that was found which the hub keeps, where the rule names no `result`."""


TIMEOUTS_OF_PAGES = 5
"""Time-outs of one request that all pages of a look-up may take together."""


def _no_fault(point: str) -> None:
    return


class HttpAdapter:
    """One HTTP target. `fault` is called at `deliver.target`, after the target answered."""

    def __init__(self, target: HttpTarget, *, fault: Callable[[str], None] = _no_fault) -> None:
        self._target = target
        self._fault = fault
        self._client: HttpClient | None = None
        self._ids = itertools.count(1)

    async def open(self) -> bool:
        if self._client is None:
            self._client = HttpClient(self._target)
        # Nothing locks an HTTP target: others may have requests on their way, so leases must run out.
        return False

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def deliver(self, jobs: Sequence[Job], still_leased: StillLeased) -> AsyncGenerator[list[JobAnswer]]:
        for group in groups(jobs):
            if len(group) > 1:
                yield await self._deliver_together(group, still_leased)
                continue
            (job,) = group
            try:
                answer = await self._deliver(job, still_leased)
            except (Refused, NotReady, TargetDown) as problem:
                yield [JobAnswer(job, problem)]
            else:
                if answer is not None:
                    yield [JobAnswer(job, answer)]

    async def _deliver_together(self, jobs: list[Job], still_leased: StillLeased) -> list[JobAnswer]:
        """One request for several jobs of a rule; the answer to each that is still leased."""
        await self.open()
        assert self._client is not None
        action = jobs[0].rule.http
        assert action is not None and action.batch is not None
        leased: list[Job] = jobs
        try:
            await self._client.prepare()
            leased = await still_leased(jobs)
            if not leased:
                return []
            items = [(self._params(job), job.lines) for job in leased]
            secrets = {f"secret.{name}": text for name, text in self._target.secrets.items()}
            answer = await self._exchange(action.send, batch_request(action.send, secrets, items))
            self._fault("deliver.target")
            try:
                check_sent(answer, action.send, self._target.closed)
                content = _content(action.send, answer, in_doubt=True)
            except Refused as refused:
                raise _paused(refused, answer) from refused
        except (Refused, NotReady, TargetDown) as problem:
            return [JobAnswer(job, problem) for job in leased]
        answers = []
        for number, (job, (params, _)) in enumerate(zip(leased, items, strict=True)):
            try:
                result = result_of(action, answer, content, params, number, len(leased))
                read = await self._read_back(job, action, params, result)
                answers.append(JobAnswer(job, Written(result, self._values(job, action, read))))
            except (Refused, NotReady, TargetDown) as problem:
                answers.append(JobAnswer(job, problem))
        return answers

    async def read_current(self, jobs: Sequence[Job]) -> list[Fields]:
        await self.open()
        rows: list[Fields] = []
        for job in jobs:
            assert job.rule.http is not None and job.rule.http.now is not None
            answer, record = await self._find(job.rule.http.now, self._params(job), job.lines)
            missing = [path for path in job.rule.target_paths if reach_answer(record, path) is MISSING]
            if record is not None and missing:
                # Without it a block in the target would not be seen.
                raise unproven(answer, f"the record has no {', '.join(missing)}")
            rows.append(plain_json(record) if record is not None else {})
        return rows

    async def _deliver(self, job: Job, still_leased: StillLeased) -> Answer | None:
        """The answer; None where another deliverer has the intent by now."""
        await self.open()
        action = job.rule.http
        assert action is not None
        params = self._params(job)
        # (1) If it may have been done before: find out.
        look_up = action.look_up
        # After any request: whoever said no may have done it all the same.
        if look_up is not None and (job.in_doubt or job.sent_s is not None or look_up.always):
            answer, record = await self._find(look_up, params, job.lines)
            if record is not None:
                result = pick_result(look_up.result or action.result, answer, record)
                read = await self._read_back(job, action, params, result)
                kept = {"found": plain_json(record)} if len(record) <= MOST_KEPT and not result else result
                return AlreadyDone(kept, self._values(job, action, read))
        if job.in_doubt and not job.send_again:
            check_may_repeat(job, action)
        # (2) A record that somebody else changed is not overwritten.
        if action.read is not None:
            current = await self._read_fields(job, action, params)
            if current == job.wanted:
                return Unchanged(current)
            if current not in job.expected and not job.overwrite:
                raise target_changed(f"{action.read.path} of {job.subject_key}", job, current)
        # (3) What comes before; what it returned is handed on.
        given: Fields = {}
        for step in action.steps:
            returned = await self._step(job, step, params, still_leased)
            if returned is None:
                return None
            params = params | {name: reach(returned, name) for name in step.result}
            given = united(given, returned)
        if action.batch is not None:
            for answer_to_job in await self._deliver_together([job], still_leased):
                if isinstance(answer_to_job.answer, OpshubError):
                    raise answer_to_job.answer
                return answer_to_job.answer
            return None
        # (4) The hub records that the intent is in doubt from now on; then it is sent.
        headers = {action.idempotency_header: job.key} if action.idempotency_header else {}
        sent = await self._send(job, action.send, action.result, params, headers, still_leased)
        if sent is None:
            return None
        # (5) What is there now must be what was sent.
        result = united(given, sent)
        read = await self._read_back(job, action, params, result)
        return Written(result, self._values(job, action, read))

    async def _step(self, job: Job, step: HttpStep, params: Parameters, still_leased: StillLeased) -> Fields | None:
        """What a step returns, or what it did before; None where another deliverer has the intent by now."""
        if step.find is not None:
            answer, record = await self._find(step.find, params, job.lines)
            if record is not None:
                return pick_result(step.find.result or step.result, answer, record)
            check_lag(job, step.find)
        return await self._send(job, step, step.result, params, {}, still_leased)

    async def _send(
        self, job: Job, call: SendCall, result: Results, params: Parameters, headers: dict[str, str],
        still_leased: StillLeased,
    ) -> Fields | None:  # fmt: skip
        """What the answer to one request says. Raises what an answer that proves nothing means."""
        assert self._client is not None
        await self._client.prepare()
        if not await still_leased([job]):
            return None
        answer = await self._call(call, params, job.lines, headers)
        self._fault("deliver.target")
        try:
            check_sent(answer, call, self._target.closed)
            return pick_result(result, answer, _content(call, answer, in_doubt=True))
        except Refused as refused:
            raise _paused(refused, answer) from refused

    async def _read_fields(self, job: Job, action: HttpAction, params: Parameters) -> Fields:
        """What the target has now of the fields that the rule writes, in canonical form. Raises Refused where there
        is no record.
        """
        assert action.read is not None
        answer, record = await self._find(action.read, params, job.lines)
        if record is None:
            raise Refused(f"{action.read.path}: the target has no {job.subject_key}")
        missing = [path for path in action.compare if reach_answer(record, path) is MISSING]
        if missing:
            raise unproven(answer, f"the record has no {', '.join(missing)}")
        return _canonical_fields(job, action, record)

    async def _read_back(self, job: Job, action: HttpAction, params: Parameters, result: Fields) -> object:
        """The record as it is now. Raises Refused or AmountDiffers where it is not what was sent."""
        if action.read_back is None:
            return None
        returned = [*action.result, *(name for step in action.steps for name in step.result)]
        known = params | {name: value for name in returned if (value := reach(result, name)) is not None}
        try:
            _, read = await self._find(action.read_back, known, job.lines)
        except TargetDown as down:
            down.in_doubt = True  # Whatever fails now, the request before was answered.
            raise
        except Refused as refused:
            raise Refused(f"{job.key}: read back, {refused}", remedy=refused.remedy, in_doubt=True) from refused
        if read is None:
            raise Refused(f"{job.key}: read back, it is not there", in_doubt=True)
        compared = [
            Compared(path, name, reach_answer(read, path), known[name]) for path, name in action.compare.items()
        ]
        try:
            check_read_back(job, compared)
        except (Refused, AmountDiffers) as differs:
            differs.in_doubt = True
            raise
        return read

    def _values(self, job: Job, action: HttpAction, read: object) -> Fields | None:
        """What the record has now of the rule's fields, as far as it was read."""
        if not job.wanted:
            return None
        return job.wanted | (_canonical_fields(job, action, read) if read is not None else {})

    def describe(self, job: Job) -> Request:
        action = job.rule.http
        assert action is not None
        requests = self.requests(job)
        return [dict(requests[name]) for name in (*(step.name for step in action.steps), "send")]

    def requests(self, job: Job) -> dict[str, HttpRequest]:
        """Every request that a delivery may send, in its order, by its name in the rule. What only an answer can say
        stands as `<its name>`; secrets are `***`.
        """
        action = job.rule.http
        assert action is not None
        params = self._params(job, shows_secrets=False)
        calls: list[tuple[str, Call | None]] = [
            ("now", action.now), ("look_up", action.look_up), ("read", action.read)
        ]  # fmt: skip
        for step in action.steps:
            calls += [(f"{step.name}.find", step.find), (step.name, step)]
        calls += [("send", action.send), ("read_back", action.read_back)]
        answers = [name for step in action.steps for name in step.result] + list(action.result)
        known = dict.fromkeys(answers, "") | params
        known |= {name: f"<{name}>" for name in answers if name not in params}
        requests = {name: build_request(call, known, job.lines) for name, call in calls if call is not None}
        if action.batch is not None:
            requests["send"] = batch_request(action.send, known, [(known, job.lines)])
        return requests

    # -- one request

    def _params(self, job: Job, *, shows_secrets: bool = True) -> Parameters:
        """What templates may name. `values` of the rule have the form that people write: canonical decimals are whole
        numbers. `secret.<name>` is `***` in what people see.
        """
        entity = job.rule.subject_entity if job.wanted else ""
        wanted = {field: outward(kind_of(entity, field), value) for field, value in job.wanted.items()}
        secrets = {f"secret.{name}": text if shows_secrets else "***" for name, text in self._target.secrets.items()}
        return job.params | wanted | {"key": job.key, "subject": job.subject_key} | secrets

    async def _call(
        self, call: Call, params: Parameters, lines: list[Parameters], headers: dict[str, str], page: str | None = None
    ) -> HttpAnswer:
        """The answer to a call, whatever its status. `page`: the address of a further page."""
        request = build_request(call, params, lines)
        request["headers"] |= headers
        return await self._exchange(call, request, page)

    async def _exchange(self, call: Call, request: HttpRequest, page: str | None = None) -> HttpAnswer:
        assert self._client is not None
        # Not in `build_request`, so that `describe` shows the same request each time.
        if call.rpc is not None:
            request["json"]["id"] = next(self._ids)
        has_body = call.json_body is not None or call.rpc is not None
        answer = await self._client.send(request, has_body=has_body, page=page)
        answered = answer.json.get("id") if call.rpc is not None and isinstance(answer.json, dict) else None
        if answered is not None and str(answered) != str(request["json"]["id"]):
            raise Refused(f"{answer}: the answer to another request", in_doubt=True)
        return answer

    async def _find(
        self, call: ReadCall, params: Parameters, lines: list[Parameters]
    ) -> tuple[HttpAnswer, dict[str, Any] | None]:
        """The answer that a look-up ends with and the record in it, over as many pages as it takes; None when there is
        none. Raises Refused where the answers prove neither.
        """
        try:
            # One page has its own limit; all together must leave the lease and the watchdog their time.
            async with asyncio.timeout(TIMEOUTS_OF_PAGES * self._target.timeout.total_seconds()):
                return await self._find_on_pages(call, params, lines)
        except TimeoutError as error:
            raise TargetDown(f"{call.path}: its pages take too long", blame="unclear", in_doubt=False) from error

    async def _find_on_pages(
        self, call: ReadCall, params: Parameters, lines: list[Parameters]
    ) -> tuple[HttpAnswer, dict[str, Any] | None]:
        match = {path: params[name] for path, name in call.match.items()} if isinstance(call, LookUp) else {}
        page: str | None = None
        for _ in range(call.max_pages):
            try:
                answer = await self._call(call, params, lines, {}, page)
                content = _content(call, answer, in_doubt=False)
                answer = msgspec.structs.replace(answer, json=content)
                try:
                    record = find_record(call, answer, self._target.closed, match)
                except Refused as refused:
                    raise _paused(refused, answer) from refused
            except TargetDown as down:
                down.in_doubt = False  # Reading changes nothing.
                raise
            if record is not None:
                return answer, record
            following = reach_answer(answer.json, call.next_page) if call.next_page is not None else None
            if following is MISSING or not following:
                return answer, None
            if not isinstance(following, str):
                raise unproven(answer, f"next_page leads to {shown(following)}, which is no address")
            page = following
        raise Refused(
            f"{call.path}: nothing in the first {call.max_pages} pages", remedy="let its query name the record"
        )


def _paused(refused: Refused, answer: HttpAnswer) -> Refused | TargetDown:
    """The refusal; a missing answer where the target asks for a pause, whatever its status is."""
    if not answer.retry_after_s:
        return refused
    in_doubt, pause_s = refused.in_doubt, answer.retry_after_s
    return TargetDown(str(refused), blame="unclear", retry_after_s=pause_s, refuses=True, in_doubt=in_doubt)


def _content(call: Call, answer: HttpAnswer, *, in_doubt: bool) -> object:
    """What the paths of the rule lead into: the answer, or the result of a JSON-RPC answer.

    Raises Refused for the error of a JSON-RPC answer; an answer that is neither leaves it in doubt.
    """
    if call.rpc is None or answer.status >= 300:
        return answer.json
    json = answer.json
    if isinstance(json, dict) and json.get("error") is None and "result" in json:
        return json["result"]
    error = json.get("error") if isinstance(json, dict) else None
    if error is None:
        raise Refused(f"{call.rpc.method}: {answer}", in_doubt=in_doubt)
    raise Refused(f"{call.rpc.method}: the target refuses: {words_of(error)}")


def _canonical_fields(job: Job, action: HttpAction, record: object) -> Fields:
    entity = job.rule.subject_entity
    paths = {name: path for path, name in action.compare.items() if name in job.wanted}
    values = {field: reach_answer(record, path) for field, path in paths.items()}
    return {
        field: inward(kind_of(entity, field), None if value is MISSING else value) for field, value in values.items()
    }
