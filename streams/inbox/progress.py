"""What was decided and sent, until a worker has done it and the hub shows it.

A decision waits for nobody: it is kept as `SentDecision`, and whoever shows it asks `follow` how far it is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from streams.errors import ConfigError
from streams.hub import inbox
from streams.hub.conflicts import decided_value
from streams.hub.identity import is_merged, is_unmerged
from streams.hub.inbox import SentDecision
from streams.hub.intent_review import Hub
from streams.hub.shared_keys import end_shared_key_conflicts
from streams.model.ids import source_id
from streams.model.names import PEOPLE

SLOW_AFTER_S = 30.0
"""Seconds after which a worker should have done it: then people look at the workers."""


class DecidedBefore(ConfigError):
    """Somebody else decided this before."""


class Progress(msgspec.Struct, frozen=True):
    """How far a decision is. `slow`: no worker has done it for SLOW_AFTER_S."""

    state: Literal["sent", "slow", "done"]
    who: str
    what: str
    at: datetime


def follow(hub: Hub, kind: str, item: str) -> Progress | None:
    """How far the last decision on an item is; None where nobody decided."""
    sent = inbox.sent_decision(hub, kind, item)
    if sent is None:
        return None
    if sent.done_at is None and is_done(hub, sent.expects):
        finish(hub, sent)
        return Progress("done", sent.who, sent.what, sent.at)
    if sent.done_at is not None:
        return Progress("done", sent.who, sent.what, sent.at)
    waited = (datetime.now(UTC) - sent.at).total_seconds()
    return Progress("slow" if waited > SLOW_AFTER_S else "sent", sent.who, sent.what, sent.at)


def finish(hub: Hub, sent: SentDecision) -> None:
    """The hub shows what was decided: what depends on that ends, too."""
    inbox.decision_is_done(hub, sent.kind, sent.id)
    if sent.expects.get("what") == "unmerge":
        end_shared_key_conflicts(hub, str(sent.expects["taken_from"]), sent.who)


def is_done(hub: Hub, expects: dict[str, Any]) -> bool:
    """Whether the hub shows what a decision expects. `expects` is made by the functions of this room that decide."""
    match expects["what"]:
        case "merge":
            return is_merged(hub, expects["loser"], expects["winner"], expects["sources"])
        case "unmerge":
            return is_unmerged(hub, expects["record"])
        case "value":
            contribution = source_id(PEOPLE, expects["entity"], expects["entity_id"])
            now = decided_value(hub, expects["entity_id"], contribution, expects["field"])
            chosen = expects["value"]
            return now is not None and now.decided == chosen and (expects["released"] or now.golden == chosen)
        case _:
            return True  # the hub was written at once
