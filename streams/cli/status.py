"""`opshub status`: servers, workers, systems, the account of raw records, changed tables and mapping notes.

A section whose source does not answer reports that, instead of failing the whole command.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from streams.cli.context import load_settings
from streams.cli.up import StateDir
from streams.errors import OpshubError
from streams.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from streams.capture.accounting import AccountSummary
    from streams.capture.progress import SystemProgress
    from streams.hub.mapping_notes import MappingNoteCount
    from streams.hub.source_state import TableChangeRow
    from streams.stack.native import ServerStatus

NEWEST = 10
"""Lines of changed tables and of mapping notes that people see; the JSON has all."""

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


def status(
    state_dir: StateDir = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="One JSON object: servers, workers, systems, records, source_changes, mapping_notes; a section "
            "that cannot be "
            "read is {error, remedy}.",
        ),
    ] = False,
) -> None:
    """Show servers and workers, how far each system is captured, and whether the accounts balance.

    Exit code 1 when a server is not healthy.

    Examples:

    opshub status

    opshub status --json | jq '.records.balances'
    """
    state = collect(load_settings(state_dir=state_dir))
    if as_json:
        print(json.dumps(msgspec.to_builtins(state)))
    else:
        _show(state)
    if not all(server.healthy for server in state.servers):
        raise typer.Exit(1)


def collect(settings: Settings) -> Status:
    """Ask servers, workers, hub, Connect and Kafka."""
    from streams.capture.accounting import account_summary
    from streams.capture.progress import capture_progress
    from streams.capture.schema_drift import recent_changes
    from streams.monitor.mapping_notes import mapping_notes
    from streams.stack.native import NativeStack

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
    from streams.stack.worker_stats import worker_stats
    from streams.stack.workers import list_workers

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


def _show(state: Status) -> None:
    from rich.console import Console

    console = Console()
    _show_servers(console, state.servers)
    if state.workers:
        _show_workers(console, state.workers)
    if state.systems != state.records:  # while the hub does not answer, both say the same
        _show_systems(console, state.systems)
    _show_records(console, state.records)
    _show_changes(console, state.source_changes)
    _show_notes(console, state.mapping_notes)


def _show_servers(console: Console, servers: list[ServerStatus]) -> None:
    from rich.table import Table

    table = Table("server", "port", "pid", "state", title="Servers", title_justify="left")
    for server in servers:
        state = "[green]healthy[/]" if server.healthy else "[red]not healthy[/]" if server.pid else "[dim]down[/]"
        table.add_row(server.name, str(server.port), str(server.pid or ""), state)
    console.print(table)


def _show_workers(console: Console, rows: list[WorkerRow]) -> None:
    from rich.table import Table

    table = Table(
        "worker", "pid", "supervised", "partitions", "lag", "waits for", title="Workers", title_justify="left"
    )
    for row in rows:
        table.add_row(
            row.name,
            str(row.pid or "down"),
            "yes" if row.supervised else "no",
            str(len(row.partitions)) if row.partitions is not None else "",
            f"{row.lag:,}" if row.lag is not None else "",
            row.waiting or "" if row.answers else "does not answer",
        )
    console.print(table)


def _show_systems(console: Console, systems: list[SystemProgress] | SectionError) -> None:
    from rich.table import Table

    if isinstance(systems, SectionError):
        _show_error(console, "Systems", systems)
        return
    table = Table("system", "connector", "taken", "waiting", "dead, parked", title="Systems", title_justify="left")
    for system in systems:
        failed = sum(counts.dead + counts.parked for counts in system.tables.values())
        colour = "green" if system.connector == "RUNNING" else "red"
        state = f"[{colour}]{system.connector.lower()}[/]"
        table.add_row(system.system, state, f"{system.taken:,}", f"{system.waiting:,}", f"{failed:,}")
    console.print(table)
    for system in systems:
        if system.problem:
            console.print(f"[red]{system.system}[/]: {system.problem}", highlight=False, soft_wrap=True)


def _show_records(console: Console, records: AccountSummary | SectionError) -> None:
    if isinstance(records, SectionError):
        _show_error(console, "Records", records)
        return
    counts = ", ".join(
        f"{getattr(records, name):,} {name}" for name in ("passed", "filtered", "tombstones", "dead", "parked")
    )
    text = f"Records: {records.incoming:,} in: {counts}; {records.parked_keys:,} keys parked"
    console.print(text, highlight=False, soft_wrap=True)
    if not records.balances:
        gap = f", {records.unaccounted:,} are not accounted for" if records.unaccounted else ""
        console.print(f"    they do not balance{gap}: `opshub verify` lists the differences", style="red")


def _show_changes(console: Console, changes: list[TableChangeRow] | SectionError) -> None:
    if isinstance(changes, SectionError) or not changes:
        return
    console.print("Changed tables of the sources (30 days):")
    for change in changes[:NEWEST]:
        text = f"  {change.at} {change.system} {change.table}: {change.what} ({change.effect})"
        console.print(text, highlight=False, soft_wrap=True)


def _show_notes(console: Console, notes: list[MappingNoteCount] | SectionError) -> None:
    if isinstance(notes, SectionError) or not notes:
        return
    from streams.cli.map_views import show_mapping_notes

    console.print("Values that dictionaries changed or accepted as null (30 days):")
    show_mapping_notes([msgspec.to_builtins(note) for note in notes[:NEWEST]])


def _show_error(console: Console, title: str, error: SectionError) -> None:
    console.print(f"{title}: {error.error}\n    remedy: {error.remedy}", highlight=False)
