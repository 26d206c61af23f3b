"""Figures of the workers, read from outside over HTTP and summed over all of them."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from hdrh.histogram import HdrHistogram

from streams.settings import Settings
from streams.stack.worker_stats import worker_stats

HIGHEST_US = 3_600_000_000
"""Highest latency of the workers' histograms: an hour. Merging needs the same bounds as `streams/runtime/health.py`."""


class WorkerTotals(msgspec.Struct):
    """Figures of all workers together, at one moment."""

    workers: int = 0
    partitions: int = 0
    rows_in: int = 0
    records_out: int = 0
    dead: int = 0
    lag: int = 0
    """Records that are not read yet."""
    histograms: list[str] = []
    """Time from commit to hub of each worker: encoded HDR histograms."""
    slowest: str = ""
    waiting: str = ""
    """What a worker waits for, empty when none waits."""

    def latency_ms(self) -> dict[str, float]:
        """p50, p99 and max of all workers; zeros when nothing was measured."""
        merged = HdrHistogram(1, HIGHEST_US, 3)
        for histogram in self.histograms:
            merged.decode_and_add(histogram)
        if not merged.get_total_count():
            return {"p50": 0.0, "p99": 0.0, "max": 0.0}
        micros = {
            "p50": merged.get_value_at_percentile(50),
            "p99": merged.get_value_at_percentile(99),
            "max": merged.get_max_value(),
        }
        return {name: round(us / 1000, 1) for name, us in micros.items()}


def worker_totals(settings: Settings) -> WorkerTotals:
    """The figures of all workers that answer, summed."""
    total = WorkerTotals()
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


def wait_idle(
    settings: Settings,
    partitions: int,
    *,
    seconds: float,
    on_totals: Callable[[WorkerTotals], None] = lambda _: None,
) -> bool:
    """Wait until the workers hold all `partitions` and read nothing more. Returns False when time ran out.

    `on_totals` is called with the figures at each check.
    """
    end = time.monotonic() + seconds
    idle_checks = 0
    last = -1
    while time.monotonic() < end:
        now = worker_totals(settings)
        on_totals(now)
        done = now.rows_in + now.records_out
        idle_checks = idle_checks + 1 if now.lag == 0 and now.partitions >= partitions and done == last else 0
        last = done
        # Between ingest and assemble a record is in no lane's lag for a moment: one check alone could miss it.
        if idle_checks >= 3:
            return True
        time.sleep(0.25)
    return False
