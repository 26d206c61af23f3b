"""`opshub systems`: the captured tables, pause and resume, snapshots of tables, checks of a new database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import load_settings

if TYPE_CHECKING:
    from streams.capture.pauses import PauseQueue
    from streams.monitor.table_status import SystemStatus

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Scope = Annotated[str, typer.Argument(metavar="SCOPE", help="A system, or one table of it as <system>/<schema.table>.")]


def list_tables(as_json: AsJson = False) -> None:
    """Show each captured table, worst first: its state, what waits, rows of today, and what is wrong; then the slots.

    Exit code 1 when a table or a source is not healthy.

    Example: opshub systems list
    """
    import msgspec

    from streams.capture.pauses import queues
    from streams.monitor.table_status import systems_status
    from streams.provision.systems import load_systems
    from streams.writeback.commands import connect_hub

    settings = load_settings()
    installed = load_systems(settings)
    with connect_hub(settings.hub) as hub:
        systems = systems_status(settings, hub, installed)
        paused = queues(settings, hub, installed)
    if as_json:
        typer.echo(json.dumps({"systems": msgspec.to_builtins(systems), "paused": msgspec.to_builtins(paused)}))
    else:
        _show_systems(systems)
        _show_queues(paused)
    if any(system.state in ("bad", "warn") or system.worst for system in systems):
        raise typer.Exit(1)


def pause(
    scope: Scope, reason: Annotated[str, typer.Option("--reason", help="Why, for `opshub systems list`.")] = ""
) -> None:
    """Stop reading a source, or one of its tables. Its changes wait in the source's WAL, or in Kafka, in their order.

    Deliveries to a system are paused by `opshub writeback pause`.

    Examples:

    opshub systems pause demo-crm --reason "the CRM is upgraded tonight"

    opshub systems pause demo-erp/erp.invoice
    """
    from streams.cli.operations import run_here
    from streams.console.operations.systems import WantedPause, pause_capture

    queue = run_here(load_settings(), pause_capture, WantedPause(scope, reason))
    typer.echo(f"{scope} is paused; `opshub systems resume {scope}` goes on. {queue.sentence}")


def resume(scope: Scope) -> None:
    """Read on where the pause began: what waited comes first, in its order.

    Example: opshub systems resume demo-crm
    """
    from streams.cli.operations import run_here
    from streams.console.operations.systems import WantedScope, resume_capture

    done = run_here(load_settings(), resume_capture, WantedScope(scope))
    typer.echo(f"{scope} is resumed" if done.was_paused else f"{scope} was not paused")


def read(
    scope: Scope,
    whole: Annotated[bool, typer.Option("--whole", help="All rows; what is gone is deleted.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit.")] = "",
) -> None:
    """Read a table now that has a schedule, or all tables of a system without a database.

    Examples:

    opshub systems read helpdesk/helpdesk.tickets

    opshub systems read helpdesk --whole
    """
    from streams.capture.pauses import find_scope
    from streams.hub.session import hub_session
    from streams.hub.sources import add_table, want_read

    settings = load_settings()
    system, table = find_scope(settings, scope)
    with hub_session(settings.hub) as hub:
        for name in [table] if table is not None else list(system.sync):
            add_table(hub, system.name, name)
        tables = want_read(hub, system.name, table, whole=whole)
    typer.echo(f"{', '.join(tables)}: read as soon as a worker with the role sources gets to it")


def snapshots(as_json: AsJson = False) -> None:
    """Show the tables that are read again (`opshub resync SYSTEM --table TABLE`), how far that is, and the time left.

    Example: opshub systems snapshots
    """
    import msgspec

    from streams.capture.snapshot_progress import snapshot_progress
    from streams.provision.systems import load_systems
    from streams.writeback.commands import connect_hub

    settings = load_settings()
    with connect_hub(settings.hub) as hub:
        listed = snapshot_progress(settings, hub, load_systems(settings))
    if as_json:
        typer.echo(json.dumps({"snapshots": msgspec.to_builtins(listed)}))
        return
    for entry in listed:
        left = "" if entry.left_s is None else f", about {entry.left_s:.0f} s left"
        why = f" ({entry.problem})" if entry.problem else ""
        typer.echo(
            f"{entry.id} {entry.system} {entry.table}: {entry.state}, {entry.share:.0%}, "
            f"{entry.came:,} of {entry.rows:,} rows{left}{why}"
        )
    if not listed:
        typer.echo("no table was read again within a week")


def cancel(number: Annotated[int, typer.Argument(help="Its number, from `opshub systems snapshots`.")]) -> None:
    """End the snapshot of a table before it is complete; the rows that were read stay.

    Example: opshub systems cancel 3
    """
    from streams.cli.operations import run_here
    from streams.console.operations.systems import WantedSnapshot, cancel_snapshot

    entry = run_here(load_settings(), cancel_snapshot, WantedSnapshot(number))
    typer.echo(f"the snapshot of {entry.table_name} of {entry.system} ends; `opshub resync` begins another")


def check(
    dsn: Annotated[str, typer.Argument(help="The database, as postgresql://user@host:port/name.")],
    system: Annotated[str, typer.Option(help="Name of the new system.")] = "new-system",
    schema: Annotated[list[str] | None, typer.Option(help="Only these schemas.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="Only these tables: <schema.table>.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a database before it becomes a system: what is wrong, the SQL that mends it, and a source.json. Changes
    nothing. The address is used for this check and is written nowhere.

    Exit code 3 when something severe is wrong.

    Example: opshub systems check postgresql://me@db:5432/erp --system erp --schema public
    """
    import msgspec

    from streams.monitor.new_system import check_new_system

    report = check_new_system(system, dsn, schemas=schema, tables=table)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(report)))
    else:
        for finding in report.findings:
            typer.echo(f"{'!' if finding.severe else '-'} {finding.where}: {finding.what}")
            typer.echo("".join(f"    {line}\n" for line in finding.sql.splitlines()), nl=False)
        typer.echo(report.setup_sql)
        typer.echo(report.source_json)
        for step in report.steps:
            typer.echo(f"then: {step}")
    if any(finding.severe for finding in report.findings):
        raise typer.Exit(3)


