"""The records to emit of a settled batch, made one by one: a batch can have thousands, and the hub works meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from streams.model.entities import ENTITIES
from streams.model.kafka_record import KafkaRecord
from streams.pipeline.canonical import canonical
from streams.pipeline.settle.batch import Fields, Settled

_WITH_TOPIC = frozenset(name for name, entity in ENTITIES.items() if entity.topic is not None)


class CanonicalRecord(NamedTuple):
    """One record for the topic of its entity. `record` is None for a tombstone."""

    entity: str
    id: str
    version: int
    record: Fields | None
    source: KafkaRecord
    """The Kafka record to blame if this one cannot be encoded."""


def records_to_emit(settled: Settled) -> Iterator[CanonicalRecord]:
    """The canonical records and tombstones of a batch; lines have none of their own."""
    for state, entity, source in settled.emits.values():
        if not entity.version or entity.entity not in _WITH_TOPIC:
            continue
        gone = entity.deleted or entity.merged_into is not None
        record = None if gone else canonical(state, entity)
        yield CanonicalRecord(entity.entity, entity.id, entity.version, record, source)
