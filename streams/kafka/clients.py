"""Kafka clients as opshub configures them.

Every producer that writes keyed records must choose partitions alike: an aggregate is changed by the one worker that
owns its partition, and a record in another partition would meet another worker.
"""

from __future__ import annotations

from typing import Any

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

PARTITIONER = "murmur2_random"
"""As Java clients choose (murmur2), so that Kafka Connect and other tools find the partition of a key, too."""

QUIET = {"log_level": 0}
"""librdkafka writes its own log to stderr; errors reach the caller as exceptions or delivery reports."""


def idempotent_producer(bootstrap: str, **options: Any) -> Producer:
    """A producer without transactions whose retries neither repeat nor reorder records."""
    return Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "partitioner": PARTITIONER, **QUIET, **options}
    )


def admin_client(bootstrap: str) -> AdminClient:
    """A client for topics, groups and cluster metadata. Hold it until its answer is there."""
    return AdminClient({"bootstrap.servers": bootstrap, **QUIET})


def reading_consumer(bootstrap: str, group: str, **options: Any) -> Consumer:
    """A consumer that never joins `group`: it is assigned partitions by hand, or only asks for offsets."""
    return Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, **QUIET, **options}
    )
