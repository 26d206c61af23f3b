"""Compares canonical topics with the records that the hub should have emitted."""

from __future__ import annotations

from streams.model.entities import ENTITIES
from streams.settings import Settings
from streams.verify.compare_hub import ExpectedRecords
from streams.verify.comparison import Comparison
from streams.verify.read_topics import read_canonical


def compare_topics(settings: Settings, expected: ExpectedRecords, comparison: Comparison) -> None:
    """The last record of each key against `expected`; and that no key of a topic goes back to a lower version."""
    emitted = _last_records(settings, comparison)
    for (topic, key), (version, body) in expected.items():
        last = emitted.pop((topic, key), None)
        if last is None:
            # A record that was deleted before it was ever emitted needs no tombstone.
            if body is not None:
                comparison.add("lost", f"{topic} {key}: version {version} was never emitted")
        elif last[1] != body:
            comparison.add("differing", f"{topic} {key}: the topic has version {last[0]}, the hub {version}")
    for (topic, key), (version, body) in emitted.items():
        if body is not None:
            comparison.add("differing", f"{topic} {key}: version {version} of a record that the hub does not have")


def _last_records(settings: Settings, comparison: Comparison) -> ExpectedRecords:
    """(topic, key) → version and body of the last record."""
    last: ExpectedRecords = {}
    topics = sorted({entity.topic for entity in ENTITIES.values() if entity.topic})
    for topic, key, version, body in read_canonical(settings, topics):
        comparison.records += 1
        before = last.get((topic, key))
        if before is not None:
            if version < before[0]:
                comparison.add("gone_back", f"{topic} {key}: version {version} after {before[0]}")
            elif version == before[0] and body != before[1]:
                # The same record twice is a replay; another record with the same version is not.
                comparison.add("doubled", f"{topic} {key}: two records of version {version}")
        last[topic, key] = (version, body)
    return last
