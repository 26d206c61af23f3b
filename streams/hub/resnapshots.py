"""Rows that looked up a row which changed since, and that their source is to send again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from streams.hub.statements import SQL, columns, fetch


class WaitingResnapshot(NamedTuple):
    """Rows of a table that meet `condition` with `value`."""

    system: str
    table_name: str
    condition: str
    value: str
    changed_at: datetime


def waiting_resnapshots(
    hub: psycopg.Connection[Any], systems: Sequence[str], most: int = 2_000
) -> list[WaitingResnapshot]:
    """The oldest requests; none while another session is at work on them. Call it in a transaction."""
    return fetch(hub, WaitingResnapshot, "waiting_resnapshots", {"systems": list(systems), "most": most})


def resnapshots_requested(hub: psycopg.Connection[Any], done: Sequence[WaitingResnapshot]) -> None:
    """Forget these, unless a change came since they were read."""
    if done:
        hub.execute(SQL["resnapshots_requested"], columns(done))
