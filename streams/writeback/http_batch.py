"""Several intents in one HTTP request: which may go together, the request, and what its answer says of each. Pure.

Only intents that were never sent go together. What may have been done is looked up and sent individually, and so is
what failed before: one bad record must not fail the others twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streams.writeback.failures import Refused
from streams.writeback.http_answers import MISSING, HttpAnswer, is_match, pick_result, reach_answer, words_of
from streams.writeback.http_requests import HttpRequest, build_request
from streams.writeback.http_rules import Batch, Call, HttpAction
from streams.writeback.jobs import Job, Parameters
from streams.writeback.templates import fill
from streams.writeback.values import Fields


def groups(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """The jobs in their order, those that may go together in one group."""
    group: list[Job] = []
    for job in jobs:
        batch = _batch_of(job)
        if group and (batch is None or job.rule is not group[0].rule or len(group) >= batch.most):
            yield group
            group = []
        if batch is None:
            yield [job]
        else:
            group.append(job)
    if group:
        yield group


def _batch_of(job: Job) -> Batch | None:
    action = job.rule.http
    assert action is not None
    was_sent = job.in_doubt or job.sent_s is not None or job.failed_before
    looks_first = action.look_up is not None and action.look_up.always
    return None if was_sent or looks_first else action.batch


def batch_request(call: Call, secrets: Parameters, items: Sequence[tuple[Parameters, list[Parameters]]]) -> HttpRequest:
    """The request for several intents, each with its parameters and lines. Its path, query and headers are of none of
    them.
    """
    filled = call.model_copy(update={"json_body": None, "rpc": None})
    request = build_request(filled, secrets, [])
    body = _fill(call.json_body, secrets, items)
    if call.rpc is not None:
        body = {"method": call.rpc.method, "params": body}
        if call.rpc.version == "2.0":
            body = {"jsonrpc": "2.0", **body}
    request["json"] = body
    return request


def _fill(template: Any, secrets: Parameters, items: Sequence[tuple[Parameters, list[Parameters]]]) -> Any:
    if isinstance(template, dict):
        if template.get("each") == "intents" and "do" in template:
            return [fill(template["do"], params, lines) for params, lines in items]
        return {name: _fill(value, secrets, items) for name, value in template.items()}
    if isinstance(template, list):
        return [_fill(value, secrets, items) for value in template]
    return fill(template, secrets, [])


def result_of(
    action: HttpAction, answer: HttpAnswer, content: object, params: Mapping[str, object], number: int, count: int
) -> Fields:
    """What the answer says of one of `count` intents, the `number`th. Raises Refused, in doubt where it proves
    nothing.
    """
    batch = action.batch
    assert batch is not None
    items = reach_answer(content, batch.items)
    if not isinstance(items, list):
        raise Refused(f"{answer}: {batch.items} is no list, so it proves nothing", in_doubt=True)
    if batch.match:
        wanted = {path: params[name] for path, name in batch.match.items()}
        own = [item for item in items if is_match(item, wanted)]
    else:
        own = items[number : number + 1] if len(items) == count else []
    if len(own) != 1:
        raise Refused(f"{answer}: {len(items)} items for {count} records, and none is surely this one", in_doubt=True)
    error = reach_answer(own[0], batch.error) if batch.error is not None else MISSING
    if error is not MISSING and error not in (None, False, 0, "", [], {}):
        raise Refused(f"{answer.name}: the target refuses: {words_of(error)}")
    return pick_result(action.result, answer, own[0])
