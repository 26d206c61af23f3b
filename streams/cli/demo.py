"""`opshub demo`: all servers, a simulated company on two databases, live figures, a verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import load_settings, progress, terminate_as_interrupt

if TYPE_CHECKING:
    from rich.console import RenderableType

    from streams.demo.run import DemoProgress, DemoResult


def demo(
    seconds: Annotated[float, typer.Option(min=1, help="Seconds for which the company works.")] = 60.0,
    rate: Annotated[float, typer.Option(min=0.01, help="Row changes per second, over both databases.")] = 200.0,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    customers: Annotated[int, typer.Option(min=1, help="Customers in the history that is loaded first.")] = 500,
    orders: Annotated[int, typer.Option(min=1, help="Orders in that history.")] = 1000,
    warm_up: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds of work before the measured ones, so that the Java servers have compiled their code; "
            "0 measures cold servers.",
        ),
    ] = 15.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same company.")] = 1,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end; `opshub down` stops it.")
    ] = False,
    no_console: Annotated[
        bool, typer.Option("--no-console", help="Do not start the console (also: OPSHUB_CONSOLE=off).")
    ] = False,
    systems: Annotated[
        str | None,
        typer.Option(
            help="`creme,tryton`: two real systems instead of the simulated ones, installed from PyPI the first time. "
            "People win deals in Creme and fulfil them in Tryton; --rate is then deals per second (0.5 if not given).",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object at the end, and nothing else on stdout.")
    ] = False,
) -> None:
    """Start all servers, let a simulated company work on a CRM and an ERP, and compare hub and topics with both
    databases.

    Exit code 0 when everything is equal, 1 when anything differs.

    Examples:

    opshub demo --seconds 60 --rate 2000 --workers 2

    opshub demo --systems creme,tryton --seconds 60
    """
    if systems is not None:
        _real_demo(systems, seconds, rate if rate < 200 else 0.5, seed, keep, no_console, as_json)
        return
    import msgspec
    from rich.console import Console
    from rich.live import Live

    from streams.demo.run import DemoPlan, DemoProgress, run_demo

    plan = DemoPlan(seconds, rate, workers, customers, orders, seed, keep, warm_up)
    settings = load_settings(console="off" if no_console else None)
    console = Console(stderr=True)
    with terminate_as_interrupt(), progress(quiet=True) as quiet:
        if not console.is_terminal:
            with progress() as report:
                result = run_demo(settings, plan, report, lambda _: None)
        else:
            with progress() as report:
                from streams.stack.native import NativeStack

                NativeStack(settings).up(progress=report)
            with Live(_table(DemoProgress()), console=console, refresh_per_second=4) as live:
                result = run_demo(settings, plan, quiet, lambda now: live.update(_table(now)))
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(result)))
    else:
        _print_result(result)
        if keep:
            at = f"the console at {result.console}, " if result.console else ""
            typer.echo(f"left running   {at}the servers and the workers: `opshub down` stops them")
    if result.verdict != "equal":
        raise typer.Exit(1)


def _real_demo(
    systems: str, seconds: float, deals: float, seed: int, keep: bool, no_console: bool, as_json: bool
) -> None:
    import msgspec

    from streams.demo.real.run import SYSTEMS, RealPlan, run_real_demo
    from streams.errors import ConfigError

    if sorted(name.strip() for name in systems.split(",")) != SYSTEMS:
        raise ConfigError(
            f"there is no demo of {systems}", remedy="--systems creme,tryton, or none for the simulated ones"
        )
    settings = load_settings(console="off" if no_console else None)
    with terminate_as_interrupt(), progress() as report:
        result = run_real_demo(settings, RealPlan(seconds, deals, seed, keep), report)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(result)))
    else:
        typer.echo(f"deals          {result.deals.won:>12,} won in Creme by {result.customers} customers")
        typer.echo(
            f"in Tryton      {result.shipped:>12,} shipments, {result.invoiced} invoices, {result.paid} payments"
        )
        if result.won_to_sale_s is not None:
            typer.echo(f"won to sale    {result.won_to_sale_s:>12,} s in the median, until Tryton had the sale")
        for name in ("lost", "doubled", "differing", "unpaid", "not_shown"):
            typer.echo(f"{name.replace('_', ' '):14} {getattr(result.deals, name):>12,} deals")
        typer.echo(f"{'source rows':14} {result.source_rows:>12,}")
        typer.echo(f"{'dead letters':14} {result.dead:>12,}")
        for example in result.examples:
            typer.echo(f"  {example}")
        if result.refused:
            typer.echo(f"refused first  {len(result.refused):>12,} times: {result.refused[0]}")
        equal = "every deal is one sale, paid, with its number in Creme; hub and topics agree with both databases"
        typer.echo(f"verdict        {result.verdict}: {equal if result.verdict == 'equal' else 'see above'}")
        if keep:
            typer.echo(f"left running   {result.console or ''} OPSHUB_STATE_DIR={result.state_dir} opshub down")
    if result.verdict != "equal":
        raise typer.Exit(1)


def _table(progress: DemoProgress) -> RenderableType:
    from rich.table import Table

    now = progress.workers
    table = Table(title=progress.phase or "starting", title_justify="left", show_header=False)
    table.add_row("row changes made", f"{progress.row_changes:,}", "behind schedule", f"{progress.behind_ms:,.0f} ms")
    table.add_row("rows in", f"{now.rows_in:,}", "records out", f"{now.records_out:,}")
    table.add_row("lag", f"{now.lag:,} records", "dead letters", f"{now.dead:,}")
    if progress.is_measured:
        latency = now.latency_ms()
        table.add_row("commit to hub p50", f"{latency['p50']:,.1f} ms", "p99", f"{latency['p99']:,.1f} ms")
    else:
        table.add_row("commit to hub", "not measured yet:", "", "the Java servers warm up")
    table.add_row("workers", f"{now.workers} ({now.partitions} partitions)", "elapsed", f"{progress.elapsed:,.0f} s")
    if progress.console:
        table.add_row("console", progress.console, "", "")
    table.add_row("slowest order flow", now.slowest or "-", "", now.waiting)
    return table


def _print_result(result: DemoResult) -> None:
    counts = {
        "rows in": result.rows_in,
        "records out": result.records_out,
        "source rows": result.source_rows,
        "entities": result.entities,
        "lost": result.lost,
        "doubled": result.doubled,
        "differing": result.differing,
        "gone back": result.gone_back,
        "dead letters": result.dead,
    }
    for name, number in counts.items():
        typer.echo(f"{name:14} {number:>12,}")
    typer.echo(f"{'rate':14} {result.rate:>12,} row changes/s")
    latency = result.latency_ms
    measured = (
        f"after {result.warm_up_seconds:g} s of warm-up of the Java servers, which is not counted"
        if result.warm_up_seconds
        else "cold: the Java servers' warm-up is in these figures, so they are not opshub's latency"
    )
    typer.echo(f"{'measured':14} {measured}")
    typer.echo(f"{'commit to hub':14} p50 {latency['p50']:,} ms, p99 {latency['p99']:,} ms, max {latency['max']:,} ms")
    typer.echo(f"{'supply':14} {result.supply['sentence']}")
    for example in result.examples:
        typer.echo(f"  {example}")
    for line in result.story:
        typer.echo(line)
    if result.verdict == "equal":
        typer.echo("verdict        equal: every live row of both databases is in the hub, and the topics agree with it")
    else:
        typer.echo(
            "verdict        different: see above; `opshub dlq list` shows the records that could not be processed"
        )
