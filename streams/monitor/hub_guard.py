"""Checks that the hub still has what the workers gave it, and that workers read what waits.

In: the hub's account of raw records, and the offsets that the workers committed in Kafka. Out: findings. A hub that
went back is never passed over: workers do not read again by themselves what it lost.
"""

from __future__ import annotations

import psycopg
from confluent_kafka import KafkaException

from streams.capture.accounting import missing_records
from streams.capture.finding import Finding
from streams.hub.session import KEEPALIVE
from streams.kafka.clients import admin_client
from streams.kafka.offsets import committed_offsets, topic_offsets
from streams.monitor.lag import LANES, group_of, waiting_records
from streams.settings import Settings


def check_hub_is_complete(settings: Settings) -> list[Finding]:
    """A finding when the hub lacks records that were read. Nothing while Kafka does not answer.

    Raises psycopg.Error while the hub does not answer.
    """
    try:
        committed = committed_offsets(settings.kafka, group_of(settings, "ingest"))
    except (KafkaException, TimeoutError):
        return []
    with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
        missing = missing_records(hub, committed)
    if not missing:
        return []
    return [
        Finding(
            "hub-went-back",
            "hub",
            f"it lacks {sum(missing.values()):,} records of {len(missing)} partitions that workers had given it: "
            "an old backup was restored, or it failed over to a copy that was behind",
            "`opshub resync` of each system reads everything again; docs/guides/operating.md says what that does "
            "not restore",
        )
    ]


def check_workers_read(settings: Settings) -> list[Finding]:
    """A finding for each lane with records to read and no worker. Nothing while Kafka does not answer."""
    # Held in a name: librdkafka crashes when an answer comes for a client that was freed.
    admin = admin_client(settings.kafka)
    findings = []
    try:
        for lane in LANES:
            group = group_of(settings, lane)
            members = admin.describe_consumer_groups([group], request_timeout=5)[group].result(10).members
            committed = committed_offsets(settings.kafka, group)
            # A group that never committed anything belongs to a hub that was never started.
            if members or not committed:
                continue
            ends = topic_offsets(settings.kafka, sorted({topic for topic, _ in committed}))
            behind = waiting_records(committed, {tp: offsets for tp, offsets in ends.items() if tp in committed})
            if behind:
                findings.append(
                    Finding(
                        "no-worker",
                        group,
                        f"no worker reads, and about {behind:,} records wait",
                        "`opshub run` starts a worker",
                    )
                )
    except (KafkaException, TimeoutError):
        return []
    return findings
