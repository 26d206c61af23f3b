"""How much one site takes as it is made larger: workers, partitions, rows of the hub, lines of an order.

`python -m benchmarks.series [--only NAME,…]`, 45 minutes in all. Writes results/series.json after each case; cases that
are not run stay as they are there. `capacity` searches for the highest rate that holds, each time on a stack that
begins empty. `growth` works off backlogs, one role at a time, before and after the hub is filled, and ingest's again
with two workers; topics have two partitions there.
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
from confluent_kafka.admin import AdminClient

from benchmarks import whole
from benchmarks.capacity import capacity
from benchmarks.fill import fill, fill_site
from benchmarks.run import machine
from benchmarks.site import Say, Site, site
from benchmarks.workload import Workload
from streams.cli.context import load_settings, terminate_as_interrupt

RESULT = Path(__file__).with_name("results") / "series.json"

P99_MS = 500.0
SECONDS = 15.0
WARM_UP_S = 45.0
WITHIN = 0.2

BACKLOG = 60_000
SIZES = (0, 1_000_000, 10_000_000)
"""Rows that the hub is filled up to."""


class Case(msgspec.Struct, frozen=True):
    workers: int = 1
    partitions: int = 1
    hub_rows: int = 0
    order_lines: tuple[int, int] = (1, 7)


CASES = {
    "as usual": Case(),
    "2 workers on 2 partitions": Case(workers=2, partitions=2),
    "4 workers on 4 partitions": Case(workers=4, partitions=4),
    "4 partitions": Case(partitions=4),
    "32 partitions": Case(partitions=32),
    "hub of 1 million rows": Case(hub_rows=1_000_000),
    "hub of 10 million rows": Case(hub_rows=10_000_000),
    "orders of 1 line": Case(order_lines=(1, 1)),
    "orders of 1 to 100 lines": Case(order_lines=(1, 100)),
}
GROWTH = "growth"


def search(case: Case, say: Say) -> dict[str, Any]:
    """The capacity of one case."""
    shape = Workload("series", [], order_lines=case.order_lines)
    with site(load_settings(partitions=case.partitions), say, **shape.start) as here:
        rows = fill_site(here, case.hub_rows, case.workers, say) if case.hub_rows else 0
        found, trials = capacity(
            here,
            low=2000,
            high=32_000,
            p99_ms=P99_MS,
            seconds=SECONDS,
            workers=case.workers,
            within=WITHIN,
            say=say,
            like=shape,
            warm_seconds=WARM_UP_S,
        )
    return {"capacity": found, "hub_rows": rows, **msgspec.to_builtins(case), "trials": msgspec.to_builtins(trials)}


def growth(say: Say, repeats: int = 3) -> dict[str, Any]:
    """Medians of `repeats` backlogs for each size of the hub; then ingest over all of them again, one worker and two in
    turns.
    """
    told: list[dict[str, Any]] = []
    with site(load_settings(partitions=2), say) as here:
        for role in whole.ROLES:
            whole.half(here, role, None, say)  # the history; nothing is warm yet
        for number, size in enumerate(SIZES):
            rows = 0
            if size:
                with here.hub() as hub:
                    rows = fill(hub, size, say)
            seeds = range(100 + number * repeats, 100 + (number + 1) * repeats)
            told.append(
                {"hub_rows": rows, **{half.pop("role"): half for half in whole.backlogs(here, BACKLOG, seeds, say)}}
            )
            say(json.dumps(told[-1]))
        turns: dict[int, list[whole.Half]] = {1: [], 2: []}
        for _ in range(repeats):
            for workers, halves in turns.items():
                _read_again(here, "ingest")
                halves.append(whole.half(here, "ingest", None, say, workers))
    one, two = (whole.median(halves) for halves in turns.values())
    empty, full = told[0]["assemble"]["per_second"], told[-1]["assemble"]["per_second"]
    return {
        "sizes": told,
        "share_at_largest": round(full / empty, 2),
        "ingest": {"1 worker": one, "2 workers": two},
        "second_worker": round(two["per_second"] / one["per_second"], 2),
    }


def _read_again(here: Site, role: str) -> None:
    """Have the next worker of a role begin where its topics begin."""
    group = f"{here.settings.app_id}-{role}"
    admin = AdminClient({"bootstrap.servers": here.settings.kafka})  # as long as it is held, its answer comes
    admin.delete_consumer_groups([group])[group].result(30)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.series", description="Workers, partitions, hubs and orders in series."
    )
    parser.add_argument("--only", default="", help=f"cases: {', '.join([GROWTH, *CASES])}")
    given = parser.parse_args()
    wanted = [name.strip() for name in given.only.split(",") if name.strip()] or [GROWTH, *CASES]
    for name in wanted:
        if name != GROWTH and name not in CASES:
            parser.error(f"there is no case {name!r}; there are {', '.join([GROWTH, *CASES])}")
    logging.basicConfig(level=logging.ERROR)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {text}", file=sys.stderr, flush=True)

    results: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    RESULT.parent.mkdir(exist_ok=True)
    with terminate_as_interrupt():
        for name in wanted:
            say(name)
            info = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
            results[name] = info | (growth(say) if name == GROWTH else search(CASES[name], say))
            RESULT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(summary(results))
    return 0


def summary(results: dict[str, Any]) -> str:
    """What is there, for a person."""
    lines = [f"{name:28} {results[name]['capacity']:>8,.0f} row changes/s" for name in CASES if name in results]
    if GROWTH in results:
        found = results[GROWTH]
        lines += [
            f"hub of {one['hub_rows']:>12,} rows more    ingest {one['ingest']['per_second']:>8,.0f}/s, assemble {one['assemble']['per_second']:>8,.0f}/s"
            for one in found["sizes"]
        ]
        lines.append(f"assemble, largest hub beside empty: {found['share_at_largest']} (target: 0.85)")
        lines.append(f"ingest, two workers beside one: {found['second_worker']} (target: 1.7, where cores are free)")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
