"""What people decide about conflicts. Two people cannot decide one conflict twice: the second gets DecidedBefore.

In: a conflict, and a choice. Out: `Decided`, once the decision is in the hub and on its way to the aggregate's writer;
`progress.follow` says when the hub shows it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from streams.dictionary.typed_values import parse_value, readable_value
from streams.errors import ConfigError, EnvironmentFault
from streams.hub import inbox
from streams.hub.conflicts import LoggedConflict
from streams.hub.identity import aggregate_of, log_decision
from streams.hub.intent_review import Hub
from streams.identity import conflict_inbox, decisions
from streams.identity.masters import find_master
from streams.inbox.progress import DecidedBefore
from streams.inbox.sending import send
from streams.model.change import Value
from streams.settings import Settings

OTHERWISE = {
    "match_key": "--keep-separate if they are two, `opshub identity merge` if they are one",
    "shared_key": "`opshub identity unmerge` if they are two, --keep-merged if they are one",
    "reference": "--keep-separate if they are two, `opshub identity merge` if they are one",
    "delete_update": "delete or restore it in its system",
    "invariant": "correct the documents in their systems; the conflict ends by itself when they are right",
}
"""Kinds of conflicts that no value of a field settles, with what does."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says; exactly one of these."""

    system: str | None = None
    """Let this system's value stand."""
    value: str | None = None
    """Let this value stand, as people write it."""
    release: bool = False
    """Take an earlier decision back: the rule decides again."""
    keep_separate: bool = False
    """The two records of a match key or a reference are two."""
    keep_merged: bool = False
    """Records that a shared key had linked are one."""


class Decided(msgspec.Struct, frozen=True):
    """A decision that was taken. `text` says it to people; `expects`: see progress.is_done."""

    conflict: LoggedConflict
    text: str
    expects: dict[str, Any]


def seen_token(conflict: LoggedConflict) -> str:
    """What a page sends back, so that only what was shown is decided."""
    state = [conflict.outcome, conflict.decided_by, conflict.resolved_at, conflict.winner, conflict.values]
    return hashlib.sha256(msgspec.json.encode(state, order="deterministic")).hexdigest()[:16]


def decide(
    settings: Settings, hub: Hub, conflict_id: str, choice: Choice, *, who: str, reason: str = "",
    seen: str | None = None,
) -> Decided:  # fmt: skip
    """Decide a conflict by hand. A value stands for this field, whatever the systems give later, until it is released.

    `seen`: the token of what the person saw. Raises ConfigError for a choice that decides nothing, DecidedBefore where
    somebody else was faster, EnvironmentFault while Kafka or the hub is away: nothing is decided then.
    """
    given = choice.system is not None, choice.value is not None
    if sum((*given, choice.release, choice.keep_separate, choice.keep_merged)) != 1:
        raise ConfigError(
            "say which value stands", remedy="one of --system, --value, --release, --keep-separate and --keep-merged"
        )
    conflict = conflict_inbox.get(hub, conflict_id)
    if seen is not None and seen != seen_token(conflict):
        raise DecidedBefore(_faster(conflict), remedy="look at the conflict as it is now, then decide")
    if choice.keep_separate:
        return _keep_separate(settings, hub, conflict, who, reason)
    if choice.keep_merged:
        return _keep_merged(hub, conflict, who, reason)
    return _let_value_stand(settings, hub, conflict, choice, who)


def name_of(conflict: LoggedConflict) -> str:
    """The record of a conflict, for people."""
    return conflict.name or f"{conflict.entity.replace('_', ' ')} {conflict.entity_id}"


def _let_value_stand(settings: Settings, hub: Hub, conflict: LoggedConflict, choice: Choice, who: str) -> Decided:
    entity, entity_id, field = conflict.entity, conflict.entity_id, conflict.field
    chosen = _chosen_value(conflict, choice)
    # Before the message: a decided conflict counts its turns from zero, and a flip-flop is over with it.
    _claim(hub, conflict, None if choice.release else who)
    aggregate = aggregate_of(hub, entity_id) or conflict.aggregate_id
    expects = {
        "what": "value", "entity": entity, "entity_id": entity_id, "field": field, "value": chosen,
        "released": choice.release,
    }  # fmt: skip
    outcome = "the rule decides" if choice.release else f"{readable_value(entity, field, chosen)} stands"
    _keep(hub, conflict, who, outcome, expects)
    try:
        send(settings, [decisions.decide(entity, entity_id, aggregate, {field: chosen})])
    except EnvironmentFault:
        _give_back(hub, conflict)
        raise
    return Decided(conflict, f"{name_of(conflict)}, {field}: {outcome}", expects)


