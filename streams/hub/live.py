"""What flows now, from small tables of the hub: topics, targets; workers are in `streams/hub/workers.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg

from streams.hub.statements import fetch_structs


class TopicCount(msgspec.Struct, frozen=True):
    """One raw topic."""

    topic: str
    taken: int
    """Records that were read so far, whatever became of them."""
    failed: int
    """Of these, those that became dead letters or were parked when they came."""
    today: int
    """Records since 00:00 UTC."""
    quiet_s: float | None
    """Seconds since a record last came; None: not known."""


class TargetCount(msgspec.Struct, frozen=True):
    """Write-back to one system."""

    target: str
    delivered: int
    """Within five minutes."""
    given_up: int
    """Within five minutes."""
    on_the_way: int
    approvals: int
    problem: str | None
    """Why deliverers stay away from it, if they do."""
    refuses: bool | None
    away_s: float | None
    paused: str | None
    """Why a person paused it, if one did."""


class _TopicRecords(msgspec.Struct, frozen=True):
    topic: str
    records: int


def open_dead_letters_by_topic(hub: psycopg.Connection[Any], *, most: int = 1000) -> dict[str, int]:
    """Topic → records that failed and wait; counted up to `most` in all."""
    rows = fetch_structs(hub, _TopicRecords, "open_dead_letters_by_topic", {"most": most})
    return {row.topic: row.records for row in rows}


def live_topics(hub: psycopg.Connection[Any]) -> list[TopicCount]:
    """All raw topics from which anything came."""
    return fetch_structs(hub, TopicCount, "live_topics")


def live_targets(hub: psycopg.Connection[Any], targets: Sequence[str], *, most: int = 1000) -> list[TargetCount]:
    """These systems as targets; what waits is counted up to `most`."""
    return fetch_structs(hub, TargetCount, "live_targets", {"targets": list(targets), "most": most})
