"""`make bench`: single stages, lanes, ingest and assemble alone, the whole pipeline, and the table of targets.

`python -m benchmarks.bench [--quick] [--rates 1000,2000,…]` writes benchmarks/results/latest.json and latest.html. The
exit code is 0 when it ran; the table shows which targets are reached. `--quick` is a smoke test: everything runs, but
too briefly for valid figures.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import lanes, recording, stages, whole
from benchmarks.page import bench_page, figure
from benchmarks.run import machine, run_workload, versions, warm_up
from benchmarks.site import site
from benchmarks.targets import targets
from benchmarks.workload import Phase, Workload, load_workload
from streams.cli.context import load_settings
from streams.demo.drain import raw_records
from streams.paths import connectors_dir
from streams.provision.column_types import with_types
from streams.resolve.ownership import load_ownership
from streams.runtime.startup import calm_collector

RESULTS = Path(__file__).with_name("results")
WARM_UP_S = 45.0
"""As `opshub demo --warm-up 45`: in their first minute the JVMs compile, and need more CPU than later."""
OTHER_RUNS = ("jdbc-sink", "series")
"""Results of longer runs; the table shows their figures with their dates."""
JOB_RATES = [8000.0, 12_000.0]
RATES = [1000.0, 2000.0, 3000.0, 5000.0, 8000.0, 12_000.0]


def measure(*, quick: bool = False, rates: list[float] | None = None) -> dict[str, Any]:
    """Measure everything; takes less than ten minutes on two cores."""
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {text}", file=sys.stderr, flush=True)

    settings = load_settings()
    figures: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "quick": quick,
    }
    history = {"customers": 100, "orders": 200} if quick else {"customers": 500, "orders": 1000}
    with site(settings, say, **history) as here:
        backlog = whole.make_backlog(here, 2_000 if quick else 60_000, say)
        topics = [topic for system in here.systems for topic in system.topics]
        raws = recording.in_commit_order(recording.read_topics(here.settings.kafka, topics, limit=60_000))
        typed, _ = with_types(here.settings, here.systems)  # as workers run them
        corpus = stages.Corpus(raws[-30_000:], typed, load_ownership(connectors_dir(settings) / "ownership.yaml"))
        say("stages alone")
        calm_collector()
        repeats = 1 if quick else 3
        alone = stages.pure_stages(corpus, repeats)
        alone.append(whole.hub_upsert(here, corpus, repeats))
        figures["stages"] = stages.as_json(alone)
        say("ingest with Kafka in and out, and bare, in turns")
        figures["lanes"] = lanes.compare(
            here.settings, here.systems, raws[-30_000:], copies=1 if quick else 3, repeats=repeats
        )
        figures["first_load"] = [msgspec.to_builtins(whole.half(here, role, backlog, say)) for role in whole.ROLES]
        rows, seeds = (2_000, range(21, 22)) if quick else (60_000, range(21, 24))
        figures["halves"] = whole.backlogs(here, rows, seeds, say)
        if not quick:
            warm_up(here, Workload("warm-up", []), 2000.0, WARM_UP_S, say)
        best, told = whole.rising(here, [200.0] if quick else rates or RATES, 5 if quick else 20, say)
        figures["rising"] = {"best": best, "runs": told, "raw_records": raw_records(here.settings, here.systems)}
        for name, rate in (("half_load", max(100.0, best / 2)), ("at_500", 100.0 if quick else 500.0)):
            phases = [Phase(2 if quick else 20, rate, "warm", False), Phase(5 if quick else 25, rate, "steady")]
            figures[name] = {"rate": rate} | msgspec.to_builtins(run_workload(here, Workload(name, phases), say))
        jobs = load_workload(Path(__file__).with_name("workloads") / "jobs.yaml")
        best, told = whole.rising(here, [200.0] if quick else JOB_RATES, 5 if quick else 20, say, jobs)
        figures["jobs"] = {"best": best, "runs": told}
    figures["other_runs"] = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name in OTHER_RUNS
        if (path := RESULTS / f"{name}.json").exists()
    }
    figures["seconds"] = round(time.monotonic() - begun, 1)
    figures["targets"] = [msgspec.to_builtins(t) for t in targets(figures)]
    return figures


def show(figures: dict[str, Any]) -> None:
    """Print the tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=150)
    by_stage = Table(title="stages alone")
    for head in ("stage", "unit", "us", "per second", "limit", "limit us", "ratio"):
        by_stage.add_column(head, justify="left" if head in ("stage", "unit", "limit") else "right")
    for s in figures["stages"]:
        by_stage.add_row(
            s["name"],
            s["unit"],
            f"{s['us']:.2f}",
            f"{s['per_second']:,}",
            s["limit"],
            f"{s['limit_us'] or '-'}",
            f"{s['ratio'] or '-'}",
        )
    console.print(by_stage)
    table = Table(title=f"targets ({figures['date']}, load before {figures['machine']['load_before']})")
    for head in ("target", "unit", "wanted", "reached", "holds", "of"):
        table.add_column(head, justify="left" if head in ("target", "unit", "of") else "right")
    for t in figures["targets"]:
        table.add_row(
            t["name"],
            t["unit"],
            f"{'≤' if t['at_most'] else '≥'} {t['target']:,g}",
            "not measured" if t["reached"] is None else figure(t["reached"]),
            "[green]yes[/]" if t["holds"] else "[red]no[/]",
            t["run"],
        )
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure single stages and the whole pipeline.")
    parser.add_argument(
        "--quick", action="store_true", help="smoke test: too short for valid figures; writes quick.json"
    )
    parser.add_argument("--rates", default="", help="rates for the whole pipeline, in row changes a second: 1000,2000")
    parser.add_argument("--json", action="store_true", help="print the result as JSON instead of tables")
    given = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    figures = measure(quick=given.quick, rates=[float(r) for r in given.rates.split(",") if r] or None)
    RESULTS.mkdir(exist_ok=True)
    name = "quick" if given.quick else "latest"
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (RESULTS / f"{name}.html").write_text(bench_page(figures), encoding="utf-8")
    print(json.dumps(figures)) if given.json else show(figures)
    print(f"written: {RESULTS / name}.json and .html", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
