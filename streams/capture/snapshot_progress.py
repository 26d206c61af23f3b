"""How far the snapshots of tables have come that a person asked for, and how long they will take.

In: the hub's list of requests, the offsets that Debezium keeps in Connect, the ends of raw topics. Out: one
`SnapshotProgress` each. What was read is counted by the records that came into the raw topic since the request. Changes
of the table count among them, so it is an estimate until Debezium's own offsets no longer name the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from streams.capture.incremental_snapshot import cancel_snapshot, topic_ends
from streams.errors import ConfigError, EnvironmentFault
from streams.hub.intent_review import Hub
from streams.hub.systems import TableSnapshot, capture_pauses, end_table_snapshot, table_snapshots
from streams.provision import connectors
from streams.provision.systems import System
from streams.settings import Settings

BEGINS_WITHIN_S = 20.0
"""Connect keeps a connector's offsets every five seconds: a snapshot that they do not name after this has not begun, or
is over.
"""
LOST_AFTER_S = 120.0
"""Nor does one run then of which fewer records came than there were rows: rows were deleted meanwhile."""


class SnapshotProgress(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot of a table. `share` is from 0 to 1, `left_s` None while nothing was read."""

    id: int
    system: str
    table: str
    condition: str | None
    who: str
    at: datetime
    rows: int
    came: int
    share: float
    left_s: float | None
    state: str
    """waiting, running, done or cancelled."""
    ended_at: datetime | None = None
    problem: str | None = None


def snapshot_progress(settings: Settings, hub: Hub, systems: Sequence[System]) -> list[SnapshotProgress]:
    """Snapshots that run, and those of the last week, the newest first. Remembers those that are seen to be over."""
    listed = table_snapshots(hub)
    running = [request for request in listed if request.outcome is None]
    by_name = {system.name: system for system in systems}
    ends: Mapping[str, int] | None = None
    collections: dict[str, str] = {}
    problem = None
    if running:
        try:
            topics = [
                by_name[request.system].topic(request.table_name) for request in running if request.system in by_name
            ]
            ends = topic_ends(settings, topics)
            for name in {request.system for request in running if request.system in by_name}:
                kept = connectors.offsets(settings, by_name[name].connector_name)
                collections[name] = str(kept.get("incremental_snapshot_collections") or "")
        except EnvironmentFault as error:
            problem = str(error)
    paused = {pause.scope for pause in capture_pauses(hub)} if running else set()
    made = []
    for request in listed:
        system = by_name.get(request.system)
        came = 0
        if request.outcome is None and ends is not None and system is not None:
            came = max(0, ends.get(system.topic(request.table_name), 0) - request.ends)
        names = collections.get(request.system)
        progress = judge_snapshot(
            request, came, None if names is None else request.table_name in names, datetime.now(UTC)
        )
        why = problem if request.outcome is None else None
        if request.outcome is None and request.system in paused:
            why = f"{request.system} is paused: it goes on after `opshub systems resume {request.system}`"
        made.append(msgspec.structs.replace(progress, problem=why))
        if progress.state == "done" and request.outcome is None:
            end_table_snapshot(hub, request.id, "done")
    return made


def judge_snapshot(request: TableSnapshot, came: int, is_named: bool | None, now: datetime) -> SnapshotProgress:
    """The progress of one request. `is_named`: whether Debezium's offsets name its table; None: they are not known."""
    age = (now - request.at).total_seconds()
    state = request.outcome or "running"
    share = 1.0 if request.rows == 0 else min(1.0, came / request.rows)
    if request.outcome is None:
        if is_named is False and age > BEGINS_WITHIN_S and (came >= request.rows or (came and age > LOST_AFTER_S)):
            state, share = "done", 1.0
        elif not came:
            state = "waiting"
        elif share >= 1.0:
            share = 0.99  # changes of the table were counted, too: Debezium knows that it is not over
    elif request.outcome == "done":
        came, share = request.rows, 1.0
    left = age * (1 - share) / share if state == "running" and 0 < share < 1 else None
    return SnapshotProgress(
        id=request.id,
        system=request.system,
        table=request.table_name,
        condition=request.condition,
        who=request.who,
        at=request.at,
        rows=request.rows,
        came=min(came, request.rows) if request.rows else came,
        share=share,
        left_s=left,
        state=state,
        ended_at=request.ended_at,
    )


def cancel(hub: Hub, systems: Sequence[System], dsns: Mapping[str, str], number: int) -> TableSnapshot:
    """End the snapshot with this number. What was read stays. Raises ConfigError when none like that runs."""
    request = next((request for request in table_snapshots(hub) if request.id == number), None)
    if request is None or request.outcome is not None:
        raise ConfigError(f"no snapshot {number} runs", remedy="`opshub systems snapshots` lists them")
    system = next(system for system in systems if system.name == request.system)
    cancel_snapshot(system, dsns[request.system], request.table_name)
    end_table_snapshot(hub, number, "cancelled")
    return request
