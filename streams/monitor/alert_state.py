"""What people were told and not yet told the end of, in the hub: for the watcher that comes next."""

from __future__ import annotations

from typing import Any

import psycopg

from streams.hub.statements import SQL
from streams.monitor.alerts import Notice, Problem, Told


def load(hub: psycopg.Connection[Any]) -> Told:
    """Everything that was told."""
    told: Told = {}
    for sink, name, what, remedy, since in hub.execute(SQL["notices"]):
        told.setdefault(sink, {})[name] = Notice("firing", Problem(name, what, remedy), since)
    return told


def keep(hub: psycopg.Connection[Any], before: Told, after: Told) -> None:
    """Note what was told since `before`, and what is over."""
    was = {(sink, name): notice for sink, told in before.items() for name, notice in told.items()}
    now = {(sink, name): notice for sink, told in after.items() for name, notice in told.items()}
    fresh = [
        (sink, name, one.problem.what, one.problem.remedy, one.since)
        for (sink, name), one in now.items()
        if (sink, name) not in was
    ]
    if fresh:
        hub.execute(SQL["add_notices"], [list(column) for column in zip(*fresh, strict=True)])
    over = was.keys() - now.keys()
    if over:
        hub.execute(SQL["end_notices"], [list(column) for column in zip(*over, strict=True)])
