"""The inbox of conflicts: what people look at before they decide. Reads the hub only."""

from __future__ import annotations

import psycopg

from streams.errors import ConfigError
from streams.hub.conflicts import ConflictGroup, LoggedConflict, conflict_groups, conflicts_by_id, list_conflicts


def standing(
    connection: psycopg.Connection,
    *,
    entity: str | None = None,
    kind: str | None = None,
    past: bool = False,
    limit: int = 50,
    group_id: str | None = None,
) -> list[LoggedConflict]:
    """Conflicts that stand, the newest first; with `past` also those that are over or decided."""
    return list_conflicts(connection, entity=entity, kind=kind, past=past, limit=limit, group_id=group_id)


def groups(
    connection: psycopg.Connection,
    *,
    entity: str | None = None,
    kind: str | None = None,
    past: bool = False,
    limit: int = 50,
) -> list[tuple[ConflictGroup, LoggedConflict]]:
    """Conflicts by their cause, each group with its newest conflict; what waits for people first."""
    causes = conflict_groups(connection, entity=entity, kind=kind, past=past, limit=limit)
    latest = {conflict.id: conflict for conflict in conflicts_by_id(connection, [group.latest for group in causes])}
    return [(group, latest[group.latest]) for group in causes if group.latest in latest]


def get(connection: psycopg.Connection, conflict_id: str) -> LoggedConflict:
    """One conflict, by its id or the first letters of it. Raises ConfigError when there is none, or more than one."""
    conflicts = conflicts_by_id(connection, [conflict_id.lower()])
    if len(conflicts) != 1:
        subject = "no conflict has" if not conflicts else "more than one conflict has"
        raise ConfigError(
            f"{subject} an id that begins with {conflict_id!r}", remedy="`opshub conflicts list --all` shows them"
        )
    return conflicts[0]
