"""Compares canonical topics with the records that the hub should have emitted.

Values are compared, not bytes: the hub's jsonb stores the keys of a map in an order of its own, and a record that an
older version wrote may lack a field that is null now.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.emit.read import TopicReader
from streams.errors import DecodeError
from streams.model.entities import ENTITIES
from streams.settings import Settings
from streams.verify.compare_hub import NOT_ENCODABLE, ExpectedRecords
from streams.verify.comparison import Comparison
from streams.verify.read_topics import CanonicalRecord, read_canonical
from streams.verify.words import field_differences, in_words, record_name

SHOWN_FIELDS = 3
"""Differing fields of one record that a message names."""


def compare_topics(settings: Settings, expected: ExpectedRecords, comparison: Comparison) -> None:
    """The last record of each key against `expected`; and that no key of a topic goes back to a lower version."""
    readers = _Readers(settings.registry)
    emitted = _last_records(settings, readers, comparison)
    for (topic, key), (version, body) in expected.items():
        last = emitted.pop((topic, key), None)
        if body == NOT_ENCODABLE:
            continue
        if last is None:
            # A record that was deleted before it was ever emitted needs no tombstone.
            if body is not None:
                comparison.add("lost", f"{topic} {key}: version {version} was never emitted")
        elif last.body != body:
            wrong = readers.difference(last, _Expected(version, body))
            if wrong is not None:
                comparison.add("differing", wrong)
    for (topic, key), last in emitted.items():
        if last.value is not None:
            comparison.add("differing", f"{topic} {key}: version {last.version} of a record that the hub does not have")


class _Expected(NamedTuple):
    """What the hub says of a record; `body` is None where it is deleted."""

    version: int
    body: bytes | None


class _Readers:
    """A reader for each topic, made when the first record of it must be decoded."""

    def __init__(self, registry_url: str) -> None:
        self._url = registry_url
        self._readers: dict[str, TopicReader] = {}

    def of(self, topic: str) -> TopicReader:
        reader = self._readers.get(topic)
        if reader is None:
            reader = self._readers[topic] = TopicReader(self._url, topic)
        return reader

    def same(self, record: CanonicalRecord, other: CanonicalRecord) -> bool:
        """Whether two records of a topic say the same. What cannot be decoded is compared by its bytes."""
        if record.value is None or other.value is None:
            return record.value is other.value
        reader = self.of(record.topic)
        try:
            return record.body == other.body or reader.decode(record.value) == reader.decode(other.value)
        except DecodeError:
            return False

    def differing_fields(self, record: CanonicalRecord, other: CanonicalRecord) -> str:
        """What differs between two records of a topic, in words; empty where one is a tombstone or cannot be read."""
        reader = self.of(record.topic)
        try:
            if record.value is None or other.value is None:
                return ", one of them a tombstone"
            differences = field_differences(reader.decode(other.value), reader.decode(record.value))
            return "".join(f"; {in_words(each, 'first', 'then')}" for each in differences)
        except DecodeError:
            return ""

    def difference(self, last: CanonicalRecord, expected: _Expected) -> str | None:
        """What differs between the last record of a key and what the hub says, in words; None where nothing does."""
        topic, key = last.topic, last.key
        entity = next(name for name, known in ENTITIES.items() if known.topic == topic)
        reader = self.of(topic)
        ours = None if expected.body is None else reader.decode_body(expected.body)
        if last.value is None:
            return (
                f"{topic}: {record_name(entity, key, ours)} is deleted in the topic (version {last.version}), "
                f"live in the hub (version {expected.version})"
            )
        try:
            theirs = reader.decode(last.value)
        except DecodeError as error:
            return f"{topic} {key}: version {last.version} cannot be read: {error}"
        name = f"{topic}: {record_name(entity, key, theirs)}"
        if ours is None:
            return (
                f"{name} is live in the topic (version {last.version}), deleted in the hub (version {expected.version})"
            )
        differences = list(field_differences(theirs, ours))
        if not differences:
            return None
        named = "; ".join(in_words(difference, "the topic", "the hub") for difference in differences[:SHOWN_FIELDS])
        more = f"; and {len(differences) - SHOWN_FIELDS} more fields" if len(differences) > SHOWN_FIELDS else ""
        return f"{name}: {named}{more}"


def _last_records(
    settings: Settings, readers: _Readers, comparison: Comparison
) -> dict[tuple[str, str], CanonicalRecord]:
    """(topic, key) → the last record."""
    last: dict[tuple[str, str], CanonicalRecord] = {}
    topics = sorted({entity.topic for entity in ENTITIES.values() if entity.topic})
    for record in read_canonical(settings, topics):
        topic, key, version, _ = record
        comparison.records += 1
        before = last.get((topic, key))
        if before is not None:
            if version < before.version:
                comparison.add("gone_back", f"{topic} {key}: version {version} after {before.version}")
            elif version == before.version and not readers.same(record, before):
                # The same record twice is a replay; another record with the same version is not.
                what = readers.differing_fields(record, before)
                comparison.add("doubled", f"{topic} {key}: two records of version {version}{what}")
        last[topic, key] = record
    return last
