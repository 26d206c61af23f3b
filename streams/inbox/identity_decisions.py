"""What people decide about two records: they are one, they are two, or a merge is undone.

Two people cannot decide one pair twice: the first decision is the claim, and `seen` says which earlier decision a
later one replaces.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from streams.errors import ConfigError, EnvironmentFault
from streams.hub import inbox
from streams.hub.identity import log_decision
from streams.hub.intent_review import Hub
from streams.identity import decisions
from streams.identity.masters import Master, find_master
from streams.inbox.progress import DecidedBefore
from streams.inbox.sending import send
from streams.settings import Settings

ANY = datetime(1, 1, 1, tzinfo=UTC)
"""As `seen`: whatever was decided before is replaced."""


class Paired(msgspec.Struct, frozen=True):
    """A decision about two records that was taken. `pair`: the id of the possible match; `expects`: see progress."""

    pair: str
    loser: str
    winner: str
    text: str
    expects: dict[str, Any]


def pair_id(one_record: str, other: str) -> str:
    """The id of a pair, in whichever order its records come."""
    return ":".join(sorted((one_record, other), reverse=True))


def split_pair(pair: str) -> tuple[str, str]:
    """(loser, winner) as they are proposed. Raises ConfigError for what is no pair."""
    loser, colon, winner = pair.partition(":")
    if not colon or not loser or not winner:
        raise ConfigError(f"{pair!r} is no pair of records", remedy="two ids with a colon between them")
    return loser, winner


def merge(
    settings: Settings, hub: Hub, loser: str, winner: str, *, who: str, reason: str = "", seen: datetime | None = ANY
) -> Paired:
    """Make two records one. Everything that refers to `loser` follows to `winner`.

    Raises ConfigError where that cannot be, DecidedBefore where somebody else was faster.
    """
    _refuse_decided(hub, pair_id(loser, winner), seen)
    gone, stays = find_master(hub, loser), find_master(hub, winner)
    message = decisions.merge(gone, stays)
    expects = {
        "what": "merge", "loser": gone.canonical, "winner": stays.canonical, "sources": sorted(gone.contributions),
    }  # fmt: skip
    pair = _claim(hub, gone, stays, who, "merge", expects, seen)
    decisions.forget_kept_separate(hub, gone, stays)
    _send(settings, hub, pair, [message])
    log_decision(hub, who, "merge", gone.canonical, stays.canonical, reason)
    return Paired(pair, gone.canonical, stays.canonical, f"{gone.canonical} is {stays.canonical} now", expects)


def unmerge(settings: Settings, hub: Hub, record: str, *, who: str, reason: str = "") -> Paired:
    """Undo a link or a merge: `record` is a record of its own again.

    Raises ConfigError where it is the record itself.
    """
    master = find_master(hub, record)
    message = decisions.unmerge(master)
    expects = {"what": "unmerge", "record": master.id, "taken_from": master.canonical}
    pair = pair_id(master.id, master.canonical)
    earlier = inbox.sent_decision(hub, "match", pair)
    replaces = earlier.at if earlier else None
    inbox.claim_decision(hub, "match", pair, who=who, what="unmerge", expects=expects, replaces=replaces)
    _send(settings, hub, pair, [message])
    log_decision(hub, who, "unmerge", master.id, master.canonical, reason)
    return Paired(pair, master.id, master.canonical, f"{master.id} is a record of its own again", expects)


def decline(
    settings: Settings, hub: Hub, record: str, other: str, *, who: str, reason: str = "", seen: datetime | None = ANY
) -> Paired:
    """Two records are two: they are never proposed again, and no match key joins them.

    Raises ConfigError where they are one record or of two kinds, DecidedBefore where somebody else was faster.
    """
    _refuse_decided(hub, pair_id(record, other), seen)
    first, second = find_master(hub, record), find_master(hub, other)
    expects = {"what": "decline", "record": first.canonical, "other": second.canonical}
    if first.canonical == second.canonical or first.entity != second.entity:
        decisions.keep_separate(hub, first, second, who, reason)  # says why not
    pair = _claim(hub, first, second, who, "decline", expects, seen)
    messages = decisions.keep_separate(hub, first, second, who, reason)
    if messages:
        _send(settings, hub, pair, messages)
    log_decision(hub, who, "decline", first.canonical, second.canonical, reason)
    text = f"{first.canonical} and {second.canonical} are two"
    return Paired(pair, first.canonical, second.canonical, text, expects)


def reconsider(hub: Hub, record: str, other: str, *, who: str, reason: str = "") -> Paired:
    """Take back that two records are two: they may be proposed again. Raises ConfigError where nobody said so."""
    first, second = find_master(hub, record), find_master(hub, other)
    pair = pair_id(first.canonical, second.canonical)
    earlier = inbox.sent_decision(hub, "match", pair)
    if earlier is None or earlier.what != "decline":
        raise ConfigError("nobody said that these are two", remedy="`opshub identity show` lists the decisions")
    decisions.forget_kept_separate(hub, first, second)
    inbox.drop_decision(hub, "match", pair)
    log_decision(hub, who, "reconsider", first.canonical, second.canonical, reason)
    text = f"{first.canonical} and {second.canonical} may be one"
    return Paired(pair, first.canonical, second.canonical, text, {"what": "reconsider"})


def _claim(
    hub: Hub, left: Master, right: Master, who: str, what: str, expects: dict[str, Any], seen: datetime | None
) -> str:
    pair = pair_id(left.canonical, right.canonical)
    earlier = inbox.sent_decision(hub, "match", pair)
    replaces = seen
    if seen == ANY:
        replaces = earlier.at if earlier else None
    if inbox.claim_decision(hub, "match", pair, who=who, what=what, expects=expects, replaces=replaces):
        return pair
    raise _decided(inbox.sent_decision(hub, "match", pair))


def _refuse_decided(hub: Hub, pair: str, seen: datetime | None) -> None:
    """Raises DecidedBefore where the pair was decided after what the person saw: once two records are one, what was
    decided says more than why they cannot be merged or declined.
    """
    earlier = inbox.sent_decision(hub, "match", pair)
    if earlier is not None and seen not in (ANY, earlier.at):
        raise _decided(earlier)


def _decided(earlier: inbox.SentDecision | None) -> DecidedBefore:
    verdict = {"merge": "they are one", "decline": "they are two"}.get(earlier.what, earlier.what) if earlier else ""
    by = f"{earlier.who} was faster, and decided: {verdict}" if earlier else "somebody else was faster"
    return DecidedBefore(by, remedy="look at the pair as it is now; what was decided can be undone")


def _send(settings: Settings, hub: Hub, pair: str, messages: list[decisions.Message]) -> None:
    try:
        send(settings, messages)
    except EnvironmentFault:
        inbox.drop_decision(hub, "match", pair)
        raise
