"""Asks workers to go on with the keys of dead letters, by control records."""

from __future__ import annotations

from collections.abc import Iterable

from streams.hub.dead_letters import StoredDeadLetter
from streams.kafka.clients import idempotent_producer
from streams.kafka.control import send_control
from streams.settings import Settings

ANSWER_SECONDS = 20.0
"""How long a command waits for Kafka's acknowledgements."""


def release_keys(settings: Settings, records: Iterable[StoredDeadLetter]) -> bool:
    """Send a control record for each key of these raw records; whether Kafka acknowledged all of them.

    The worker that owns the partition processes the open records of the key again, in order, up to the first dead one.
    """
    producer = idempotent_producer(settings.kafka)
    keys = {(record.topic, record.partition, record.key) for record in records if is_raw(record)}
    send_control(producer, keys)
    return not producer.flush(ANSWER_SECONDS)


def is_raw(record: StoredDeadLetter) -> bool:
    """Whether it is a record of a source; otherwise it is a message between aggregates."""
    return record.topic.startswith("raw.")


def produce_again(settings: Settings, messages: Iterable[StoredDeadLetter]) -> bool:
    """Produce messages between aggregates (`changes.…`) once more as they are; whether Kafka acknowledged all of
    them.
    """
    producer = idempotent_producer(settings.kafka)
    for message in messages:
        producer.produce(message.topic, value=message.value, key=message.key, partition=message.partition)
    return not producer.flush(ANSWER_SECONDS)
