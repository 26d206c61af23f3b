"""Dead letters as people handle them: by cause, by name, with a preview of what an edited record would write.

The preview runs the record through the dictionary as a worker does, and compares what comes out with what the hub has.
Nothing is written.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from streams.dead_letters.release import is_raw
from streams.decode.envelope import Decoder
from streams.dictionary.language.dictionary import Table
from streams.dictionary.readable import readable
from streams.emit.change_codec import decode_change
from streams.errors import BadRecord, OpshubError
from streams.hub.dead_letters import StoredDeadLetter
from streams.hub.identity import entity_by_id
from streams.hub.intent_review import Hub
from streams.hub.record_names import record_names
from streams.identity.masters import decode_contributions
from streams.model.change import Change, Mapped
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.paths import connectors_dir
from streams.pipeline.row_route import RowRoute
from streams.provision.column_types import types_version, with_types
from streams.provision.systems import load_systems, read_systems
from streams.settings import Settings

_NAMING_FIELDS = ("number", "order_number", "sku", "name", "legal_name", "first_name", "last_name", "title")
_LONGEST_NAME = 80


class FieldPreview(msgspec.Struct, frozen=True):
    """A field as the hub has it now and as the record would make it, as people read it."""

    field: str
    before: object
    after: object

    @property
    def differs(self) -> bool:
        return self.before != self.after


class RecordPreview(msgspec.Struct, frozen=True, kw_only=True):
    """A canonical record that the raw record would make."""

    entity: str
    id: str
    key: str
    deleted: bool
    is_new: bool
    """The hub has no contribution of this row yet."""
    name: str | None
    fields: list[FieldPreview]


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of a record, with today's dictionary. `problem`: why it would fail again, with what to do."""

    records: list[RecordPreview] = []
    notes: list[str] = []
    """Values that cleansing would change or forgive."""
    problem: str = ""
    remedy: str = ""
    ignored: bool = False
    """The dictionary makes nothing of the row."""

    @property
    def passes(self) -> bool:
        return not self.problem