def _show_systems(systems: list[SystemStatus]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for system in systems:
        title = f"{system.name}: connector {system.connector.lower()}"
        table = Table("table", "state", "waiting", "today", "dead, parked", "last record", title=title)
        table.title_justify = "left"
        for row in system.tables:
            colour = {"bad": "red", "warn": "yellow", "paused": "blue", "ok": "green"}[row.state]
            table.add_row(
                row.table, f"[{colour}]{row.state}[/]", "?" if row.waiting is None else f"{row.waiting:,}",
                "" if row.today is None else f"{row.today:,}", f"{row.dead + row.parked:,}",
                "" if row.last_at is None else f"{row.last_at:%Y-%m-%d %H:%M:%S}",
            )  # fmt: skip
        console.print(table)
        if system.problem:
            console.print(f"    {system.problem}", style="red", highlight=False, soft_wrap=True)
        for row in system.worst:
            console.print(f"    {row.table}: {row.problem}; {row.remedy}", highlight=False, soft_wrap=True)
        if system.slot is not None:
            slot = system.slot
            kept = "" if slot.kept_bytes is None else f" keeps {slot.kept_bytes / 1e6:,.1f} MB of WAL"
            left = "" if slot.left_bytes is None else f", {slot.left_bytes / 1e9:,.2f} GB are left"
            console.print(f"    slot {slot.name}{kept}{left} {slot.problem or ''}", highlight=False, soft_wrap=True)


def _show_queues(paused: list[PauseQueue]) -> None:
    for queue in paused:
        waits = f", {queue.waiting:,} records wait" if queue.waiting is not None else ""
        grown = f", {queue.grown_bytes / 1e6:,.1f} MB of WAL came since" if queue.grown_bytes is not None else ""
        why = f": {queue.reason}" if queue.reason else ""
        typer.echo(f"{queue.scope} is paused by {queue.who} since {queue.at:%Y-%m-%d %H:%M}{why}{waits}{grown}")
        typer.echo(f"    {queue.problem or queue.sentence}")
