"""The status of the installation: servers, workers, systems, the account of raw records, changed tables, mapping notes.

In: everything as it is. Out: one `Status`. A section whose source does not answer says so, and the others stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from streams.capture.accounting import AccountSummary, account_summary
from streams.capture.progress import SystemProgress, capture_progress
from streams.capture.schema_drift import recent_changes
from streams.errors import OpshubError
from streams.hub.mapping_notes import MappingNoteCount
from streams.hub.source_state import TableChangeRow
from streams.monitor.mapping_notes import mapping_notes
from streams.settings import Settings
from streams.stack.native import NativeStack, ServerStatus
from streams.stack.worker_stats import worker_stats
from streams.stack.workers import list_workers

Section = TypeVar("Section")


class SectionError(msgspec.Struct, frozen=True):
    """Why a section cannot be shown."""

    error: str
    remedy: str


class WorkerRow(msgspec.Struct, frozen=True):
    """One worker; the last three are None while it does not answer."""

    name: str
    pid: int | None
    supervised: bool
    partitions: list[str] | None = None
    lag: int | None = None
    """Records that wait in its partitions."""
    waiting: str | None = None
    """The server that it waits for."""

    @property
    def answers(self) -> bool:
        """Whether the worker itself reported, over HTTP."""
        return self.partitions is not None


class Status(msgspec.Struct, frozen=True):
    """The whole status; its JSON has the same keys."""

    servers: list[ServerStatus]
    workers: list[WorkerRow]
    systems: list[SystemProgress] | SectionError
    records: AccountSummary | SectionError
    source_changes: list[TableChangeRow] | SectionError
    mapping_notes: list[MappingNoteCount] | SectionError


def collect(settings: Settings) -> Status:
    """Ask servers, workers, hub, Connect and Kafka."""

    def read(section: Callable[[Settings], Section]) -> Section | SectionError:
        try:
            return section(settings)
        except OpshubError as error:
            return SectionError(str(error), error.remedy)

    return Status(
        servers=NativeStack(settings).status(),
        workers=workers(settings),
        systems=read(capture_progress),
        records=read(account_summary),
        source_changes=read(recent_changes),
        mapping_notes=read(mapping_notes),
    )


def workers(settings: Settings) -> list[WorkerRow]:
    """Each worker of the stack, and each that answers though a person started it by hand."""
    rows = {worker.name: WorkerRow(worker.name, worker.pid, worker.supervised) for worker in list_workers(settings)}
    for answer in worker_stats(settings):
        name, lanes = str(answer["name"]), answer["lanes"].values()
        row = rows.get(name, WorkerRow(name, answer["pid"], supervised=False))
        rows[name] = msgspec.structs.replace(
            row,
            partitions=[partition for lane in lanes for partition in lane["partitions"]],
            lag=sum(lane["lag_records"] for lane in lanes),
            waiting=answer["waiting"],
        )
    return sorted(rows.values(), key=lambda row: row.name)
