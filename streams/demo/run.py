"""The demo: start everything, let the company work, wait until nothing is in flight, compare all databases and topics.

In: settings and a plan. Out: a `DemoResult`. What the demo started is stopped at its end, unless the plan says `keep`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import msgspec
import psycopg

from streams.demo.drain import drain, raw_records
from streams.demo.identity_check import check_identity
from streams.demo.statements import count
from streams.demo.story import deal_story
from streams.demo.supply_check import check_supply
from streams.demo.systems import is_empty
from streams.demo.watch import WorkerTotals, worker_totals
from streams.demo.writeback_check import check_writeback, wait_delivered
from streams.paths import connectors_dir
from streams.provision.differences import apply
from streams.provision.systems import System, capture_dsn, load_systems
from streams.resolve.ownership import load_ownership
from streams.settings import Settings
from streams.simulator.company import Company
from streams.simulator.setup import dsn_of, setup_demo
from streams.stack.environment import load_env
from streams.stack.launch import Report
from streams.stack.native import NativeStack
from streams.stack.worker_stats import worker_stats
from streams.stack.workers import start_pair, stop_all_workers
from streams.verify.compare import verify
from streams.verify.comparison import Comparison

PROCESSES_OF_A_WORKER = 2
"""Ingest is one, assemble with deliver the other."""

DRAIN_SECONDS = 300.0
"""Longest wait until nothing is in flight: a history of thousands of orders on a slow machine takes minutes."""


class DemoPlan(msgspec.Struct, frozen=True):
    """What the demo does. `rate` is row changes per second over both databases."""

    seconds: float = 60.0
    rate: float = 200.0
    workers: int = 1
    customers: int = 500
    orders: int = 1000
    seed: int = 1
    keep: bool = False
    warm_up: float = 15.0
    """Seconds of work before the measured ones: two virtual machines and a broker first compile what they run often."""


class DemoProgress(msgspec.Struct):
    """The state of the demo, for whoever shows it."""

    phase: str = ""
    workers: WorkerTotals = msgspec.field(default_factory=WorkerTotals)
    row_changes: int = 0
    """What the company has committed."""
    behind_ms: float = 0.0
    """How late the company is."""
    elapsed: float = 0.0
    console: str = ""
    is_measured: bool = False
    """Whether latencies count: not while history is read and the Java servers compile what they run often."""


class Lag(msgspec.Struct, frozen=True):
    """Records that were not read yet, twice a second while the company worked: medians of both halves of the time.

    None where no moment was seen at which all workers reported.
    """

    max: int | None = None
    first_half: int | None = None
    second_half: int | None = None
    last: int | None = None


class DemoResult(msgspec.Struct, frozen=True):
    """What `opshub demo --json` prints."""

    rows_in: int
    records_out: int
    lost: int
    doubled: int
    differing: int
    gone_back: int
    dead: int
    rate: float
    latency_ms: dict[str, float]
    warm_up_seconds: float
    """Work before the measured one. With little of it the figures are those of virtual machines that still compile."""
    source_rows: int
    entities: int
    behind_ms: float
    seconds: float
    examples: list[str]
    verdict: str
    """`equal` or `different`"""
    lag: Lag
    identity: dict[str, object]
    writeback: dict[str, object]
    supply: dict[str, object]
    """What order lines wait for: `sentence` for people."""
    story: list[str] = []
    """One deal on its way from won to paid, in lines."""
    console: str | None = None
    """The console's address; it answers after the demo only with `keep`."""


class _Work(NamedTuple):
    """What was measured while the company worked."""

    rows: int
    """Records that came into the raw topics in this run, those of the history included where this run loaded it."""
    rows_per_second: float
    seconds: float
    """From the first transaction until nothing was in flight."""
    lags: list[int]
    workers: WorkerTotals


