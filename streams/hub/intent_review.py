"""Intents as people see them and decide on them: a class for each row, a function for each statement of
`sql/intent_review.sql`.

The functions take a connection in autocommit mode: each is one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec
from psycopg import Connection

from streams.hub.intents import Approval, Intent, Question, Request, State
from streams.hub.statements import fetch_structs

Row = TypeVar("Row")
Hub = Connection[Any]

COUNTED = 10_000
"""Intents that are counted; of more, those that are done are estimated."""


class IntentSubject(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record of an intent by the names that people know. `amount` is unscaled."""

    entity: str = ""
    number: str | None = None
    name: str | None = None
    customer: str | None = None
    amount: int | None = None
    currency: str | None = None


class IntentView(msgspec.Struct, frozen=True, kw_only=True):
    """An intent as people see it."""

    id: int
    key: str
    rule: str
    target: str
    entity: str
    entity_id: str
    aggregate_id: str
    subject_id: str
    state: State
    reasons: list[Question]
    people: int
    decisions: list[Approval]
    attempts: int
    problem: str | None
    request: Request | None
    result: dict[str, Any] | None
    created_at: datetime
    expires_at: datetime | None
    done_at: datetime | None
    about: IntentSubject


class LogEntry(msgspec.Struct, frozen=True):
    """What happened to an intent."""

    at: datetime
    who: str
    what: str
    detail: Any
    """A JSON object, or a list of questions."""


class RuleCount(msgspec.Struct, frozen=True):
    """How many intents of a rule are in one state. `exact`: counted, and not estimated."""

    rule: str
    state: State
    count: int
    exact: bool


class Pause(msgspec.Struct, frozen=True):
    """A system, or a rule (`<system>/<rule>`), to which nothing is delivered for now."""

    scope: str
    who: str
    reason: str
    at: datetime


class TargetAway(msgspec.Struct, frozen=True):
    """A target from which deliverers stay away. `refuses`: it answers, and takes nothing from us."""

    target: str
    refuses: bool
    problem: str
    since: datetime
    until: datetime


class Revivable(msgspec.Struct, frozen=True):
    """An intent that was given up, or that nobody decided on in time."""

    id: int
    state: State
    target: str


class _Id(msgspec.Struct, frozen=True):
    id: int


class _Scope(msgspec.Struct, frozen=True):
    scope: str


def intents_in_states(hub: Hub, states: Sequence[str], *, rule: str | None, limit: int) -> list[IntentView]:
    """Intents in these states, newest first."""
    return fetch_structs(hub, IntentView, "intents_in_states", {"states": list(states), "rule": rule, "limit": limit})


def intent_by_number_or_key(hub: Hub, number: int | None, key: str) -> IntentView | None:
    """One intent by its number or its key."""
    rows = fetch_structs(hub, IntentView, "intent_by_number_or_key", {"number": number, "key": key})
    return rows[0] if rows else None


def intents_of_aggregate(hub: Hub, aggregate_id: str) -> list[IntentView]:
    """All intents of one aggregate, oldest first; `about` is empty."""
    return fetch_structs(hub, IntentView, "intents_of_aggregate", [aggregate_id])


def intent_log(hub: Hub, number: int) -> list[LogEntry]:
    """What happened to an intent, oldest first."""
    return fetch_structs(hub, LogEntry, "intent_log", [number])


def intent_by_number(hub: Hub, number: int) -> Intent:
    """An intent as the deliverer reads it. Raises ValueError when there is none."""
    (intent,) = fetch_structs(hub, Intent, "intent_by_number", [number])
    return intent


def shadow_intents(hub: Hub, *, rule: str | None, limit: int) -> list[Intent]:
    """What shadow mode kept: the newest intent of each rule and subject."""
    return fetch_structs(hub, Intent, "shadow_intents", {"rule": rule, "limit": limit})


def decide_intent(
    hub: Hub, number: int, what: Literal["approve", "reject"], *, who: str, account: str, reason: str
) -> bool:
    """Record a person's decision and wake the deliverers. False when the intent does not wait for one."""
    parameters = {"id": number, "who": who, "account": account, "what": what, "why": reason}
    return bool(fetch_structs(hub, _Id, "decide_intent", parameters))


def intent_counts(hub: Hub, *, most: int = COUNTED) -> list[RuleCount]:
    """How many intents of each rule are in each state; where there are more than `most`, those that are done are
    estimated.
    """
    return fetch_structs(hub, RuleCount, "intent_counts", {"most": most})


def pauses(hub: Hub) -> list[Pause]:
    """What is paused now."""
    return fetch_structs(hub, Pause, "pauses")


def pause_scope(hub: Hub, scope: str, *, who: str, reason: str) -> None:
    """Pause a system or a rule."""
    fetch_structs(hub, _Scope, "pause_scope", [scope, who, reason])


def resume_scope(hub: Hub, scope: str) -> bool:
    """End a pause, also one that the target asked for, and wake the deliverers; False when there was none."""
    return bool(fetch_structs(hub, _Scope, "resume_scope", {"scope": scope}))


def targets_away(hub: Hub) -> list[TargetAway]:
    """Targets that do not answer, or refuse everybody."""
    return fetch_structs(hub, TargetAway, "targets_away")


def revivable_intents(
    hub: Hub,
    *,
    ids: Sequence[int] | None = None,
    target: str | None = None,
    rule: str | None = None,
    problem: str | None = None,
    limit: int,
) -> list[Revivable]:
    """Intents that were given up or have expired, oldest first. None: any. `problem`: a part of its text."""
    parameters = {"ids": ids, "target": target, "rule": rule, "problem": problem, "limit": limit}
    return fetch_structs(hub, Revivable, "revivable_intents", parameters)


def revive_intents(hub: Hub, ids: Sequence[int], *, who: str, why: str, not_done: bool) -> list[int]:
    """Plan these again, with a line in the log of each; the numbers of those that were.

    `not_done`: a person knows that the target did not do it. Otherwise what was sent is looked up first.
    """
    parameters = {"ids": list(ids), "who": who, "why": why, "not_done": not_done}
    return [row.id for row in fetch_structs(hub, _Id, "revive_intents", parameters)]
