"""What the producers of both kinds of lane have in common: their settings, filling their queue, and calls that wait for
Kafka.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from streams.errors import EnvironmentFault, Fenced
from streams.kafka.clients import PARTITIONER
from streams.runtime.batch import Headers, Output
from streams.runtime.broker_probe import BrokerProbe

PARTITIONS_LOST = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._ASSIGNMENT_LOST,
    }
)
"""Codes with which Kafka refuses a worker that does not own its partitions any more."""

CALL_SECONDS = 5
"""Seconds that one call of a producer may wait. Short, so that the lane sees in time that it is stopping, or that the
broker is back.
"""


def producer_config(bootstrap: str, client_id: str) -> dict[str, object]:
    """The settings that the producers of every lane share."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        "compression.type": "lz4",
        # A whole batch of the lane fits into one request for each partition, and its outputs into the queue.
        "batch.num.messages": 10_000,
        "queue.buffering.max.messages": 500_000,
        "message.max.bytes": 8_000_000,
        # All writers of a key must choose the same partition: only the worker that owns it may change the aggregate.
        "partitioner": PARTITIONER,
        "log_level": 4,
    }


def produce(producer: Producer, outputs: Iterable[Output]) -> None:
    """Put `outputs` into the producer's queue, waiting while it is full: topic by topic, each in its order."""
    outputs = list(outputs)
    with_headers = {output[0] for output in outputs if output[3] is not None}
    plain: dict[str, list[dict[str, Any]]] = {}
    for topic, key, value, headers in outputs:
        if topic in with_headers:  # produce_batch knows no headers
            _produce_message(producer, topic, key, value, headers)
        else:
            plain.setdefault(topic, []).append({"key": key, "value": value})
    for topic, messages in plain.items():
        if producer.produce_batch(topic, messages) != len(messages):
            for message in messages:
                if "_error" in message:  # produce_batch marks what its queue did not take
                    _produce_message(producer, topic, message["key"], message["value"], None)


def _produce_message(
    producer: Producer, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None
) -> None:
    while True:
        try:
            producer.produce(topic, value=value, key=key, headers=cast(Any, headers))
            return
        except BufferError:
            producer.poll(0.05)  # serves delivery reports, which makes room in the queue


class ProducerCalls:
    """Calls of a lane's producer that wait for Kafka: each gives up after `CALL_SECONDS`, and is repeated while the
    broker is away.

    `since` is when the call under way began. librdkafka's send_offsets_to_transaction may never return after an outage
    (confluentinc/librdkafka #5456): the health page sees it by that, from another thread.
    """

    def __init__(self, broker: BrokerProbe, consumer: Consumer, stopping: threading.Event) -> None:
        self.since: float | None = None
        self._broker = broker
        self._consumer = consumer
        self._stopping = stopping

    def flush(self, producer: Producer) -> None:
        """Wait until every queued record is acknowledged or refused. Raises Fenced when the lane stops first, and
        EnvironmentFault when the producer is dead.
        """
        back_since: float | None = None
        while True:
            self.since = time.monotonic()
            left = producer.flush(CALL_SECONDS)
            self.since = None
            if not left:
                self._broker.waiting = None
                return
            if self._stopping.is_set():
                raise Fenced("it leaves")
            why = f"{left} records wait"
            back_since = self._broker.not_accepted(self._consumer, "have it acknowledged", why, back_since)

    def repeat(self, call: Callable[..., object], *arguments: object) -> None:
        """Make a call of a transactional producer, and repeat it while the broker is away. A call that ran out of time
        goes on in the
        background: until its outcome was asked for the producer takes no other call, not even to abort.

        Raises KafkaException for every other error, and EnvironmentFault when the producer is dead.
        """
        back_since: float | None = None
        while True:
            self.since = time.monotonic()
            try:
                call(*arguments, CALL_SECONDS)
                return
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                if error.code() != KafkaError._TIMED_OUT or not error.retriable() or self._stopping.is_set():
                    raise
                try:
                    back_since = self._broker.not_accepted(
                        self._consumer, "end its transaction", error.str(), back_since
                    )
                except EnvironmentFault as dead_client:
                    raise dead_client from raised
            finally:
                self.since = None
