"""Whether Kafka answers a lane.

librdkafka reports once that all brokers are down, and never that they are back. So a lane that waits asks again, once a
second.
"""

from __future__ import annotations

import time

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from mode.utils.logging import get_logger

from streams.errors import EnvironmentFault
from streams.kafka.clients import admin_client

logger = get_logger(__name__)

PROBE_EVERY = 1.0
"""Seconds between two probes while no broker answers."""

DEAD_CLIENT_AFTER = 10.0
"""Seconds for which a broker answers a probe, and does not answer a producer, until that producer counts as dead: a
client that lived through an outage may never wake. A new process does.
"""


def _answers(client: Consumer | AdminClient, topic: str) -> bool:
    try:
        client.list_topics(topic, timeout=1.0)
    except KafkaException:
        return False
    return True


class BrokerProbe:
    """What a lane knows about its brokers. `waiting` is None, or the sentence for people that says what the lane waits
    for.
    """

    def __init__(self, name: str, bootstrap: str, topic: str) -> None:
        self.waiting: str | None = None
        self._name = name
        self._bootstrap = bootstrap
        self._topic = topic
        self._next_probe = 0.0

    def on_error(self, error: KafkaError) -> None:
        """The consumer's `error_cb`."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self.waiting is None:
            self.waiting = f"{self._name} waits: no broker of Kafka answers"
            logger.warning("%s", self.waiting)

    def answers(self, consumer: Consumer) -> bool:
        """Whether a broker answers the lane's own consumer or, since that may be dead after an outage, a new client."""
        # In this order: a new client costs connections and a thread for each question.
        return _answers(consumer, self._topic) or _answers(admin_client(self._bootstrap), self._topic)

    def probe(self, consumer: Consumer) -> None:
        """While the lane waits, see whether the brokers are back; at most once in `PROBE_EVERY` seconds."""
        if self.waiting is None or time.monotonic() < self._next_probe:
            return
        self._next_probe = time.monotonic() + PROBE_EVERY
        if self.answers(consumer):
            self.waiting = None

    def not_accepted(self, consumer: Consumer, what: str, why: str, back_since: float | None) -> float | None:
        """Record that Kafka does not accept what the lane emits.

        In and out: since when a broker answers all the same, or None. Raises EnvironmentFault when that is longer than
        `DEAD_CLIENT_AFTER`: a producer that slept through an outage may never wake, a new one does.
        """
        if self.waiting is None:
            logger.warning("%s: Kafka does not accept what it emits (%s)", self._name, why)
        self.waiting = f"{self._name} waits: Kafka does not accept what it emits ({why})"
        back_since = (back_since or time.monotonic()) if self.answers(consumer) else None
        if back_since is not None and time.monotonic() - back_since > DEAD_CLIENT_AFTER:
            raise EnvironmentFault(
                f"Kafka answers, and {self._name} can not {what}: {why}",
                remedy="nothing, the supervisor starts this worker again",
            )
        return back_since
