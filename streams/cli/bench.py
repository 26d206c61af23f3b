"""`opshub bench run|compare|capacity`: load tests. The harness is the folder `benchmarks` of a checkout."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.context import load_settings, terminate_as_interrupt
from streams.errors import ConfigError


def _part(name: str) -> Any:
    try:
        return import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("benchmarks"):
            raise
        raise ConfigError(
            "the folder benchmarks/ is not here", remedy="run `opshub bench` in a checkout of opshub"
        ) from None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(
    workload: Annotated[Path, typer.Argument(help="A workload; see benchmarks/workloads/.")],
    minutes: Annotated[float | None, typer.Option(min=0.05, help="Stretch the phases to last so long in all.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=16, help="Worker processes; default: as the workload says.")
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            help="What to write to your own systems, which must be running with their workers, instead of a stack of the "
            "benchmark's own; see benchmarks/profiles/."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the result goes, .json; the page lies beside it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result on stdout.")] = False,
) -> None:
    """Run a workload on a stack of the benchmark's own, or on your own systems; write the result as JSON and as a page with charts.

    Examples: opshub bench run benchmarks/workloads/mixed.yaml --minutes 5

    SHOP_DSN=postgresql://… opshub bench run benchmarks/workloads/steady.yaml --profile shop.yaml
    """
    import msgspec

    loads, harness, page = _part("workload"), _part("run"), _part("page")
    if profile is not None and workers is not None:
        raise ConfigError(
            "--workers is for a stack of the benchmark's own", remedy="with --profile the workers that run are measured"
        )
    wanted = loads.load_workload(workload)
    if minutes is not None:
        wanted = loads.scaled(wanted, minutes)
    if workers is not None:
        wanted = msgspec.structs.replace(wanted, workers=workers)
    settings = load_settings()
    if profile is None:
        measured = _part("site").site(settings, _say, workers=wanted.workers, **wanted.start)
    else:
        wanted = msgspec.structs.replace(wanted, name=f"{wanted.name}-{profile.stem}")
        measured = nullcontext(_part("profile").own_systems(settings, profile))
    with terminate_as_interrupt(), measured as here:
        result = msgspec.to_builtins(harness.run_workload(here, wanted, _say))
    target = out or Path("benchmarks/results") / f"run-{wanted.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    target.with_suffix(".html").write_text(page.run_page(result), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(f"{result['rows']:,} row changes in {result['seconds']} s: {result['rows_per_second']:,}/s")
    for place, told in result["latency_ms"].items():
        typer.echo(f"{place:16} " + "  ".join(f"{name} {value:,}" for name, value in told.items()))
    typer.echo(f"sent {result['behind_ms_max']:,} ms behind its schedule at most")
    for note in result["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(f"written: {target} and {target.with_suffix('.html')}")


def compare(
    first: Annotated[Path, typer.Argument(help="A result of `opshub bench run`.")],
    second: Annotated[Path, typer.Argument(help="Another.")],
    as_json: Annotated[bool, typer.Option("--json", help="The differences on stdout as JSON.")] = False,
) -> None:
    """Two results side by side; what differs by less than the noise counts as the same. Exit 1 when anything got worse."""
    import msgspec

    results = []
    for path in (first, second):
        try:
            results.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{path} cannot be read: {error}", remedy="name a .json that `opshub bench run` wrote"
            ) from None
    found = _part("compare").compare(*results)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
    else:
        for one in found:
            typer.echo(
                f"{one.name:32} {one.first:>12,.2f} {one.second:>12,.2f} {one.change:>+8.1%}  (noise {one.noise:.1%})  {one.says}"
            )
    if any(one.says == "worse" for one in found):
        raise typer.Exit(1)


def capacity(
    low: Annotated[float, typer.Option(min=1, help="The rate to begin with, row changes a second.")] = 500,
    high: Annotated[float, typer.Option(min=1, help="No rate above this is tried.")] = 32_000,
    p99_ms: Annotated[float, typer.Option("--p99", min=1, help="The most that p99 to the hub may be, ms.")] = 500,
    seconds: Annotated[
        float, typer.Option(min=5, help="How long each trial lasts: a minute has one round of autovacuum.")
    ] = 60,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    partitions: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Partitions of each topic; as many as workers, if nothing says otherwise."),
    ] = None,
    within: Annotated[float, typer.Option(min=0.01, max=0.5, help="How closely to search, as a share.")] = 0.1,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like", help="A workload: its history, mix, skew and sizes; its phases and workers are not looked at."
        ),
    ] = None,
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds at --low before the first trial, for the JVMs.")] = 45,
    soak: Annotated[
        float, typer.Option(min=0, help="Minutes at nine tenths of what was found, to see that it holds.")
    ] = 0,
    hub_rows: Annotated[int, typer.Option(min=0, help="Rows that the hub is to have before, for large ones.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Capacity and trials on stdout as JSON.")] = False,
) -> None:
    """Search for the highest rate at which lag does not grow and p99 stays under a limit.

    Example: opshub bench capacity --workers 2 --partitions 8 --hub-rows 1000000
    """
    import msgspec

    loads, search, sites, filling = _part("workload"), _part("capacity"), _part("site"), _part("fill")
    shape = loads.load_workload(like) if like is not None else loads.Workload("capacity", [])
    settings = load_settings(partitions=partitions)
    with terminate_as_interrupt(), sites.site(settings, _say, workers=workers, **shape.start) as here:
        rows = filling.fill_site(here, hub_rows, workers, _say) if hub_rows else 0
        found, trials = search.capacity(
            here,
            low=low,
            high=high,
            p99_ms=p99_ms,
            seconds=seconds,
            workers=workers,
            within=within,
            say=_say,
            like=shape,
            warm_seconds=warm_up,
            soak_seconds=soak * 60,
        )
    if as_json:
        told = {
            "capacity": found,
            "workers": workers,
            "partitions": here.settings.partitions,
            "hub_rows_before": rows,
            "workload": shape.name,
        }
        typer.echo(json.dumps(told | {"trials": msgspec.to_builtins(trials)}))
    else:
        typer.echo(
            f"capacity: {found:,.0f} row changes/s with {workers} worker(s) and {here.settings.partitions} partitions"
        )
        if soak and found:
            last = trials[-1]
            held = "holds" if last.holds else "does not hold"
            typer.echo(
                f"{last.rate:,.0f}/s for {soak:g} min {held}: p99 {last.p99_ms} ms, lag grows by {last.lag_slope}/s"
            )
    if not found or (soak and not trials[-1].holds):
        raise typer.Exit(1)
