"""Read a topic of canonical records, from a chosen place, without a trace in Kafka: no group, no commits.

In: a topic and where to begin. Out: `Consumed` records in the order of each partition. Only what was committed
is shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import msgspec
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from streams.emit.read import TopicReader
from streams.errors import ConfigError, DecodeError, EnvironmentFault, ServerAway
from streams.model.record import Record

Start = Literal["beginning", "latest"] | datetime

_SECONDS = 10.0
"""How long to wait for an answer of the broker."""


class Consumed(msgspec.Struct, frozen=True):
    """One record of a topic. `record` is None for a delete (a tombstone), and for a value that cannot be read, as
    `error` says.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str | None
    version: int | None
    record: Record | dict[str, object] | None
    error: str | None = None

    def to_json(self) -> bytes:
        """One JSON object: decimals and ids as strings, times in ISO 8601."""
        return msgspec.json.encode(self)


def consume(
    bootstrap: str,
    registry_url: str,
    topic: str,
    *,
    start: Start = "latest",
    most: int | None = None,
    follow: bool = True,
) -> Iterator[Consumed]:
    """Records of `topic` from `start` on: at most `most`; without `follow` it ends where the topic ended when it began.

    Raises ConfigError when there is no such topic, EnvironmentFault when Kafka or the registry does not answer.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "opshub-consume",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "allow.auto.create.topics": False,
            "log_level": 0,
        }
    )
    reader = TopicReader(registry_url, topic)
    try:
        partitions = partitions_of(consumer, bootstrap, topic)
        ends = {} if follow else _ends(consumer, topic, partitions)
        consumer.assign(_begin(consumer, topic, partitions, start))
        yield from _records(consumer, reader, partitions, ends, most, follow)
    except KafkaException as error:
        raise _away(bootstrap, error) from error
    finally:
        consumer.close()


def _records(
    consumer: Consumer, reader: TopicReader, partitions: list[int], ends: dict[int, int], most: int | None, follow: bool
) -> Iterator[Consumed]:
    unread = set(partitions)
    count = 0
    while (most is None or count < most) and (follow or unread):
        message = consumer.poll(0.2)
        if message is None:
            continue
        problem, partition, offset = message.error(), message.partition(), message.offset()
        assert partition is not None and offset is not None
        if problem is not None:
            if problem.code() == KafkaError._PARTITION_EOF:
                unread.discard(partition)
            elif not problem.retriable():
                raise KafkaException(problem)
            continue
        if not follow and offset >= ends[partition]:
            unread.discard(partition)
            continue
        count += 1
        yield consumed(message, reader)


def consumed(message: Any, reader: TopicReader) -> Consumed:
    """A message of Kafka, decoded."""
    record: Record | dict[str, object] | None = None
    wrong = None
    if message.value() is not None:
        try:
            record = reader.decode(message.value())
        except DecodeError as error:
            wrong = str(error)
    if message.topic() == "deadletters":
        headers = {name: text.decode("utf-8", "replace") for name, text in message.headers() or () if text is not None}
        record = {name.removeprefix("__connect.errors."): text for name, text in headers.items()} | {"record": record}
    key = message.key()
    version: int | None = getattr(record, "version", None)
    if message.value() is None:
        header = dict(message.headers() or ()).get("version", b"")
        version = int(header) if header.isdigit() else None
    return Consumed(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        None if key is None else key.decode("utf-8", "backslashreplace"),
        version,
        record,
        wrong,
    )


def partitions_of(consumer: Consumer, bootstrap: str, topic: str) -> list[int]:
    """The partitions of a topic. Raises ConfigError when there is none of that name."""
    deadline = time.monotonic() + _SECONDS
    try:
        topics = consumer.list_topics(timeout=_SECONDS).topics
    except KafkaException as error:
        raise _away(bootstrap, error) from error
    metadata = topics.get(topic)
    if metadata is None:
        likely = ", ".join(sorted(name for name in topics if name.startswith("canonical.")))
        raise ConfigError(
            f"there is no topic {topic!r} at {bootstrap}",
            remedy=f"one of {likely}" if likely else "`opshub apply` makes the topics",
        )
    # A topic that was just created has no leaders yet.
    while metadata.error is not None or not metadata.partitions:
        if time.monotonic() > deadline:
            raise EnvironmentFault(
                f"Kafka knows no partition of {topic}: {metadata.error}", remedy="see the broker's log"
            )
        time.sleep(0.2)
        metadata = consumer.list_topics(topic, timeout=_SECONDS).topics[topic]
    return sorted(metadata.partitions)


def _ends(consumer: Consumer, topic: str, partitions: list[int]) -> dict[int, int]:
    return {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_SECONDS)[1]
        for number in partitions
    }


def _begin(consumer: Consumer, topic: str, partitions: list[int], start: Start) -> list[TopicPartition]:
    if isinstance(start, datetime):
        at = int(start.timestamp() * 1000)
        times = [TopicPartition(topic, number, at) for number in partitions]
        return list(consumer.offsets_for_times(times, timeout=_SECONDS))
    offset = OFFSET_BEGINNING if start == "beginning" else OFFSET_END
    return [TopicPartition(topic, number, offset) for number in partitions]


def _away(bootstrap: str, error: KafkaException) -> EnvironmentFault:
    return ServerAway(
        f"Kafka does not answer at {bootstrap}: {error.args[0].str()}",
        remedy="check that the brokers run, and OPSHUB_BOOTSTRAP_SERVERS",
    )