def _chosen_value(conflict: LoggedConflict, choice: Choice) -> Value:
    """The value that a person chose; None to release the field. Raises ConfigError where a value decides nothing."""
    if conflict.kind in OTHERWISE:
        raise ConfigError(f"a {conflict.kind} conflict is not about a value", remedy=OTHERWISE[conflict.kind])
    if choice.system is not None:
        if choice.system not in conflict.values:
            raise ConfigError(
                f"{choice.system} gives no value here", remedy=f"one of {', '.join(sorted(conflict.values))}"
            )
        return conflict.values[choice.system]["value"]
    return None if choice.value is None else parse_value(conflict.entity, conflict.field, choice.value)


def _keep_separate(settings: Settings, hub: Hub, conflict: LoggedConflict, who: str, reason: str) -> Decided:
    if conflict.kind not in ("match_key", "reference"):
        raise ConfigError(
            f"a {conflict.kind} conflict is about one record", remedy="say which value stands: --system or --value"
        )
    claimant = find_master(hub, conflict.entity_id)
    holder = find_master(hub, str(conflict.values["holder"]["value"]))
    _claim(hub, conflict, who)
    try:
        messages = decisions.keep_separate(hub, claimant, holder, who, reason)
        if messages:
            send(settings, messages)
    except (ConfigError, EnvironmentFault):
        _give_back(hub, conflict)
        raise
    log_decision(hub, who, "decline", claimant.canonical, holder.canonical, reason)
    expects = {"what": "decline", "record": claimant.canonical, "other": holder.canonical}
    _keep(hub, conflict, who, "they are two", expects)
    return Decided(conflict, f"{claimant.canonical} and {holder.canonical} are two; nobody is asked again", expects)


def _keep_merged(hub: Hub, conflict: LoggedConflict, who: str, reason: str) -> Decided:
    if conflict.kind != "shared_key":
        raise ConfigError(
            f"a {conflict.kind} conflict is not about records that were linked",
            remedy=OTHERWISE.get(conflict.kind, "say which value stands: --system or --value"),
        )
    _claim(hub, conflict, who)
    linked = conflict.values["linked"]["value"]
    for source in linked if isinstance(linked, list) else ():
        log_decision(hub, who, "merge", str(source), conflict.entity_id, reason)
    expects = {"what": "keep_merged", "record": conflict.entity_id, "linked": linked}
    _keep(hub, conflict, who, "they stay one", expects)
    return Decided(conflict, f"{conflict.entity} {conflict.name or conflict.entity_id} stays one record", expects)


def _claim(hub: Hub, conflict: LoggedConflict, who: str | None) -> None:
    if not inbox.claim_conflict(hub, conflict, who):
        raise DecidedBefore(
            _faster(conflict_inbox.get(hub, conflict.id)), remedy="look at the conflict as it is now, then decide"
        )


def _keep(hub: Hub, conflict: LoggedConflict, who: str, outcome: str, expects: dict[str, Any]) -> None:
    inbox.drop_decision(hub, "conflict", conflict.id)
    inbox.claim_decision(hub, "conflict", conflict.id, who=who, what=outcome, expects=expects)


def _give_back(hub: Hub, conflict: LoggedConflict) -> None:
    """Nothing was sent: the conflict is as it was."""
    inbox.drop_decision(hub, "conflict", conflict.id)
    inbox.restore_conflict(hub, conflict)


def _faster(conflict: LoggedConflict) -> str:
    if conflict.outcome == "decided" and conflict.decided_by:
        return f"{conflict.decided_by} was faster, and decided this conflict"
    if conflict.outcome == "over":
        return "this conflict is over: the systems agree by now, or contribute something else"
    return "this conflict changed while you looked at it"
