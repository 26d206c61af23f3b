"""Offsets of topics and of consumer groups.

They are read by a consumer that never joins a group: an AdminClient whose answer comes too late can end the whole
process (librdkafka calls back into an object that is gone).
"""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import TopicPartition as KafkaPartition

from streams.kafka.clients import reading_consumer
from streams.model.partition import Partition


def committed_offsets(bootstrap: str, group: str) -> dict[Partition, int]:
    """The next offset that a consumer group will read, by partition. Raises KafkaException while no broker answers."""
    consumer = reading_consumer(bootstrap, group)
    try:
        topics = consumer.list_topics(timeout=5).topics
        partitions = [KafkaPartition(name, number) for name, topic in topics.items() for number in topic.partitions]
        return {
            (committed.topic, committed.partition): committed.offset
            for committed in consumer.committed(partitions, timeout=10)
            # A negative offset means that the group has not committed for this partition.
            if committed.offset >= 0 and committed.error is None
        }
    finally:
        consumer.close()


def topic_offsets(bootstrap: str, topics: Iterable[str]) -> dict[Partition, tuple[int, int]]:
    """(first, next) offset of each partition of those of `topics` that exist. Raises KafkaException while no broker
    answers.
    """
    consumer = reading_consumer(bootstrap, "opshub-offsets")
    try:
        existing = consumer.list_topics(timeout=5).topics
        return {
            (topic, number): consumer.get_watermark_offsets(KafkaPartition(topic, number), timeout=10)
            for topic in topics
            if topic in existing
            for number in existing[topic].partitions
        }
    finally:
        consumer.close()
