"""Sends raw records from the hub to Kafka. They leave the hub once Kafka has acknowledged them.

A sender that dies in between sends the same once more, with the same positions: a worker knows them already.
"""

from __future__ import annotations

import threading
import time

import psycopg
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.errors import RetryLater
from streams.hub.session import KEEPALIVE
from streams.hub.sources import RawRecord, count_sends, delete_sends, is_sent, lock_sends, sends
from streams.kafka.clients import idempotent_producer
from streams.model import limits
from streams.runtime.fault_points import fault_point

BATCH = 5_000
FLUSH_S = 30.0


class Sender:
    """The producer of one process; any thread may use it."""

    def __init__(self, hub_dsn: str, bootstrap: str) -> None:
        self._hub_dsn = hub_dsn
        self._bootstrap = bootstrap
        self._lock = threading.Lock()
        self._producer: Producer | None = None

    def send(self, system: str) -> int:
        """Send everything of a system that waits; how many records. Another sender may be at it: then 0.

        Raises RetryLater while Kafka or the hub does not take it; nothing is lost.
        """
        sent = 0
        with self._lock, _hub(self._hub_dsn) as hub:
            while True:
                with hub.transaction():
                    if not lock_sends(hub, system):
                        return sent
                    records = sends(hub, system, BATCH)
                    if not records:
                        return sent
                    self._produce(records)
                    fault_point("sources.acknowledged")
                    delete_sends(hub, records)
                sent += len(records)

    def send_up_to(self, system: str, topic: str, position: int, seconds: float) -> bool:
        """Send, and wait until Kafka has a topic up to `position`, whoever sends it; whether it has it in time."""
        end = time.monotonic() + seconds
        while True:
            self.send(system)
            with _hub(self._hub_dsn) as hub:
                if is_sent(hub, topic, position):
                    return True
            if time.monotonic() > end:
                return False
            time.sleep(0.05)

    def waiting(self, system: str) -> int:
        """How many records Kafka has not acknowledged."""
        with _hub(self._hub_dsn) as hub:
            return count_sends(hub, system)

    def _produce(self, records: list[RawRecord]) -> None:
        if self._producer is None:
            self._producer = idempotent_producer(
                self._bootstrap,
                **{
                    "compression.type": "lz4",
                    "linger.ms": 5,
                    "message.timeout.ms": int(FLUSH_S * 900),
                    "message.max.bytes": limits.TOPIC,
                },
            )
        failed: list[KafkaError] = []

        def acknowledged(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append(error)

        try:
            for record in records:
                self._producer.produce(record.topic, value=record.value, key=record.key, on_delivery=acknowledged)
                self._producer.poll(0)
            left = self._producer.flush(FLUSH_S)
        except (BufferError, KafkaException) as error:
            self._producer = None
            raise RetryLater(f"Kafka does not take raw records: {error}") from error
        if failed or left:
            # What is still queued in it must not come after what a new one sends.
            self._producer.purge()
            self._producer = None
            raise RetryLater(f"Kafka does not take raw records: {failed[0].str() if failed else 'no answer in time'}")


def _hub(dsn: str) -> psycopg.Connection[object]:
    try:
        return psycopg.connect(dsn, autocommit=True, application_name="opshub-sources", **KEEPALIVE)
    except psycopg.OperationalError as error:
        raise RetryLater(f"the hub does not answer: {str(error).strip()}") from error
