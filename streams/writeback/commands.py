"""What people do with intents: list and show them, approve and reject, pause and resume. Everything that they do is
in the audit log.

The functions take a connection from `connect_hub`, or the address of the hub where they read many records. They
raise ConfigError for a name or number that does not exist.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Literal, get_args

import msgspec
import psycopg

from streams.errors import ConfigError, EnvironmentFault, OpshubError, ServerAway
from streams.hub import intent_review
from streams.hub.documents import load_members
from streams.hub.intent_review import Hub, IntentView, LogEntry
from streams.hub.intents import Intent, Request, State
from streams.hub.session import KEEPALIVE
from streams.hub.store import HubStore
from streams.model.state import EntityState
from streams.writeback.documents import Document, Documents, read_documents
from streams.writeback.failures import NotReady, Refused
from streams.writeback.jobs import Adapter
from streams.writeback.prepare import check_complete, prepare, why_withdrawn
from streams.writeback.rules import WritebackRule
from streams.writeback.shadow import ShadowComparison, compare

STATES: tuple[State, ...] = get_args(State)
UNFINISHED: tuple[State, ...] = ("planned", "waiting", "approved", "delivering", "failed")
"""States of intents that may still be sent."""

Rules = Mapping[str, WritebackRule]
"""Rules by `<system>/<rule>`."""


class NotWaiting(OpshubError):
    """This intent does not wait for a decision."""


class SamePerson(OpshubError):
    """One account cannot approve for two people."""


class WouldSend(msgspec.Struct, frozen=True, omit_defaults=True):
    """What would be sent for an intent as things are now, or why nothing would."""

    request: Request | None = None
    reason: str | None = None


@contextmanager
def connect_hub(dsn: str) -> Iterator[Hub]:
    """A connection for these functions. Raises EnvironmentFault while the hub is away, or has no tables of this
    version.
    """
    try:
        with psycopg.connect(dsn, autocommit=True, application_name="opshub-cli", **KEEPALIVE) as hub:
            yield hub
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise EnvironmentFault("the hub's tables are not of this version", remedy="run `opshub apply`") from error
    except psycopg.OperationalError as error:
        raise ServerAway(
            f"the hub does not answer: {str(error).strip()}", remedy="check that the server runs, and OPSHUB_HUB_DSN"
        ) from error


def list_intents(hub: Hub, states: list[State], *, rule: str | None = None, limit: int = 100) -> list[IntentView]:
    """Intents in these states, newest first."""
    return intent_review.intents_in_states(hub, states, rule=rule, limit=limit)


def get_intent(hub: Hub, number_or_key: str) -> IntentView:
    """One intent by its number or key. Raises ConfigError when there is none."""
    # Numbers are of 64 bits: more digits can only be a key.
    number = int(number_or_key) if number_or_key.isdecimal() and len(number_or_key) < 19 else None
    intent = intent_review.intent_by_number_or_key(hub, number, number_or_key)
    if intent is None:
        raise ConfigError(
            f"there is no intent {number_or_key}", remedy="`opshub approvals list --all` lists all intents"
        )
    return intent


def get_log(hub: Hub, intent: IntentView) -> list[LogEntry]:
    """What happened to an intent, oldest first."""
    return intent_review.intent_log(hub, intent.id)


def would_send(dsn: str, number: int, rules: Rules, adapters: Mapping[str, Adapter]) -> WouldSend:
    """What would be sent for this intent as things are now. `adapters`: by system; none is connected."""
    with connect_hub(dsn) as hub:
        intent = intent_review.intent_by_number(hub, number)
    rule = rules.get(intent.rule)
    if rule is None:
        return WouldSend(reason=f"writeback.yaml has no rule {intent.rule} any more")
    document = asyncio.run(_read_documents(dsn, [(intent, rule)]))[intent.id]
    try:
        if isinstance(document, NotReady):
            raise document
        withdrawn = why_withdrawn(rule, document)
        if withdrawn is not None:
            return WouldSend(reason=f"nothing: {withdrawn}")
        check_complete(intent, rule, document)
        return WouldSend(adapters[intent.target].describe(prepare(intent, rule, document, None)))
    except (NotReady, Refused) as problem:
        return WouldSend(reason=f"nothing yet: {problem}")


def decide_intent(
    hub: Hub,
    number_or_key: str,
    what: Literal["approve", "reject"],
    *,
    who: str,
    reason: str,
    account: str | None = None,
) -> IntentView:
    """Approve or reject an intent; the intent as it is afterwards. `account`: the account that decided, if it is not
    `who`'s own.

    Raises NotWaiting when nobody is asked or the time has run out, and SamePerson for a second approval by one account.
    """
    intent = get_intent(hub, number_or_key)
    account = account or who
    # The hub counts one account once; this explains it to the person, instead of an approval that changes nothing.
    for decision in intent.decisions if what == "approve" else []:
        is_current = decision.what == "approve" and decision.reasons == intent.reasons
        if is_current and (decision.account or decision.who) == account and decision.who != who:
            raise SamePerson(
                f"{account} has approved intent {intent.id} already, as {decision.who}: "
                f"{who} needs an account of their own",
                remedy="where one account decides for several people, name them in OPSHUB_APPROVERS",
            )
    if not intent_review.decide_intent(hub, intent.id, what, who=who, account=account, reason=reason):
        raise NotWaiting(
            f"intent {intent.id} is {intent.state}: it waits for nobody",
            remedy="`opshub approvals list` lists the intents that wait",
        )
    return get_intent(hub, number_or_key)


def person_and_account(by: str | None, account: str, approvers: list[str]) -> tuple[str, str]:
    """(who decides, the account that counts for it). Only the people whom the settings name count as people of their
    own by `--by` alone.

    Raises ConfigError for a name that the settings do not have.
    """
    if by is None or not approvers:
        return by or account, account
    if by not in approvers:
        raise ConfigError(
            f"{by!r} may not be named with --by", remedy=f"one of {', '.join(approvers)} (OPSHUB_APPROVERS)"
        )
    return by, by


def retry_intents(
    hub: Hub,
    which: Sequence[str] | None,
    *,
    who: str,
    reason: str,
    target: str | None = None,
    rule: str | None = None,
    problem: str | None = None,
    not_done: bool = False,
    limit: int = 1000,
    dry_run: bool = False,
) -> tuple[list[int], dict[str, str]]:
    """Plan intents again that are dead or expired: (their numbers, number or key → why it is not among them).

    `which`: numbers or keys; None: all that fit `target`, `rule` and `problem` (a part of its text). `not_done`: a
    person knows that the target did not do them. Raises ConfigError for a number or key that does not exist.
    """
    named = None if which is None else [get_intent(hub, name) for name in which]
    ids = None if named is None else [intent.id for intent in named]
    revivable = intent_review.revivable_intents(hub, ids=ids, target=target, rule=rule, problem=problem, limit=limit)
    chosen = [intent.id for intent in revivable]
    skipped = {
        name: f"is {intent.state}: only dead and expired intents are sent again"
        if intent.state not in ("dead", "expired")
        else "does not fit the other conditions"
        for name, intent in zip(which or [], named or [], strict=True)
        if intent.id not in chosen
    }
    if not dry_run and chosen:
        chosen = intent_review.revive_intents(hub, chosen, who=who, why=reason, not_done=not_done)
    return chosen, skipped


def compare_shadow(dsn: str, rules: Rules, *, rule: str | None = None, limit: int = 500) -> list[ShadowComparison]:
    """What shadow mode would have sent and what people did, for the newest intent of each rule and subject. `rule`:
    only this one.
    """
    with connect_hub(dsn) as hub:
        intents = intent_review.shadow_intents(hub, rule=rule, limit=limit)
    wanted = [(intent, rules[intent.rule]) for intent in intents if intent.rule in rules]
    documents, members = asyncio.run(_read_for_shadow(dsn, wanted))
    comparisons = []
    for intent, its_rule in wanted:
        document = documents[intent.id]
        comparisons.append(
            compare(
                intent,
                its_rule,
                document if isinstance(document, Document) else None,
                members.get(intent.aggregate_id, []),
            )
        )
    return comparisons


async def _read_documents(dsn: str, wanted: list[tuple[Intent, WritebackRule]]) -> Documents:
    async with _store(dsn) as store:
        return await read_documents(store, wanted)


async def _read_for_shadow(
    dsn: str, wanted: list[tuple[Intent, WritebackRule]]
) -> tuple[Documents, dict[str, list[EntityState]]]:
    async with _store(dsn) as store:
        documents = await read_documents(store, wanted)
        return documents, await load_members(store, {intent.aggregate_id for intent, _ in wanted})


@asynccontextmanager
async def _store(dsn: str) -> AsyncIterator[HubStore]:
    store = HubStore(dsn, "opshub-cli")
    try:
        yield store
    finally:
        await store.close()
