"""Compare two results of `opshub bench run`. A difference below the noise of the runs means nothing."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import Any

import msgspec


class Difference(msgspec.Struct):
    """`noise` is the fraction by which a figure varies within the runs themselves; `verdict` is `better`, `worse` or
    `same`.
    """

    name: str
    first: float
    second: float
    change: float
    noise: float
    verdict: str


def compare(first: dict[str, Any], second: dict[str, Any]) -> list[Difference]:
    """Latency, throughput, CPU and memory of two results."""
    noise = max(_noise(first), _noise(second), 0.02)
    differences: list[Difference] = []

    def add(name: str, a: float | None, b: float | None, least: float, less: bool = True) -> None:
        if not a or b is None:
            return
        change = b / a - 1
        verdict = "same" if abs(change) <= least else "better" if (change < 0) == less else "worse"
        differences.append(Difference(name, a, b, round(change, 3), round(least, 3), verdict))

    add("rows per second", first["rows_per_second"], second["rows_per_second"], noise, less=False)
    for place, percentiles in first["latency_ms"].items():
        other = second["latency_ms"].get(place, {})
        for name in ("p50", "p99", "p99.9"):
            # A high percentile rests on few values, so chance moves it more.
            count = (
                min(percentiles.get("count", 1), other.get("count", 1))
                * {"p50": 0.5, "p99": 0.01, "p99.9": 0.001}[name]
            )
            add(f"{place}, {name} ms", percentiles.get(name), other.get(name), noise + 1 / max(1.0, count) ** 0.5)
    for name, us in first["cpu_us_per_row"].items():
        add(f"CPU of {name}, us a row", us, second["cpu_us_per_row"].get(name), noise)
    for name, mb in first["memory_mb"].items():
        add(f"memory of {name}, MB", mb, second["memory_mb"].get(name), 0.05)
    return differences


def _noise(result: dict[str, Any]) -> float:
    """Standard error of the rate from second to second, as a fraction, in the longest phase."""
    samples = result["samples"]
    longest = max({s["phase"] for s in samples}, key=lambda p: sum(s["phase"] == p for s in samples), default="")
    seconds = [s for s in samples if s["phase"] == longest]
    rates = [now["rows_in"] - before["rows_in"] for before, now in pairwise(seconds)]
    mean = statistics.fmean(rates) if rates else 0.0
    return statistics.stdev(rates) / mean / len(rates) ** 0.5 if len(rates) > 2 and mean else 0.1
