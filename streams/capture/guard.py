"""Checks the capture of one system: its database, its slot, its tables, its connector; remembers in the hub what it
saw.

In: a system, a role for its database, Connect and the hub. Out: a `Finding` for each thing that is wrong. Promised:
once changes may be missing (`streams/capture/lost_changes.py`), the finding `capture-lost` stays until a new epoch
begins (`streams/capture/epoch.py`), also when the source looks right again; and `table-incomplete` of a table
(`streams/capture/table_gaps.py`) until it is read again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import psycopg
from psycopg import sql

from streams.capture.binlog import judge_age, read_settings
from streams.capture.captured_tables import Publication, TableFacts, read_publication, read_tables
from streams.capture.connector_health import connector_findings
from streams.capture.finding import Finding, source_away
from streams.capture.lost_changes import SourceState, history_name, lost_changes, lost_position, read_source_state
from streams.capture.slot import Slot, is_slot_unused, judge_slot, read_slot
from streams.capture.table_gaps import check_tables
from streams.hub.session import KEEPALIVE
from streams.hub.source_state import SourceRecord, load_source, save_source
from streams.hub.systems import capture_pauses
from streams.mariadb_session import MariadbSession, Source, backticked
from streams.provision import connectors
from streams.provision.source_session import source_session
from streams.provision.systems import System
from streams.settings import Settings

RESYNC_S = 300.0
"""A resync stops the connector for less than this."""


def check_capture(
    settings: Settings, system: System, dsn: str, on_slot: Callable[[str, Slot], object] = lambda system, slot: None
) -> list[Finding]:
    """What is wrong with the capture of one system. Raises psycopg.Error while the hub does not answer.

    `on_slot` is called with the system and its slot as it is now.
    """
    findings: list[Finding] = []
    state: SourceState | None = None
    tables: tuple[dict[str, TableFacts], Publication | None] | None = None
    is_unused = False
    with ExitStack() as session:
        try:
            source = session.enter_context(source_session(dsn))
            state = read_source_state(source, system.slot_name)
            slot = read_slot(source, system)
            # Before the first snapshot there is no slot. Whether one is gone is for `lost_changes` to say.
            if slot is not None:
                on_slot(system.name, slot)
                findings += judge_slot(settings, system, slot)
            is_unused = is_slot_unused(source, system.slot_name)
            tables = read_tables(source, system), read_publication(source, system)
            if isinstance(source, MariadbSession):
                findings += _judge_binlog(settings, system, source)
        except psycopg.Error as error:
            findings = [source_away(system.name, error)]
        if tables is not None:
            with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
                findings += check_tables(hub, system, *tables, lambda table: _has_rows(source, table))
    # Also when the database does not answer: Connect may know more, such as a failed task.
    connector = connector_findings(settings, system, is_slot_unused=is_unused)
    reasons = (lost_position(finding.what) for finding in connector if finding.code == "connector-failed")
    alarm, resync_age_s = _remember(settings.hub, system, state, next(reasons, None))
    if alarm is not None or (resync_age_s is not None and resync_age_s < RESYNC_S):
        # opshub stopped it itself: until a new epoch begins, or until the resync that runs now resumes it.
        connector = [finding for finding in connector if finding.code != "connector-stopped"]
    pause = _pause_of(settings.hub, system)
    if pause is not None:
        # Paused on purpose. What a pause costs, WAL that is held back, goes on being judged.
        connector = [finding for finding in connector if finding.code != "connector-stopped"]
        findings = [finding for finding in findings if finding.code not in ("heartbeat-old", "slot-idle")]
        findings.append(pause)
    if alarm is not None:
        findings.append(
            Finding(
                "capture-lost",
                system.name,
                f"{alarm}: changes may be missing",
                f"`opshub resync {system.name}` begins a new epoch: it takes a new snapshot, and deletes what the "
                "source does not have any more",
            )
        )
    return findings + connector


def _pause_of(hub_dsn: str, system: System) -> Finding | None:
    """The pause of a source as a finding, if a person paused it."""
    with psycopg.connect(hub_dsn, **KEEPALIVE) as hub:
        pauses = {pause.scope: pause for pause in capture_pauses(hub)}
    pause = pauses.get(system.name)
    if pause is None:
        return None
    why = f": {pause.reason}" if pause.reason else ""
    what = f"{pause.who} paused it at {pause.at:%Y-%m-%d %H:%M}{why}; {_cost(system)} meanwhile"
    return Finding("capture-paused", system.name, what, f"`opshub systems resume {system.name}`", severe=False)


def _cost(system: System) -> str:
    """What a pause costs the source."""
    if system.dictionary.kind == "postgres":
        return "its slot holds back WAL"
    return "its changes wait in the binlog, for as long as the server keeps it,"


def _judge_binlog(settings: Settings, system: System, source: MariadbSession) -> list[Finding]:
    """How long the binlog will still have what the connector has not read."""
    read_until = connectors.offsets(settings, system.connector_name).get("ts_sec")
    known = float(read_until) if read_until else None
    return judge_age(system.name, read_settings(source), known)


def _has_rows(source: Source, table: str) -> bool:
    """Whether a table holds rows; also where it may not be read."""
    if isinstance(source, MariadbSession):
        try:
            return bool(source.rows(f"SELECT 1 FROM {backticked(table)} LIMIT 1"))
        except psycopg.Error:
            return True
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(*table.split(".", 1)))
    try:
        return source.execute(query).fetchone() == (True,)
    except psycopg.Error:
        return True


def _remember(
    hub_dsn: str, system: System, state: SourceState | None, connector_reason: str | None
) -> tuple[str | None, float | None]:
    """Why changes of the system may be missing, from this check or from an earlier one; remembers this check. And for
    how many seconds a resync has been running, if one has.
    """
    with psycopg.connect(hub_dsn, **KEEPALIVE) as hub:
        before = load_source(hub, system.name)
        resync_age_s = None if before is None else before.resync_age_s
        if before is not None and before.alarm is not None:
            return before.alarm, resync_age_s
        if state is None:
            # Nothing to compare. What was remembered stays, and the next check compares with it.
            return None, resync_age_s
        alarm = lost_changes(before, state, history_name(system.slot_name, system.dictionary.kind)) or connector_reason
        save_source(hub, system.name, SourceRecord(state.system_identifier, state.timeline, state.slot_lsn, alarm))
        return alarm, resync_age_s
