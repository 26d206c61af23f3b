"""Asks sources for the rows that looked up a row which changed since (`follow` in a dictionary).

In: requests that ingest wrote into the hub. Out: a row in the signal table of each source: Debezium reads the rows
while it goes on streaming, and they are mapped with what they look up now. A request is deleted after the source has
the signal, so a crash in between asks twice, which changes nothing. Runs in every worker; one of them is at work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import psycopg
from mode.utils.logging import get_logger
from psycopg import sql

from streams.capture.captured_tables import read_tables
from streams.capture.incremental_snapshot import send_signal, signal_of
from streams.hub.resnapshots import WaitingResnapshot, resnapshots_requested, waiting_resnapshots
from streams.hub.session import KEEPALIVE
from streams.mapping.followers import VALUES
from streams.mariadb_session import MariadbSession, Source
from streams.provision.source_session import source_session
from streams.provision.systems import System
from streams.settings import Settings

logger = get_logger(__name__)

INTERVAL_S = 2.0
"""A renamed template has one signal for all its products; shorter, and each product of a bulk edit would have its own.
"""


async def run_followed_rows(settings: Settings, systems: Sequence[System], dsns: Mapping[str, str]) -> None:
    """Ask until cancelled; while a server does not answer, again at the next turn."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(INTERVAL_S)
        try:
            await loop.run_in_executor(None, partial(request_followed_rows, settings, systems, dsns))
        except psycopg.Error as error:
            logger.info("rows that follow a change cannot be asked for now: %s", error)


def request_followed_rows(settings: Settings, systems: Sequence[System], dsns: Mapping[str, str]) -> int:
    """Send what waits; how many requests that were. Raises psycopg.Error."""
    reachable = {system.name: system for system in systems if system.name in dsns}
    with psycopg.connect(settings.hub, **KEEPALIVE) as hub, hub.transaction():
        waiting = waiting_resnapshots(hub, list(reachable))
        for name in {request.system for request in waiting}:
            mine = [request for request in waiting if request.system == name]
            _signal(reachable[name], dsns[name], mine)
            resnapshots_requested(hub, mine)
    return len(waiting)


def _signal(system: System, dsn: str, requests: Sequence[WaitingResnapshot]) -> None:
    signals = str(system.config["signal.data.collection"])
    with source_session(dsn, may_write=True) as source:
        facts = read_tables(source, system)
        for table in dict.fromkeys(request.table_name for request in requests):
            of_table = [request for request in requests if request.table_name == table]
            conditions = []
            for condition in dict.fromkeys(request.condition for request in of_table):
                values = [_literal(source, request.value) for request in of_table if request.condition == condition]
                conditions.append(condition.replace(VALUES, ", ".join(values)))
            if table in facts:
                signal = signal_of(system, facts[table], " OR ".join(conditions))
                send_signal(source, signals, "execute-snapshot", signal)


def _literal(source: Source, value: str) -> str:
    """A text as SQL of the source writes it. MariaDB reads a backslash as the beginning of an escape."""
    if isinstance(source, MariadbSession):
        return source.connection.escape(value)  # type: ignore[no-any-return]
    return sql.Literal(value).as_string(None)
