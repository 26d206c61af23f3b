"""Write through an HTTP interface, REST or JSON-RPC, by the templates of a rule.

Many systems have rules that only their interface runs, so opshub calls it as its own clients do. An interface
rarely promises to do a thing once. Whenever a request may have been done already (a time-out, a lease that was
taken over), the rule's `look_up` comes first; without one the intent is refused rather than sent twice. Nothing is
sent without a lease that lasts until the answer. What was written or found is read back and compared, because some
interfaces answer 200 and drop a field.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, TypedDict

import httpx

from streams.hub.intents import Request
from streams.writeback.failures import NotReady, NotSent, Refused, TargetDown
from streams.writeback.http_answers import down_by_status, is_same, pick_result, reach_answer
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
from streams.writeback.rules import Call, HttpAction, HttpTarget
from streams.writeback.templates import NAME, fill, json_value, param
from streams.writeback.values import Fields, inward, kind_of, outward, reach

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Errors after which the target certainly has not seen the request."""
ASK_AGAIN_LATER = (408, 425, 429)
"""Statuses below 500 that are no refusal: request timeout, too early, too many requests."""


class HttpRequest(TypedDict):
    """One request as JSON; `json` is its body."""

    method: str
    path: str
    query: Parameters
    headers: dict[str, str]
    json: Any


def _no_fault(point: str) -> None:
    return


