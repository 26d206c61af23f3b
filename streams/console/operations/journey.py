"""The way of a record: from the source's row through Kafka and the hub into the targets, and what came back."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from streams.console.masking import mask, mask_row
from streams.console.operation import Context, operation
from streams.console.operations.records import WantedRecord, load_view, title_of
from streams.console.problems import NotFound, TooMany
from streams.console.sources import raw_keys, sources_of
from streams.emit.read import TopicReader
from streams.emit.topic_search import RawRecord, search_topic
from streams.errors import OpshubError
from streams.hub.intent_review import IntentView, intent_log, intents_of_aggregate
from streams.hub.record_views import RecordView, intents_of_subject
from streams.model.entities import ENTITIES
from streams.model.names import PEOPLE

Kind = Literal["committed", "first_heard", "in_hub", "planned", "log", "delivered", "came_back", "raw", "canonical"]
"""committed: a source committed its newest change; first_heard: the source committed the record's first change that the
hub heard of; in_hub: the hub has it in this version; planned: an intent was planned; log: what people and deliverers
did to it; delivered: the target has it; came_back: the target's own row of it changed after; raw, canonical: a record
of Kafka.
"""

READERS = threading.BoundedSemaphore(2)
"""Readers of topics at a time: each reads a stretch of a topic that everybody else pays for, too."""

MOST_READ = 20_000
MOST_SECONDS = 2.5
CLOCKS_MS = 60_000
"""What Kafka's times may be before those of a source, whose clock is another."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the way of a record."""

    kind: Kind
    at: datetime | None
    """None: the hub does not keep when."""
    system: str
    """The system, `kafka` or `hub`."""
    about: str = ""
    """Key of the row, rule of the intent, or topic."""
    position: str = ""
    """epoch/major/minor of a source, partition@offset of a topic, number of an intent."""
    lsn: str = ""
    """Of a Postgres source: place of the row in its log."""
    tx: str | None = None
    version: int | None = None
    fields: dict[str, Any] = {}
    """What changed, or what was written."""
    before: dict[str, Any] = {}
    """What stood there before, where the source sent it."""
    detail: Any = None
    """Request and result of an intent; what was done to it."""
    who: str | None = None
    seconds: float | None = None
    """Since the step before, where both times are known."""


class Journey(msgspec.Struct, frozen=True):
    """The way of a record, the oldest step first. Times are of several clocks: a step may be before its cause."""

    id: str
    entity: str
    title: str | None
    deleted: bool
    version: int
    steps: list[Step]
    flow: str | None
    """The flow that it belongs to."""


class WantedTopics(msgspec.Struct, frozen=True, kw_only=True):
    """Whose records to look for in Kafka, and from how many hours before its newest change on."""

    id: str
    hours: Annotated[int, msgspec.Meta(ge=0, le=720)] = 0
    entity: str = "order_flow"
    """Its canonical topic, for the command that shows the same; the search looks where the record belongs."""


class TopicSearch(msgspec.Struct, frozen=True):
    """How far a topic was read."""

    topic: str
    read: int
    complete: bool
    """Whether it was read to its end; if not, there may be more."""
    hits: int


class TopicRecords(msgspec.Struct, frozen=True):
    """What the topics still have of a record: compacted ones lose old versions, others what is too old."""

    steps: list[Step]
    searches: list[TopicSearch]
    since: datetime
    problem: str | None = None


@operation("GET", "/records/{id}/journey", permission="see", command=lambda wanted: f"opshub identity show {wanted.id}")
def show_journey(context: Context, wanted: WantedRecord) -> Journey:
    """Show the way of a record: what each source committed, what the hub has, what was written to targets, what came
    back.
    """
    with context.place.hub() as hub:
        view = load_view(hub, wanted.id)
        if view is None:
            raise NotFound(f"the hub knows no record {wanted.id}", remedy="look for its number or name")
        is_flow = view.entity in ENTITIES and ENTITIES[view.entity].aggregate == "order_flow"
        intents = intents_of_aggregate(hub, view.aggregate_id) if is_flow else intents_of_subject(hub, view.id)
        if view.entity != "order_flow":
            intents = [intent for intent in intents if view.id in (intent.subject_id, intent.entity_id)] or intents
        steps = [*_of_sources(view, context), _in_hub(view)]
        for intent in intents[-20:]:
            steps += _of_intent(intent)
            steps += [
                Step(
                    kind="log", at=entry.at, system="hub", about=entry.what, who=entry.who, detail=entry.detail,
                    position=str(intent.id),
                )
                for entry in intent_log(hub, intent.id)
                if entry.what not in ("delivered", "planned", "written")
            ]  # fmt: skip
        for target in {intent.target for intent in intents}:
            steps += _came_back(view, [intent for intent in intents if intent.target == target])
    return Journey(
        view.id, view.entity, title_of(view, context.person), view.deleted, view.version, in_order(steps),
        view.aggregate_id if is_flow else None,
    )  # fmt: skip


