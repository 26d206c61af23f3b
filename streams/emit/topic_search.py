"""Find records of one key in a topic, from a moment on: what Kafka still has of a record of which the hub has only the
newest version.

In: a topic, a moment, and which keys are meant. Out: the records with their places. Promised: it reads at most so many
records and seconds, says whether it came to the end, and leaves no trace: no group, no commits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.errors import EnvironmentFault

Wanted = Callable[[bytes | None, bytes | None], bool]
"""(key, value) of a record → whether it is meant."""

_ANSWER_S = 5.0


class RawRecord(NamedTuple):
    """A record as it stands in a topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class Search(NamedTuple):
    """What was found. `read`: records that were looked at; `complete`: the end of every partition was reached."""

    hits: list[RawRecord]
    read: int
    complete: bool


def search_topic(
    bootstrap: str, topic: str, since_ms: int, wanted: Wanted, *, most_read: int, seconds: float, most_found: int = 50
) -> Search:
    """Records of a topic that are meant, from a moment on (ms since 1970, by the index of timestamps).

    A topic that does not exist has none.

    Raises EnvironmentFault when Kafka does not answer.
    """
    consumer = _consumer(bootstrap)
    try:
        partitions = _partitions(consumer, topic)
        if not partitions:
            return Search([], 0, True)
        starts = consumer.offsets_for_times([TopicPartition(topic, n, since_ms) for n in partitions], timeout=_ANSWER_S)
        # Without a later record the answer is -1, the end: nothing of that partition is meant.
        open_ones = {start.partition: start for start in starts if start.offset >= 0 and start.error is None}
        consumer.assign(list(open_ones.values()))
        return _read(consumer, set(open_ones), wanted, most_read, seconds, most_found)
    except KafkaException as error:
        raise EnvironmentFault("Kafka does not answer", remedy="`opshub status` shows the servers") from error
    finally:
        consumer.close()


def record_at(bootstrap: str, topic: str, partition: int, offset: int) -> RawRecord | None:
    """The record at this place; None where the topic has none, or none any more. Raises EnvironmentFault."""
    consumer = _consumer(bootstrap)
    try:
        if partition not in _partitions(consumer, topic):
            return None
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ANSWER_S)
        if not low <= offset < high:
            return None
        consumer.assign([TopicPartition(topic, partition, offset)])
        hits = _read(consumer, {partition}, lambda key, value: True, 1, 3.0, 1).hits
        return hits[0] if hits and hits[0].offset == offset else None
    except KafkaException as error:
        raise EnvironmentFault("Kafka does not answer", remedy="`opshub status` shows the servers") from error
    finally:
        consumer.close()


def _read(
    consumer: Consumer, unread: set[int], wanted: Wanted, most_read: int, seconds: float, most_found: int
) -> Search:
    hits: list[RawRecord] = []
    read, until = 0, time.monotonic() + seconds
    while unread and read < most_read and len(hits) < most_found and time.monotonic() < until:
        for message in consumer.consume(500, timeout=0.2):
            problem = message.error()
            if problem is not None:
                if problem.code() == KafkaError._PARTITION_EOF:
                    unread.discard(message.partition() or 0)
                elif not problem.retriable():
                    raise KafkaException(problem)
                continue
            read += 1
            if wanted(message.key(), message.value()):
                hits.append(_record(message))
    return Search(hits[:most_found], read, not unread)


def _record(message: Any) -> RawRecord:
    return RawRecord(
        message.topic(), message.partition(), message.offset(), message.timestamp()[1], message.key(), message.value(),
        dict(message.headers() or ()),
    )  # fmt: skip


def _consumer(bootstrap: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "opshub-search",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "allow.auto.create.topics": False,
            "log_level": 0,
        }
    )


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    known = consumer.list_topics(topic, timeout=_ANSWER_S).topics.get(topic)
    return [] if known is None or known.error is not None else sorted(known.partitions)
