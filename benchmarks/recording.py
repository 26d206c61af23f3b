"""Raw records as Debezium wrote them, kept in memory: what every stage is measured on.

In: the raw topics of a site. Out: `Raw` records in the order in which the sources committed, with the methods of a
Kafka message.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from streams.mapping.source_types import ColumnTypes


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


class Recording(msgspec.Struct, array_like=True):
    """Raw records and, by system and table, the types of the columns: a worker decodes and maps by them."""

    rows: list[tuple[str, int, int, bytes | None, bytes | None]]
    types: dict[str, dict[str, dict[str, str]]]


def save(records: list[Raw], types: Mapping[str, Mapping[str, ColumnTypes]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [(r.topic(), r.partition(), r.offset(), r.key(), r.value()) for r in records]
    plain = {system: {table: dict(columns) for table, columns in of.items()} for system, of in types.items()}
    path.write_bytes(msgspec.msgpack.encode(Recording(rows, plain)))


def load(path: Path) -> tuple[list[Raw], Mapping[str, Mapping[str, ColumnTypes]]]:
    """(the records, system → table → types of its columns)."""
    recording = msgspec.msgpack.decode(path.read_bytes(), type=Recording)
    return [Raw(*row) for row in recording.rows], recording.types


def main() -> None:
    """`python -m benchmarks.recording FILE`: keep what the raw topics of the running stack hold."""
    from streams.cli.context import load_settings
    from streams.hub.session import hub_session
    from streams.hub.source_state import load_column_types
    from streams.provision.systems import load_systems

    settings = load_settings()
    topics = [topic for system in load_systems(settings) for topic in system.topics]
    with hub_session(settings.hub) as hub:
        types = load_column_types(hub)
    records = in_commit_order(read_topics(settings.kafka, topics))
    save(records, types, Path(sys.argv[1]))
    print(f"{len(records)} raw records")


if __name__ == "__main__":
    main()
