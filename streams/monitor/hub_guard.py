"""Does the hub still have everything that the workers gave it, and does anybody work on what waits?

In: the hub's account of what was read (account.py), and the offsets that Kafka keeps of the workers. Out: findings. Nothing reads again by
itself what a hub lacks that went back: this is never passed over.
"""

from __future__ import annotations

import psycopg
from confluent_kafka import KafkaException

from streams.capture.accounting import lacking
from streams.capture.finding import Finding
from streams.hub.session import KEEPALIVE
from streams.kafka.clients import admin_client
from streams.kafka.offsets import committed_offsets, topic_offsets
from streams.model.partition import Partition
from streams.provision.systems import System
from streams.provision.topics import change_topics
from streams.settings import Settings

LANES = ("ingest", "assemble")


def hub_is_behind(settings: Settings) -> list[Finding]:
    """What the hub lacks of what was read. Raises psycopg.Error while it is away; says nothing while Kafka is."""
    try:
        read = committed_offsets(settings.kafka, f"{settings.app_id}-ingest")
    except (KafkaException, TimeoutError):
        return []
    with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
        lost = lacking(hub, read)
    if not lost:
        return []
    return [
        Finding(
            "hub-went-back",
            "hub",
            f"it lacks {sum(lost.values()):,} records of {len(lost)} partitions that workers had given it: "
            "an old backup was put back, or it failed over to a copy that was behind",
            "`opshub resync` of each system reads everything again; the operating guide says what that does not mend",
        )
    ]


def lags(settings: Settings, systems: list[System]) -> dict[str, int]:
    """By lane, how many records wait. Raises KafkaException while Kafka is away."""
    topics = {"ingest": [topic for system in systems for topic in system.topics], "assemble": change_topics()}
    return {
        lane: waiting(
            committed_offsets(settings.kafka, f"{settings.app_id}-{lane}"), topic_offsets(settings.kafka, topics[lane])
        )
        for lane in LANES
    }


def waiting(read: dict[Partition, int], ends: dict[Partition, tuple[int, int]]) -> int:
    """Some number of records to read: `ends` has first and next offset of each partition, `read` where its readers are."""
    gaps = (end - max(first, read.get(tp, first)) for tp, (first, end) in ends.items())
    # Two for the markers of transactions, which take offsets and are not read.
    return sum(gap for gap in gaps if gap > 2)


def nobody_works(settings: Settings) -> list[Finding]:
    """A lane with records to read that no worker reads. Says nothing while Kafka is away."""
    asked = admin_client(settings.kafka)
    found = []
    try:
        for lane in LANES:
            group = f"{settings.app_id}-{lane}"
            members = asked.describe_consumer_groups([group], request_timeout=5)[group].result(10).members
            read = committed_offsets(settings.kafka, group)
            if members or not read:
                continue
            ends = topic_offsets(settings.kafka, sorted({topic for topic, _ in read}))
            behind = waiting(read, {tp: one for tp, one in ends.items() if tp in read})
            if behind:
                found.append(
                    Finding(
                        "no-worker",
                        group,
                        f"no worker reads, and some {behind:,} records wait",
                        "`opshub run` starts a worker",
                    )
                )
    except (KafkaException, TimeoutError):
        return []
    return found
