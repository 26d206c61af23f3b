"""The hub's account of raw records, held against where Kafka says that the workers are.

Every batch is in the hub before its offsets are committed. So an account that ends before the committed offsets, or that has a gap between
its first and its last offset, says that the hub lost what it had: an old backup was put back, or it failed over to a copy that was behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from confluent_kafka import Consumer, TopicPartition

from streams.settings import Settings

TP = tuple[str, int]

_ACCOUNTS = (
    "SELECT topic, partition, since, upto, passed + filtered + tombstones + dead + parked + control FROM raw_account"
)


def committed(settings: Settings, group: str) -> dict[TP, int]:
    """Where a consumer group of the workers is. Raises KafkaException while nobody answers.

    By a consumer that never joins: an AdminClient whose answer does not come in time can take the whole process with it.
    """
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka, "group.id": group, "enable.auto.commit": False, "log_level": 0}
    )
    try:
        there = consumer.list_topics(timeout=5).topics
        asked = [TopicPartition(topic, one) for topic, told in there.items() for one in told.partitions]
        return {
            (one.topic, one.partition): one.offset
            for one in consumer.committed(asked, timeout=10)
            if one.offset >= 0 and one.error is None
        }
    finally:
        consumer.close()


def lacking(hub: psycopg.Connection[Any], offsets: dict[TP, int]) -> dict[TP, int]:
    """By partition, how many records that were read the hub knows nothing of; `offsets` must have been asked for before."""
    found: dict[TP, int] = {}
    ends: dict[TP, int] = {}
    for topic, partition, since, upto, counted in hub.execute(_ACCOUNTS.encode()):
        ends[topic, partition] = upto
        if upto - since > counted:
            found[topic, partition] = upto - since - counted
    for tp, offset in offsets.items():
        if offset > ends.get(tp, 0):
            found[tp] = found.get(tp, 0) + offset - ends.get(tp, 0)
    return found


def start_again(hub: psycopg.Connection[Any], offsets: dict[TP, int], topics: Iterable[str]) -> None:
    """These topics are captured anew, whatever the hub lacks of them: their account balances from here on."""
    wanted = set(topics)
    lost = {tp for tp in lacking(hub, offsets) if tp[0] in wanted}
    for tp in lost:
        hub.execute(
            "INSERT INTO raw_account AS a (topic, partition, since, upto, passed, filtered, tombstones, dead, parked, control) "
            "VALUES (%s, %s, %s, %s, 0, 0, 0, 0, 0, 0) ON CONFLICT (topic, partition) DO UPDATE SET "
            "upto = greatest(a.upto, excluded.upto), "
            "since = greatest(a.upto, excluded.upto) - (a.passed + a.filtered + a.tombstones + a.dead + a.parked + a.control)",
            [*tp, offsets.get(tp, 0), offsets.get(tp, 0)],
        )
