"""How long something took, in buckets: what Prometheus calls a histogram, for one writer and without a lock."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

BOUNDS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)
"""Upper bounds of the buckets, in seconds; a last one has no bound."""


class Timings:
    """Counts of durations by bucket, and their sum."""

    __slots__ = ("_counts", "total_s")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration. One below zero, of two clocks that differ, counts as zero."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds

    def buckets(self) -> Iterator[tuple[str, int]]:
        """(upper bound, how many were at most that long), as Prometheus takes them."""
        names = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
        return zip(names, accumulate(self._counts), strict=True)

    @property
    def count(self) -> int:
        return sum(self._counts)
