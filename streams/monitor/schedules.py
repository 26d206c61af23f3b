"""When each table is synchronised that is not synchronised at once: `opshub status` shows it.

In: `sync` of source.json and source.yaml, and what the hub knows. Out: one `ScheduleRow` for each such table.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from streams.hub.session import hub_session
from streams.hub.sources import source_reads, sync_batches
from streams.hub.systems import capture_pauses
from streams.provision.systems import System
from streams.settings import Settings


class ScheduleRow(msgspec.Struct, frozen=True):
    """One table. `last_at`: when it was last read, or its last batch began; `next_at`: when it is due; None where an
    event makes it due. `state`: waits, runs, paused (by a person), black-out, failed.
    """

    scope: str
    sync: str
    state: str
    last_at: datetime | None
    next_at: datetime | None
    problem: str | None


def schedule_rows(settings: Settings, systems: Sequence[System]) -> list[ScheduleRow]:
    """Raises EnvironmentFault while the hub does not answer."""
    scheduled = [system for system in systems if any(not sync.is_plain for sync in system.sync.values())]
    if not scheduled:
        return []
    now = datetime.now(UTC)
    with hub_session(settings.hub) as hub:
        reads = source_reads(hub, [system.name for system in scheduled])
        batches = sync_batches(hub)
        pauses = {pause.scope: pause for pause in capture_pauses(hub)}
    rows = []
    for system in scheduled:
        for table, sync in system.sync.items():
            if sync.is_plain:
                continue
            scope = f"{system.name}/{table}"
            read, batch = reads.get((system.name, table)), batches.get(scope)
            last = (read.read_at if read else None) if not system.has_database else (batch.began_at if batch else None)
            pause = pauses.get(system.name) or pauses.get(scope)
            problem = None if read is None else read.problem
            due = sync.due_at(last) if last is not None else None
            if pause is not None and pause.who != "schedule":
                state = "paused"
            elif not sync.may_run(now):
                state = "black-out"
            elif problem is not None:
                state = "failed"
            else:
                state = "runs" if batch is not None and batch.ended_at is None and system.has_database else "waits"
            rows.append(ScheduleRow(scope, sync.words, state, last, due, problem))
    return rows
