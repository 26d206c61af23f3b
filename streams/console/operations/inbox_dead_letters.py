"""Dead letters in the inbox: by cause, as form and JSON, previewed, edited and retried."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from streams.console.masking import mask, mask_row, masked, sees_plain
from streams.console.operation import Context, Scope, operation
from streams.console.operations.inbox import Filtered, whose_of
from streams.console.place import Hub
from streams.console.problems import NotFound, WrongInput
from streams.dead_letters import retry as retries
from streams.dead_letters import store
from streams.dead_letters.release import is_raw
from streams.error_policy import TABLE
from streams.errors import ConfigError
from streams.hub import inbox
from streams.hub.dead_letters import AuditEntry, Filter, StoredDeadLetter, find_dead_letters
from streams.hub.inbox import Care, DeadLetterGroup
from streams.inbox import dead_letters
from streams.inbox.dead_letters import Preview, row_of, with_row
from streams.inbox.progress import DecidedBefore
from streams.model.dead_letter import OPEN


class WantedDeadLetters(Filtered, frozen=True, kw_only=True):
    """Groups of dead letters of one cause."""


class ListedGroup(msgspec.Struct, frozen=True):
    """Dead letters of one cause. `entity`: the kind of record, as far as it is known."""

    group: DeadLetterGroup
    entity: str
    system: str


class DeadLetterGroups(msgspec.Struct, frozen=True):
    groups: list[ListedGroup]


class WantedCause(msgspec.Struct, frozen=True, kw_only=True):
    """The dead letters of one cause, in the order in which they came."""

    group: str
    after: int = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class ListedDeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter in a list; `name`: what people call the record, where it can be read."""

    id: int
    name: str
    topic: str
    key: str | None
    state: str
    reason: str
    tried: int
    is_edited: bool
    seen_at: str
    care: Care | None


class DeadLetterList(msgspec.Struct, frozen=True):
    """A page of dead letters of one cause. `after` gives the next page; null: this is the last one."""

    listed: ListedGroup | None
    dead_letters: list[ListedDeadLetter]
    after: int | None


class WantedDeadLetter(msgspec.Struct, frozen=True):
    id: int


class ShownDeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter whole. `row`: its columns, where it is a row of a source; `text`: its value as it is."""

    id: int
    name: str
    entity: str
    group: str | None
    topic: str
    partition: int
    offset: int
    key: str | None
    state: str
    stage: str
    error_class: str
    reason: str
    advice: str
    tried: int
    came_as: str
    seen_at: str
    is_raw: bool
    is_edited: bool
    edited_by: str | None
    row: dict[str, Any]
    text: str | None
    original: str | None
    """As it came, where it was edited."""
    is_masked: bool
    waiting_behind: int
    failing: str | None
    """The column that the reason names, as far as it does."""
    audit: list[AuditEntry]

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter as it is, or edited: `row` replaces columns of its row, `text` the whole value."""

    id: int
    row: dict[str, Any] | None = None
    text: Annotated[str, msgspec.Meta(max_length=1_000_000)] | None = None


class Retrial(Edited, frozen=True, kw_only=True):
    """The same, to retry it. `force`: though it failed too often."""

    force: bool = False


class Dropping(msgspec.Struct, frozen=True, kw_only=True):
    """Give a dead letter up for good."""

    id: int
    reason: Annotated[str, msgspec.Meta(max_length=2_000)]


class DeadLetterState(msgspec.Struct, frozen=True):
    """Where a dead letter is now: retry (a worker has it), retried (it passed), dead (it failed again), dropped."""

    id: int
    state: str
    reason: str
    tried: int
    waiting_behind: int


def dead_letter_places(hub: Hub, wanted: msgspec.Struct) -> list[Scope]:
    """Where a dead letter works, for rights by system: the system of its raw topic."""
    number = int(wanted.id)  # type: ignore[attr-defined]
    stored = find_dead_letters(hub, Filter(ids=(number,)), 1)
    return [Scope(_system(record.topic)) for record in stored]


@operation("GET", "/inbox/dead-letters", permission="see", command="opshub dlq list")
def list_dead_letter_causes(context: Context, wanted: WantedDeadLetters) -> DeadLetterGroups:
    """List dead letters by their cause, the largest group first, with how many records are parked behind them."""
    with context.place.hub() as hub:
        groups = inbox.dead_letter_groups(hub, whose_of(context, wanted))
    return DeadLetterGroups([_listed_group(context, group) for group in groups])


