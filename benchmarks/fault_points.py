"""The cost of named fault points that are off: `python -m benchmarks.fault_points`.

A batch of any size passes five fault points. The result is the fastest of several runs minus an empty loop, and its
share of the time that ingest needs for a batch of one row.
"""

from __future__ import annotations

import timeit

from streams.runtime.fault_points import armed

CALLS = 1_000_000
POINTS = ("ingest.read", "ingest.pure", "ingest.hub", "ingest.produced", "ingest.committed")


def nanoseconds(statement: str, **names: object) -> float:
    """Nanoseconds of one execution."""
    return min(timeit.repeat(statement, number=CALLS, repeat=7, globals=names)) / CALLS * 1e9


def main() -> None:
    off = armed("")
    batch = nanoseconds("; ".join(f"hit({point!r})" for point in POINTS), hit=off) - nanoseconds("pass")
    elsewhere = armed("deliver.target:kill:1")
    on = nanoseconds("; ".join(f"hit({point!r})" for point in POINTS), hit=elsewhere) - nanoseconds("pass")
    print(
        f"five points of a batch: {batch:.0f} ns off ({batch / 5:.0f} ns each), {on:.0f} ns while another point is armed"
    )
    print(
        f"of a batch of 1,000 rows at 30 us each: {batch / (1000 * 30_000) * 100:.5f} %; of one row alone: {batch / 30_000 * 100:.2f} %"
    )


if __name__ == "__main__":
    main()
