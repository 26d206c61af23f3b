"""Bulk work: which items a filter matches, and what is done to each. `job_runner` does it in the background.

An action says once how its items are chosen (`choose`) and done (`do`); a job keeps the items that matched when it was
made, so that it does no more than its preview showed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from streams.dead_letters import retry as retries
from streams.dead_letters import store
from streams.errors import ConfigError, EnvironmentFault, OpshubError, RetryLater
from streams.hub import inbox
from streams.hub.conflicts import conflicts_by_id
from streams.hub.dead_letters import Filter, StoredDeadLetter
from streams.hub.inbox import Whose
from streams.hub.intent_review import Hub
from streams.hub.jobs import Job, Outcome, WaitingItem, create_job
from streams.identity.proposals import propose
from streams.inbox import identity_decisions, write_back
from streams.inbox.conflict_decisions import Choice, decide, name_of
from streams.inbox.dead_letters import Dictionaries
from streams.inbox.progress import DecidedBefore
from streams.inbox.sending import connect
from streams.settings import Settings
from streams.writeback import commands

Action = Literal[
    "retry_dead_letters", "drop_dead_letters", "approve", "reject", "resolve_conflicts", "keep_separate",
    "retry_write_backs", "search_matches",
]  # fmt: skip
ACTIONS: tuple[Action, ...] = get_args(Action)

MOST_ITEMS = 50_000
EXAMPLES = 10
PASSES_WITHIN_S = 15.0
"""Seconds that a job waits for the worker's answer to retried dead letters, for the result of each."""

_ALL = Whose()


class Bulk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be done to which items; what is not given does not narrow them."""

    action: Action
    group: str | None = None
    """Group of dead letters, conflicts or write-backs, as the inbox lists them."""
    topic: str | None = None
    """Of dead letters; * stands for any text."""
    reason_has: str | None = None
    """Part of the reason of a dead letter, of why people are asked, or of a write-back's problem."""
    rule: str | None = None
    """Of intents: <system>/<rule>."""
    entity: str | None = None
    system: str | None = None
    """Whose value stands in conflicts."""
    release: bool = False
    """Take decisions on conflicts back."""
    not_done: bool = False
    """You looked: the target did none of these intents."""
    force: bool = False
    """Also dead letters that failed too often."""


class Preview(msgspec.Struct, frozen=True):
    """How many items match now, and some of them by name."""

    count: int
    examples: list[str]
    is_all: bool
    """False: more match than one job takes."""


class Place(NamedTuple):
    """What an action works with."""

    settings: Settings
    hub: Hub
    dictionaries: Dictionaries


class _Kind(NamedTuple):
    choose: Callable[[Place, Bulk], list[str]]
    names: Callable[[Place, Sequence[str]], list[str]]
    do: Callable[[Place, Bulk, Job, Sequence[WaitingItem]], list[Outcome]]


def preview(place: Place, bulk: Bulk) -> Preview:
    """What a job would be over, before it is made. Raises ConfigError for an action without what it needs."""
    items = _choose(place, bulk)
    return Preview(len(items), _KINDS[bulk.action].names(place, items[:EXAMPLES]), len(items) < MOST_ITEMS)


def start(place: Place, bulk: Bulk, *, who: str, reason: str) -> int:
    """Queue a job over what matches now; its number.

    Raises ConfigError where nothing matches, or a reason is needed.
    """
    if bulk.action in ("drop_dead_letters", "reject", "retry_write_backs") and not reason.strip():
        raise ConfigError("this needs a reason", remedy="say why: it is kept with each item")
    items = _choose(place, bulk)
    if not items:
        raise ConfigError("nothing matches any more", remedy="look at the list again")
    wanted: dict[str, Any] = msgspec.to_builtins(bulk)
    return create_job(place.hub, action=bulk.action, wanted=wanted, who=who, reason=reason, items=items)


def do_batch(place: Place, job: Job, items: Sequence[WaitingItem]) -> list[Outcome]:
    """Do the next items of a job. Raises EnvironmentFault or RetryLater while a server is away: they are not done."""
    bulk = msgspec.convert(job.wanted, Bulk)
    return _KINDS[bulk.action].do(place, bulk, job, items)


def _choose(place: Place, bulk: Bulk) -> list[str]:
    if bulk.action == "resolve_conflicts" and (bulk.system is not None) == bulk.release:
        raise ConfigError("say which value stands", remedy="`system`, or `release` to let the rules decide again")
    return _KINDS[bulk.action].choose(place, bulk)[:MOST_ITEMS]


# -- dead letters


