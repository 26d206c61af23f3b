"""Search for the highest rate at which lag does not grow and p99 stays below a limit.

In: a site, a limit, bounds. Out: every trial and the capacity.
(1) The JVMs warm up: they compile for most of a minute, which would otherwise be measured.
(2) The rate doubles until a trial fails, or is halved until one succeeds.
(3) The span between the last success and the first failure is halved until it is small enough.
(4) With a soak, a longer run at nine tenths of the result confirms it; when it fails, the result is lowered to that
rate
    and soaked again.
"""

from __future__ import annotations

import msgspec

from benchmarks.run import run_workload, warm_up
from benchmarks.site import Say, Site
from benchmarks.workload import Phase, Workload

SOAK_AT = 0.9
"""Fraction of the capacity at which the soak runs."""

LEAST = 10.0
"""Lowest rate that is tried."""


class Trial(msgspec.Struct):
    rate: float
    seconds: float
    holds: bool
    p99_ms: float | None
    drain_s: float
    lag_slope: float
    """Records a second by which the lag grew."""
    behind_ms: float
    memory_mb: dict[str, float] = {}
    """Process → resident memory at the end."""
    against: list[str] = []
    """Reasons for a failure."""


def capacity(
    site: Site,
    *,
    low: float,
    high: float,
    p99_ms: float,
    seconds: float,
    workers: int,
    within: float,
    say: Say,
    like: Workload | None = None,
    warm_seconds: float = 0.0,
    soak_seconds: float = 0.0,
) -> tuple[float, list[Trial]]:
    """Capacity in row changes a second, with a precision of the fraction `within`, and all trials.

    `like`: the workload whose mix, skew and sizes are used. `warm_seconds`: time at `low` before the first trial.
    With `soak_seconds`, the last trial is the soak that succeeded.
    """
    trials: list[Trial] = []
    shape = like or Workload("capacity", [])

    def holds(rate: float, seconds: float = seconds) -> bool:
        phases = [Phase(min(30.0, max(3.0, seconds / 4)), rate, "warm", False), Phase(seconds, rate, "steady")]
        wanted = msgspec.structs.replace(
            shape, name=f"capacity {rate:g}", phases=phases, workers=workers, probe_every=0.1
        )
        result = run_workload(site, wanted, say)
        lags = [(s.at, float(s.lag)) for s in result.samples if s.phase == "steady"]
        slope, p99, behind = _slope(lags), result.latency_ms.get("hub", {}).get("p99"), result.behind_ms_max
        against = []
        if p99 is None or p99 > p99_ms:
            against.append(f"p99 is over {p99_ms:g} ms")
        if slope >= (most := rate * min(0.02, 1 / seconds)):  # over the whole trial, by the records of one second
            against.append(f"lag may grow by {most:.0f}/s")
        if result.lag_end >= rate:
            against.append(f"{result.lag_end:,} records were left at the end")
        if behind >= 1000:
            against.append(f"writers were {behind:,.0f} ms behind their schedule, so the sources did not take it")
        trials.append(
            Trial(rate, seconds, not against, p99, result.drain_s, round(slope, 1), behind, result.memory_mb, against)
        )
        outcome = f"does not hold ({'; '.join(against)})" if against else "holds"
        say(f"{rate:g}/s {outcome}: p99 {p99} ms, lag grows by {slope:.0f}/s")
        return not against

    warm_up(site, msgspec.structs.replace(shape, workers=workers), low, warm_seconds, say)
    best, worst, rate = 0.0, high, low
    while rate < high:
        if not holds(rate):
            worst = rate
            break
        best, rate = rate, rate * 2
    while not best and worst / 2 >= LEAST:
        if holds(worst / 2):
            best = worst / 2
        else:
            worst /= 2
    while best and worst - best > within * best:
        middle = round((best + worst) / 2)
        if holds(middle):
            best = middle
        else:
            worst = middle
    while soak_seconds and best >= LEAST and not holds(round(best * SOAK_AT), soak_seconds):
        best = round(best * SOAK_AT)
    return best, trials


def _slope(points: list[tuple[float, float]]) -> float:
    """Slope of the least-squares line."""
    if len(points) < 3:
        return 0.0
    mx, my = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    spread = sum((x - mx) ** 2 for x, _ in points)
    return sum((x - mx) * (y - my) for x, y in points) / spread if spread else 0.0
