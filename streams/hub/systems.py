"""What is paused, how fresh each table is, and which tables are read once more. One function for each statement of
`sql/systems.sql`.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from streams.hub.intent_review import Hub
from streams.hub.statements import SQL, fetch


class CapturePause(msgspec.Struct, frozen=True):
    """A source or a table that is not read for now. `scope`: <system>, or <system>/<schema.table>."""

    scope: str
    who: str
    reason: str
    at: datetime
    kept_bytes: int | None
    """WAL that the slot of the source held back when the pause began."""


class TopicFreshness(msgspec.Struct, frozen=True):
    """One raw topic: when its last record was counted, and how many were counted today (UTC)."""

    topic: str
    counted_at: datetime
    today: int


class OpenDeadLetters(msgspec.Struct, frozen=True):
    """Dead letters of one topic that wait, and the records that are parked behind them."""

    topic: str
    dead: int
    parked: int


class TableGap(msgspec.Struct, frozen=True):
    """A table whose changes may be missing, and why."""

    system: str
    table_name: str
    gap: str


class TableSnapshot(msgspec.Struct, frozen=True):
    """A table whose rows are read once more. `rows`: how many met the condition when it was asked for; `ends`: where
    its raw topic ended then, summed over its partitions. `outcome`: done or cancelled; None while it runs.
    """

    id: int
    system: str
    table_name: str
    condition: str | None
    rows: int
    ends: int
    who: str
    at: datetime
    ended_at: datetime | None
    outcome: str | None


class _Scope(msgspec.Struct, frozen=True):
    scope: str


class _Id(msgspec.Struct, frozen=True):
    id: int


def capture_pauses(hub: Hub) -> list[CapturePause]:
    """What is paused now, the oldest first."""
    return fetch(hub, CapturePause, "capture_pauses")


def pause_capture(hub: Hub, scope: str, *, who: str, reason: str, kept_bytes: int | None = None) -> None:
    """Remember that a source or a table is paused."""
    parameters = {"scope": scope, "who": who, "reason": reason, "kept_bytes": kept_bytes}
    hub.execute(SQL["pause_capture"], parameters)


def resume_capture(hub: Hub, scope: str) -> bool:
    """Forget a pause; False when there was none."""
    return bool(fetch(hub, _Scope, "resume_capture", {"scope": scope}))


def topic_freshness(hub: Hub) -> dict[str, TopicFreshness]:
    """By raw topic."""
    return {row.topic: row for row in fetch(hub, TopicFreshness, "topic_freshness")}


def dead_letters_by_topic(hub: Hub) -> dict[str, OpenDeadLetters]:
    """By topic, of those that have any."""
    return {row.topic: row for row in fetch(hub, OpenDeadLetters, "dead_letters_by_topic")}


def table_gaps(hub: Hub) -> dict[tuple[str, str], str]:
    """(system, table) → why changes of it may be missing."""
    return {(row.system, row.table_name): row.gap for row in fetch(hub, TableGap, "table_gaps")}


def add_table_snapshot(
    hub: Hub, *, system: str, table: str, condition: str | None, rows: int, ends: int, who: str
) -> int:
    """Remember that the rows of a table are read once more; the number of this snapshot."""
    parameters = {
        "system": system, "table_name": table, "condition": condition, "rows": rows, "ends": ends, "who": who,
    }  # fmt: skip
    (row,) = fetch(hub, _Id, "add_table_snapshot", parameters)
    return row.id


def table_snapshots(hub: Hub) -> list[TableSnapshot]:
    """Those that run, and those of the last week, the newest first."""
    return fetch(hub, TableSnapshot, "table_snapshots")


def end_table_snapshot(hub: Hub, number: int, outcome: str) -> bool:
    """Remember how it ended; False when it had ended before."""
    return bool(fetch(hub, _Id, "end_table_snapshot", {"id": number, "outcome": outcome}))
