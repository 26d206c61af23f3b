"""Whether a system without a database is read, as the hub knows it."""

from __future__ import annotations

from streams.hub.session import hub_session
from streams.hub.sources import SourceRead, source_reads
from streams.hub.systems import capture_pauses
from streams.provision.systems import System
from streams.settings import Settings


def feed_state(settings: Settings, system: System) -> tuple[str, str]:
    """(state, cause) in the words of a connector: RUNNING, PAUSED, FAILED or STARTING. Raises EnvironmentFault while
    the hub does not answer.
    """
    with hub_session(settings.hub) as hub:
        reads = source_reads(hub, [system.name])
        paused = system.name in {pause.scope for pause in capture_pauses(hub)}
    return ("PAUSED", "") if paused else judge_feed(system, reads)


def judge_feed(system: System, reads: dict[tuple[str, str], SourceRead]) -> tuple[str, str]:
    """The state of a feed that is not paused."""
    assert system.feed is not None
    polled = [name for name, table in system.feed.tables.items() if table.rest is not None or table.file is not None]
    known = [read for name in polled if (read := reads.get((system.name, name))) is not None]
    failed = [f"{read.table}: {read.problem}" for read in known if read.problem is not None]
    if failed:
        return "FAILED", "; ".join(failed)
    if len(known) < len(polled) or any(read.read_at is None for read in known):
        return "STARTING", ""
    return "RUNNING", ""
