"""Consumer lag of the lanes: how many records wait, and since when that is too many.

In: committed offsets and topic ends from Kafka. Out: records that wait by lane (`read_lags`), and a problem
`lag/<lane>` for a lane that has been behind for too long (`late_lanes`). Pure but for `read_lags`.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.kafka.offsets import committed_offsets, topic_offsets
from streams.model.partition import Partition
from streams.monitor.alerts import Problem
from streams.provision.systems import System
from streams.provision.topics import change_topics
from streams.settings import Settings

LANES = ("ingest", "assemble")

MARKERS = 2
"""Offsets at the end of a partition that may be markers of transactions: they count in the end and are never read."""


def read_lags(settings: Settings, systems: list[System]) -> dict[str, int]:
    """Lane → how many records wait. Raises KafkaException while no broker answers."""
    topics = {"ingest": [topic for system in systems for topic in system.topics], "assemble": change_topics()}
    # Committed offsets are read before the ends: records that arrive in between count as waiting, and no lag is
    # negative.
    return {
        lane: waiting_records(
            committed_offsets(settings.kafka, group_of(settings, lane)), topic_offsets(settings.kafka, topics[lane])
        )
        for lane in LANES
    }


def group_of(settings: Settings, lane: str) -> str:
    """The consumer group of a lane."""
    return f"{settings.app_id}-{lane}"


def waiting_records(committed: Mapping[Partition, int], ends: Mapping[Partition, tuple[int, int]]) -> int:
    """About how many records wait. `ends`: first and next offset of each partition; `committed`: where its readers
    are.
    """
    gaps = (end - max(first, committed.get(partition, first)) for partition, (first, end) in ends.items())
    return sum(gap for gap in gaps if gap > MARKERS)


def behind_since(
    lags: Mapping[str, int], before: Mapping[str, float], now: float, settings: Settings
) -> dict[str, float]:
    """Lane → since when it has been behind by `alert_lag_records` or more. `before`: the same at the last check."""
    return {lane: before.get(lane, now) for lane, lag in lags.items() if lag >= settings.alert_lag_records}


def late_lanes(lags: Mapping[str, int], since: Mapping[str, float], now: float, settings: Settings) -> list[Problem]:
    """Lanes that have been behind for `alert_lag_seconds` or longer."""
    return [
        Problem(
            f"lag/{lane}",
            f"{lane} is {lags[lane]:,} records behind, for {(now - began) / 60:.0f} min",
            "see what the workers' /readyz says; start another worker",
        )
        for lane, began in sorted(since.items())
        if now - began >= settings.alert_lag_seconds
    ]
