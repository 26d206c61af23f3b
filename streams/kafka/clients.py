"""Kafka clients as opshub configures them.

Every producer that writes keyed records must choose partitions in the same way: only the worker that owns the partition
of an aggregate may change it, and a record in another partition would reach another worker.
"""

from __future__ import annotations

from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from streams.errors import ServerAway

PARTITIONER = "murmur2_random"
"""The choice of Java clients (murmur2), so that Kafka Connect and other tools use the same partition for a key."""

QUIET = {"log_level": 0}
"""Switches off librdkafka's own log on stderr; errors reach the caller as exceptions or delivery reports."""


def idempotent_producer(bootstrap: str, **options: Any) -> Producer:
    """A producer without transactions whose retries neither repeat nor reorder records."""
    return Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "partitioner": PARTITIONER, **QUIET, **options}
    )


def admin_client(bootstrap: str) -> AdminClient:
    """A client for topics, groups and cluster metadata. Keep a reference until its answer is there: librdkafka calls
    back into it.
    """
    return AdminClient({"bootstrap.servers": bootstrap, **QUIET})


def kafka_away(bootstrap: str, error: KafkaException) -> ServerAway:
    """The error for people while no broker answers."""
    return ServerAway(
        f"Kafka does not answer at {bootstrap}: {error.args[0].str()}",
        remedy="check that the brokers run, and OPSHUB_BOOTSTRAP_SERVERS",
    )


def reading_consumer(bootstrap: str, group: str, **options: Any) -> Consumer:
    """A consumer that never joins `group`: it is assigned partitions by hand, or only asks for offsets."""
    return Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, **QUIET, **options}
    )
