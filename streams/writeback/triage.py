"""What becomes of an intent that was planned: kept for shadow mode, put to people, or delivered. Pure but for the clock of a schedule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from croniter import croniter

from streams.writeback.approve import open_questions, questions
from streams.writeback.failures import NotYet, Refused
from streams.writeback.noted import waiting
from streams.writeback.prepare import check_whole, prepare
from streams.writeback.rules import WritebackRule
from streams.writeback.work import Job, Work

Documents = dict[int, dict[str, Any] | NotYet]
"""NewIntent id → what the hub says of it."""
Last = dict[tuple[str, str], dict[str, Any] | None]
"""(subject, rule) → what the rule last wrote there."""


def decided(
    work: Work,
    rule: WritebackRule | None,
    document: dict[str, Any] | NotYet | None,
    last: Last,
    describe: Callable[[Job], list[dict[str, Any]]],
) -> dict[str, Any] | None:
    """As `triage_intents` takes it; None while it is too early to tell what shadow mode would send."""
    told: dict[str, Any] = {
        "id": work.id, "was": work.state, "state": "approved", "reasons": [], "people": 0, "problem": None,
        "request": None, "expires_s": None, "not_before": None,
    }  # fmt: skip
    if rule is None:
        return told | {"state": "dead", "problem": f"there is no rule {work.rule} any more"}
    if not rule.is_live_for(work.customer_id or work.subject_id):
        try:
            whole = found(document)
            check_whole(work, rule, whole)
            job = prepare(work, rule, whole, last.get((work.subject_id, work.rule)))
            return told | {"state": "shadow", "request": describe(job)}
        except NotYet as wait:
            if rule.ready is None or work.age_s < rule.ready.within.total_seconds():
                return None
            return told | {"state": "shadow", "problem": str(wait)}
        except Refused as no:
            return told | {"state": "shadow", "problem": str(no)}
    if rule.schedule is not None:
        told["not_before"] = croniter(rule.schedule, datetime.now(UTC)).get_next(datetime)
    if rule.approval and isinstance(document, dict):
        asked = open_questions(questions(rule, work.target, document), work)
        if asked:
            told |= waiting(asked, rule)
    return told


def found(document: dict[str, Any] | NotYet | None) -> dict[str, Any]:
    """The document. Raises NotYet where the hub does not know the record any more."""
    if isinstance(document, NotYet):
        raise document
    assert document is not None
    return document
