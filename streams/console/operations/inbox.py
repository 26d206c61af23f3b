"""The inbox as a whole: how much waits, who takes care of what, comments, snoozing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec

from streams.console.operation import Context, Scope, operation
from streams.console.people import Permission
from streams.console.place import Hub
from streams.console.problems import NotAllowed, WrongInput
from streams.hub import inbox
from streams.hub.inbox import Care, Comment, Counts, ItemKind, Whose

PERMISSIONS: dict[ItemKind, Permission] = {
    "approval": "approve",
    "conflict": "decide",
    "conflict_group": "decide",
    "match": "decide",
    "dead_letter": "operate",
    "dead_letter_group": "operate",
    "write_back": "operate",
    "write_back_group": "operate",
}
"""Who decides about an item may also assign, snooze and comment it."""


class Filtered(msgspec.Struct, frozen=True, kw_only=True):
    """What every list of the inbox can be narrowed by."""

    whose: str | None = None
    """A person's name; `me`: your own."""
    unassigned: bool = False
    snoozed: bool = False
    """Those out of sight, instead of those in sight."""


class Nothing(msgspec.Struct, frozen=True):
    """No parameters."""


class WantedItem(msgspec.Struct, frozen=True):
    """An item of the inbox."""

    kind: ItemKind
    id: str


class ItemDetails(msgspec.Struct, frozen=True):
    """Who takes care of an item, and what people wrote about it."""

    care: Care | None
    comments: list[Comment]


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes care of an item; `to` null or empty: nobody, `me`: you."""

    kind: ItemKind
    id: str
    to: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class Snoozing(msgspec.Struct, frozen=True, kw_only=True):
    """Out of sight until then, or for so many hours; neither: in sight again."""

    kind: ItemKind
    id: str
    until: datetime | None = None
    hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 366)] | None = None


class NewComment(msgspec.Struct, frozen=True, kw_only=True):
    kind: ItemKind
    id: str
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]


def whose_of(context: Context, wanted: Filtered) -> Whose:
    """The filter for the hub."""
    whose = context.person.name if wanted.whose == "me" else wanted.whose
    return Whose(whose, wanted.unassigned, wanted.snoozed)


@operation("GET", "/inbox", permission="see", command="opshub approvals list; opshub conflicts list; opshub dlq list")
def count_inbox(context: Context, wanted: Nothing) -> Counts:
    """Count what waits for people, each kind up to 100. Dead letters are counted by their causes."""
    with context.place.hub() as hub:
        return inbox.counts(hub)


@operation("GET", "/inbox/items/{kind}/{id}", permission="see")
def show_item(context: Context, wanted: WantedItem) -> ItemDetails:
    """Show who takes care of an item, and what people wrote about it."""
    with context.place.hub() as hub:
        care = inbox.care_of(hub, wanted.kind, [wanted.id]).get(wanted.id)
        return ItemDetails(care, inbox.comments_of(hub, wanted.kind, wanted.id))


@operation("POST", "/inbox/items/{kind}/{id}/assign", permission="see")
def assign_item(context: Context, wanted: Assignment) -> ItemDetails:
    """Let a person take care of an item, or nobody. Needs the right to decide about the item."""
    _require(context, wanted.kind)
    to = context.person.name if wanted.to == "me" else (wanted.to or "").strip() or None
    with context.place.hub() as hub:
        inbox.assign(hub, wanted.kind, wanted.id, to=to, who=context.person.name)
    return show_item(context, WantedItem(wanted.kind, wanted.id))


@operation("POST", "/inbox/items/{kind}/{id}/snooze", permission="see")
def snooze_item(context: Context, wanted: Snoozing) -> ItemDetails:
    """Keep an item out of sight until a time; it comes back by itself. Needs the right to decide about the item."""
    _require(context, wanted.kind)
    until = wanted.until
    if wanted.hours is not None:
        until = datetime.fromtimestamp(datetime.now(UTC).timestamp() + wanted.hours * 3600, UTC)
    if until is not None and until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    if until is not None and until <= datetime.now(UTC):
        raise WrongInput("this time is over", remedy="choose a later one")
    with context.place.hub() as hub:
        inbox.snooze(hub, wanted.kind, wanted.id, until=until, who=context.person.name)
    return show_item(context, WantedItem(wanted.kind, wanted.id))


@operation("POST", "/inbox/items/{kind}/{id}/comments", permission="see")
def comment_item(context: Context, wanted: NewComment) -> ItemDetails:
    """Write something about an item, for others. Needs the right to decide about the item."""
    _require(context, wanted.kind)
    if not wanted.text.strip():
        raise WrongInput("the comment is empty")
    with context.place.hub() as hub:
        inbox.add_comment(hub, wanted.kind, wanted.id, who=context.person.name, text=wanted.text.strip())
    return show_item(context, WantedItem(wanted.kind, wanted.id))


def intent_places(hub: Hub, wanted: msgspec.Struct) -> list[Scope]:
    """Where an intent works, for rights by system and entity. `wanted` has its number or key as `id`."""
    which = str(wanted.id)  # type: ignore[attr-defined]
    if not (which.isascii() and which.isdigit() and len(which) < 19):
        return []
    return [Scope(intent.target, intent.entity) for intent in inbox.intents_by_id(hub, [int(which)])]


def _require(context: Context, kind: ItemKind) -> None:
    permission = PERMISSIONS[kind]
    if not context.person.may(permission):
        raise NotAllowed(
            f"{context.person.name} may not do this: it needs the right to {permission}",
            remedy="ask an admin for a role that has it",
        )
