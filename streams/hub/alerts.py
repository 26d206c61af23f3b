"""Alerts that are open, the watcher's lock, and the counts that have an alert threshold."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import psycopg

from streams.hub.statements import SQL, fetch


class OpenAlert(msgspec.Struct, frozen=True):
    """An alert that a sink was sent, and whose end it was not sent yet; `since` in seconds since 1970."""

    sink: str
    name: str
    what: str
    remedy: str
    since: float


class PipelineCounts(msgspec.Struct, frozen=True):
    """What the hub counts for alerts."""

    dead_letters_in_a_minute: int = 0
    broken_invariants: int = 0
    intents_dead: int = 0
    """Given up within a day."""
    intents_waiting: int = 0
    """Waiting for people for longer than the setting allows."""
    intents_undelivered: int = 0
    """Waiting for their target for longer than the setting allows."""


class _Lock(msgspec.Struct, frozen=True):
    is_ours: bool


def load_open_alerts(hub: psycopg.Connection[object]) -> list[OpenAlert]:
    """Every open alert of every sink."""
    return fetch(hub, OpenAlert, "open_alerts")


def add_open_alerts(hub: psycopg.Connection[object], alerts: Iterable[OpenAlert]) -> None:
    """Remember that these were sent."""
    rows = [msgspec.structs.astuple(alert) for alert in alerts]
    if rows:
        hub.execute(SQL["add_open_alerts"], [list(column) for column in zip(*rows, strict=True)])


def remove_open_alerts(hub: psycopg.Connection[object], keys: Iterable[tuple[str, str]]) -> None:
    """Forget alerts, (sink, name) each, whose end was sent."""
    rows = list(keys)
    if rows:
        hub.execute(SQL["remove_open_alerts"], [list(column) for column in zip(*rows, strict=True)])


def try_watcher_lock(hub: psycopg.Connection[object], key: int) -> bool:
    """Whether this session holds the advisory lock now; it does not wait for it."""
    (row,) = fetch(hub, _Lock, "try_watcher_lock", {"key": key})
    return row.is_ours


def count_pipeline(hub: psycopg.Connection[object], *, waiting_s: float, undelivered_s: float) -> PipelineCounts:
    """The counts now. `waiting_s`, `undelivered_s`: how long an intent may wait for people, and for its target."""
    limits = {"waiting_s": waiting_s, "undelivered_s": undelivered_s}
    (row,) = fetch(hub, PipelineCounts, "pipeline_counts", limits)
    return row
