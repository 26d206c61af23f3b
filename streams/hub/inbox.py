"""What waits for people: a class for each row, a function for each statement of `sql/inbox.sql`.

An item is named by its kind and id; a thing that nobody took care of has no row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec

from streams.hub.conflicts import LoggedConflict
from streams.hub.dead_letters import StoredDeadLetter
from streams.hub.intent_review import Hub, IntentView
from streams.hub.record_names import record_names
from streams.hub.statements import SQL, fetch, fetch_structs

ItemKind = Literal[
    "approval", "conflict", "conflict_group", "match", "dead_letter", "dead_letter_group", "write_back",
    "write_back_group",
]  # fmt: skip
ITEM_KINDS: tuple[ItemKind, ...] = get_args(ItemKind)

LOOKED_AT = 20_000
"""Rows from which groups are made. A hub with more has one problem, which the newest show."""
MOST_COUNTED = 100
"""The badge says 99+ for more: nobody works by the exact number."""


class Counts(msgspec.Struct, frozen=True):
    """How much waits for people, each up to MOST_COUNTED."""

    approvals: int
    conflicts: int
    matches: int
    dead_letters: int
    """Causes, not records: one cause is one thing to mend."""
    write_backs: int

    @property
    def all(self) -> int:
        return self.approvals + self.conflicts + self.matches + self.dead_letters + self.write_backs


class Whose(msgspec.Struct, frozen=True):
    """Which items by who takes care of them. `whose`: a person; None: anybody's."""

    whose: str | None = None
    unassigned: bool = False
    snoozed: bool = False
    """Those that are out of sight, instead of those in sight."""


class DeadLetterGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters of one cause."""

    id: str
    topic: str
    stage: str
    error_class: str
    cause: str
    count: int
    retrying: int
    first_seen: datetime
    last_seen: datetime
    example: int
    parked: int
    """Records that wait behind them."""
    assigned_to: str | None
    snoozed_until: datetime | None
    comments: int


class WriteBackGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Intents of one rule that were given up for one problem, or that expired."""

    id: str
    rule: str
    state: Literal["dead", "expired"]
    target: str
    problem: str
    count: int
    first_seen: datetime
    last_seen: datetime
    example: int
    in_doubt: int
    """How many of them were sent, and may have been done."""
    assigned_to: str | None
    snoozed_until: datetime | None
    comments: int


class ConflictCause(msgspec.Struct, frozen=True, kw_only=True):
    """Conflicts of one cause."""

    id: str
    kind: str
    entity: str
    subject: str
    systems: str | None
    rule: str
    winner: str | None
    outcome: str
    count: int
    first_seen: datetime
    last_seen: datetime
    latest: str
    assigned_to: str | None
    snoozed_until: datetime | None
    comments: int


class Care(msgspec.Struct, frozen=True):
    """Who takes care of an item, and until when it is out of sight."""

    id: str
    assigned_to: str | None
    snoozed_until: datetime | None
    changed_by: str
    changed_at: datetime


class Comment(msgspec.Struct, frozen=True):
    number: int
    at: datetime
    who: str
    text: str


class SentDecision(msgspec.Struct, frozen=True):
    """What a person decided; `done_at`: when the hub first showed it."""

    kind: str
    id: str
    at: datetime
    who: str
    what: str
    expects: dict[str, Any]
    done_at: datetime | None


class PossibleMatch(msgspec.Struct, frozen=True, kw_only=True):
    """Two records that may be one."""

    loser: str
    winner: str
    entity: str
    score: float
    reason: str
    loser_name: str | None
    winner_name: str | None
    assigned_to: str | None = None
    snoozed_until: datetime | None = None

    @property
    def id(self) -> str:
        return f"{self.loser}:{self.winner}"


class MatchSearch(msgspec.Struct, frozen=True):
    """When possible matches were last searched, and how many pairs were not compared."""

    at: datetime
    not_compared: int


class Reference(msgspec.Struct, frozen=True):
    """How many records of an entity refer to a record, and what is open in them (unscaled)."""

    entity: str
    currency: str | None
    count: int
    open: int | None


class OpenFlow(msgspec.Struct, frozen=True):
    id: str
    number: str | None
    stage: str | None
    open: int | None
    currency: str | None


class _Id(msgspec.Struct, frozen=True):
    id: int


class _Text(msgspec.Struct, frozen=True):
    id: str


