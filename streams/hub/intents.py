"""The hub's intents, from plan to outcome: a class for each row, a function for each statement of `sql/intents.sql`.

In: rows that a planner or a deliverer made. Out: rows of the hub. Each function raises RetryLater while the hub is
away.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

import msgspec

from streams.hub.store import HubStore
from streams.model.intent import NewIntent

Row = TypeVar("Row")
Request = list[dict[str, Any]]
"""What is sent to a target, for the audit log: its statements or requests as JSON."""

State = Literal[
    "planned",
    "waiting",
    "approved",
    "delivering",
    "delivered",
    "failed",
    "expired",
    "dead",
    "rejected",
    "superseded",
    "shadow",
]


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why people are asked about an intent, and how many must approve.

    `amount` (unscaled) with its `currency`, and `discount` (unscaled percent), are what they see: an approval holds
    for no more.
    """

    reason: str
    people: int
    amount: int | None = None
    currency: str | None = None
    discount: int | None = None


class Approval(msgspec.Struct, frozen=True):
    """What one person decided about an intent, and the questions that this person saw."""

    who: str
    what: Literal["approve", "reject"]
    reasons: list[Question] = []
    account: str | None = None
    why: str = ""
    at: str | None = None


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """An intent that is to be decided on or delivered."""

    id: int
    key: str
    rule: str
    target: str
    entity: str
    entity_id: str
    aggregate_id: str
    subject_id: str
    customer_id: str | None
    version: int
    cause_us: int
    given: dict[str, Any]
    state: State
    reasons: list[Question] = []
    """Why people were asked last."""
    decisions: list[Approval] = []
    attempts: int
    """How often it was leased; together with the deliverer's name this is the fencing token of a lease."""
    failures: int
    in_doubt: bool = False
    """It was sent, and it is not known whether the target did it."""
    age_s: float
    not_ready_s: float = 0.0
    """Seconds for which delivery has waited for the hub or the target."""
    sent_at: datetime | None = None
    """When a request of it was last sent over HTTP."""
    sent_s: float | None = None
    """Seconds since then."""
    queued_s: float | None = None
    """Seconds since the target took that request without doing it."""
    trace: str | None = None
    """Context of the trace of the change that caused it, where that is traced."""


class PlannedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about a planned intent, for `decide_planned`. `was`: the state in which it was read."""

    id: int
    was: State
    state: State
    reasons: list[Question] = []
    people: int = 0
    problem: str | None = None
    request: Request | None = None
    expires_s: float | None = None
    not_before: datetime | None = None


class IntentOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a leased intent, for `finish_intents`. None leaves the column as it is.

    `attempts` is the fencing token of the lease. `what` is the word of the log. `pause_s`: it is not leased again
    before.
    """

    id: int
    attempts: int
    state: State
    what: str
    problem: str | None = None
    request: Request | None = None
    result: dict[str, Any] | None = None
    pause_s: float = 0.0
    reasons: list[Question] | None = None
    people: int | None = None
    expires_s: float | None = None
    follow: list[NewIntent] = []
    in_doubt: bool | None = None
    queued: bool = False
    """The target took the request, and has not done it yet."""
    not_ready: bool = False
    """Delivery waits for the hub or the target: the time since then counts on."""
    is_logged: bool = True
    echo: dict[str, Any] | None = None
    """Canonical fields of the written row, by which its echo is known."""


class ExpectedEcho(msgspec.Struct, frozen=True):
    """How the change will look that brings back what is about to be sent. `row_id`: None for a row that is to be
    created.
    """

    intent_id: int
    row_id: str | None
    entity: str
    fields: dict[str, Any]
    from_us: int


class DueWork(msgspec.Struct, frozen=True):
    """What there is to do for one target."""

    paused: list[str]
    """Systems and rules (`<system>/<rule>`) that are paused."""
    has_planned: bool
    due_s: float | None
    """Seconds until something can be delivered; None when there is nothing."""
    has_leased: bool
    away_s: float | None = None
    """Seconds for which nothing is sent, because the target does not answer or refuses; None while it answers."""


class LastWritten(msgspec.Struct, frozen=True):
    """What a rule last wrote to a subject: canonical field → value, as the target had it afterwards."""

    subject_id: str
    rule: str
    written: dict[str, Any] | None


