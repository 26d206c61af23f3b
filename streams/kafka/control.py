"""Control records: requests that opshub writes to a raw topic, for the worker that owns the partition."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from confluent_kafka import KafkaException, Producer

from streams.errors import RetryLater

CONTROL_HEADER = "opshub.control"
"""The record's value is null, so that other readers of the topic see a tombstone."""


class Control(msgspec.Struct, frozen=True):
    """What the worker must do.

    retry: process the stored records of this record's key once more.
    sweep: delete what this topic's table reported before `position` and has not reported since.
    epoch: from this offset on, the records of the partition belong to a new epoch of the source.
    """

    kind: str
    position: tuple[int, int, int] = (0, 0, 0)


def send_control(
    producer: Producer, keys: Iterable[tuple[str, int, bytes | None]], control: Control = Control("retry")
) -> None:
    """Queue a control record for the worker that owns each (topic, partition, key); the caller flushes.

    Raises RetryLater when the producer takes no more records.
    """
    header = msgspec.json.encode(control)
    for topic, partition, key in keys:
        try:
            producer.produce(topic, value=None, key=key, partition=partition, headers=[(CONTROL_HEADER, header)])
        except (BufferError, KafkaException) as error:
            raise RetryLater(f"Kafka does not accept control records: {error}") from error
        producer.poll(0)  # serves delivery reports, which keeps the queue from filling