class Dictionaries:
    """The dictionaries as workers run them, compiled once and again when files or types of columns change.

    For one process; its functions may be called from several threads.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._stamp: object = None
        self._routes: dict[str, RowRoute] = {}
        self._written_stamp: object = None
        self._written: dict[str, tuple[str, Table]] = {}

    def table_of(self, topic: str) -> tuple[str, Table] | None:
        """(system, its table as the dictionary has it) of a raw topic."""
        with self._lock:
            self._read()
            return self._written.get(topic)

    def warm(self) -> None:
        """Compile now, so that the first preview does not wait. Raises what `preview` does."""
        with self._lock:
            self._load()

    def preview(self, hub: Hub, dead_letter: StoredDeadLetter, value: bytes | None) -> Preview:
        """What a raw record with this value would write. Raises EnvironmentFault while the hub is away."""
        with self._lock:
            self._load()
            route = self._routes.get(dead_letter.topic)
            if route is None:
                return Preview(
                    problem=f"no dictionary reads {dead_letter.topic}", remedy="`opshub plan` shows what is captured"
                )
            try:
                route.begin()
                change = route.decode(dead_letter.topic, dead_letter.key, value)
                mapped = route.map(change) if change is not None else []
                notes = [f"{note.field}: {note.reason}" for note in (route.mapping_notes(change) if change else [])]
            except (OpshubError, ValueError, TypeError, LookupError) as error:
                route.notes.clear()
                remedy = error.remedy if isinstance(error, OpshubError) else ""
                return Preview(problem=str(error) or type(error).__name__, remedy=remedy)
        records = [_record(hub, record) for record in mapped]
        return Preview(records=records, notes=notes, ignored=not mapped)

    def _read(self) -> None:
        """Read the dictionaries where a file changed, without compiling them. Call it with the lock."""
        folder = connectors_dir(self._settings)
        files = [folder / system / "dictionary.yaml" for system in self._settings.systems]
        stamp = [file.stat().st_mtime_ns if file.is_file() else 0 for file in files]
        if stamp == self._written_stamp:
            return
        self._written = {
            topic: (system.name, system.written.tables[table])
            for system in read_systems(self._settings)
            for topic, table in system.topics.items()
        }
        self._written_stamp = stamp

    def _load(self) -> None:
        """Compile again where a file or the types of columns changed. Call it with the lock."""
        self._read()
        stamp = (types_version(self._settings), self._written_stamp)
        if stamp == self._stamp:
            return
        systems, _ = with_types(self._settings, load_systems(self._settings))
        self._routes = {}
        for system in systems:
            prefix = str(system.config["topic.prefix"])
            decoder = Decoder(system.dictionary, prefix=prefix, escapes=system.escapes_topics)
            route = RowRoute(system.dictionary, decoder, system.topics, self._settings.kafka)
            self._routes |= dict.fromkeys(system.topics, route)
        self._stamp = stamp

    def names(self, hub: Hub, dead_letters: Iterable[StoredDeadLetter]) -> dict[int, str]:
        """Number → what people call the record, as far as it can be read. Never raises for a record that cannot."""
        texts: dict[int, str] = {}
        ids: dict[int, str] = {}
        for dead_letter in dead_letters:
            try:
                read = self._record_of(dead_letter)
            except (OpshubError, ValueError, TypeError, LookupError, AttributeError):
                continue
            if read is None:
                continue
            record_id, texts[dead_letter.id] = read
            if record_id is not None:
                ids[dead_letter.id] = record_id
        known = record_names(hub, ids.values())
        return texts | {number: known[record_id].text for number, record_id in ids.items() if record_id in known}

    def _record_of(self, dead_letter: StoredDeadLetter) -> tuple[str | None, str] | None:
        """(id in the hub, text) of the record of a dead letter."""
        if not is_raw(dead_letter):
            change = decode_change(dead_letter.value or b"")
            return change.id, _text(change.entity, change.fields or {}, f"{change.system}:{change.key}")
        known = self.table_of(dead_letter.topic)
        if known is None or not known[1].to:
            return None
        system, rule = known
        target = rule.to[0]
        row = row_of(dead_letter.value)
        key_columns = target.key_columns or rule.key
        columns = (key_columns,) if isinstance(key_columns, str) else tuple(key_columns)
        key_row = _object(dead_letter.key) or row
        key = "|".join(str(row.get(column, key_row.get(column, "?"))) for column in columns)
        named = {
            field: row.get(mapping.column)
            for field in _NAMING_FIELDS
            if (mapping := target.fields.get(field)) is not None and mapping.column is not None
        }
        namespaced = f"{target.namespace}:{key}" if target.namespace else key
        record_id = source_id(system, target.entity, namespaced) if "?" not in key else None
        return record_id, _text(target.entity, named, f"{system}:{key}")


def row_of(value: bytes | None) -> dict[str, Any]:
    """The row of a raw record: after the change, or before it for a delete. Empty where it is no row."""
    envelope = _object(value)
    for name in ("after", "before"):
        if isinstance(envelope.get(name), dict):
            row: dict[str, Any] = envelope[name]
            return row
    return {}


def with_row(value: bytes | None, row: Mapping[str, Any]) -> bytes:
    """The raw record with another row. Raises BadRecord where the record has no row."""
    envelope = _object(value)
    place = next((name for name in ("after", "before") if isinstance(envelope.get(name), dict)), None)
    if place is None:
        raise BadRecord("this record has no row to edit by fields", remedy="edit its JSON")
    return msgspec.json.encode(envelope | {place: dict(row)})


def entity_of(dictionaries: Dictionaries, topic: str) -> str:
    """The kind of record that a topic carries, for people: `invoice`, or the table where no dictionary reads it."""
    if topic.startswith("changes."):
        return topic.partition(".")[2]
    known = dictionaries.table_of(topic)
    return known[1].to[0].entity if known is not None and known[1].to else topic.rpartition(".")[2]


def shown_change(value: bytes | None) -> dict[str, Any] | None:
    """A message between aggregates as JSON values; None where it cannot be read."""
    try:
        change: Change = decode_change(value or b"")
    except OpshubError:
        return None
    shown: dict[str, Any] = msgspec.to_builtins(change)
    return shown


def _record(hub: Hub, mapped: Mapped) -> RecordPreview:
    """A record as it would be, beside what the hub has of this row, or of the record that it is part of."""
    entity = ENTITIES[mapped.entity]
    row = entity_by_id(hub, mapped.id)
    if row is not None and row.merged_into is not None:
        row = entity_by_id(hub, row.merged_into) or row
    before: Mapping[str, object] = {}
    is_new = True
    name = None
    if row is not None:
        record = msgspec.json.decode(row.record)
        name = record.get("number") or record.get("name")
        contribution = decode_contributions(row.contributions).get(mapped.id)
        is_new = contribution is None or contribution.deleted
        if contribution is not None and not contribution.deleted:
            before = contribution.fields if contribution.fields is not None else record
    fields = [
        FieldPreview(
            field, _shown(entity.fields.get(field), before.get(field)), _shown(entity.fields.get(field), value)
        )
        for field, value in mapped.fields.items()
    ]
    return RecordPreview(
        entity=mapped.entity, id=mapped.id, key=mapped.key, deleted=mapped.deleted, is_new=is_new,
        name=str(name) if name else None, fields=fields,
    )  # fmt: skip


def _shown(kind: Any, value: object) -> object:
    return readable(kind, value) if kind is not None else value


def _object(value: bytes | None) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(value or b"{}")
    except msgspec.DecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _text(entity: str, fields: Mapping[str, Any], source: str) -> str:
    words = [str(fields[field]) for field in _NAMING_FIELDS if fields.get(field) not in (None, "")]
    kind = entity.replace("_", " ")
    return f"{kind} {' '.join(dict.fromkeys(words))[:_LONGEST_NAME]}" if words else f"{kind} {source}"
