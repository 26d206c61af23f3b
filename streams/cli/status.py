"""`opshub status`: servers, workers, systems, the account of raw records, changed tables and mapping notes.

A section whose source does not answer reports that, instead of failing the whole command.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.context import load_settings
from streams.cli.up import StateDir

if TYPE_CHECKING:
    from rich.console import Console

    from streams.capture.accounting import AccountSummary
    from streams.capture.progress import SystemProgress
    from streams.hub.mapping_notes import MappingNoteCount
    from streams.hub.source_state import TableChangeRow
    from streams.monitor.schedules import ScheduleRow
    from streams.monitor.status import SectionError, Status, WorkerRow
    from streams.stack.native import ServerStatus

NEWEST = 10
"""Lines of changed tables and of mapping notes that people see; the JSON has all."""


def status(
    state_dir: StateDir = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="One JSON object: servers, workers, systems, records, schedules, source_changes, mapping_notes; a "
            "section that cannot be read is {error, remedy}.",
        ),
    ] = False,
) -> None:
    """Show servers and workers, how far each system is captured, and whether the accounts balance.

    Exit code 1 when a server is not healthy.

    Examples:

    opshub status

    opshub status --json | jq '.records.balances'
    """
    from streams.monitor.status import collect

    state = collect(load_settings(state_dir=state_dir))
    if as_json:
        print(json.dumps(msgspec.to_builtins(state)))
    else:
        _show(state)
    if not all(server.healthy for server in state.servers):
        raise typer.Exit(1)


def _show(state: Status) -> None:
    from rich.console import Console

    console = Console()
    _show_servers(console, state.servers)
    if state.workers:
        _show_workers(console, state.workers)
    if state.systems != state.records:  # while the hub does not answer, both say the same
        _show_systems(console, state.systems)
    _show_records(console, state.records)
    _show_schedules(console, state.schedules)
    _show_changes(console, state.source_changes)
    _show_notes(console, state.mapping_notes)


def _show_servers(console: Console, servers: list[ServerStatus]) -> None:
    from rich.table import Table

    # Servers that somebody else runs have an address, and neither port nor pid here.
    columns = ("address",) if any(server.address for server in servers) else ("port", "pid")
    table = Table("server", *columns, "state", title="Servers", title_justify="left")
    for server in servers:
        is_known_to_run = server.pid or server.address
        state = "[green]healthy[/]" if server.healthy else "[red]not healthy[/]" if is_known_to_run else "[dim]down[/]"
        values = (server.address,) if server.address else (str(server.port), str(server.pid or ""))
        table.add_row(server.name, *values[: len(columns)], state)
    console.print(table)


def _show_workers(console: Console, rows: list[WorkerRow]) -> None:
    from rich.table import Table

    table = Table(
        "worker", "host", "pid", "supervised", "partitions", "lag", "waits for", title="Workers", title_justify="left"
    )
    for row in rows:
        silent = "is down" if row.pid is None else "does not answer"
        if row.silent_s is not None:
            silent = f"has not reported for {row.silent_s:,.0f} s"
        table.add_row(
            row.name,
            row.host or "",
            str(row.pid or "down"),
            "yes" if row.supervised else "no",
            str(row.partition_count) if row.partition_count is not None else "",
            f"{row.lag:,}" if row.lag is not None else "",
            row.waiting or "" if row.answers else silent,
        )
    console.print(table)


def _show_systems(console: Console, systems: list[SystemProgress] | SectionError) -> None:
    from rich.table import Table

    from streams.monitor.status import SectionError

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
    from streams.monitor.status import SectionError

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


def _show_schedules(console: Console, schedules: list[ScheduleRow] | SectionError) -> None:
    from streams.monitor.status import SectionError

    if isinstance(schedules, SectionError) or not schedules:
        return
    console.print("Schedules (UTC):")
    for row in schedules:
        last, due = (f"{at:%Y-%m-%d %H:%M:%S}" if at is not None else "" for at in (row.last_at, row.next_at))
        times = "".join(f"; {word} {at}" for word, at in (("last", last), ("next", due)) if at)
        console.print(f"  {row.scope}: {row.sync}: {row.state}{times}", highlight=False, soft_wrap=True)


def _show_changes(console: Console, changes: list[TableChangeRow] | SectionError) -> None:
    from streams.monitor.status import SectionError

    if isinstance(changes, SectionError) or not changes:
        return
    console.print("Changed tables of the sources (30 days):")
    for change in changes[:NEWEST]:
        text = f"  {change.at} {change.system} {change.table}: {change.what} ({change.effect})"
        console.print(text, highlight=False, soft_wrap=True)


def _show_notes(console: Console, notes: list[MappingNoteCount] | SectionError) -> None:
    from streams.monitor.status import SectionError

    if isinstance(notes, SectionError) or not notes:
        return
    from streams.cli.map_views import show_mapping_notes

    console.print("Values that dictionaries changed or accepted as null (30 days):")
    show_mapping_notes([msgspec.to_builtins(note) for note in notes[:NEWEST]])


def _show_error(console: Console, title: str, error: SectionError) -> None:
    console.print(f"{title}: {error.error}\n    remedy: {error.remedy}", highlight=False)
