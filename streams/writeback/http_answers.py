"""Judge answers of HTTP interfaces: what a status means, which form an answer has, what it proves. Pure.

An answer is taken for "done" or for "not there" only where it has the form for it. Everything else is one of

    TargetDown  the target does not answer, or refuses everybody (`refuses`)
    Refused     the target refuses this request; `in_doubt` where it may have done it all the same
    Queued      the target took the request, and has not done it yet
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from streams.writeback.failures import Queued, Refused, TargetDown
from streams.writeback.http_rules import AnswerForm, Call, LookUp, ReadCall, Results, SendCall
from streams.writeback.templates import json_value
from streams.writeback.values import Fields, shown

ASK_AGAIN_LATER = (408, 423, 425)
"""Statuses below 500 that are no refusal: request timeout, locked, too early."""
EVERYBODY = (401, 407, 429)
"""Statuses that mean no request in particular: the credentials are not valid, or there were too many requests."""
DONE = (200, 201, 203, 204, 205)
"""Statuses of an answer that can be a delivery. 202 is not done yet; 206, 207 and 226 are done in part."""
NOT_PROCESSED = (307, 308)
"""Redirects of the same request: the target did nothing. After 301, 302 and 303 it may have done it."""


class _Missing:
    """Where a path leads when it leads nowhere; null is something else."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `name`: the request, for people. `json`: MISSING where the body is empty or no JSON. `excerpt`: the
    beginning of the body, without secrets. `link`: the header Link.
    """

    name: str
    status: int
    content_type: str = ""
    location: str = ""
    link: str = ""
    retry_after_s: float = 0.0
    json: Any = MISSING
    is_empty: bool = False
    excerpt: str = ""

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people: of a gateway, or a log-in."""
        return self.json is MISSING and (
            "html" in self.content_type or self.excerpt[:15].lower().startswith(("<!doctype", "<html"))
        )

    def __str__(self) -> str:
        where = f" to {self.location}" if self.location else ""
        body = "empty" if self.is_empty else self.excerpt
        return f"{self.name}: {self.status}{where}: {body}"


def reach_answer(answer: object, path: str | None) -> Any:
    """What a dotted path through objects and lists leads to, or MISSING; `.` is the answer itself. `*` is each item of
    a list: `lines.*.id` leads to the list of their ids, and nowhere if one has none.
    """
    if path in (None, "", "."):
        return answer
    value: Any = answer
    steps = str(path).split(".")
    for place, step in enumerate(steps):
        if step == "*":
            if not isinstance(value, list):
                return MISSING
            items = [reach_answer(item, ".".join(steps[place + 1 :])) for item in value]
            return MISSING if any(item is MISSING for item in items) else items
        if isinstance(value, list) and step.isdecimal():
            value = value[int(step)] if int(step) < len(value) else MISSING
        else:
            value = value.get(step, MISSING) if isinstance(value, dict) else MISSING
    return value


def has_form(answer: HttpAnswer, forms: Iterable[AnswerForm]) -> bool:
    """Whether the answer has one of these forms."""
    return any(_fits(answer, form) for form in forms if form.empty or not answer.is_page)


def _fits(answer: HttpAnswer, form: AnswerForm) -> bool:
    statuses = [form.status] if isinstance(form.status, int) else form.status
    if statuses is not None and answer.status not in statuses:
        return False
    if form.empty and not answer.is_empty:
        return False
    return all(_is_one_of(reach_answer(answer.json, path), wanted) for path, wanted in form.where.items())


def _is_one_of(value: object, wanted: object) -> bool:
    """Equal as JSON: `true` is not 1."""
    choices = wanted if isinstance(wanted, list) else [wanted]
    return value is not MISSING and any(
        value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in choices
    )


