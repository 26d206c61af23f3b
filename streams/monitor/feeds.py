"""Findings about systems without a database: what cannot be read, and what Kafka does not take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from streams.capture.finding import Finding
from streams.hub.session import hub_session
from streams.hub.sources import count_sends, source_reads
from streams.provision.systems import System
from streams.settings import Settings

LATE = timedelta(minutes=10)
"""A table that should have been read so long ago is reported: no worker reads it."""


def feed_findings(settings: Settings, systems: Sequence[System]) -> list[Finding]:
    """What is wrong with them now. Raises EnvironmentFault while the hub does not answer."""
    feeds = [system for system in systems if not system.has_database]
    if not feeds:
        return []
    findings = []
    now = datetime.now(UTC)
    with hub_session(settings.hub) as hub:
        reads = source_reads(hub, [system.name for system in feeds])
        waiting = {system.name: count_sends(hub, system.name) for system in feeds}
    for system in feeds:
        for table in system.dictionary.tables:
            read = reads.get((system.name, table))
            scope = f"{system.name}/{table}"
            if read is not None and read.problem is not None:
                remedy = "mend it; it is tried again by itself, or at once by `opshub systems read " + scope + "`"
                findings.append(Finding("feed-failed", scope, read.problem, remedy))
            elif read is not None and read.read_at is not None:
                due = system.sync[table].due_at(read.read_at)
                if due is not None and system.sync[table].may_run(now) and now > max(due, read.read_at) + LATE:
                    what = f"it was due at {due:%Y-%m-%d %H:%M} UTC, and was last read at {read.read_at:%Y-%m-%d %H:%M}"
                    findings.append(Finding("feed-late", scope, what, "start a worker with the role sources"))
        if waiting[system.name]:
            what = f"{waiting[system.name]:,} raw records wait for Kafka"
            findings.append(
                Finding("feed-unsent", system.name, what, "the worker with the role sources sends them", severe=False)
            )
    return findings