class _Id(msgspec.Struct, frozen=True):
    id: int


class _Key(msgspec.Struct, frozen=True):
    key: str


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def planned_intents(store: HubStore, target: str, limit: int) -> list[Intent]:
    """Intents of a target that nobody has decided on yet."""
    return await store.fetch(Intent, "planned_intents", [target, limit])


async def decide_planned(store: HubStore, decisions: Sequence[PlannedDecision]) -> None:
    """Record decisions on planned intents. One that is not in the state `was` any more is left alone."""
    await store.fetch(_Id, "decide_planned", [_json(decisions)])


async def due_work(store: HubStore, target: str) -> DueWork:
    """What there is to do for a target now."""
    (work,) = await store.fetch(DueWork, "due_work", {"target": target})
    return work


async def lease_intents(
    store: HubStore, deliverer: str, target: str, *, lease: timedelta, paused_rules: Sequence[str], limit: int
) -> list[Intent]:
    """Lease what is due; the intents by their number."""
    parameters = {
        "deliverer": deliverer, "lease": lease, "target": target, "paused_rules": list(paused_rules), "limit": limit,
    }  # fmt: skip
    return sorted(await store.fetch(Intent, "lease_intents", parameters), key=lambda intent: intent.id)


async def retry_waiting(store: HubStore, target: str, rules: Sequence[str]) -> int:
    """Let intents that wait for a person only because they were not ready be tried again, and those of `rules` whose
    record has changed since; how many there are.
    """
    return len(await store.fetch(_Id, "retry_waiting", {"target": target, "rules": list(rules)}))


async def keep_leases(
    store: HubStore,
    deliverer: str,
    intents: Sequence[Intent],
    *,
    lease: timedelta,
    sending: Sequence[int] = (),
    echoes: Sequence[ExpectedEcho] = (),
) -> set[str]:
    """Extend these leases; the keys of the intents that this deliverer still has.

    `sending`: numbers of intents that are in doubt from now on; `echoes`: what their changes will look like.
    """
    parameters = {
        "lease": lease,
        "ids": [intent.id for intent in intents],
        "attempts": [intent.attempts for intent in intents],
        "deliverer": deliverer,
        "sending": list(sending),
        "echoes": _json(echoes),
    }
    return {row.key for row in await store.fetch(_Key, "keep_leases", parameters)}


async def take_over_leases(store: HubStore, deliverer: str, target: str) -> None:
    """Let the leases of all other deliverers on a target run out now."""
    await store.fetch(_Id, "take_over_leases", [target, deliverer])


async def finish_intents(
    store: HubStore, deliverer: str, outcomes: Sequence[IntentOutcome], *, now_us: int
) -> set[int]:
    """Record outcomes; the numbers of the intents that this deliverer still had leased. The others were taken over:
    nothing is written.
    """
    parameters = {"outcomes": _json(outcomes), "deliverer": deliverer, "now_us": now_us}
    return {row.id for row in await store.fetch(_Id, "finish_intents", parameters)}


async def stay_away(store: HubStore, target: str, *, refuses: bool, problem: str, pause_s: float) -> None:
    """Let no deliverer send anything to a target for so long. `refuses`: it answers, and takes nothing from us."""
    parameters = {"target": target, "refuses": refuses, "problem": problem, "pause_s": pause_s}
    await store.rows("stay_away", parameters)


async def come_back(store: HubStore, target: str) -> None:
    """The target answers again."""
    await store.rows("come_back", target)


async def last_written(store: HubStore, subjects_and_rules: Sequence[tuple[str, str]]) -> list[LastWritten]:
    """What these rules last wrote to these subjects; a pair without a delivery has no row."""
    parameters = {
        "subjects": [subject for subject, _ in subjects_and_rules],
        "rules": [rule for _, rule in subjects_and_rules],
    }
    return await store.fetch(LastWritten, "last_written", parameters)


async def expire_intents(store: HubStore) -> None:
    """End the intents that nobody decided on in time."""
    await store.fetch(_Id, "expire_intents")


async def forget_echoes(store: HubStore) -> None:
    """Delete expected echoes that did not come back within an hour."""
    await store.rows("forget_echoes")