@operation(
    "GET", "/records/{id}/topics", permission="see", 
    command=lambda w: f"opshub consume canonical.{w.entity} --key {w.id} --from beginning --no-follow",
)  # fmt: skip
def read_topics(context: Context, wanted: WantedTopics) -> TopicRecords:
    """Look for a record in Kafka's raw and canonical topics, from its newest change on, or some hours before. Reads at
    most 20,000 records and 2.5 seconds of each topic; two people at a time.
    """
    with context.place.hub() as hub:
        view = load_view(hub, wanted.id)
    if view is None:
        raise NotFound(f"the hub knows no record {wanted.id}", remedy="look for its number or name")
    if not READERS.acquire(blocking=False):
        raise TooMany("two others are reading topics now", remedy="try again in a few seconds")
    try:
        return _read_topics(context, view, wanted.hours)
    finally:
        READERS.release()


def _read_topics(context: Context, view: RecordView, hours: int) -> TopicRecords:
    settings, sources = context.place.settings, sources_of(context.place.settings)
    newest_us = max((c.source_us for c in view.contributions.values()), default=view.updated_us)
    since_ms = newest_us // 1000 - hours * 3_600_000 - CLOCKS_MS
    steps: list[Step] = []
    searches: list[TopicSearch] = []
    problem = None
    for contribution in view.contributions.values():
        start_ms = contribution.source_us // 1000 - hours * 3_600_000 - CLOCKS_MS
        for table in sources.tables_of(contribution.system, view.entity):
            keys = set(raw_keys(table.key, contribution.key))
            if not keys or all(made != view.entity for made, _ in table.makes):
                continue
            hits = search_topic(
                settings.kafka, table.topic, start_ms, lambda key, value, keys=keys: key in keys,  # type: ignore[misc]
                most_read=MOST_READ, seconds=MOST_SECONDS,
            )  # fmt: skip
            searches.append(TopicSearch(table.topic, hits.read, hits.complete, len(hits.hits)))
            row: dict[str, Any] = {}
            for record in hits.hits:
                step, row = _raw(record, contribution.system, row, context)
                steps.append(step)
    entity = ENTITIES.get(view.entity)
    if entity is not None and entity.topic is not None:
        wanted_key = view.id.encode()
        hits = search_topic(
            settings.kafka, entity.topic, since_ms, lambda key, value: key == wanted_key,
            most_read=MOST_READ, seconds=MOST_SECONDS,
        )  # fmt: skip
        searches.append(TopicSearch(entity.topic, hits.read, hits.complete, len(hits.hits)))
        reader = TopicReader(settings.registry, entity.topic)
        before: dict[str, Any] = {}
        for record in hits.hits:
            try:
                step, before = _canonical(record, view.entity, reader, before, context)
            except OpshubError as error:
                problem = str(error)
                continue
            steps.append(step)
    return TopicRecords(in_order(steps), searches, datetime.fromtimestamp(since_ms / 1000, UTC), problem)


def in_order(steps: list[Step]) -> list[Step]:
    """By time, with the seconds since the step before; what has no time stays at the end."""
    known = sorted((step for step in steps if step.at is not None), key=lambda step: step.at or datetime.now(UTC))
    made: list[Step] = []
    for step in known:
        assert step.at is not None
        last = made[-1].at if made else None
        made.append(msgspec.structs.replace(step, seconds=(step.at - last).total_seconds() if last else None))
    return made + [step for step in steps if step.at is None]


def _of_sources(view: RecordView, context: Context) -> list[Step]:
    steps = []
    for contribution in view.contributions.values():
        fields = contribution.fields or {}
        newest = (contribution.epoch, contribution.major, contribution.minor)
        changed = {
            name: fields.get(name) for name, edit in (contribution.changed or {}).items() if tuple(edit[:3]) == newest
        }
        is_person = contribution.system == PEOPLE
        known = {
            "system": contribution.system, "about": contribution.key, "tx": contribution.tx,
            "position": f"{contribution.epoch}/{contribution.major}/{contribution.minor}",
            "lsn": "" if is_person else lsn(contribution.minor),
        }  # fmt: skip
        if contribution.first_us and contribution.first_us != contribution.source_us:
            steps.append(
                Step(kind="first_heard", at=_moment(contribution.first_us), system=contribution.system,
                     about=contribution.key)
            )  # fmt: skip
        shown = mask(changed, view.entity, context.person)
        steps.append(Step(kind="committed", at=_moment(contribution.source_us), fields=shown, **known))  # type: ignore[arg-type]
    return steps


