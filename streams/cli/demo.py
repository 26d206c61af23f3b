"""`opshub demo`: the main job, shown."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.context import load_settings, progress, terminate_as_interrupt

if TYPE_CHECKING:
    from rich.console import RenderableType

    from streams.demo.run import Show


def demo(
    seconds: Annotated[float, typer.Option(min=1, help="How long the company lives.")] = 60.0,
    rate: Annotated[float, typer.Option(min=1, help="Row changes per second, over both databases.")] = 200.0,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    customers: Annotated[int, typer.Option(min=1, help="Customers in the history that is loaded first.")] = 500,
    orders: Annotated[int, typer.Option(min=1, help="Orders in that history.")] = 1000,
    warm_up: Annotated[
        float,
        typer.Option(min=0, help="Seconds of work before the measured ones, so that the Java servers are compiled."),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same company.")] = 1,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end; `opshub down` stops it.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object at the end, and nothing else on stdout.")
    ] = False,
) -> None:
    """Bring the stack up, let a simulated company work on two databases, and check that hub and topics say what they say.

    Exit code 0 when everything is equal, 1 when anything differs. Example: opshub demo --seconds 60 --rate 2000 --workers 2
    """
    from rich.console import Console
    from rich.live import Live

    from streams.demo.run import Plan, Show, run_demo

    plan = Plan(seconds, rate, workers, customers, orders, seed, keep, warm_up)
    settings = load_settings()
    console = Console(stderr=True)
    with terminate_as_interrupt(), progress(quiet=True) as quiet:
        if not console.is_terminal:
            last = [""]

            def say(show: Show) -> None:
                if show.phase != last[0]:
                    last[0] = show.phase
                    print(show.phase, file=sys.stderr, flush=True)

            with progress() as report:
                told = run_demo(settings, plan, report, say)
        else:
            with progress() as report:
                from streams.stack.native import NativeStack

                NativeStack(settings).up(progress=report)
            with Live(_picture(Show()), console=console, refresh_per_second=4) as live:
                told = run_demo(settings, plan, quiet, lambda show: live.update(_picture(show)))
    if as_json:
        typer.echo(json.dumps(told))
    else:
        _say(told)
    if told["verdict"] != "equal":
        raise typer.Exit(1)


def _picture(show: Show) -> RenderableType:
    from rich.table import Table

    now = show.figures
    table = Table(title=show.phase or "starting", title_justify="left", show_header=False)
    simulator = show.simulator
    table.add_row(
        "row changes made",
        f"{simulator.get('row_changes', 0):,}",
        "behind schedule",
        f"{simulator.get('behind_ms', 0):,.0f} ms",
    )
    table.add_row("rows in", f"{now.rows_in:,}", "records out", f"{now.records_out:,}")
    table.add_row("lag", f"{now.lag:,} records", "errors", f"{now.dead:,}")
    latency = now.latency_ms()
    table.add_row("commit to hub p50", f"{latency['p50']:,.1f} ms", "p99", f"{latency['p99']:,.1f} ms")
    table.add_row("workers", f"{now.workers} ({now.partitions} partitions)", "elapsed", f"{show.elapsed:,.0f} s")
    table.add_row("slowest flow", now.slowest or "-", "", now.waiting)
    return table


def _say(told: dict[str, Any]) -> None:
    for name in (
        "rows_in",
        "records_out",
        "source_rows",
        "entities",
        "lost",
        "doubled",
        "differing",
        "gone_back",
        "dead",
    ):
        typer.echo(f"{name.replace('_', ' '):12} {told[name]:>12,}")
    typer.echo(f"{'rate':12} {told['rate']:>12,} row changes/s")
    latency = told["latency_ms"]
    typer.echo(f"{'commit to hub':12} p50 {latency['p50']:,} ms, p99 {latency['p99']:,} ms, max {latency['max']:,} ms")
    for example in told["examples"]:
        typer.echo(f"  {example}")
    if told["verdict"] == "equal":
        typer.echo("verdict      equal: every live row of both databases is in the hub, and every topic folds to it")
    else:
        typer.echo("verdict      different: see above; `opshub dlq list` has the records that did not pass")