class HttpAdapter:
    """One HTTP target. `fault` is called at `deliver.target`, after the target answered."""

    def __init__(self, target: HttpTarget, *, fault: Callable[[str], None] = _no_fault) -> None:
        self._target = target
        self._fault = fault
        self._client: httpx.AsyncClient | None = None
        self._ids = itertools.count(1)

    async def open(self) -> bool:
        if self._client is None:
            target = self._target
            self._client = httpx.AsyncClient(
                base_url=target.base_url,
                headers=target.headers,
                auth=target.basic,
                timeout=target.timeout.total_seconds(),
            )
        # Nothing locks an HTTP target: others may have requests on their way, so leases must run out.
        return False

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def deliver(self, jobs: Sequence[Job], still_leased: StillLeased) -> AsyncGenerator[list[JobAnswer]]:
        for job in jobs:
            try:
                answer = await self._deliver(job, still_leased)
            except (Refused, NotReady, TargetDown) as problem:
                yield [JobAnswer(job, problem)]
            else:
                if answer is not None:
                    yield [JobAnswer(job, answer)]

    async def read_current(self, jobs: Sequence[Job]) -> list[Fields]:
        await self.open()
        rows: list[Fields] = []
        for job in jobs:
            assert job.rule.http is not None and job.rule.http.now is not None
            record = await self._find(job.rule.http.now, _params(job), job.lines)
            rows.append(record if isinstance(record, dict) else {})
        return rows

    async def _deliver(self, job: Job, still_leased: StillLeased) -> Answer | None:
        """The answer; None where another deliverer has the intent by now."""
        await self.open()
        action = job.rule.http
        assert action is not None
        params = _params(job)
        # (1) If it may have been done before: find out.
        if job.in_doubt:
            if not action.can_find_out and not job.wanted:
                raise NotSent(
                    f"{job.key} may have been done, and the rule has no way to find out",
                    remedy="give the rule a look_up, or an idempotency_header that the target honours",
                )
            if action.look_up is not None:
                record = await self._find(action.look_up, params, job.lines)
                if record is not None:
                    result = pick_result(action.look_up.result or action.result, record)
                    read = await self._read_back(job, action, params, result)
                    return AlreadyDone({"found": record, **result}, self._values(job, action, read))
        # (2) A record that somebody else changed is not overwritten.
        if action.read is not None:
            current = await self._read_fields(job, action, params)
            if current == job.wanted:
                return Unchanged(current)
            if current not in job.expected and not job.overwrite:
                raise target_changed(f"{action.read.path} of {job.subject_key}", job, current)
        # (3) The hub records that the intent is in doubt from now on; then it is sent.
        if not await still_leased([job]):
            return None
        headers = {action.idempotency_header: job.key} if action.idempotency_header else {}
        try:
            # httpx limits each read; this limits the whole answer, for which the lease must last.
            async with asyncio.timeout(self._target.timeout.total_seconds()):
                answer = await self._call(action.send, params, job.lines, headers)
        except TimeoutError as error:
            raise TargetDown(f"{action.send.path}: no answer within {self._target.timeout}", blame="unclear") from error
        self._fault("deliver.target")
        # (4) What is there now must be what was sent.
        result = pick_result(action.result, answer)
        read = await self._read_back(job, action, params, result)
        return Written(result, self._values(job, action, read))

    async def _read_fields(self, job: Job, action: HttpAction, params: Parameters) -> Fields:
        """What the target has now of the fields that the rule writes, in canonical form. Raises Refused where there
        is no record.
        """
        assert action.read is not None
        record = await self._find(action.read, params, job.lines)
        if record is None:
            raise Refused(f"{action.read.path}: the target has no {job.subject_key}")
        return _canonical_fields(job, action, record)

    async def _read_back(self, job: Job, action: HttpAction, params: Parameters, result: Fields) -> object:
        """The record as it is now. Raises Refused where it is not what was sent."""
        if action.read_back is None:
            return None
        known = params | {path: reach(result, path) for path in action.result}
        try:
            read = await self._find(action.read_back, known, job.lines)
        except TargetDown as down:
            down.in_doubt = True  # Whatever fails now, the request before was answered.
            raise
        except Refused as refused:
            raise Refused(f"{job.key}: read back, {refused}", remedy=refused.remedy, in_doubt=True) from refused
        if read is None:
            raise Refused(f"{job.key}: read back, it is not there", in_doubt=True)
        wrong = [
            f"{path} is {reach_answer(read, path)!r}, should be {json_value(known[name])!r}"
            for path, name in action.compare.items()
            if not is_same(reach_answer(read, path), known[name])
        ]
        if wrong:
            raise Refused(
                f"{job.key}: read back, {'; '.join(wrong)}",
                remedy="the target drops what it does not accept: correct the rule's json, or the record there",
                in_doubt=True,
            )
        return read

    def _values(self, job: Job, action: HttpAction, read: object) -> Fields | None:
        """What the record has now of the rule's fields, as far as it was read."""
        if not job.wanted:
            return None
        return job.wanted | (_canonical_fields(job, action, read) if read is not None else {})

    def describe(self, job: Job) -> Request:
        action = job.rule.http
        assert action is not None
        return [dict(self._request(action.send, _params(job), job.lines))]

    # -- one request

    def _request(self, call: Call, params: Parameters, lines: list[Parameters]) -> HttpRequest:
        empty = [name for _, name in NAME.findall(call.path) if param(params, name) is None]
        if empty:
            # `/orders/` instead of `/orders/7` would be another request, perhaps an accepted one.
            raise NotSent(f"{call.path}: {', '.join(f'${name}' for name in empty)} is empty")
        body = fill(call.json_body, params, lines)
        if call.rpc is not None:
            body = {"jsonrpc": "2.0", "method": call.rpc, "params": body}
        return {
            "method": call.method,
            "path": fill(call.path, params, lines),
            "query": fill(call.query, params, lines),
            "headers": fill(call.headers, params, lines),
            "json": body,
        }

    async def _call(
        self,
        call: Call,
        params: Parameters,
        lines: list[Parameters],
        headers: Mapping[str, str],
        page: str | None = None,
    ) -> Any:
        """The answer as JSON; None for a 404 to GET. `page`: the address of a further page, with its query in it."""
        assert self._client is not None
        request = self._request(call, params, lines)
        has_body = call.json_body is not None or call.rpc is not None
        # Outside `_request`, so that `describe` shows the same request each time.
        if call.rpc is not None:
            request["json"]["id"] = next(self._ids)
        name = f"{request['method']} {request['path']}"
        try:
            response = await self._client.request(
                request["method"],
                page or request["path"],
                params=request["query"] if page is None and request["query"] else None,
                headers=request["headers"] | dict(headers),
                json=request["json"] if has_body else None,
            )
        except NEVER_SENT as error:
            raise TargetDown(f"{self._target.base_url} does not answer: {error or type(error).__name__}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TargetDown(f"{name}: no answer: {error or type(error).__name__}", blame="unclear") from error
        status = response.status_code
        if status >= 500 or status in ASK_AGAIN_LATER:
            raise down_by_status(f"{name}: {status} {response.text[:200]}", response)
        if status == 404 and request["method"] == "GET":
            return None  # The record does not exist: an answer to a look-up, no refusal.
        if status >= 400:
            raise Refused(f"{name}: {status} {response.text[:500]}")
        try:
            answer = response.json() if response.content else None
        except ValueError as error:
            # A log-in page, for example: nobody knows whether the target did something.
            raise Refused(f"{name}: the answer is not JSON: {response.text[:200]}", in_doubt=True) from error
        return answer if call.rpc is None else _rpc_result(call.rpc, answer)

    async def _find(self, call: Call, params: Parameters, lines: list[Parameters]) -> Any:
        """The record that a look-up leads to, over as many pages as it takes; None when there is none."""
        page: str | None = None
        for _ in range(call.max_pages):
            answer = await self._call(call, params, lines, {}, page)
            record = reach_answer(answer, call.record_path) if call.record_path is not None else answer
            if record is not None:
                return record
            page = reach_answer(answer, call.next_page) if call.next_page is not None else None
            if not page:
                return None
        raise Refused(
            f"{call.path}: nothing in the first {call.max_pages} pages", remedy="let its query name the record"
        )


def _rpc_result(method: str, answer: object) -> object:
    """The result of a JSON-RPC answer. Raises Refused for its error; an answer that is neither leaves it in doubt."""
    if isinstance(answer, dict) and answer.get("error") is None and "result" in answer:
        return answer["result"]
    error = answer.get("error") if isinstance(answer, dict) else None
    raise Refused(f"{method}: {str(error if error is not None else answer)[:500]}", in_doubt=error is None)


def _params(job: Job) -> Parameters:
    """What templates may name. `values` of the rule have the form that people write: canonical decimals are whole
    numbers.
    """
    entity = job.rule.subject_entity if job.wanted else ""
    wanted = {field: outward(kind_of(entity, field), value) for field, value in job.wanted.items()}
    return job.params | wanted | {"key": job.key, "subject": job.subject_key}


def _canonical_fields(job: Job, action: HttpAction, record: object) -> Fields:
    entity = job.rule.subject_entity
    paths = {name: path for path, name in action.compare.items() if name in job.wanted}
    return {field: inward(kind_of(entity, field), reach_answer(record, path)) for field, path in paths.items()}
