"""Read answers of HTTP interfaces: paths into JSON, equal values, and what a status means. Pure, but for the clock of
`Retry-After`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from streams.writeback.failures import TargetDown
from streams.writeback.templates import json_value
from streams.writeback.values import Fields


def reach_answer(answer: object, path: str | None) -> Any:
    """What a dotted path through objects and lists leads to; `.` is the answer itself."""
    if path in (None, "", "."):
        return answer
    value: Any = answer
    for step in str(path).split("."):
        if isinstance(value, list):
            value = value[int(step)] if step.isdigit() and int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def pick_result(paths: Mapping[str, str], answer: object) -> Fields:
    """What the rule wants to know of an answer: dotted name → path in the answer. The names become nested dicts."""
    result: Fields = {}
    for name, path in paths.items():
        *steps, last = name.split(".")
        node = result
        for step in steps:
            node = node.setdefault(step, {})
        node[last] = reach_answer(answer, path)
    return result


def is_same(answered: object, wanted: object) -> bool:
    """Whether a value of JSON is the wanted one: numbers may be texts, and days may have a time."""
    try:
        if isinstance(wanted, datetime):
            moment = datetime.fromisoformat(str(answered))
            return moment.replace(tzinfo=moment.tzinfo or UTC) == wanted.replace(tzinfo=wanted.tzinfo or UTC)
        if isinstance(wanted, date):
            return str(answered)[:10] == wanted.isoformat()
        value = json_value(wanted)
        if isinstance(answered, str) and isinstance(value, int | float) and not isinstance(value, bool):
            return Decimal(answered) == Decimal(str(value))
    except (ValueError, ArithmeticError):
        return False
    return bool(answered == value)


def down_by_status(message: str, response: httpx.Response) -> TargetDown:
    """The failure for 5xx and the like. A target that asks for a pause, or has too many requests, means all intents."""
    retry_after_s = _retry_after(response.headers.get("Retry-After"))
    status = response.status_code
    if status == 429 or (retry_after_s and status == 503):
        return TargetDown(message, retry_after_s=retry_after_s)
    # 502, 503 and 504 are what a proxy answers when the target is away; other 5xx are the target's own, for this
    # request.
    is_fault_of_request = status >= 500 and status not in (502, 503, 504)
    return TargetDown(message, blame="intent" if is_fault_of_request else "unclear", retry_after_s=retry_after_s)


def _retry_after(text: str | None) -> float:
    """Seconds, from a number or a date; 0 for anything else."""
    if text is None:
        return 0.0
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time())
