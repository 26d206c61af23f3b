"""Bring everything up, let the company live, wait until nothing is in flight, compare everything with everything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import msgspec
import psycopg

from streams.demo.drain import drain, raw_records
from streams.demo.identity_check import check_identity
from streams.demo.watch import Figures, figures
from streams.demo.writeback_check import check_writeback, wait_delivered
from streams.paths import connectors_dir
from streams.provision.differences import apply
from streams.provision.systems import capture_dsn, load_systems
from streams.resolve.ownership import load_ownership
from streams.settings import Settings
from streams.simulator.company import Company
from streams.simulator.setup import dsn_of, setup_demo
from streams.stack.environment import load_env
from streams.stack.launch import Report
from streams.stack.native import NativeStack
from streams.stack.worker_stats import worker_stats
from streams.stack.workers import start_pair, stop_all_workers
from streams.verify.compare import Verdict, verify


class Plan(msgspec.Struct, frozen=True):
    """What is to be shown. `rate` is row changes per second over both databases."""

    seconds: float = 60.0
    rate: float = 200.0
    workers: int = 1
    customers: int = 500
    orders: int = 1000
    seed: int = 1
    keep: bool = False
    warm_up: float = 0.0
    """Seconds that the company lives before anything is measured: two virtual machines and a broker compile what they run often."""


class Show(msgspec.Struct):
    """Where the demo stands, for whoever draws it."""

    phase: str = ""
    figures: Figures = msgspec.field(default_factory=Figures)
    simulator: dict[str, Any] = {}
    elapsed: float = 0.0


def run_demo(settings: Settings, plan: Plan, report: Report, draw: Callable[[Show], None]) -> dict[str, Any]:
    """Run the demo; the verdict comes back as the object that `--json` prints. What it started is stopped again, but for `plan.keep`."""
    if "partitions" not in settings.model_fields_set:
        # A transaction costs the broker for each partition that it writes to: no more of them than there are workers.
        settings = settings.model_copy(update={"partitions": max(1, plan.workers)})
    stack = NativeStack(settings)
    show = Show()

    def phase(text: str) -> None:
        show.phase = text
        report("demo", text, None)
        draw(show)

    stack.up(progress=report)
    settings = stack.settings
    company: Company | None = None
    try:
        env = load_env(settings)
        phase("making the demo databases")
        setup_demo(env, connectors_dir(settings))
        facts, empty = settings.state_dir / "demo-facts.jsonl", _empty(env)
        if empty:
            facts.unlink(missing_ok=True)
        # Kept beside the databases: a later demo on them is held to what this one planted, too.
        company = Company(
            seed=plan.seed,
            crm_dsn=dsn_of(env, "DEMO_CRM", "APP"),
            erp_dsn=dsn_of(env, "DEMO_ERP", "APP"),
            journal=facts,
            journal_commits=False,
        )
        if empty:
            phase(f"loading history: {plan.customers} customers, {plan.orders} orders")
            company.load_history(customers=plan.customers, orders=plan.orders)
        phase("topics, schemas, connectors")
        systems = load_systems(settings)
        apply(settings, systems, progress=phase)
        phase(f"starting {plan.workers} worker{'s' if plan.workers > 1 else ''}")
        for number in range(plan.workers):
            start_pair(settings.model_copy(update={"metrics_port": settings.metrics_port + 2 * number}), f"w{number}")
        phase("catching up with history")

        def tick(now: Figures) -> None:
            show.figures = now
            draw(show)

        drain(settings, systems, env, seconds=300, tick=tick)
        if plan.warm_up:
            phase(f"warming up: {plan.rate:g} row changes/s for {plan.warm_up:g} s, not measured")
            _live(settings, plan.rate, plan.warm_up, company, show, draw)
            drain(settings, systems, env, seconds=300, tick=tick)
        worker_stats(settings, reset=True)
        before = raw_records(settings, systems)
        phase(f"the company lives: {plan.rate:g} row changes/s for {plan.seconds:g} s")
        started = time.monotonic()
        lived, lags = _live(settings, plan.rate, plan.seconds, company, show, draw)
        phase("waiting until nothing is in flight")
        for _ in range(6):  # what is delivered comes back as changes, which may give rise to more
            drain(settings, systems, env, seconds=300, tick=tick)
            if wait_delivered(settings.hub, seconds=0.0):
                break
            wait_delivered(settings.hub, seconds=15)
        took = time.monotonic() - started
        rows = raw_records(settings, systems)
        last = figures(settings)
        phase("comparing databases, hub and topics")
        dsns = {system.name: capture_dsn(system, env) for system in systems}
        verdict = verify(
            settings, systems, dsns, load_ownership(connectors_dir(settings) / "ownership.yaml"), progress=phase
        )
        identity = check_identity(settings.hub, dsn_of(env, "DEMO_ERP", "APP"), company.journal.facts)
        told = _told(settings, verdict, rows, (rows - before) / max(lived, 0.001), took, last, company.stats())
        half = len(lags) // 2
        told["lag"] = {
            "max": max(lags),
            "first_half": round(median(lags[:half] or lags)),
            "second_half": round(median(lags[half:])),
            "last": lags[-1],
        }
        told["identity"] = msgspec.to_builtins(identity) | {"holds": identity.holds}
        written = check_writeback(
            settings.hub, dsn_of(env, "DEMO_CRM", "APP"), dsn_of(env, "DEMO_ERP", "APP"), company.journal.facts, worker_stats(settings)
        )  # fmt: skip
        told["writeback"] = msgspec.to_builtins(written) | {"holds": written.holds}
        return told
    finally:
        if company is not None:
            company.close()
        if not plan.keep:
            stop_all_workers(settings, report)
            stack.down(progress=report)


def _live(
    settings: Settings, rate: float, seconds: float, company: Company, show: Show, draw: Callable[[Show], None]
) -> tuple[float, list[int]]:
    """Run the company in a thread of its own while the figures are drawn: (seconds that it lived, lag in records twice a second)."""
    lags: list[int] = []
    failed: list[BaseException] = []

    def live() -> None:
        try:
            company.run(rate=rate, seconds=seconds)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=live, name="company", daemon=True)
    started = time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(0.5)
        show.elapsed = time.monotonic() - started
        show.figures = figures(settings)
        lags.append(show.figures.lag)
        show.simulator = company.stats()
        draw(show)
    if failed:
        raise failed[0]
    return time.monotonic() - started, lags


def _empty(env: dict[str, str]) -> bool:
    with psycopg.connect(dsn_of(env, "DEMO_CRM", "APP")) as connection:
        row = connection.execute("SELECT NOT EXISTS (SELECT FROM account)").fetchone()
    return bool(row and row[0])


def _told(
    settings: Settings, verdict: Verdict, rows: int, rate: float, took: float, last: Figures, simulator: dict[str, Any]
) -> dict[str, Any]:
    with psycopg.connect(settings.hub) as connection:
        row = connection.execute("SELECT count(*) FROM dead_letter WHERE state = 'dead'").fetchone()
    dead = int(row[0]) if row else 0
    holds = verdict.holds and dead == 0
    return {
        "rows_in": rows,
        "records_out": verdict.records,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "differing": verdict.differing,
        "gone_back": verdict.gone_back,
        "dead": dead,
        "rate": round(rate, 1),
        "latency_ms": last.latency_ms(),
        "source_rows": verdict.source_rows,
        "entities": verdict.entities,
        "behind_ms": simulator.get("behind_ms"),
        "seconds": round(took, 1),
        "examples": verdict.examples,
        "verdict": "equal" if holds else "different",
    }
