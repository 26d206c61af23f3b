"""Conflicts in the hub, as people see and decide them. One typed function for each statement of `sql/conflicts.sql`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import msgspec
import psycopg

from streams.hub.record_names import record_names
from streams.hub.statements import SQL, fetch
from streams.model.change import Value


class AssertedValue(TypedDict, total=False):
    """The value that one system gives, with where and when it did."""

    value: Value
    position: str | None
    """epoch/major/minor"""
    us: int | None
    """Commit time at the source, microseconds since 1970."""
    tx: str | None


class LoggedConflict(msgspec.Struct):
    """One conflict as the hub keeps it."""

    id: str
    entity: str
    entity_id: str
    aggregate_id: str
    field: str
    kind: str
    values: dict[str, AssertedValue]
    """By system; of a match key, by `claimant` and `holder`."""
    winner: str | None
    rule: str
    outcome: str
    turns: int
    """Edits that write-back wrote over."""
    seen_at: str
    resolved_at: str | None
    decided_by: str | None
    group_id: str
    """Conflicts of one cause have the same."""
    name: str | None = None
    """What the record is called; see streams/hub/record_names.py."""


class ConflictGroup(msgspec.Struct):
    """Conflicts of one cause: the same field or rule, of the same systems, with the same outcome."""

    group_id: str
    kind: str
    entity: str
    subject: str
    """The field; of a match key, its fields."""
    systems: str
    rule: str
    winner: str | None
    outcome: str
    count: int
    first_seen_at: str
    last_seen_at: str
    latest: str
    """Id of the newest conflict."""


class DecidedValue(msgspec.Struct, frozen=True):
    """The value of a field in the golden record, and in a person's contribution to it."""

    golden: object
    decided: object


def list_conflicts(
    connection: psycopg.Connection,
    *,
    entity: str | None,
    kind: str | None,
    past: bool,
    limit: int,
    group_id: str | None = None,
) -> list[LoggedConflict]:
    """The newest first; with `past` also those that are over or decided."""
    wanted = {"past": past, "entity": entity, "kind": kind, "limit": limit, "group_id": group_id}
    return _named(connection, fetch(connection, LoggedConflict, "list_conflicts", wanted))


def conflict_groups(
    connection: psycopg.Connection, *, entity: str | None, kind: str | None, past: bool, limit: int
) -> list[ConflictGroup]:
    """What waits for people first, then the newest."""
    wanted = {"past": past, "entity": entity, "kind": kind, "limit": limit}
    return fetch(connection, ConflictGroup, "conflict_groups", wanted)


def conflicts_by_id(connection: psycopg.Connection, prefixes: Sequence[str]) -> list[LoggedConflict]:
    """Conflicts whose id begins with one of these, two of each at most."""
    return _named(connection, fetch(connection, LoggedConflict, "conflicts_by_id", [list(prefixes)]))


def _named(connection: psycopg.Connection, conflicts: list[LoggedConflict]) -> list[LoggedConflict]:
    names = record_names(connection, (conflict.entity_id for conflict in conflicts))
    for conflict in conflicts:
        if conflict.entity_id in names:
            conflict.name = names[conflict.entity_id].text
    return conflicts


def decide_conflict(connection: psycopg.Connection, conflict: LoggedConflict, who: str | None) -> None:
    """A person decided it, or took the decision back (`who` is None). Its turns count from zero."""
    connection.execute(SQL["decide_conflict"], {"who": who, "id": conflict.id})
    connection.execute(SQL["forget_turns"], [conflict.entity_id, conflict.field])


def decided_value(connection: psycopg.Connection, entity_id: str, contribution: str, field: str) -> DecidedValue | None:
    """None while the person's contribution, of this source id, is not there."""
    wanted = {"id": entity_id, "contribution": contribution, "field": field}
    rows = fetch(connection, DecidedValue, "decided_value", wanted)
    return rows[0] if rows else None