def _in_hub(view: RecordView) -> Step:
    return Step(
        kind="in_hub", at=None, system="hub", about=view.id, version=view.version,
        position=f"revision {view.revision}",
    )  # fmt: skip


def _of_intent(intent: IntentView) -> list[Step]:
    number = str(intent.id)
    steps = [
        Step(kind="planned", at=intent.created_at, system="hub", about=intent.rule, position=number,
             detail=intent.reasons or None, fields={"state": intent.state} | _problem(intent))
    ]  # fmt: skip
    if intent.state == "delivered" and intent.done_at is not None:
        steps.append(
            Step(kind="delivered", at=intent.done_at, system=intent.target, about=intent.rule, position=number,
                 fields=(intent.result or {}).get("written") or {},
                 detail={"request": intent.request, "result": intent.result})
        )  # fmt: skip
    return steps


def _problem(intent: IntentView) -> dict[str, Any]:
    return {"problem": intent.problem} if intent.problem else {}


def _came_back(view: RecordView, intents: list[IntentView]) -> list[Step]:
    """The newest change of a target's own row, where it is after what was written there last: the echo of it, or what
    somebody changed after.
    """
    delivered = [intent.created_at for intent in intents if intent.state == "delivered"]
    if not delivered:
        return []
    sent_us = int(max(delivered).timestamp() * 1e6)
    return [
        Step(kind="came_back", at=_moment(c.source_us), system=c.system, about=c.key, tx=c.tx,
             position=f"{c.epoch}/{c.major}/{c.minor}")
        for c in view.contributions.values()
        if c.system == intents[0].target and c.source_us >= sent_us
    ]  # fmt: skip


def _raw(record: RawRecord, system: str, last: dict[str, Any], context: Context) -> tuple[Step, dict[str, Any]]:
    """The step, and the row for the next one to be compared with: most sources do not send the old row."""
    try:
        envelope = msgspec.json.decode(record.value or b"null") or {}
    except msgspec.DecodeError:
        envelope = {}
    after = envelope.get("after") or {}
    before = {**last, **(envelope.get("before") or {})}
    source = envelope.get("source") or {}
    changed = {name: value for name, value in after.items() if not before or before.get(name) != value}
    step = Step(
        kind="raw", at=_moment(record.timestamp_ms * 1000), system="kafka", about=record.topic,
        position=f"{record.partition}@{record.offset}", tx=str(source["txId"]) if source.get("txId") else None,
        lsn=lsn(source["lsn"]) if isinstance(source.get("lsn"), int) else "",
        fields=mask_row(changed, context.person), detail={"operation": envelope.get("op"), "system": system},
        before=mask_row({name: before[name] for name in changed if name in before}, context.person),
    )  # fmt: skip
    return step, after


def _canonical(
    record: RawRecord, entity: str, reader: TopicReader, before: dict[str, Any], context: Context
) -> tuple[Step, dict[str, Any]]:
    """The step, and the record for the next one to be compared with."""
    values: dict[str, Any] = {}
    version = int(record.headers.get("version", b"0") or 0)
    if record.value is not None:
        decoded = reader.decode(record.value)
        values = decoded if isinstance(decoded, dict) else msgspec.to_builtins(decoded, enc_hook=str)
        version = int(str(values.get("version") or 0))
    kept = {name: value for name, value in values.items() if name not in ("version", "updated_at", "sources", "id")}
    changed = {name: value for name, value in kept.items() if before and before.get(name) != value}
    step = Step(
        kind="canonical", at=_moment(record.timestamp_ms * 1000), system="kafka", about=record.topic,
        position=f"{record.partition}@{record.offset}", version=version,
        fields=mask(changed, entity, context.person),
        before=mask({name: before.get(name) for name in changed}, entity, context.person),
        detail={"operation": "deleted"} if record.value is None else None,
    )  # fmt: skip
    return step, kept


def lsn(position: int) -> str:
    """A place in a log of Postgres as its tools write it: 0/1DB5678."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}" if position > 0 else ""


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)
