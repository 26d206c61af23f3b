"""The live tail: the last records of a topic, decoded, with filters, as far as the person may see them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from streams.console.masking import mask, mask_row, mask_value, sees_plain
from streams.console.operation import Context, operation
from streams.console.people import Person
from streams.emit.consume import Consumed
from streams.emit.tail import TailFilter, parse_fields, recent
from streams.model.records import BY_TOPIC


class WantedTail(msgspec.Struct, frozen=True, kw_only=True):
    """Which records. `topic`: a topic, or all of a kind: canonical, raw, changes, conflicts, deadletters. `where`:
    field=value. `heartbeats`: also those of connectors.
    """

    topic: str = "canonical"
    key: str = ""
    text: str = ""
    system: str = ""
    where: list[str] | None = None
    heartbeats: bool = False
    back: Annotated[int, msgspec.Meta(ge=1, le=5_000)] = 200
    """How many of the last records of each partition are looked at."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class TailRecord(msgspec.Struct, frozen=True):
    """One record, decoded; `record` null: a delete (tombstone)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str | None
    version: int | None
    record: Any
    error: str | None = None


class TailPage(msgspec.Struct, frozen=True):
    """The wanted records, the newest first. `read`: records that were looked at; `left_out`: wanted ones beyond the
    limit.
    """

    records: list[TailRecord]
    read: int
    left_out: int


@operation("GET", "/live", permission="see", command=lambda w: tail_command(w))
def tail_topic(context: Context, wanted: WantedTail) -> TailPage:
    """Show the last records of a topic, decoded."""
    settings = context.place.settings
    tail = recent(
        settings.kafka, settings.registry, wanted.topic, filter_of(wanted, context.person).lets_through,
        back=wanted.back, most=wanted.limit, heartbeats=wanted.heartbeats,
    )  # fmt: skip
    return TailPage([shown(record, context.person) for record in tail.records], tail.read, tail.left_out)


def filter_of(wanted: WantedTail, person: Person) -> TailFilter:
    """The filter. Raises ConfigError for a `where` of another form."""
    return TailFilter(wanted.key, wanted.text, wanted.system, parse_fields(wanted.where or ()))


def shown(record: Consumed, person: Person) -> TailRecord:
    """A record as this person may see it."""
    values = msgspec.to_builtins(record.record, enc_hook=str)
    return TailRecord(
        record.topic, record.partition, record.offset, record.timestamp_ms, record.key, record.version,
        masked_values(record.topic, values, person), record.error,
    )  # fmt: skip


def masked_values(topic: str, values: Any, person: Person) -> Any:
    """The values of a record, masked by what the topic holds."""
    if not isinstance(values, dict) or sees_plain(person):
        return values
    if topic in BY_TOPIC:
        entity = topic.removeprefix("canonical.")
        return mask(values, entity, person)
    if topic.startswith("changes."):
        entity = str(values.get("entity"))
        fields = values.get("fields")
        return values | ({"fields": mask(fields, entity, person)} if isinstance(fields, dict) else {})
    if topic == "conflicts":
        entity, field = str(values.get("entity")), str(values.get("field"))
        stated = [
            value | {"value": mask_value(value.get("value"), entity, field, person)}
            for value in values.get("values") or ()
        ]
        return values | {"values": stated}
    inside = ("before", "after", "record", "value", "exception.message")
    return {name: mask_row(value, person) if name in inside else value for name, value in values.items()}


def tail_command(wanted: WantedTail) -> str:
    """The command line that shows the same."""
    words = ["opshub consume", wanted.topic]
    words += [f"--{name} '{value}'" for name in ("key", "text", "system") if (value := getattr(wanted, name))]
    words += [f"--where '{text}'" for text in wanted.where or ()]
    return " ".join(words)
