"""`opshub bench run|compare|capacity`: load tests. The harness is the folder `benchmarks` of a checkout."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from streams.cli.context import load_settings, terminate_as_interrupt
from streams.errors import ConfigError


def _harness(name: str) -> ModuleType:
    """A module of the harness. Raises ConfigError outside of a checkout."""
    try:
        return import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("benchmarks"):
            raise
        raise ConfigError(
            "the folder benchmarks/ is not here: only a checkout has it",
            remedy="run `opshub bench` in a checkout of opshub",
        ) from None


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(
    workload: Annotated[Path, typer.Argument(help="A workload; see benchmarks/workloads/.")],
    minutes: Annotated[
        float | None, typer.Option(min=0.05, help="Stretch or shorten the phases to this total.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=16, help="Worker processes; default: those of the workload.")
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            help="Write to your own systems, as this file says, instead of a stack of the benchmark's own. Systems and "
            "their workers must run; see benchmarks/profiles/."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the result, .json; the page is written next to it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run a workload on a stack of the benchmark's own, or on your own systems. The result is JSON and a page with
    charts.

    Examples: opshub bench run benchmarks/workloads/mixed.yaml --minutes 5

    SHOP_DSN=postgresql://… opshub bench run benchmarks/workloads/steady.yaml --profile shop.yaml
    """
    import msgspec

    workloads, runner, page = _harness("workload"), _harness("run"), _harness("page")
    if profile is not None and workers is not None:
        raise ConfigError(
            "--workers cannot be used with --profile", remedy="leave it out: the workers that run are measured"
        )
    load = workloads.load_workload(workload)
    if minutes is not None:
        load = workloads.scaled(load, minutes)
    if workers is not None:
        load = msgspec.structs.replace(load, workers=workers)
    settings = load_settings()
    if profile is None:
        site = _harness("site").site(settings, _log, workers=load.workers, **load.start)
    else:
        load = msgspec.structs.replace(load, name=f"{load.name}-{profile.stem}")
        site = nullcontext(_harness("profile").own_systems(settings, profile))
    with terminate_as_interrupt(), site as here:
        result = msgspec.to_builtins(runner.run_workload(here, load, _log))
    target = out or Path("benchmarks/results") / f"run-{load.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    target.with_suffix(".html").write_text(page.run_page(result), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(f"{result['rows']:,} row changes in {result['seconds']} s: {result['rows_per_second']:,}/s")
    for place, percentiles in result["latency_ms"].items():
        typer.echo(f"{place:16} " + "  ".join(f"{name} {value:,}" for name, value in percentiles.items()))
    typer.echo(f"at most {result['behind_ms_max']:,} ms behind schedule")
    for note in result["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(f"written: {target} and {target.with_suffix('.html')}")


def compare(
    first: Annotated[Path, typer.Argument(help="A result of `opshub bench run`.")],
    second: Annotated[Path, typer.Argument(help="The result to compare it with.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")] = False,
) -> None:
    """Compare two results. Differences below the noise count as the same. Exit code 1 when anything got worse.

    Example: opshub bench compare benchmarks/results/run-mixed.json run-mixed.json
    """
    import msgspec

    results = []
    for path in (first, second):
        try:
            results.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{path} cannot be read: {error}", remedy="name a .json that `opshub bench run` wrote"
            ) from None
    differences = _harness("compare").compare(*results)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(differences)))
    else:
        for row in differences:
            typer.echo(
                f"{row.name:32} {row.first:>12,.2f} {row.second:>12,.2f} {row.change:>+8.1%}  (noise {row.noise:.1%})  "
                f"{row.verdict}"
            )
    if any(row.verdict == "worse" for row in differences):
        raise typer.Exit(1)


def capacity(
    low: Annotated[float, typer.Option(min=1, help="First rate, in row changes a second.")] = 500,
    high: Annotated[float, typer.Option(min=1, help="Highest rate that is tried.")] = 32_000,
    p99_ms: Annotated[
        float, typer.Option("--p99", min=1, help="Limit of p99 from commit to hub, in milliseconds.")
    ] = 500,
    seconds: Annotated[
        float, typer.Option(min=5, help="Seconds of each trial. A minute includes one round of autovacuum.")
    ] = 60,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    partitions: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Partitions of each topic. Default: as many as workers."),
    ] = None,
    within: Annotated[
        float, typer.Option(min=0.01, max=0.5, help="Precision of the search, as a fraction of the rate.")
    ] = 0.1,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like", help="A workload whose history, mix, skew and sizes are used; its phases and workers are ignored."
        ),
    ] = None,
    warm_up: Annotated[
        float,
        typer.Option(min=0, help="Seconds at --low before the first trial, for the JVMs."),
    ] = 45,
    soak: Annotated[
        float, typer.Option(min=0, help="Minutes of a final run at nine tenths of the result, to confirm it.")
    ] = 0,
    hub_rows: Annotated[int, typer.Option(min=0, help="Rows to put into the hub first, to measure a large hub.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print capacity and trials as JSON.")] = False,
) -> None:
    """Search for the highest rate at which lag does not grow and p99 stays below a limit. Exit code 1 when there is
    none.

    Example: opshub bench capacity --workers 2 --partitions 8 --hub-rows 1000000
    """
    import msgspec

    workloads, search, sites, hub_fill = (_harness(name) for name in ("workload", "capacity", "site", "fill"))
    shape = workloads.load_workload(like) if like is not None else workloads.Workload("capacity", [])
    settings = load_settings(partitions=partitions)
    with terminate_as_interrupt(), sites.site(settings, _log, workers=workers, **shape.start) as here:
        rows = hub_fill.fill_site(here, hub_rows, workers, _log) if hub_rows else 0
        rate, trials = search.capacity(
            here,
            low=low,
            high=high,
            p99_ms=p99_ms,
            seconds=seconds,
            workers=workers,
            within=within,
            say=_log,
            like=shape,
            warm_seconds=warm_up,
            soak_seconds=soak * 60,
        )
    if as_json:
        result = {
            "capacity": rate,
            "workers": workers,
            "partitions": here.settings.partitions,
            "hub_rows_before": rows,
            "workload": shape.name,
        }
        typer.echo(json.dumps(result | {"trials": msgspec.to_builtins(trials)}))
    else:
        typer.echo(
            f"capacity: {rate:,.0f} row changes/s with {workers} worker(s) and {here.settings.partitions} partitions"
        )
        if soak and rate:
            last = trials[-1]
            outcome = "sustained" if last.holds else "not sustained"
            typer.echo(
                f"{last.rate:,.0f}/s for {soak:g} min: {outcome}; p99 {last.p99_ms} ms, lag grows by {last.lag_slope}/s"
            )
    if not rate or (soak and not trials[-1].holds):
        raise typer.Exit(1)
