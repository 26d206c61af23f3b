"""Reads committed records of topics, from the beginning or an offset to the end that each partition has now."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from streams.kafka.offsets import topic_offsets
from streams.model.partition import Partition
from streams.settings import Settings

# A record is: Confluent's magic byte and schema id (5 bytes), then Avro, which begins with the record's id (a string of
# 36 characters behind its length, 1 byte) and its version (a long).
_HEADER = 5
_VERSION_AT = _HEADER + 1 + 36

RECORDS_AT_ONCE = 5000


class CanonicalRecord(NamedTuple):
    """One record of a canonical topic; `value` is its Avro behind Confluent's header, None for a tombstone."""

    topic: str
    key: str
    version: int
    value: bytes | None

    @property
    def body(self) -> bytes | None:
        """Its Avro alone."""
        return None if self.value is None else self.value[_HEADER:]


def read_canonical(settings: Settings, topics: list[str]) -> Iterator[CanonicalRecord]:
    """Every committed record of these topics, those that do not exist left out."""
    begin = dict.fromkeys(topic_offsets(settings.kafka, topics), OFFSET_BEGINNING)
    for message in committed_records(settings, begin):
        value, key, topic = message.value(), message.key(), message.topic()
        assert key is not None and topic is not None
        yield CanonicalRecord(topic, _text(key), _version(message), value)


def committed_records(settings: Settings, begin: Mapping[Partition, int]) -> Iterator[Message]:
    """Every committed record of these partitions; `begin`: the offset to begin at."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": f"opshub-verify-{uuid.uuid4()}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "log_level": 4,
        }
    )
    try:
        consumer.assign([TopicPartition(*partition, offset) for partition, offset in begin.items()])
        left = set(begin)
        while left:
            for message in consumer.consume(RECORDS_AT_ONCE, 0.5):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard((message.topic(), message.partition()))
    finally:
        consumer.close()


def offsets_without_record(settings: Settings, partition: Partition, first: int, end: int) -> int:
    """How many offsets from `first` to `end` (exclusive) have no record that can be read: markers of transactions."""
    records = committed_records(settings, {partition: first})
    readable = sum(1 for record in records if _offset(record) < end)
    return max(0, end - first - readable)


def _offset(message: Message) -> int:
    offset = message.offset()
    assert offset is not None
    return offset


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _version(message: Message) -> int:
    """A tombstone carries its version in a header, as text; a record in its Avro, as a zigzag varint."""
    value = message.value()
    if value is None:
        return int(dict(message.headers() or ()).get("version") or 0)
    number, shift, at = 0, 0, _VERSION_AT
    while True:
        byte = value[at]
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return number >> 1
        at += 1
        shift += 7
