"""Raw records as Debezium wrote them, kept in memory: what every stage is measured on.

In: the raw topics of a site. Out: `Raw` records in the order in which the sources committed, with the methods of a
Kafka message.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition


class Raw:
    """A record with the methods of confluent_kafka.Message that the walk uses."""

    __slots__ = ("_key", "_offset", "_partition", "_topic", "_value")

    def __init__(self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
        self._topic, self._partition, self._offset, self._key, self._value = topic, partition, offset, key, value

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Any:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (1, 0)


class _Source(msgspec.Struct):
    ts_us: int = 0
    lsn: int | None = 0


class _When(msgspec.Struct):
    source: _Source | None = None


def read_topics(
    bootstrap: str, topics: Iterable[str], *, limit: int = 1_000_000, isolation: str = "read_committed"
) -> list[Raw]:
    """Everything in `topics` up to their present ends, at most `limit` records."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": f"bench-{time.time_ns()}", "enable.auto.commit": False, "enable.partition.eof": True,
         "auto.offset.reset": "earliest", "isolation.level": isolation, "log_level": 0}
    )  # fmt: skip
    try:
        known = consumer.list_topics(timeout=10).topics
        parts = [TopicPartition(topic, p, 0) for topic in topics if topic in known for p in known[topic].partitions]
        consumer.assign(parts)
        open_parts, found = {(tp.topic, tp.partition) for tp in parts}, []
        deadline = time.monotonic() + 120
        while open_parts and len(found) < limit and time.monotonic() < deadline:
            for message in consumer.consume(5000, 0.5):
                if message.error() is not None:
                    open_parts.discard((message.topic(), message.partition()))
                    continue
                found.append(
                    Raw(message.topic(), message.partition(), message.offset(), message.key(), message.value())
                )
        return found
    finally:
        consumer.close()


def in_commit_order(records: list[Raw]) -> list[Raw]:
    """As a lane that keeps up would meet them: by the time of the source's commit; a tombstone stays behind its
    delete.
    """
    when = msgspec.json.Decoder(_When).decode
    last: dict[tuple[str, int], tuple[int, int]] = {}
    keyed: list[tuple[tuple[int, int], int, Raw]] = []
    for number, record in enumerate(records):
        place = (record.topic(), record.partition())
        value = record.value()
        source = when(value).source if value else None
        at = (source.ts_us, source.lsn or 0) if source is not None else last.get(place, (0, 0))
        last[place] = at
        keyed.append((at, number, record))
    keyed.sort(key=lambda item: item[:2])
    return [record for _, _, record in keyed]


def save(records: list[Raw], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [(r.topic(), r.partition(), r.offset(), r.key(), r.value()) for r in records]
    path.write_bytes(msgspec.msgpack.encode(rows))


def load(path: Path) -> list[Raw]:
    return [
        Raw(*row)
        for row in msgspec.msgpack.decode(
            path.read_bytes(), type=list[tuple[str, int, int, bytes | None, bytes | None]]
        )
    ]
