"""Write through an HTTP interface: REST or JSON-RPC, by the templates of a rule.

Many systems have rules that only their interface runs, so it is asked as its own clients ask it. An interface rarely promises to do a
thing once: whenever a request may have been done already (a time-out, a lease that was taken over) the rule's `look_up` comes first, and
without one the intent is refused rather than risked. Nothing is sent but under a lease that lasts until it is answered. What was
written, or found, is read back and compared, for some interfaces answer 200 and drop a field.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from streams.writeback.failures import NotYet, Refused, TargetDown, Unasked
from streams.writeback.rules import Call, HttpAction, HttpTarget
from streams.writeback.templates import NAME, fill, json_value, param
from streams.writeback.values import inward, kind_of, outward, reach
from streams.writeback.work import Hold, Job, Outcome, Settled, ahead

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def _nothing(_: str) -> None:
    return


class HttpAdapter:
    """One HTTP target. `fault` is called at the named point `deliver.target`, after the target answered."""

    def __init__(self, target: HttpTarget, *, fault: Callable[[str], None] = _nothing) -> None:
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
        return False

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def deliver(self, jobs: Sequence[Job], hold: Hold) -> AsyncGenerator[list[Settled]]:
        for job in jobs:
            try:
                outcome = await self._deliver(job, hold)
            except (Refused, NotYet, TargetDown) as no:
                yield [(job, no)]
            else:
                if outcome is not None:
                    yield [(job, outcome)]

    async def current(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        await self.open()
        told = []
        for job in jobs:
            assert job.rule.http is not None and job.rule.http.now is not None
            found = await self._found(job.rule.http.now, _params(job), job.lines)
            told.append(found if isinstance(found, dict) else {})
        return told

    async def _deliver(self, job: Job, hold: Hold) -> Outcome | None:
        """What came of it; None where another deliverer has it by now."""
        await self.open()
        action = job.rule.http
        assert action is not None
        params = _params(job)
        if job.tried:
            if not action.can_tell and not job.wanted:
                raise Unasked(
                    f"{job.key} may have been done, and the rule has no way to find out",
                    remedy="give the rule a look_up, or an idempotency_header that the target honours",
                )
            if action.look_up is not None:
                found = await self._found(action.look_up, params, job.lines)
                if found is not None:
                    result = _named(action.look_up.result or action.result, found)
                    read = await self._read_back(job, action, params, result)
                    return Outcome("found", {"found": found, **result}, self._written(job, action, read))
        if action.read is not None:
            there = await self._there(job, action, params)
            if there == job.wanted:
                return Outcome("unchanged", {}, there)
            if there not in job.expected and not job.force:
                raise ahead(f"{action.read.path} of {job.subject_key}", job, there)
        if not await hold([job]):
            return None
        headers = {action.idempotency_header: job.key} if action.idempotency_header else {}
        try:
            async with asyncio.timeout(self._target.timeout.total_seconds()):
                answer = await self._call(action.send, params, job.lines, headers)
        except TimeoutError as error:
            raise TargetDown(f"{action.send.path}: no answer within {self._target.timeout}", blame="unclear") from error
        self._fault("deliver.target")
        result = _named(action.result, answer)
        read = await self._read_back(job, action, params, result)
        return Outcome("done", result, self._written(job, action, read))

    async def _there(self, job: Job, action: HttpAction, params: dict[str, Any]) -> dict[str, Any]:
        """What the target says now of the fields that the rule writes, in canonical form. Raises Refused where there is no record."""
        assert action.read is not None
        found = await self._found(action.read, params, job.lines)
        if found is None:
            raise Refused(f"{action.read.path}: the target has no {job.subject_key}")
        return _canonical(job, action, found)

    async def _read_back(self, job: Job, action: HttpAction, params: dict[str, Any], result: dict[str, Any]) -> Any:
        """What is there now. Raises Refused where it is not what was sent."""
        if action.read_back is None:
            return None
        known = params | {path: reach(result, path) for path in action.result}
        try:
            read = await self._found(action.read_back, known, job.lines)
        except TargetDown as down:
            down.unsure = True  # whatever the reason is now, the request before was answered
            raise
        except Refused as no:
            raise Refused(f"{job.key}: read back, {no}", remedy=no.remedy, unsure=True) from no
        if read is None:
            raise Refused(f"{job.key}: read back, it is not there", unsure=True)
        wrong = [
            f"{path} is {_reach(read, path)!r}, should be {json_value(known[name])!r}"
            for path, name in action.compare.items()
            if not _same(_reach(read, path), known[name])
        ]
        if wrong:
            raise Refused(
                f"{job.key}: read back, {'; '.join(wrong)}",
                remedy="the target drops what it does not take: mend the rule's json, or the record there",
                unsure=True,
            )
        return read

    def _written(self, job: Job, action: HttpAction, read: Any) -> dict[str, Any] | None:
        """What the record says now of the rule's fields, as far as it was read."""
        if not job.wanted:
            return None
        return job.wanted | (_canonical(job, action, read) if read is not None else {})

    def describe(self, job: Job) -> list[dict[str, Any]]:
        action = job.rule.http
        assert action is not None
        return [self._request(action.send, _params(job), job.lines)]

    # -- one request

    def _request(self, call: Call, params: dict[str, Any], lines: list[dict[str, Any]]) -> dict[str, Any]:
        empty = [name for _, name in NAME.findall(call.path) if param(params, name) is None]
        if empty:
            raise Unasked(f"{call.path}: {', '.join(f'${name}' for name in empty)} is empty")
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
        params: dict[str, Any],
        lines: list[dict[str, Any]],
        headers: dict[str, str],
        path: str | None = None,
    ) -> Any:
        assert self._client is not None
        told = self._request(call, params, lines)
        if call.rpc is not None:
            told["json"]["id"] = next(self._ids)
        said = f"{told['method']} {told['path']}"
        try:
            response = await self._client.request(
                told["method"], path or told["path"], params=told["query"] if path is None and told["query"] else None,
                headers=told["headers"] | headers, json=told["json"] if call.json_body is not None or call.rpc is not None else None,
            )  # fmt: skip
        except NEVER_SENT as error:
            raise TargetDown(f"{self._target.base_url} does not answer: {error or type(error).__name__}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TargetDown(f"{said}: no answer: {error or type(error).__name__}", blame="unclear") from error
        if response.status_code >= 500 or response.status_code in (408, 425, 429):
            raise _down(f"{said}: {response.status_code} {response.text[:200]}", response)
        if response.status_code == 404 and told["method"] == "GET":
            return None
        if response.status_code >= 400:
            raise Refused(f"{said}: {response.status_code} {response.text[:500]}")
        try:
            answer = response.json() if response.content else None
        except ValueError as error:
            raise Refused(f"{said}: the answer is no JSON: {response.text[:200]}", unsure=True) from error
        if call.rpc is None:
            return answer
        if not isinstance(answer, dict) or answer.get("error") is not None or "result" not in answer:
            no = answer.get("error") if isinstance(answer, dict) else None
            raise Refused(f"{call.rpc}: {str(no if no is not None else answer)[:500]}", unsure=no is None)
        return answer["result"]

    async def _found(self, call: Call, params: dict[str, Any], lines: list[dict[str, Any]]) -> Any:
        """The record that a look-up leads to, over as many pages as it takes; None when there is none."""
        path: str | None = None
        for _ in range(call.pages):
            answer = await self._call(call, params, lines, {}, path)
            found = _reach(answer, call.found) if call.found is not None else answer
            if found is not None:
                return found
            path = _reach(answer, call.next) if call.next is not None else None
            if not path:
                return None
        raise Refused(f"{call.path}: the look-up goes past {call.pages} pages", remedy="let its query name the record")


def _params(job: Job) -> dict[str, Any]:
    """What templates may name. What a rule's `values` say is told as people write it: canonical decimals are whole numbers."""
    entity = job.rule.subject_entity if job.wanted else ""
    wanted = {field: outward(kind_of(entity, field), value) for field, value in job.wanted.items()}
    return job.params | wanted | {"key": job.key, "subject": job.subject_key}


def _canonical(job: Job, action: HttpAction, record: Any) -> dict[str, Any]:
    entity = job.rule.subject_entity
    paths = {name: path for path, name in action.compare.items() if name in job.wanted}
    return {field: inward(kind_of(entity, field), _reach(record, path)) for field, path in paths.items()}


def _down(message: str, response: httpx.Response) -> TargetDown:
    """5xx and the like. A target that asks for a pause, or says that there are too many requests, means all of them."""
    after = _retry_after(response.headers.get("Retry-After"))
    if response.status_code == 429 or (after and response.status_code == 503):
        return TargetDown(message, after=after)
    own = response.status_code >= 500 and response.status_code not in (502, 503, 504)
    return TargetDown(message, blame="intent" if own else "unclear", after=after)


def _retry_after(text: str | None) -> float:
    """Seconds, from a number of them or a date; 0 for what is neither."""
    if text is None:
        return 0.0
    if text.strip().isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - time.time())