def _open_dead_letters(place: Place, bulk: Bulk) -> list[str]:
    if bulk.group is not None:
        dead_letters = inbox.dead_letters_of_cause(place.hub, bulk.group, limit=MOST_ITEMS)
    else:
        if not (bulk.topic or bulk.reason_has):
            raise ConfigError("which dead letters?", remedy="give `group`, `topic` or `reason_has`")
        wanted = Filter(states=("dead", "retry"), topic=bulk.topic, reason=bulk.reason_has)
        dead_letters = store.find(place.settings, wanted, MOST_ITEMS)
    retriable = bulk.force or bulk.action == "drop_dead_letters"
    return [str(dead_letter.id) for dead_letter in dead_letters if retriable or dead_letter.tried < retries.MOST_TRIES]


def _names_of_dead_letters(place: Place, items: Sequence[str]) -> list[str]:
    dead_letters = store.find(place.settings, Filter(ids=tuple(map(int, items))), len(items)) if items else []
    names = place.dictionaries.names(place.hub, dead_letters)
    return [f"{dead_letter.id}: {names.get(dead_letter.id, dead_letter.topic)}" for dead_letter in dead_letters]


def _retry_dead_letters(place: Place, bulk: Bulk, job: Job, items: Sequence[WaitingItem]) -> list[Outcome]:
    ids = tuple(int(item.item) for item in items)
    wanted = Filter(ids=ids)
    chosen = {
        dead_letter.id
        for dead_letter in retries.retry(place.settings, wanted, job.who, force=bulk.force, limit=len(ids))
    }
    end = time.monotonic() + PASSES_WITHIN_S
    while True:
        now = {dead_letter.id: dead_letter for dead_letter in store.find(place.settings, wanted, len(ids))}
        waiting = [number for number in chosen if number in now and now[number].state == "retry"]
        if not waiting or time.monotonic() > end:
            return [Outcome(item.number, *_result_of_retry(int(item.item), chosen, now)) for item in items]
        time.sleep(0.2)


def _result_of_retry(
    number: int, chosen: set[int], now: dict[int, StoredDeadLetter]
) -> tuple[Literal["done", "failed", "skipped"], str]:
    dead_letter = now.get(number)
    if dead_letter is None:
        return "skipped", "there is no such dead letter"
    if number not in chosen:
        return "skipped", f"it is {dead_letter.state}"
    if dead_letter.state == "dead":
        return "failed", dead_letter.reason
    return "done", "passed" if dead_letter.state == "retried" else "sent; no worker has answered yet"


def _drop_dead_letters(place: Place, bulk: Bulk, job: Job, items: Sequence[WaitingItem]) -> list[Outcome]:
    ids = tuple(int(item.item) for item in items)
    dropped = {
        dead_letter.id
        for dead_letter in store.drop(place.settings, Filter(ids=ids), job.reason, job.who, limit=len(ids))
    }
    return [
        Outcome(item.number, "done", "dropped")
        if int(item.item) in dropped
        else Outcome(item.number, "skipped", "it is settled already")
        for item in items
    ]


# -- intents


def _waiting_intents(place: Place, bulk: Bulk) -> list[str]:
    numbers = inbox.approvals_for_people(place.hub, _ALL, rule=bulk.rule, reason=bulk.reason_has, limit=MOST_ITEMS)
    return [str(number) for number in numbers]


def _names_of_intents(place: Place, items: Sequence[str]) -> list[str]:
    intents = inbox.intents_by_id(place.hub, [int(item) for item in items])
    return [f"{intent.id}: {intent.about.number or intent.about.name or intent.key}" for intent in intents]


def _decide_intents(place: Place, bulk: Bulk, job: Job, items: Sequence[WaitingItem]) -> list[Outcome]:
    what: Literal["approve", "reject"] = "approve" if bulk.action == "approve" else "reject"

    def decide_intent(item: str) -> str:
        return write_back.decide(place.hub, item, what, who=job.who, reason=job.reason).state

    return _each(items, decide_intent)


def _given_up_intents(place: Place, bulk: Bulk) -> list[str]:
    if bulk.group is not None:
        return [str(number) for number in inbox.write_backs_of_group(place.hub, bulk.group, limit=MOST_ITEMS)]
    if not (bulk.rule or bulk.system or bulk.reason_has):
        raise ConfigError("which intents?", remedy="give `group`, `rule`, `system` or `reason_has`")
    chosen, _ = commands.retry_intents(
        place.hub, None, who="", reason="", target=bulk.system, rule=bulk.rule, problem=bulk.reason_has,
        limit=MOST_ITEMS, dry_run=True,
    )  # fmt: skip
    return [str(number) for number in chosen]