@operation(
    "GET", "/inbox/dead-letters/causes/{group}", permission="see", command="opshub dlq list --state dead"
)  # fmt: skip
def list_dead_letters(context: Context, wanted: WantedCause) -> DeadLetterList:
    """List the dead letters of one cause."""
    with context.place.hub() as hub:
        stored = inbox.dead_letters_of_cause(hub, wanted.group, after=wanted.after, limit=wanted.limit)
        names = context.place.dictionaries.names(hub, stored)
        cares = inbox.care_of(hub, "dead_letter", [str(record.id) for record in stored])
        groups = [
            group
            for snoozed in (False, True)
            for group in inbox.dead_letter_groups(hub, inbox.Whose(snoozed=snoozed))
            if group.id == wanted.group
        ]
    listed = [
        ListedDeadLetter(
            id=record.id, name=_name(context, names.get(record.id)) or _unnamed(record), topic=record.topic,
            key=_key(context, record), state=record.state, reason=_reason(context, record), tried=record.tried,
            is_edited=record.is_edited, seen_at=record.seen_at, care=cares.get(str(record.id)),
        )
        for record in stored
    ]  # fmt: skip
    after = stored[-1].id if len(stored) == wanted.limit else None
    return DeadLetterList(_listed_group(context, groups[0]) if groups else None, listed, after)


@operation("GET", "/inbox/dead-letters/{id}", permission="see", command=lambda w: f"opshub dlq show {w.id}")
def show_dead_letter(context: Context, wanted: WantedDeadLetter) -> ShownDeadLetter:
    """Show a dead letter: its record, why it failed, what to do, what is parked behind it, what people did."""
    details = _details(context, wanted.id)
    record, person = details.dead_letter, context.person
    with context.place.hub() as hub:
        names = context.place.dictionaries.names(hub, [record])
        group = inbox.cause_of_dead_letter(hub, record.id)
    plain = sees_plain(person)
    raw = is_raw(record)
    row = row_of(record.value) if raw else dead_letters.shown_change(record.value) or {}
    return ShownDeadLetter(
        id=record.id, name=_name(context, names.get(record.id)) or _unnamed(record), group=group,
        entity=dead_letters.entity_of(context.place.dictionaries, record.topic), topic=record.topic,
        partition=record.partition, offset=record.offset, key=_key(context, record), state=record.state,
        stage=record.stage, error_class=record.error_class, reason=_reason(context, record),
        advice=_advice(record),
        tried=record.tried, came_as=record.came_as, seen_at=record.seen_at, is_raw=raw, is_edited=record.is_edited,
        edited_by=details.edited_by, row=mask_row(row, person), text=store.text_of(record.value) if plain else None,
        original=store.text_of(details.original) if plain and record.is_edited else None, is_masked=not plain,
        waiting_behind=details.waiting_behind, failing=_failing(record, row), audit=details.audit,
    )  # fmt: skip


@operation("POST", "/inbox/dead-letters/{id}/preview", permission="see", writes=False)
def preview_dead_letter(context: Context, wanted: Edited) -> Preview:
    """Show what an edited record would write with today's dictionary, beside what the hub has. Nothing is written."""
    record = _details(context, wanted.id).dead_letter
    if not is_raw(record):
        return Preview(problem="a message between aggregates has no preview", remedy="retry it, or drop it")
    value = _edited_value(context, record, wanted)
    with context.place.hub() as hub:
        made = context.place.dictionaries.preview(hub, record, value if value is not None else record.value)
    return msgspec.structs.replace(made, records=[_masked(context, preview) for preview in made.records])


@operation(
    "POST", "/inbox/dead-letters/{id}/retry", permission="operate", scope=dead_letter_places, secret=("row", "text"),
    command=lambda w: (f"opshub dlq edit {w.id} FILE; " if w.row or w.text else "") + f"opshub dlq retry {w.id}",
)  # fmt: skip
def retry_dead_letter(context: Context, wanted: Retrial) -> DeadLetterState:
    """Retry a dead letter, edited or as it is, in one step. The records that are parked behind it follow."""
    settings, who = context.place.settings, context.person.name
    details = _details(context, wanted.id)
    _must_be_dead(details)
    value = _edited_value(context, details.dead_letter, wanted)
    if value is not None and value != details.dead_letter.value:
        store.edit(settings, wanted.id, value, who)
    force = wanted.force or value is not None
    chosen = retries.retry(settings, Filter(ids=(wanted.id,)), who, force=force)
    if not chosen:
        reasons = retries.explain_skipped(settings, Filter(ids=(wanted.id,)), chosen, force=force)
        raise WrongInput("; ".join(reasons) or "it was not retried", remedy="mend the cause, or force it")
    return dead_letter_state(context, WantedDeadLetter(wanted.id))


@operation("POST", "/inbox/dead-letters/{id}/drop", permission="operate", scope=dead_letter_places,
           command=lambda w: f"opshub dlq drop {w.id} --reason '{w.reason}'")  # fmt: skip