def counts(hub: Hub) -> Counts:
    """For the badge of the menu: some index entries are read, however large the hub is."""
    return fetch_structs(hub, Counts, "inbox_counts", {"most": MOST_COUNTED})[0]


def dead_letter_groups(hub: Hub, whose: Whose) -> list[DeadLetterGroup]:
    """The largest first."""
    return fetch_structs(hub, DeadLetterGroup, "dead_letter_groups", {"looked_at": LOOKED_AT} | _of(whose))


def dead_letters_of_cause(hub: Hub, cause_id: str, *, after: int = 0, limit: int = 50) -> list[StoredDeadLetter]:
    """Open dead letters of one cause, in the order in which they came."""
    wanted = {"cause_id": cause_id, "after": after, "limit": limit}
    return fetch(hub, StoredDeadLetter, "dead_letters_of_cause", wanted)


def cause_of_dead_letter(hub: Hub, number: int) -> str | None:
    """The id of its group."""
    rows = fetch_structs(hub, _Text, "dead_letter_cause_id", [number])
    return rows[0].id if rows else None


def write_back_groups(hub: Hub, whose: Whose) -> list[WriteBackGroup]:
    """What was given up last first."""
    return fetch_structs(hub, WriteBackGroup, "write_back_groups", {"looked_at": LOOKED_AT} | _of(whose))


def write_backs_of_group(hub: Hub, group_id: str | None, *, before: int | None = None, limit: int = 50) -> list[int]:
    """Numbers of intents that were given up or expired, the newest first."""
    wanted = {"group_id": group_id, "before": before, "limit": limit}
    return [row.id for row in fetch_structs(hub, _Id, "write_backs_of_group", wanted)]


def approvals_for_people(
    hub: Hub, whose: Whose, *, rule: str | None = None, reason: str | None = None, after: int | None = None,
    limit: int = 50,
) -> list[int]:  # fmt: skip
    """Numbers of intents that wait for a decision, the oldest first. `reason`: part of why people are asked."""
    wanted = {"rule": rule, "reason": reason, "after": after, "limit": limit} | _of(whose)
    return [row.id for row in fetch_structs(hub, _Id, "approvals_for_people", wanted)]


def intents_by_id(hub: Hub, ids: Sequence[int]) -> list[IntentView]:
    """In the order of `ids`."""
    views = {view.id: view for view in fetch_structs(hub, IntentView, "intents_by_id", [list(ids)])} if ids else {}
    return [views[number] for number in ids if number in views]


def conflicts_for_people(
    hub: Hub, whose: Whose, *, which: str = "open", entity: str | None = None, kind: str | None = None,
    group_id: str | None = None, after: str | None = None, limit: int = 50,
) -> list[LoggedConflict]:  # fmt: skip
    """The newest first. `which`: open, standing or decided; `after`: id of the last one before."""
    wanted = {"which": which, "entity": entity, "conflict_kind": kind, "group_id": group_id, "after": after}
    conflicts = fetch(hub, LoggedConflict, "conflicts_for_people", wanted | _of(whose) | {"limit": limit})
    names = record_names(hub, (conflict.entity_id for conflict in conflicts))
    for conflict in conflicts:
        conflict.name = names[conflict.entity_id].text if conflict.entity_id in names else None
    return conflicts


def conflict_causes(
    hub: Hub, whose: Whose, *, which: str = "open", entity: str | None = None, kind: str | None = None
) -> list[ConflictCause]:
    """What waits for people first, then the newest."""
    wanted = {"which": which, "entity": entity, "conflict_kind": kind, "looked_at": LOOKED_AT} | _of(whose)
    return fetch_structs(hub, ConflictCause, "conflict_groups_for_people", wanted)


def claim_conflict(hub: Hub, conflict: LoggedConflict, who: str | None) -> bool:
    """Decide a conflict that is still as it was read (`who` is None: take the decision back). False: it is not."""
    wanted = {
        "id": conflict.id, "who": who, "release": who is None, "outcome": conflict.outcome,
        "decided_by": conflict.decided_by, "resolved_at": conflict.resolved_at,
    }  # fmt: skip
    if not fetch_structs(hub, _Text, "claim_conflict", wanted):
        return False
    hub.execute(SQL["forget_turns"], [conflict.entity_id, conflict.field])
    return True


