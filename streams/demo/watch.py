"""Watch the workers from outside: their figures, summed over all of them."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from hdrh.histogram import HdrHistogram

from streams.settings import Settings
from streams.stack.worker_stats import worker_stats


class Figures(msgspec.Struct):
    """All workers together, now."""

    workers: int = 0
    partitions: int = 0
    rows_in: int = 0
    records_out: int = 0
    dead: int = 0
    lag: int = 0
    histograms: list[str] = []
    """Commit to hub of each worker, encoded."""
    slowest: str = ""
    waiting: str = ""

    def latency_ms(self) -> dict[str, float]:
        """p50, p99 and max of all workers; zeros while nothing was measured."""
        merged = HdrHistogram(1, 3_600_000_000, 3)
        for one in self.histograms:
            merged.decode_and_add(one)
        if not merged.get_total_count():
            return {"p50": 0.0, "p99": 0.0, "max": 0.0}
        told = (merged.get_value_at_percentile(50), merged.get_value_at_percentile(99), merged.get_max_value())
        return {name: round(us / 1000, 1) for name, us in zip(("p50", "p99", "max"), told, strict=True)}


def figures(settings: Settings) -> Figures:
    """The workers' figures, summed."""
    total = Figures()
    slowest_us = 0
    for worker in worker_stats(settings):
        total.workers += 1
        total.waiting = worker["waiting"] or total.waiting
        for name, lane in worker["lanes"].items():
            total.partitions += len(lane["partitions"])
            total.lag += lane["lag_records"]
            total.dead += lane["counts"].get("dead", 0)
            if name == "ingest":
                total.rows_in += lane["counts"].get("rows_in", 0)
            if name == "assemble":
                total.records_out += lane["records_out"]
        total.histograms.append(worker["latency"]["hdr_histogram"])
        if worker["latency"]["slowest"]["latency_us"] > slowest_us:
            slowest_us = worker["latency"]["slowest"]["latency_us"]
            total.slowest = f"{worker['latency']['slowest']['aggregate_id']} ({slowest_us / 1000:,.0f} ms)"
    return total


def wait_quiet(settings: Settings, partitions: int, *, seconds: float, tick: Any = lambda _: None) -> bool:
    """Wait until the workers hold all `partitions` and have nothing left to read, twice in a row; False when time ran out."""
    end = time.monotonic() + seconds
    quiet = 0
    last = -1
    while time.monotonic() < end:
        now = figures(settings)
        tick(now)
        done = now.rows_in + now.records_out
        quiet = quiet + 1 if now.lag == 0 and now.partitions >= partitions and done == last else 0
        last = done
        if quiet >= 3:
            return True
        time.sleep(0.25)
    return False
