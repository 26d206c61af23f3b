"""Intents in the inbox: approvals, and write-backs that were given up."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from streams.console.masking import mask_row, sees_plain
from streams.console.operation import Context, operation
from streams.console.operations.inbox import Filtered, intent_places, whose_of
from streams.console.problems import NotFound, WrongInput
from streams.errors import ConfigError
from streams.hub import inbox
from streams.hub.inbox import Care, WriteBackGroup
from streams.hub.intent_review import IntentView
from streams.hub.record_names import RecordName, record_names
from streams.inbox import write_back
from streams.inbox.progress import DecidedBefore
from streams.inbox.write_back import IntentDetails
from streams.writeback import commands


class WantedApprovals(Filtered, frozen=True, kw_only=True):
    """Which approvals to list; what is not given does not matter."""

    rule: str | None = None
    """<system>/<rule>"""
    reason_has: str | None = None
    """Part of why people are asked."""
    after: int | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class ListedIntent(msgspec.Struct, frozen=True):
    """An intent in a list, by the name that people know."""

    intent: IntentView
    name: str
    approved_by: list[str]
    care: Care | None


class IntentList(msgspec.Struct, frozen=True):
    """A page of intents. `after` gives the next page; null: this is the last one."""

    intents: list[ListedIntent]
    after: int | None


class WantedIntent(msgspec.Struct, frozen=True):
    """An intent by its number."""

    id: str


class ShownIntent(msgspec.Struct, frozen=True):
    """An intent, the record that it is about, and what would be written."""

    details: IntentDetails
    name: str
    flow: str | None
    """Its order flow, where it has one."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decides about an intent. `seen`: the token of what the person saw."""

    id: str
    what: Literal["approve", "reject"]
    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    seen: str | None = None
    by: str | None = None
    """On a console without sign-in: which of the approvers that the settings name."""


class WantedWriteBacks(Filtered, frozen=True, kw_only=True):
    """Groups of write-backs that were given up or expired."""


class WriteBackGroups(msgspec.Struct, frozen=True):
    groups: list[WriteBackGroup]


class WantedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The intents of one group."""

    group: str
    before: int | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class Retrial(msgspec.Struct, frozen=True, kw_only=True):
    """Send an intent again. `not_done`: you looked, and the target did not do it."""

    id: str
    reason: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    not_done: bool = False


@operation("GET", "/inbox/approvals", permission="see", command="opshub approvals list")
def list_approvals(context: Context, wanted: WantedApprovals) -> IntentList:
    """List the intents that wait for a decision, the oldest first."""
    with context.place.hub() as hub:
        numbers = inbox.approvals_for_people(
            hub, whose_of(context, wanted), rule=wanted.rule, reason=wanted.reason_has, after=wanted.after,
            limit=wanted.limit,
        )  # fmt: skip
        return _listed(context, hub, numbers, "approval", wanted.limit)


@operation("GET", "/inbox/approvals/{id}", permission="see", command=lambda w: f"opshub approvals show {w.id}")
def show_approval(context: Context, wanted: WantedIntent) -> ShownIntent:
    """Show an intent: why people are asked, who approved, and what would be written, before and after."""
    with context.place.hub() as hub:
        try:
            details = write_back.details(context.place.settings, hub, wanted.id)
        except ConfigError as error:
            raise NotFound(str(error), remedy=error.remedy) from error
        names = record_names(hub, [details.intent.entity_id, details.intent.aggregate_id])
    details = _for_person(context, details)
    is_flow = details.intent.entity in ("opportunity", "sales_order", "invoice", "shipment", "payment", "order_flow")
    return ShownIntent(
        details,
        _name(details.intent, names.get(details.intent.entity_id)),
        details.intent.aggregate_id if is_flow else None,
    )


@operation(
    "POST", "/inbox/approvals/{id}", permission="approve", scope=intent_places, keeps_result=False,
    command=lambda w: f"opshub approvals {w.what} {w.id} --reason '{w.reason}'",
)  # fmt: skip
def decide_approval(context: Context, wanted: Decision) -> IntentView:
    """Approve or reject an intent. A second decision is refused (409), with the name of who was faster."""
    who, settings = context.person.name, context.place.settings
    account = who
    if wanted.by is not None and context.person.is_local:
        who, account = commands.person_and_account(wanted.by, who, settings.approvers)
    with context.place.hub() as hub:
        return write_back.decide(
            hub, wanted.id, wanted.what, who=who, reason=wanted.reason.strip(), account=account, seen=wanted.seen
        )


@operation("GET", "/inbox/write-backs", permission="see", command="opshub writeback status")
def list_write_backs(context: Context, wanted: WantedWriteBacks) -> WriteBackGroups:
    """List write-backs that were given up or expired, by rule and problem."""
    with context.place.hub() as hub:
        return WriteBackGroups(inbox.write_back_groups(hub, whose_of(context, wanted)))


@operation(
    "GET", "/inbox/write-backs/groups/{group}", permission="see", command="opshub approvals list --state dead"
)  # fmt: skip
def list_write_backs_of_group(context: Context, wanted: WantedGroup) -> IntentList:
    """List the intents of one group, the newest first."""
    with context.place.hub() as hub:
        numbers = inbox.write_backs_of_group(hub, wanted.group, before=wanted.before, limit=wanted.limit)
        return _listed(context, hub, numbers, "write_back", wanted.limit)


@operation(
    "POST", "/inbox/write-backs/{id}/retry", permission="operate", scope=intent_places,
    command=lambda w: f"opshub writeback retry {w.id} --reason '{w.reason}'" + (" --not-done" if w.not_done else ""),
)  # fmt: skip
def retry_write_back(context: Context, wanted: Retrial) -> WantedIntent:
    """Send an intent again that was given up or expired. What may have been done is looked up in the target first."""
    if not wanted.reason.strip():
        raise WrongInput("a retry needs a reason", remedy="say what changed since it was given up")
    with context.place.hub() as hub:
        chosen, skipped = commands.retry_intents(
            hub, [wanted.id], who=context.person.name, reason=wanted.reason.strip(), not_done=wanted.not_done
        )
    if not chosen:
        raise DecidedBefore(f"intent {wanted.id} {skipped.get(wanted.id, 'was retried by somebody else')}")
    return WantedIntent(str(chosen[0]))


def _listed(
    context: Context, hub: Any, numbers: list[int], kind: Literal["approval", "write_back"], limit: int
) -> IntentList:
    intents = inbox.intents_by_id(hub, numbers)
    names = record_names(hub, [intent.entity_id for intent in intents])
    cares = inbox.care_of(hub, kind, [str(intent.id) for intent in intents])
    listed = [
        ListedIntent(
            msgspec.structs.replace(intent, request=None, result=None),
            _name(intent, names.get(intent.entity_id)),
            write_back.approvers_of(intent),
            cares.get(str(intent.id)),
        )
        for intent in intents
    ]
    return IntentList(listed, numbers[-1] if len(numbers) == limit else None)


def _name(intent: IntentView, name: RecordName | None) -> str:
    return name.text if name else f"{intent.entity.replace('_', ' ')} {intent.about.number or intent.about.name or ''}"


def _for_person(context: Context, details: IntentDetails) -> IntentDetails:
    """What is sent has names and forms of its target: nothing says which of it is personal data, so all texts of it are
    masked for people who see personal data masked.
    """
    if sees_plain(context.person):
        return details
    person = context.person
    changes = [
        msgspec.structs.replace(
            change,
            fields=[
                msgspec.structs.replace(
                    field, before=mask_row(field.before, person), after=mask_row(field.after, person)
                )
                for field in change.fields
            ],
            lines=mask_row(change.lines, person),
        )
        for change in details.changes
    ]
    sends = details.would_send
    return msgspec.structs.replace(
        details,
        changes=changes,
        would_send=None if sends is None else msgspec.structs.replace(sends, request=None),
        intent=msgspec.structs.replace(details.intent, request=None, result=None),
    )
