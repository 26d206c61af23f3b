"""The demo with two real systems: people win deals in Creme, opshub carries them to Tryton and back; all is compared.

In: settings and a plan. Out: a `RealResult`. What the demo started is stopped at its end, unless the plan says `keep`.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from statistics import median

import msgspec
import psycopg

from streams.demo.drain import drain
from streams.demo.real.check import DealsVerdict, check_deals, open_deals
from streams.demo.real.pair import RealPair, write_pair_environment
from streams.demo.real.people import Done, People
from streams.demo.statements import count
from streams.demo.writeback_check import wait_delivered
from streams.errors import EnvironmentFault
from streams.paths import connectors_dir, shipped_connectors_dir
from streams.provision.differences import apply
from streams.provision.systems import System, capture_dsn, load_systems
from streams.resolve.ownership import load_ownership
from streams.settings import Settings
from streams.stack.launch import Report
from streams.stack.native import NativeStack
from streams.stack.processes import tail
from streams.stack.workers import list_workers, start_pair, stop_all_workers
from streams.verify.compare import verify

SYSTEMS = ["creme", "tryton"]
SETTLES_WITHIN_S = 600.0
"""Longest wait until every deal that was won is paid in Tryton and shown in Creme."""


class RealPlan(msgspec.Struct, frozen=True):
    """What the demo does. `deals` is how many are won each second, which Creme's forms may not keep up with."""

    seconds: float = 60.0
    deals: float = 0.5
    seed: int = 1
    keep: bool = False


class RealResult(msgspec.Struct, frozen=True):
    """What `opshub demo --systems creme,tryton --json` prints."""

    deals: DealsVerdict
    customers: int
    shipped: int
    invoiced: int
    paid: int
    refused: list[str]
    """What a system said no to, in its words; people tried again."""
    won_to_sale_s: float | None
    """Median from the moment in which a deal was won to the sale in Tryton."""
    lost: int
    doubled: int
    differing: int
    gone_back: int
    dead: int
    source_rows: int
    seconds: float
    examples: list[str]
    verdict: str
    """`equal` or `different`"""
    state_dir: str
    console: str | None = None


def real_settings(settings: Settings) -> Settings:
    """Settings of a stack of its own, below the usual state folder: another hub, other topics, other connectors."""
    state = settings.state_dir / "creme-tryton"
    return settings.model_copy(
        update={"systems": SYSTEMS, "state_dir": state, "connectors_dir": state / "connectors", "partitions": 1}
    )


def _copy_connectors(settings: Settings) -> None:
    """A folder of connectors as a company has it: its systems, and who of them owns what."""
    assert settings.connectors_dir is not None
    for name in SYSTEMS:
        shutil.copytree(shipped_connectors_dir() / name, settings.connectors_dir / name, dirs_exist_ok=True)
    shutil.copy(Path(__file__).parent / "ownership.yaml", settings.connectors_dir / "ownership.yaml")


def run_real_demo(settings: Settings, plan: RealPlan, report: Report) -> RealResult:
    """Run it. Raises EnvironmentFault when a server cannot be started, goes away or is too slow."""
    settings = real_settings(settings)
    _copy_connectors(settings)
    write_pair_environment(settings)
    stack = NativeStack(settings, mariadb=True)
    stack.up(progress=report)
    pair: RealPair | None = None
    try:
        pair = RealPair(stack.settings, report)
        pair.up()
        people = People(pair, plan.seed)
        report("people", "the same products in both systems", None)
        people.prepare()
        systems = _start(stack.settings, pair, report)
        console = stack.start_console(report)
        started = time.monotonic()
        _work(stack.settings, pair, people, plan, report)
        _drain(stack.settings, systems, pair, report)
        return _compare(stack.settings, systems, pair, people.done, time.monotonic() - started, console, report)
    finally:
        if not plan.keep:
            stop_all_workers(stack.settings, report)
            if pair is not None:
                pair.down()
            stack.down(progress=report)


def _start(settings: Settings, pair: RealPair, report: Report) -> list[System]:
    report("demo", "topics, schemas, connectors, hub tables", None)
    systems = load_systems(settings)
    pair.let_capture(systems)
    apply(settings, systems, progress=lambda text: report("demo", text, None))
    start_pair(settings, "w0")
    return systems


def _work(settings: Settings, pair: RealPair, people: People, plan: RealPlan, report: Report) -> None:
    report("demo", f"people work for {plan.seconds:g} s", None)
    shown = [0.0]

    def show(done: Done) -> None:
        if time.monotonic() - shown[0] > 5:
            shown[0] = time.monotonic()
            report("people", f"{len(done.won)} deals won, {done.shipped} shipped, {done.paid} invoices paid", None)

    people.work(plan.seconds, plan.deals, show)
    report("demo", "waiting until every deal is shipped, invoiced and paid", None)
    people.settle(lambda: _workers_run(settings) and not open_deals(pair, people.done), SETTLES_WITHIN_S)
    show(people.done)


def _workers_run(settings: Settings) -> bool:
    """True; raises EnvironmentFault when a worker ended for good, so that nobody waits for it."""
    for worker in list_workers(settings):
        if not worker.supervised:
            log = settings.state_dir / "logs" / f"worker-{worker.name}.log"
            raise EnvironmentFault(
                f"the worker {worker.name} ended; the last lines of its log:\n{tail(log)}",
                remedy=f"correct what the log names; the whole log is {log}",
            )
    return True


def _drain(settings: Settings, systems: list[System], pair: RealPair, report: Report) -> None:
    report("demo", "waiting until nothing is in flight", None)
    for _ in range(6):  # a delivery comes back as changes, which may cause further deliveries
        drain(settings, systems, pair.env, seconds=300, on_totals=lambda _: None)
        if wait_delivered(settings.hub, seconds=0.0):
            break
        wait_delivered(settings.hub, seconds=15)


def _compare(
    settings: Settings,
    systems: list[System],
    pair: RealPair,
    done: Done,
    seconds: float,
    console: str | None,
    report: Report,
) -> RealResult:
    report("demo", "comparing Creme, Tryton, hub and topics", None)
    dsns = {system.name: capture_dsn(system, pair.env) for system in systems}
    ownership = load_ownership(connectors_dir(settings) / "ownership.yaml")
    compared = verify(settings, systems, dsns, ownership, progress=lambda text: report("demo", text, None))
    deals = check_deals(pair, done)
    with psycopg.connect(settings.hub) as hub:
        dead = count(hub, "dead_letters")
    equal = compared.holds and deals.holds and not dead
    return RealResult(
        deals=deals,
        customers=done.customers,
        shipped=done.shipped,
        invoiced=done.invoiced,
        paid=done.paid,
        refused=done.refused,
        won_to_sale_s=round(median(deals.waited_s), 2) if deals.waited_s else None,
        lost=compared.lost,
        doubled=compared.doubled,
        differing=compared.differing,
        gone_back=compared.gone_back,
        dead=dead,
        source_rows=compared.source_rows,
        seconds=round(seconds, 1),
        examples=[*deals.examples, *compared.examples][:20],
        verdict="equal" if equal else "different",
        state_dir=str(settings.state_dir),
        console=console,
    )
