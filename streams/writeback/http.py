"""Write through an HTTP interface: REST or JSON-RPC, by the templates of a rule.

Many systems have rules that only their interface runs, so it is asked as its own clients ask it. An interface rarely promises to do a
thing once: whenever
a request may have been done already (a time-out, a lease that was taken over) the rule's `look_up` comes first, and without one the intent
is refused rather than risked. What was written is read back and compared, for some interfaces answer 200 and drop a field.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import Any

import httpx

from streams.writeback.failures import Refused, TargetDown
from streams.writeback.rules import Call, HttpTarget
from streams.writeback.work import Job, Outcome, Settled

_NAME = re.compile(r"\$([A-Za-z_][A-Za-z0-9_.]*)")


def _nothing(_: str) -> None:
    return


class HttpAdapter:
    """One HTTP target. `fault` is called at the named point `deliver.target`, after the target answered."""

    def __init__(self, target: HttpTarget, *, fault: Callable[[str], None] = _nothing) -> None:
        self._target = target
        self._fault = fault
        self._client: httpx.AsyncClient | None = None
        self._ids = itertools.count(1)
        self._unsure: set[str] = set()

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

    async def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[list[Settled]]:
        for job in jobs:
            try:
                yield [(job, await self._deliver(job))]
            except Refused as no:
                yield [(job, no)]

    async def _deliver(self, job: Job) -> Outcome:
        await self.open()
        action = job.rule.http
        assert action is not None
        params = job.params | job.wanted | {"key": job.key, "subject": job.subject_key}
        if job.tried or job.key in self._unsure:
            if action.look_up is None and action.idempotency_header is None:
                raise Refused(
                    f"{job.key} may have been done, and the rule has no way to find out",
                    remedy="give the rule a look_up, or an idempotency_header that the target honours",
                )
            if action.look_up is not None:
                found = await self._found(action.look_up, params, job.lines)
                if found is not None:
                    self._unsure.discard(job.key)
                    return Outcome("found", {"found": found, **_named(action.result, found)})
        headers = {action.idempotency_header: job.key} if action.idempotency_header else {}
        self._unsure.add(job.key)
        answer = await self._call(action.send, params, job.lines, headers)
        self._fault("deliver.target")
        result = _named(action.result, answer)
        if action.read_back is not None:
            read = await self._found(
                action.read_back, params | {path: _reach(result, path) for path in action.result}, job.lines
            )
            wrong = {
                path: (_reach(read, path), _json_value(params.get(name)))
                for path, name in action.compare.items()
                if not _same(_reach(read, path), params.get(name))
            }
            if read is None or wrong:
                self._unsure.discard(job.key)
                said = (
                    "; ".join(f"{path} is {is_!r}, should be {be!r}" for path, (is_, be) in wrong.items())
                    or "it is not there"
                )
                raise Refused(
                    f"{job.key}: read back, {said}",
                    remedy="the target drops what it does not take: mend the rule's json",
                )
        self._unsure.discard(job.key)
        return Outcome("done", result, dict(job.wanted) if job.wanted else None)

    def describe(self, job: Job) -> list[dict[str, Any]]:
        action = job.rule.http
        assert action is not None
        params = job.params | job.wanted | {"key": job.key, "subject": job.subject_key}
        return [self._request(action.send, params, job.lines)]

    # -- one request

    def _request(self, call: Call, params: dict[str, Any], lines: list[dict[str, Any]]) -> dict[str, Any]:
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
        try:
            response = await self._client.request(
                told["method"], path or told["path"], params=told["query"] if path is None and told["query"] else None,
                headers=told["headers"] | headers, json=told["json"] if call.json_body is not None or call.rpc is not None else None,
            )  # fmt: skip
        except httpx.HTTPError as error:
            raise TargetDown(f"{self._target.base_url} does not answer: {error or type(error).__name__}") from error
        if response.status_code >= 500 or response.status_code in (408, 425, 429):
            raise TargetDown(f"{told['method']} {told['path']}: {response.status_code} {response.text[:200]}")
        if response.status_code == 404 and told["method"] == "GET":
            return None
        if response.status_code >= 400:
            raise Refused(f"{told['method']} {told['path']}: {response.status_code} {response.text[:500]}")
        try:
            answer = response.json() if response.content else None
        except ValueError as error:
            raise Refused(f"{told['method']} {told['path']}: the answer is no JSON: {response.text[:200]}") from error
        if call.rpc is None:
            return answer
        if not isinstance(answer, dict) or answer.get("error") is not None or "result" not in answer:
            said = answer.get("error") if isinstance(answer, dict) else answer
            raise Refused(f"{call.rpc}: {str(said)[:500]}")
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


def fill(template: Any, params: dict[str, Any], lines: list[dict[str, Any]]) -> Any:
    """The template with its `$names`: a text that is one name only becomes the value itself, in JSON's types."""
    if isinstance(template, dict):
        if template.get("each") == "lines" and "do" in template:
            return [fill(template["do"], params | line, []) for line in lines]
        return {name: fill(value, params, lines) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(value, params, lines) for value in template]
    if not isinstance(template, str):
        return template
    whole = _NAME.fullmatch(template)
    if whole is not None:
        return _json_value(_param(params, whole.group(1)))
    return _NAME.sub(lambda match: str(_json_value(_param(params, match.group(1)))), template)


def _param(params: dict[str, Any], name: str) -> Any:
    if name not in params:
        raise Refused(f"the rule names ${name}, which is no parameter", remedy=f"one of {', '.join(sorted(params))}")
    return params[name]


def _json_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if value is None or isinstance(value, str | bool | int | float | list | dict) else value.isoformat()


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
    wanted = _json_value(right)
    try:
        if isinstance(left, str) and isinstance(wanted, int | float):
            return Decimal(left) == Decimal(str(wanted))
    except ArithmeticError:
        return False
    return bool(left == wanted)
