"""What happened to the installation, and lag and throughput beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec
import psycopg

from streams.hub.statements import fetch_structs

EventKind = Literal["worker", "schema", "pause", "source", "alert", "person"]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)


class Event(msgspec.Struct, frozen=True):
    """One thing that happened. `about`: the worker, table, scope, system or alert."""

    id: int
    at: datetime
    kind: str
    what: str
    about: str
    text: str


class Pace(msgspec.Struct, frozen=True):
    """A sample of a minute. `taken` and `dead` only grow; latencies are of the slowest worker."""

    at: datetime
    taken: int
    dead: int
    lag: int
    p50_ms: float | None
    p99_ms: float | None


def events(
    hub: psycopg.Connection[Any],
    *,
    kinds: Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Event]:
    """Events, the newest first; None: no matter."""
    parameters = {
        "kinds": list(kinds) if kinds else None, "since": since, "until": until, "before": before, "limit": limit,
    }  # fmt: skip
    return fetch_structs(hub, Event, "installation_events", parameters)


def pace(hub: psycopg.Connection[Any], since: datetime, until: datetime, *, most: int = 400) -> list[Pace]:
    """Samples between two moments, the oldest first, at most about `most`."""
    return fetch_structs(hub, Pace, "pace", {"since": since, "until": until, "most": most})
