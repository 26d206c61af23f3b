"""The simulated company at work on demo systems that run elsewhere, until it is stopped.

In: DEMO_CRM_… and DEMO_ERP_… variables, a rate. Out: ordinary transactions, and a line of figures every few seconds.
Promised: it goes on after a database was away, as the applications of a company would.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from streams.errors import AccessDenied, EnvironmentFault
from streams.simulator.company import Company
from streams.simulator.setup import dsn_of

REPORT_EVERY_S = 10.0
AWAY_PAUSE_S = 2.0
"""Seconds between two tries to reach a database that went away."""


class TrafficPlan(msgspec.Struct, frozen=True):
    """`rate`: row changes a second over both systems. `seconds`: 0 means until it is stopped."""

    rate: float
    seconds: float
    seed: int = 1
    journal: Path | None = None
    """File for what is committed and planted."""


class TrafficTotals(msgspec.Struct):
    """What was committed. A database that goes away leaves the outcome of the transactions in flight unknown."""

    row_changes: int = 0
    transactions: int = 0
    failed: int = 0
    outages: int = 0


def make_traffic(
    env: Mapping[str, str], plan: TrafficPlan, stopping: threading.Event, report: Callable[[str], object]
) -> TrafficTotals:
    """Work until `stopping` is set or the time is over. Raises ConfigError for a variable that is missing, and
    EnvironmentFault when the first session cannot be opened, or a login is refused.
    """
    totals = TrafficTotals()
    end = time.monotonic() + plan.seconds if plan.seconds else None
    has_worked = False
    while not stopping.is_set() and (end is None or time.monotonic() < end):
        try:
            _work_until_outage(env, plan, stopping, end, totals, report)
            break
        except AccessDenied:
            raise
        except EnvironmentFault as away:
            if not has_worked and not totals.row_changes:
                raise
            totals.outages += 1
            report(f"a database is away, tried again in {AWAY_PAUSE_S:g} s: {away}")
            stopping.wait(AWAY_PAUSE_S)
        has_worked = True
    return totals


def _work_until_outage(
    env: Mapping[str, str],
    plan: TrafficPlan,
    stopping: threading.Event,
    end: float | None,
    totals: TrafficTotals,
    report: Callable[[str], object],
) -> None:
    """One company, from its first session to the end of its last one; what it did is added to `totals`."""
    with Company(
        # A seed of its own for each life: the same one would repeat operations on rows that are not new any more.
        plan.seed + totals.outages,
        dsn_of(env, "DEMO_CRM", "APP"),
        dsn_of(env, "DEMO_ERP", "APP"),
        journal=plan.journal,
    ) as company:
        done = threading.Event()
        reporter = threading.Thread(target=_report, args=(company, done, report), name="traffic figures", daemon=True)
        reporter.start()
        try:
            seconds = None if end is None else max(0.0, end - time.monotonic())
            company.run(rate=plan.rate, seconds=seconds, stop_event=stopping)
        finally:
            done.set()
            reporter.join()
            stats = company.stats()
            totals.row_changes += stats["row_changes"]
            totals.transactions += stats["transactions"]
            totals.failed += stats["failed"]


def _report(company: Company, done: threading.Event, report: Callable[[str], object]) -> None:
    before, at = 0, time.monotonic()
    while not done.wait(REPORT_EVERY_S):
        stats, now = company.stats(), time.monotonic()
        rate = (stats["row_changes"] - before) / (now - at)
        before, at = stats["row_changes"], now
        report(
            f"{before:,} row changes, {rate:,.0f}/s, {stats['failed']:,} transactions refused, "
            f"{stats['behind_ms']:,.0f} ms behind schedule"
        )