def _retry_intents(place: Place, bulk: Bulk, job: Job, items: Sequence[WaitingItem]) -> list[Outcome]:
    chosen, skipped = commands.retry_intents(
        place.hub, [item.item for item in items], who=job.who, reason=job.reason, not_done=bulk.not_done,
        limit=len(items),
    )  # fmt: skip
    return [
        Outcome(item.number, "done", "planned again")
        if int(item.item) in chosen
        else Outcome(item.number, "skipped", skipped.get(item.item, "somebody else was faster"))
        for item in items
    ]


# -- conflicts and matches


def _open_conflicts(place: Place, bulk: Bulk) -> list[str]:
    which = "decided" if bulk.release else "standing" if bulk.group else "open"
    conflicts = inbox.conflicts_for_people(
        place.hub, _ALL, which=which, entity=bulk.entity, group_id=bulk.group, limit=MOST_ITEMS
    )
    return [conflict.id for conflict in conflicts if bulk.system is None or bulk.system in conflict.values]


def _names_of_conflicts(place: Place, items: Sequence[str]) -> list[str]:
    return [f"{name_of(conflict)}, {conflict.field}" for conflict in conflicts_by_id(place.hub, list(items))]


def _resolve_conflicts(place: Place, bulk: Bulk, job: Job, items: Sequence[WaitingItem]) -> list[Outcome]:
    choice = Choice(system=bulk.system, release=bulk.release)

    def resolve(item: str) -> str:
        return decide(place.settings, place.hub, item, choice, who=job.who, reason=job.reason).text

    return _each(items, resolve)


def _listed_matches(place: Place, bulk: Bulk) -> list[str]:
    return [match.id for match in inbox.possible_matches(place.hub, _ALL, limit=MOST_ITEMS)]


def _names_of_matches(place: Place, items: Sequence[str]) -> list[str]:
    known = {m.id: m for m in inbox.possible_matches(place.hub, _ALL, limit=len(items))} if items else {}
    return [f"{known[item].loser_name} / {known[item].winner_name}" if item in known else item for item in items]


def _keep_separate(place: Place, bulk: Bulk, job: Job, items: Sequence[WaitingItem]) -> list[Outcome]:
    def separate(item: str) -> str:
        pair = identity_decisions.split_pair(item)
        return identity_decisions.decline(
            place.settings, place.hub, *pair, who=job.who, reason=job.reason, seen=None
        ).text

    return _each(items, separate)


def _search_matches(place: Place, bulk: Bulk, job: Job, items: Sequence[WaitingItem]) -> list[Outcome]:
    with connect(place.settings) as patient:  # all customers are read: that takes longer than a page may
        proposals = propose(patient, limit=MOST_ITEMS)
    rows = [(p.loser, p.winner, p.entity, p.score, p.reason) for p in proposals.proposals]
    inbox.replace_matches(place.hub, rows, sum(proposals.not_compared.values()))
    return [Outcome(item.number, "done", f"{len(rows):,} possible matches") for item in items]


def _each(items: Sequence[WaitingItem], do: Callable[[str], str]) -> list[Outcome]:
    """One by one; an error of one item is its outcome. A server that is away ends the batch with what was done."""
    outcomes: list[Outcome] = []
    for item in items:
        try:
            outcomes.append(Outcome(item.number, "done", do(item.item)))
        except (EnvironmentFault, RetryLater):
            if not outcomes:
                raise
            break
        except OpshubError as error:
            skipped = isinstance(error, DecidedBefore)
            outcomes.append(Outcome(item.number, "skipped" if skipped else "failed", str(error)))
    return outcomes


_KINDS: dict[Action, _Kind] = {
    "retry_dead_letters": _Kind(_open_dead_letters, _names_of_dead_letters, _retry_dead_letters),
    "drop_dead_letters": _Kind(_open_dead_letters, _names_of_dead_letters, _drop_dead_letters),
    "approve": _Kind(_waiting_intents, _names_of_intents, _decide_intents),
    "reject": _Kind(_waiting_intents, _names_of_intents, _decide_intents),
    "resolve_conflicts": _Kind(_open_conflicts, _names_of_conflicts, _resolve_conflicts),
    "keep_separate": _Kind(_listed_matches, _names_of_matches, _keep_separate),
    "retry_write_backs": _Kind(_given_up_intents, _names_of_intents, _retry_intents),
    "search_matches": _Kind(lambda place, bulk: ["customers"], lambda place, items: list(items), _search_matches),
}