def check_status(answer: HttpAnswer, closed: Iterable[AnswerForm], *, writes: bool) -> None:
    """Raise what a status from 300 means, or an answer of a form that says that the target is closed.

    `writes`: the request may have changed something, so that a failure can leave it in doubt.
    """
    status, pause = answer.status, answer.retry_after_s
    if status in EVERYBODY or has_form(answer, closed):
        raise TargetDown(str(answer), retry_after_s=pause, refuses=True)
    if 300 <= status < 400:
        # Not followed: the request would go somewhere else, or become a GET that does nothing.
        raise TargetDown(
            f"{answer}; redirects are not followed here: correct base_url or path, or the credentials",
            blame="target" if pause else "unclear",
            retry_after_s=pause,
            refuses=True,
            in_doubt=writes and status not in NOT_PROCESSED,
        )
    if status >= 500:
        # 502, 503 and 504 are what a proxy answers when the target is away; other 5xx are the target's own, for this
        # request. A target that says when it is back means all requests.
        is_fault_of_request = status not in (502, 503, 504)
        blame = "intent" if is_fault_of_request else "target" if pause else "unclear"
        raise TargetDown(str(answer), blame=blame, retry_after_s=pause, in_doubt=writes)  # type: ignore[arg-type]
    if status in ASK_AGAIN_LATER:
        raise TargetDown(str(answer), blame="unclear", retry_after_s=pause, in_doubt=writes and status == 408)
    if status == 403 or (status >= 400 and (pause or answer.is_page)):
        # One request may be forbidden, or all: the breaker finds out. A page comes from a gateway before the target.
        blame = "target" if status == 403 and pause else "unclear"
        raise TargetDown(str(answer), blame=blame, retry_after_s=pause, refuses=True, in_doubt=False)  # type: ignore[arg-type]


def check_sent(answer: HttpAnswer, call: SendCall, closed: Iterable[AnswerForm]) -> None:
    """Raise unless the answer can be a delivery. What it must contain to be one, `result` or `read_back` says."""
    if has_form(answer, call.refused):
        raise Refused(str(answer))
    if (words := error_of(answer, call, closed)) is not None:
        raise Refused(f"{answer.name}: the target refuses: {words}")
    if has_form(answer, call.queued):
        raise _queued(answer)
    if has_form(answer, call.done):
        return
    check_status(answer, closed, writes=True)
    if answer.status == 202:
        raise _queued(answer)
    if answer.status >= 400:
        # 409: something like it is there, perhaps what we made.
        raise Refused(str(answer), in_doubt=answer.status == 409)
    if call.done or answer.status not in DONE:
        raise Refused(f"{answer}: not an answer that says it is done", remedy=_DECLARE_SENT, in_doubt=True)
    if answer.is_page:
        raise TargetDown(f"{answer}: a page, no answer of the interface", blame="unclear", refuses=True)
    if (no := _says_no(answer.json)) is not None:
        raise Refused(f"{answer}: it says {no}", remedy=_DECLARE_SENT, in_doubt=True)


def error_of(answer: HttpAnswer, call: Call, closed: Iterable[AnswerForm]) -> str | None:
    """What the target says at the path `error` of a call, in its own words; None where it says nothing there. JSON-RPC
    has its errors at `error`.

    Answers that mean everybody, and failures of the server, are judged by their status.
    """
    path = call.error or ("error" if call.rpc is not None else None)
    if path is None or answer.is_page or answer.status in EVERYBODY or answer.status >= 500:
        return None
    value = reach_answer(answer.json, path)
    if value is MISSING or value in (None, False, 0, "", [], {}) or has_form(answer, closed):
        return None
    return words_of(value)


MOST_WORDS = 1_000
"""Characters of a refusal that people read."""


def words_of(error: object) -> str:
    """What an error says, for people: its texts, or the error itself where it has none."""
    return ("; ".join(_texts(error)) or str(error))[:MOST_WORDS]


def _texts(value: object) -> list[str]:
    """The texts in an error, in their order: errors are texts, lists of texts, or objects of fields and texts."""
    if isinstance(value, dict):
        return [
            f"{name}: {text}" if isinstance(item, list) else text
            for name, item in value.items()
            for text in _texts(item)
        ]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) and value.strip() else []


_DECLARE_SENT = "if it means something else, declare it in the rule's http.send: `done`, `refused` or `queued`"


def _queued(answer: HttpAnswer) -> Queued:
    return Queued(f"{answer}: taken, not done yet", retry_s=answer.retry_after_s)


