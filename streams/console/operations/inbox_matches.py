"""Possible matches: two records side by side that may be one, what hangs off each, and what people decide."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from streams.console.masking import mask
from streams.console.operation import Context, Scope, operation
from streams.console.operations.inbox import Filtered, whose_of
from streams.console.people import Person
from streams.console.place import Hub
from streams.console.problems import NotFound, WrongInput
from streams.dictionary.readable import readable
from streams.errors import ConfigError
from streams.hub import inbox
from streams.hub.identity import LoggedDecision, decisions_about
from streams.hub.inbox import MatchSearch, OpenFlow, PossibleMatch, Reference, SentDecision
from streams.hub.record_names import record_names
from streams.identity.masters import Master, find_master
from streams.inbox import identity_decisions, progress
from streams.inbox.progress import Progress
from streams.model.entities import ENTITIES
from streams.model.names import PEOPLE


class WantedMatches(Filtered, frozen=True, kw_only=True):
    """Which pairs; `decided`: those that people decided, instead."""

    decided: bool = False
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class DecidedMatch(msgspec.Struct, frozen=True):
    """A pair that a person decided, by the names of its records."""

    decision: SentDecision
    names: list[str]


class MatchList(msgspec.Struct, frozen=True):
    """A page of pairs, and when they were last searched. `after` gives the next page."""

    matches: list[PossibleMatch]
    decided: list[DecidedMatch]
    searched: MatchSearch | None
    after: str | None


class WantedMatch(msgspec.Struct, frozen=True):
    """A pair: the ids of two records with a colon between them."""

    id: str


class MatchedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two, with what hangs off it."""

    id: str
    entity: str
    name: str
    sources: list[str]
    """system:key of what it is made of."""
    references: list[Reference]
    flows: list[OpenFlow]
    deleted: bool


class ComparedField(msgspec.Struct, frozen=True):
    """A field of both, as people read it."""

    field: str
    left: object
    right: object

    @property
    def differs(self) -> bool:
        return self.left != self.right

    @property
    def contradicts(self) -> bool:
        """Both have a value, and not the same."""
        return self.differs and self.left is not None and self.right is not None


class MatchDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Two records side by side. `seen`: when the decision was taken that is shown, to send back."""

    id: str
    left: MatchedRecord
    right: MatchedRecord
    fields: list[ComparedField]
    why: str
    """Why they are proposed."""
    is_one: bool
    """They are one record by now."""
    progress: Progress | None
    seen: datetime | None
    log: list[LoggedDecision]


class MatchDecision(msgspec.Struct, frozen=True, kw_only=True):
    """merge: they are one; separate: they are two; undo: take the last decision back. `stays`: the record that the
    other is merged into.
    """

    id: str
    what: Literal["merge", "separate", "undo"]
    stays: str | None = None
    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    seen: datetime | None = None


class PairSent(msgspec.Struct, frozen=True):
    """What was decided, in a sentence, and how far it is."""

    text: str
    pair: str
    progress: Progress | None


def match_places(hub: Hub, wanted: MatchDecision) -> list[Scope]:
    """Where a pair works, for rights by entity."""
    try:
        return [Scope(None, find_master(hub, identity_decisions.split_pair(wanted.id)[0]).entity)]
    except ConfigError:
        return []


@operation("GET", "/inbox/matches", permission="see", command="opshub identity proposals")
def list_matches(context: Context, wanted: WantedMatches) -> MatchList:
    """List pairs of records that may be one, the likeliest first. What people decided never comes back."""
    with context.place.hub() as hub:
        searched = inbox.last_match_search(hub)
        if wanted.decided:
            decisions = inbox.decided_matches(hub, limit=wanted.limit)
            names = record_names(hub, [record for decision in decisions for record in decision.id.split(":")])
            decided = [
                DecidedMatch(
                    decision,
                    [names[record].text if record in names else record for record in decision.id.split(":")],
                )
                for decision in decisions
            ]
            return MatchList([], decided, searched, None)
        matches = inbox.possible_matches(
            hub, whose_of(context, wanted), after=_position(wanted.after), limit=wanted.limit
        )
    last = matches[-1] if len(matches) == wanted.limit else None
    shown = [
        msgspec.structs.replace(
            match,
            loser_name=mask({"name": match.loser_name}, match.entity, context.person)["name"],
            winner_name=mask({"name": match.winner_name}, match.entity, context.person)["name"],
        )
        for match in matches
    ]
    return MatchList(shown, [], searched, f"{last.score!r}:{last.loser}" if last else None)


@operation(
    "GET", "/inbox/matches/{id}", permission="see",
    command=lambda w: "; ".join(f"opshub identity show {record}" for record in w.id.split(":")),
)  # fmt: skip
def show_match(context: Context, wanted: WantedMatch) -> MatchDetails:
    """Show two records side by side, with what hangs off each."""
    with context.place.hub() as hub:
        try:
            loser, winner = identity_decisions.split_pair(wanted.id)
            left, right = find_master(hub, loser), find_master(hub, winner)
        except ConfigError as error:
            raise NotFound(str(error), remedy=error.remedy) from error
        proposed = next((m for m in inbox.possible_matches(hub, inbox.Whose(), limit=500) if m.id == wanted.id), None)
        pair = identity_decisions.pair_id(loser, winner)
        sent = inbox.sent_decision(hub, "match", pair)
        return MatchDetails(
            id=pair, left=_record(hub, left, context.person), right=_record(hub, right, context.person),
            fields=_compared(left, right, context.person), why=proposed.reason if proposed else "",
            is_one=left.canonical == right.canonical, progress=progress.follow(hub, "match", pair),
            seen=sent.at if sent else None, log=decisions_about(hub, loser, winner),
        )  # fmt: skip


@operation(
    "POST", "/inbox/matches/{id}", permission="decide", scope=match_places,
    command=lambda w: _command(w),
)  # fmt: skip
def decide_match(context: Context, wanted: MatchDecision) -> PairSent:
    """Decide about two records: one, two, or take that back. A second decision is refused (409)."""
    loser, winner = identity_decisions.split_pair(wanted.id)
    who, reason, settings = context.person.name, wanted.reason.strip(), context.place.settings
    if wanted.stays is not None:
        if wanted.stays not in (loser, winner):
            raise WrongInput(f"{wanted.stays} is none of the two")
        loser, winner = (winner, loser) if wanted.stays == loser else (loser, winner)
    with context.place.hub() as hub:
        if wanted.what == "merge":
            done = identity_decisions.merge(settings, hub, loser, winner, who=who, reason=reason, seen=wanted.seen)
        elif wanted.what == "separate":
            done = identity_decisions.decline(settings, hub, loser, winner, who=who, reason=reason, seen=wanted.seen)
        else:
            done = _undo(context, hub, loser, winner, reason)
        return PairSent(done.text, done.pair, progress.follow(hub, "match", done.pair))


def _undo(context: Context, hub: Hub, loser: str, winner: str, reason: str) -> identity_decisions.Paired:
    sent = inbox.sent_decision(hub, "match", identity_decisions.pair_id(loser, winner))
    if sent is not None and sent.what == "merge":
        gone = str(sent.expects["loser"])
        return identity_decisions.unmerge(context.place.settings, hub, gone, who=context.person.name, reason=reason)
    return identity_decisions.reconsider(hub, loser, winner, who=context.person.name, reason=reason)


def _record(hub: Hub, master: Master, person: Person) -> MatchedRecord:
    ids = {master.id, master.canonical, *master.contributions, *master.other_ids}
    names = record_names(hub, [master.canonical])
    record = mask(master.record, master.entity, person)
    name = record.get("name") or (names[master.canonical].text if master.canonical in names else master.canonical)
    return MatchedRecord(
        id=master.id, entity=master.entity, name=str(name), deleted=master.deleted,
        sources=sorted(f"{c.system}:{c.key}" for c in master.contributions.values() if c.system != PEOPLE),
        references=inbox.references_to(hub, ids), flows=inbox.open_flows(hub, ids),
    )  # fmt: skip


def _compared(left: Master, right: Master, person: Person) -> list[ComparedField]:
    """Fields that one of the two has, those that contradict each other first."""
    kinds = ENTITIES[left.entity].fields if left.entity in ENTITIES else {}
    one_side, other_side = (mask(side.record, side.entity, person) for side in (left, right))
    plain = {name: (left.record.get(name), right.record.get(name)) for name in kinds}

    def shown(name: str, value: Any) -> object:
        return readable(kinds[name], value)

    fields = [
        ComparedField(name, shown(name, one_side.get(name)), shown(name, other_side.get(name)))
        for name in kinds
        if any(value is not None for value in plain[name])
    ]
    return sorted(fields, key=lambda field: (not field.contradicts, not field.differs))


def _position(after: str | None) -> tuple[float, str] | None:
    if after is None:
        return None
    score, _, loser = after.partition(":")
    try:
        return float(score), loser
    except ValueError:
        raise WrongInput(f"{after} is no place in a list", remedy="take `after` of the page before") from None


def _command(wanted: MatchDecision) -> str:
    loser, _, winner = wanted.id.partition(":")
    if wanted.stays == loser:
        loser, winner = winner, loser
    verb = {"merge": "merge", "separate": "decline", "undo": "unmerge"}[wanted.what]
    return f"opshub identity {verb} {loser}{'' if wanted.what == 'undo' else f' {winner}'} --reason '{wanted.reason}'"
