"""The status of the installation: servers, workers, systems, the account of raw records, changed tables, mapping notes.

In: everything as it is. Out: one `Status`. A section whose source does not answer says so, and the others stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
import psycopg

from streams.capture.accounting import AccountSummary, account_summary
from streams.capture.progress import SystemProgress, capture_progress
from streams.capture.schema_drift import recent_changes
from streams.errors import OpshubError
from streams.hub.mapping_notes import MappingNoteCount
from streams.hub.session import hub_session
from streams.hub.source_state import TableChangeRow
from streams.hub.workers import SILENT_SECONDS, WorkerReport, load_workers
from streams.monitor.mapping_notes import mapping_notes
from streams.monitor.schedules import ScheduleRow, schedule_rows
from streams.monitor.servers import server_status
from streams.provision.systems import load_systems
from streams.settings import Settings
from streams.stack.environment import remedy_here
from streams.stack.native import ServerStatus
from streams.stack.worker_stats import worker_stats
from streams.stack.workers import list_workers

Section = TypeVar("Section")


class SectionError(msgspec.Struct, frozen=True):
    """Why a section cannot be shown."""

    error: str
    remedy: str


class WorkerRow(msgspec.Struct, frozen=True):
    """One worker, on whatever machine it runs. What it says of itself is None while it does not answer."""

    name: str
    pid: int | None
    supervised: bool
    """Whether a supervisor of this state folder starts it again."""
    partitions: list[str] | None = None
    """Of a worker of this state folder."""
    lag: int | None = None
    """Records that wait in its partitions."""
    waiting: str | None = None
    """The server that it waits for."""
    host: str | None = None
    """Where it runs, as it reported itself to the hub; None: it never did, or the hub is away."""
    partition_count: int | None = None
    silent_s: float | None = None
    """Seconds since its last report to the hub."""

    @property
    def answers(self) -> bool:
        """Whether the worker itself answered over HTTP, or reported to the hub within the last seconds."""
        return self.partitions is not None or (self.silent_s is not None and self.silent_s < SILENT_SECONDS)


class Status(msgspec.Struct, frozen=True):
    """The whole status; its JSON has the same keys."""

    servers: list[ServerStatus]
    workers: list[WorkerRow]
    systems: list[SystemProgress] | SectionError
    records: AccountSummary | SectionError
    schedules: list[ScheduleRow] | SectionError
    source_changes: list[TableChangeRow] | SectionError
    mapping_notes: list[MappingNoteCount] | SectionError


def collect(settings: Settings) -> Status:
    """Ask servers, workers, hub, Connect and Kafka."""

    def read(section: Callable[[Settings], Section]) -> Section | SectionError:
        try:
            return section(settings)
        except OpshubError as error:
            return SectionError(str(error), remedy_here(error, settings))

    return Status(
        servers=server_status(settings),
        workers=workers(settings),
        systems=read(capture_progress),
        records=read(account_summary),
        schedules=read(lambda settings: schedule_rows(settings, load_systems(settings))),
        source_changes=read(recent_changes),
        mapping_notes=read(mapping_notes),
    )


def workers(settings: Settings) -> list[WorkerRow]:
    """Each worker of the stack, each that answers though a person started it by hand, and each that reports itself
    into the hub from another machine or a container. Those that died within a day are listed, too.
    """
    rows = {worker.name: WorkerRow(worker.name, worker.pid, worker.supervised) for worker in list_workers(settings)}
    for answer in worker_stats(settings):
        name, lanes = str(answer["name"]), answer["lanes"].values()
        row = rows.get(name, WorkerRow(name, answer["pid"], supervised=False))
        rows[name] = msgspec.structs.replace(
            row,
            partitions=(partitions := [partition for lane in lanes for partition in lane["partitions"]]),
            partition_count=len(partitions),
            lag=sum(lane["lag_records"] for lane in lanes),
            waiting=answer["waiting"],
        )
    for report in _reports(settings):
        row = rows.get(report.name, WorkerRow(report.name, report.pid, supervised=False))
        if row.partitions is None and report.answers:
            # The hub's word is seconds old; that of a worker which answered here is newer.
            count = sum(lane.partitions for lane in report.lanes.values())
            row = msgspec.structs.replace(row, lag=report.lag, waiting=report.waiting, partition_count=count)
        rows[report.name] = msgspec.structs.replace(row, host=report.host, silent_s=report.silent_s)
    return sorted(rows.values(), key=lambda row: row.name)


def _reports(settings: Settings) -> list[WorkerReport]:
    """What workers reported to the hub; nothing while it does not answer, or has no tables yet."""
    try:
        with hub_session(settings.hub) as hub:
            return load_workers(hub)
    except (OpshubError, psycopg.Error):
        return []