def _says_no(json: object) -> str | None:
    """What in an answer with a good status says that it was not done, in the words that interfaces use for it. The
    value is left out: the excerpt of the answer has it, without secrets.
    """
    if not isinstance(json, dict):
        return None
    for name, value in json.items():
        word = name.lower().replace("_", "").removeprefix("is").removeprefix("has")
        if word in ("success", "successful", "succeeded", "ok") and value in (False, "false", "no"):
            return f"no by {name}"
        is_error = word in ("error", "errors", "errormessage", "errormessages", "errorcode", "exception", "fault")
        if is_error and value not in (None, False, 0, "", "0", "none", [], {}):
            return f"no by {name}"
        if word in ("status", "result") and str(value).lower() in ("error", "failed", "failure", "fail", "rejected"):
            return f"no by {name}"
    return None


def pick_result(paths: Results, answer: HttpAnswer, record: object) -> Fields:
    """What the rule wants to know of an answer. The dotted names become nested dicts.

    Raises Refused, in doubt, where a path leads to nothing: then the answer proves no delivery. 0, false and empty
    texts, lists and objects are nothing: interfaces answer them for "no record".
    """
    result: Fields = {}
    nowhere = []
    for name, wanted in paths.items():
        *steps, last = name.split(".")
        node = result
        for step in steps:
            node = node.setdefault(step, {})
        value = reach_answer(record, wanted.path)
        node[last] = None if value is MISSING else plain_json(value)
        if wanted.required and (value is MISSING or not value):
            nowhere.append(wanted.path)
    if nowhere:
        raise Refused(
            f"{answer}: the answer has no {', '.join(nowhere)}, so it does not prove that it was done", in_doubt=True
        )
    return result


def united(known: Fields, more: Fields) -> Fields:
    """Two results as one: `order.id` of one and `order.number` of the other are both of `order`."""
    both = dict(known)
    for name, value in more.items():
        before = both.get(name)
        both[name] = united(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return both


def plain_json(value: Any) -> Any:
    """JSON with its decimals as numbers, as the hub keeps it."""
    if isinstance(value, dict):
        return {name: plain_json(item) for name, item in value.items()}
    return [plain_json(item) for item in value] if isinstance(value, list) else json_value(value)


def find_record(call: ReadCall, answer: HttpAnswer, closed: Iterable[AnswerForm], match: Mapping[str, object]) -> Any:
    """The record in the answer to a look-up; None where the answer proves that there is none (on this page).

    Raises Refused where the answer proves neither.
    """
    if has_form(answer, call.absent):
        return None
    if (words := error_of(answer, call, closed)) is not None:
        raise unproven(answer, f"the target says: {words}")
    check_status(answer, closed, writes=False)
    if answer.is_page:
        raise TargetDown(f"{answer}: a page, no answer of the interface", blame="unclear", refuses=True, in_doubt=False)
    if answer.status != 200 or answer.json is MISSING:
        raise unproven(answer, f"only 200 with JSON, or an answer that `absent` declares, says so ({_ABSENT_EXAMPLE})")
    path = call.record_path or "."
    value = reach_answer(answer.json, path)
    *way, last = path.split(".")
    if value is MISSING and last.isdecimal() and isinstance(reach_answer(answer.json, ".".join(way)), list):
        value = None  # `items.0` of an empty list.
    if isinstance(value, list):
        records = [record for record in value if is_match(record, match)]
        if value and not records and not (isinstance(call, LookUp) and call.fuzzy):
            raise unproven(answer, "it has other records only; `fuzzy: true` allows that, for a search by a part")
        if len(records) > 1:
            raise unproven(answer, f"{len(records)} records are there: a person has to find out which it is")
        value = records[0] if records else None
    if value is None:
        if (no := _says_no(answer.json)) is not None:
            raise unproven(answer, f"it says {no}")
        return None
    if not isinstance(value, dict) or not value:
        raise unproven(answer, f"record_path {path} leads to {shown(value)}, not to a record, a list or null")
    if not is_match(value, match):
        raise unproven(answer, "it is another record than the one that was looked for")
    return value


_ABSENT_EXAMPLE = "absent: {status: 404, where: {code: not_found}}"


def unproven(answer: HttpAnswer, why: str) -> Refused:
    """The refusal of an answer that proves neither that a record is there nor that it is not."""
    return Refused(f"{answer}: this proves neither that it is there nor that it is not: {why}")


def is_match(record: object, match: Mapping[str, object]) -> bool:
    """Whether a record says what `match` wants, by text: ids come as numbers and as texts."""
    return all(str(reach_answer(record, path)) == str(wanted) for path, wanted in match.items())