def drop_dead_letter(context: Context, wanted: Dropping) -> DeadLetterState:
    """Give a dead letter up for good; the records that are parked behind it are processed."""
    if not wanted.reason.strip():
        raise WrongInput("a dead letter is dropped for a reason", remedy="say why")
    _must_be_dead(_details(context, wanted.id))
    store.drop(context.place.settings, Filter(ids=(wanted.id,)), wanted.reason.strip(), context.person.name)
    return dead_letter_state(context, WantedDeadLetter(wanted.id))


@operation("GET", "/inbox/dead-letters/{id}/state", permission="see", command=lambda w: f"opshub dlq show {w.id}")
def dead_letter_state(context: Context, wanted: WantedDeadLetter) -> DeadLetterState:
    """Where a dead letter is now: whether a worker has answered to a retry."""
    details = _details(context, wanted.id)
    record = details.dead_letter
    return DeadLetterState(record.id, record.state, _reason(context, record), record.tried, details.waiting_behind)


def _details(context: Context, number: int) -> store.Details:
    try:
        return store.show(context.place.settings, number)
    except ConfigError as error:
        raise NotFound(str(error), remedy=error.remedy) from error


def _must_be_dead(details: store.Details) -> None:
    """Raises DecidedBefore, with who was faster, for one that is settled or on its way."""
    record = details.dead_letter
    if record.state == "dead":
        return
    if record.state == "parked":
        raise DecidedBefore(
            f"record {record.id} is parked behind another of its key",
            remedy="it follows when that is retried or dropped",
        )
    last = details.audit[-1] if details.audit else None
    by = f": {last.who} was faster ({last.verb} at {last.at})" if last else ""
    raise DecidedBefore(f"dead letter {record.id} is in the state {record.state}{by}")


def _edited_value(context: Context, record: StoredDeadLetter, wanted: Edited) -> bytes | None:
    """The value after the edit; None where nothing was edited."""
    if wanted.text is not None:
        if not sees_plain(context.person):
            raise WrongInput("you see this record masked", remedy="edit it by its columns")
        return wanted.text.encode()
    if wanted.row is None:
        return None
    row = row_of(record.value)
    unknown = sorted(wanted.row.keys() - row.keys())
    if unknown:
        raise WrongInput(f"the row has no column {unknown[0]}", remedy=f"one of {', '.join(row)}")
    if all(row[name] == value for name, value in wanted.row.items()):
        return None
    return with_row(record.value, row | wanted.row)


def _masked(context: Context, preview: dead_letters.RecordPreview) -> dead_letters.RecordPreview:
    fields = [
        msgspec.structs.replace(
            field,
            before=mask({field.field: field.before}, preview.entity, context.person)[field.field],
            after=mask({field.field: field.after}, preview.entity, context.person)[field.field],
        )
        for field in preview.fields
    ]
    return msgspec.structs.replace(preview, fields=fields)


def _listed_group(context: Context, group: DeadLetterGroup) -> ListedGroup:
    return ListedGroup(
        group, dead_letters.entity_of(context.place.dictionaries, group.topic), _system(group.topic) or ""
    )


def _system(topic: str) -> str | None:
    words = topic.split(".")
    return words[1] if words[0] == "raw" and len(words) > 2 else None


def _unnamed(record: StoredDeadLetter) -> str:
    return f"{record.topic} {record.partition}/{record.offset}"


def _name(context: Context, text: str | None) -> str | None:
    """What people call the record; the name of a person only for those who may see it."""
    if text is None or not text.startswith("contact ") or sees_plain(context.person):
        return text
    return f"contact {masked(text.removeprefix('contact '))}"


def _key(context: Context, record: StoredDeadLetter) -> str | None:
    return store.text_of(record.key)


def _reason(context: Context, record: StoredDeadLetter) -> str:
    """The reason names a value of the record: people who see records masked get its words before the value."""
    if sees_plain(context.person):
        return record.reason
    return ": ".join(record.reason.split(": ")[:2])


def _advice(record: StoredDeadLetter) -> str:
    """What to do: by the class of the error, or else by the stage, whose errors have classes of their own."""
    advice = {kind.__name__: rule.advice for kind, rule in TABLE.items()}
    by_stage = {"decode": "DecodeError", "mapping": "MappingError", "encode": "EncodeError", "unknown": "Exception"}
    return advice.get(record.error_class) or advice[by_stage.get(record.stage, "BadRecord")]


def _failing(record: StoredDeadLetter, row: dict[str, Any]) -> str | None:
    """The column that has the value which the reason quotes."""
    return next(
        (name for name, value in row.items() if isinstance(value, str) and value and repr(value) in record.reason), None
    )