def restore_conflict(hub: Hub, conflict: LoggedConflict) -> None:
    """It is as it was read: its decision could not be sent."""
    names = ("id", "outcome", "decided_by", "resolved_at", "turns")
    hub.execute(SQL["restore_conflict"], {name: getattr(conflict, name) for name in names})


def care_of(hub: Hub, kind: ItemKind, ids: Collection[str]) -> dict[str, Care]:
    """id → who takes care, of those items that somebody takes care of."""
    rows = fetch_structs(hub, Care, "inbox_items", {"kind": kind, "ids": list(ids)}) if ids else []
    return {row.id: row for row in rows}


def assign(hub: Hub, kind: ItemKind, item: str, *, to: str | None, who: str) -> None:
    """Let a person take care of it; None: nobody."""
    hub.execute(SQL["assign_item"], {"kind": kind, "id": item, "to": to, "who": who})


def snooze(hub: Hub, kind: ItemKind, item: str, *, until: datetime | None, who: str) -> None:
    """Keep it out of sight until then; None: show it."""
    hub.execute(SQL["snooze_item"], {"kind": kind, "id": item, "until": until, "who": who})


def add_comment(hub: Hub, kind: ItemKind, item: str, *, who: str, text: str) -> None:
    hub.execute(SQL["add_comment"], {"kind": kind, "id": item, "who": who, "text": text})


def comments_of(hub: Hub, kind: ItemKind, item: str) -> list[Comment]:
    """The oldest first."""
    return fetch_structs(hub, Comment, "comments_of", {"kind": kind, "id": item})


def claim_decision(
    hub: Hub, kind: str, item: str, *, who: str, what: str, expects: dict[str, Any], replaces: datetime | None = None
) -> bool:
    """Keep what a person decided; False: somebody decided before. `replaces`: when the decision was taken that this
    one is to take the place of.
    """
    text = msgspec.json.encode(expects).decode()
    wanted = {"kind": kind, "id": item, "who": who, "what": what, "expects": text, "replaces": replaces}
    return bool(fetch_structs(hub, _Text, "claim_decision", wanted))


def drop_decision(hub: Hub, kind: str, item: str) -> None:
    """It could not be sent, or it was taken back."""
    hub.execute(SQL["drop_decision"], {"kind": kind, "id": item})


def decision_is_done(hub: Hub, kind: str, item: str) -> None:
    """The hub shows it."""
    hub.execute(SQL["decision_is_done"], {"kind": kind, "id": item})


def sent_decision(hub: Hub, kind: str, item: str) -> SentDecision | None:
    rows = fetch_structs(hub, SentDecision, "sent_decisions", {"kind": kind, "ids": [item]})
    return rows[0] if rows else None


def possible_matches(
    hub: Hub, whose: Whose, *, after: tuple[float, str] | None = None, limit: int = 50
) -> list[PossibleMatch]:
    """The likeliest first; `after`: (score, loser) of the last one before."""
    score, loser = after or (None, None)
    wanted = {"after_score": score, "after_loser": loser, "limit": limit} | _of(whose)
    return fetch_structs(hub, PossibleMatch, "possible_matches", wanted)


def decided_matches(hub: Hub, *, limit: int = 50) -> list[SentDecision]:
    """What people decided about pairs, the newest first."""
    return fetch_structs(hub, SentDecision, "decided_matches", {"limit": limit})


def last_match_search(hub: Hub) -> MatchSearch | None:
    rows = fetch_structs(hub, MatchSearch, "last_match_search")
    return rows[0] if rows else None


def replace_matches(hub: Hub, rows: Sequence[tuple[str, str, str, float, str]], not_compared: int) -> None:
    """Keep what a search found, in place of the search before: (loser, winner, entity, score, reason)."""
    with hub.transaction():
        hub.execute(SQL["forget_matches"])
        if rows:
            hub.execute(SQL["add_matches"], [list(column) for column in zip(*rows, strict=True)])
        hub.execute(SQL["searched_matches"], [not_compared])


def references_to(hub: Hub, ids: Collection[str]) -> list[Reference]:
    """What hangs off a record, under any of its ids."""
    return fetch_structs(hub, Reference, "hangs_off", {"ids": list(ids)})


def open_flows(hub: Hub, ids: Collection[str], limit: int = 5) -> list[OpenFlow]:
    return fetch_structs(hub, OpenFlow, "open_flows_of", {"ids": list(ids), "limit": limit})


def _of(whose: Whose) -> dict[str, object]:
    return msgspec.structs.asdict(whose)