class _Demo:
    """One run, with what its steps share. The steps are called in their order here."""

    def __init__(
        self, settings: Settings, plan: DemoPlan, report: Report, show: Callable[[DemoProgress], None], console: str
    ):
        self._settings = settings
        self._plan = plan
        self._report = report
        self._show = show
        self._progress = DemoProgress()
        self._console = console
        self._env = load_env(settings)
        self._rows_before = 0
        """Records in the raw topics that earlier runs left."""

    def phase(self, text: str) -> None:
        """Show the start of a step."""
        self._progress.phase = text
        self._report("demo", text, None)
        self._show(self._progress)

    def make_company(self) -> Company:
        """The demo databases and the company that works on them."""
        plan, env = self._plan, self._env
        self.phase("making the demo databases")
        setup_demo(env, connectors_dir(self._settings))
        # Facts are kept beside the databases, so that a later demo also checks what this one planted.
        facts, is_new = self._settings.state_dir / "demo-facts.jsonl", is_empty(env)
        self._is_new = is_new
        if is_new:
            facts.unlink(missing_ok=True)
        company = Company(
            seed=plan.seed,
            crm_dsn=dsn_of(env, "DEMO_CRM", "APP"),
            erp_dsn=dsn_of(env, "DEMO_ERP", "APP"),
            journal=facts,
            journal_commits=False,
        )
        if is_new:
            self.phase(f"loading history: {plan.customers} customers, {plan.orders} orders")
            company.load_history(customers=plan.customers, orders=plan.orders)
        return company

    def start_workers(self) -> list[System]:
        """Topics, schemas, connectors and workers; returns when they have read the history."""
        settings, workers = self._settings, self._plan.workers
        self.phase("topics, schemas, connectors")
        systems = load_systems(settings)
        if not self._is_new:
            self._rows_before = raw_records(settings, systems)
        apply(settings, systems, progress=self.phase)
        self.phase(f"starting {workers} worker{'s' if workers > 1 else ''}")
        for number in range(workers):
            start_pair(settings.model_copy(update={"metrics_port": settings.metrics_port + 2 * number}), f"w{number}")
        self.phase("catching up with history")
        self._drain(systems)
        self._show_console()
        return systems

    def _show_console(self) -> None:
        """Say where the console is: from now on it has something to show, and the picture on its first page moves."""
        if self._settings.console == "off":
            return
        log = self._settings.state_dir.absolute() / "logs" / "console.log"
        self._report("console", f"at {self._console}" if self._console else f"does not answer yet: see {log}", 1.0)
        self._progress.console = self._console
        self._show(self._progress)

    def work(self, company: Company, systems: list[System]) -> _Work:
        """Let the company work at its rate, and wait until nothing is in flight."""
        settings, plan = self._settings, self._plan
        if plan.warm_up:
            self.phase(f"warming up: {plan.rate:g} row changes/s for {plan.warm_up:g} s, not measured")
            self._run_company(company, plan.warm_up)
            self._drain(systems)
        worker_stats(settings, reset=True)
        self._progress.is_measured = True
        rows_before = raw_records(settings, systems)
        self.phase(f"the company works: {plan.rate:g} row changes/s for {plan.seconds:g} s")
        started = time.monotonic()
        worked, lags = self._run_company(company, plan.seconds)
        self.phase("waiting until nothing is in flight")
        for _ in range(6):  # a delivery comes back as changes, which may cause further deliveries
            self._drain(systems)
            if wait_delivered(settings.hub, seconds=0.0):
                break
            wait_delivered(settings.hub, seconds=15)
        took = time.monotonic() - started
        rows = raw_records(settings, systems)
        return _Work(
            rows - self._rows_before, (rows - rows_before) / max(worked, 0.001), took, lags, worker_totals(settings)
        )

    def compare(self, company: Company, systems: list[System], work: _Work) -> DemoResult:
        """Compare databases, hub and topics, and check what the company planted."""
        settings, env = self._settings, self._env
        self.phase("comparing databases, hub and topics")
        dsns = {system.name: capture_dsn(system, env) for system in systems}
        ownership = load_ownership(connectors_dir(settings) / "ownership.yaml")
        verdict = verify(settings, systems, dsns, ownership, progress=self.phase)
        facts = company.journal.facts
        crm, erp = dsn_of(env, "DEMO_CRM", "APP"), dsn_of(env, "DEMO_ERP", "APP")
        identity = check_identity(settings.hub, erp, facts)
        written = check_writeback(settings.hub, crm, erp, facts, worker_stats(settings))
        supplied = check_supply(settings.hub, erp, facts)
        with psycopg.connect(settings.hub) as hub:
            dead = count(hub, "dead_letters")
        return _result(
            verdict,
            dead,
            work,
            company.stats()["behind_ms"],
            self._plan.warm_up,
            identity=msgspec.to_builtins(identity) | {"holds": identity.holds},
            writeback=msgspec.to_builtins(written) | {"holds": written.holds},
            supply=msgspec.to_builtins(supplied) | {"holds": supplied.holds, "sentence": supplied.sentence},
        )

    def _drain(self, systems: list[System]) -> None:
        def show(now: WorkerTotals) -> None:
            self._progress.workers = now
            self._show(self._progress)

        drain(self._settings, systems, self._env, seconds=DRAIN_SECONDS, on_totals=show)

    def _run_company(self, company: Company, seconds: float) -> tuple[float, list[int]]:
        """Run the company in a thread of its own and show the figures: (seconds that it worked, lag in records twice a
        second).
        """
        lags: list[int] = []
        failures: list[BaseException] = []

        def work() -> None:
            try:
                company.run(rate=self._plan.rate, seconds=seconds)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=work, name="company", daemon=True)
        started = time.monotonic()
        thread.start()
        progress = self._progress
        while thread.is_alive():
            thread.join(0.5)
            progress.elapsed = time.monotonic() - started
            progress.workers = worker_totals(self._settings)
            if progress.workers.workers >= PROCESSES_OF_A_WORKER * self._plan.workers:
                lags.append(progress.workers.lag)  # else the lag is not known: a process has not reported
            stats = company.stats()
            progress.row_changes, progress.behind_ms = stats["row_changes"], stats["behind_ms"]
            self._show(progress)
        if failures:
            raise failures[0]
        return time.monotonic() - started, lags