def _named(result: dict[str, str], answer: Any) -> dict[str, Any]:
    """What the rule wants to know of an answer, by dotted name."""
    told: dict[str, Any] = {}
    for name, path in result.items():
        *steps, last = name.split(".")
        at = told
        for step in steps:
            at = at.setdefault(step, {})
        at[last] = _reach(answer, path)
    return told


def _reach(answer: Any, path: str | None) -> Any:
    """A dotted path through objects and lists; `.` is the answer itself."""
    if path in (None, "", "."):
        return answer
    at = answer
    for part in str(path).split("."):
        if isinstance(at, list):
            at = at[int(part)] if part.isdigit() and int(part) < len(at) else None
        else:
            at = at.get(part) if isinstance(at, dict) else None
    return at


def _same(left: Any, right: Any) -> bool:
    """Whether JSON says this value: numbers may be texts, days may have a time."""
    try:
        if isinstance(right, datetime):
            there = datetime.fromisoformat(str(left))
            return there.replace(tzinfo=there.tzinfo or UTC) == right.replace(tzinfo=right.tzinfo or UTC)
        if isinstance(right, date):
            return str(left)[:10] == right.isoformat()
        wanted = json_value(right)
        if isinstance(left, str) and isinstance(wanted, int | float) and not isinstance(wanted, bool):
            return Decimal(left) == Decimal(str(wanted))
    except (ValueError, ArithmeticError):
        return False
    return bool(left == wanted)