def run_demo(settings: Settings, plan: DemoPlan, report: Report, show: Callable[[DemoProgress], None]) -> DemoResult:
    """Run the demo. `report` gets the steps of each server, `show` the state of the whole, several times a second.

    Raises EnvironmentFault when a server cannot be started, goes away or is too slow.
    """
    if "partitions" not in settings.model_fields_set:
        # A Kafka transaction costs the broker for each partition that it writes to: no more partitions than workers.
        settings = settings.model_copy(update={"partitions": max(1, plan.workers)})
    stack = NativeStack(settings)
    stack.up(progress=report)
    company: Company | None = None
    try:
        # Now, so that it is warm; its address is shown when there is something to see.
        console = stack.start_console()
        demo = _Demo(stack.settings, plan, report, show, console or "")
        company = demo.make_company()
        systems = demo.start_workers()
        work = demo.work(company, systems)
        result = demo.compare(company, systems, work)
        return msgspec.structs.replace(result, story=deal_story(stack.settings.hub, console), console=console)
    finally:
        if company is not None:
            company.close()
        if not plan.keep:
            stop_all_workers(stack.settings, report)
            stack.down(progress=report)


def _result(
    verdict: Comparison,
    dead: int,
    work: _Work,
    behind_ms: float,
    warm_up: float,
    *,
    identity: dict[str, object],
    writeback: dict[str, object],
    supply: dict[str, object],
) -> DemoResult:
    half = len(work.lags) // 2
    differences = supply["examples"]
    assert isinstance(differences, list)
    return DemoResult(
        rows_in=work.rows,
        records_out=verdict.records,
        lost=verdict.lost,
        doubled=verdict.doubled,
        differing=verdict.differing,
        gone_back=verdict.gone_back,
        dead=dead,
        rate=round(work.rows_per_second, 1),
        latency_ms=work.workers.latency_ms(),
        warm_up_seconds=warm_up,
        source_rows=verdict.source_rows,
        entities=verdict.entities,
        behind_ms=behind_ms,
        seconds=round(work.seconds, 1),
        examples=[*verdict.examples, *differences],
        verdict="equal" if verdict.holds and dead == 0 and supply["holds"] else "different",
        lag=Lag(
            max=max(work.lags),
            first_half=round(median(work.lags[:half] or work.lags)),
            second_half=round(median(work.lags[half:])),
            last=work.lags[-1],
        )
        if work.lags
        else Lag(),
        identity=identity,
        writeback=writeback,
        supply=supply,
    )
