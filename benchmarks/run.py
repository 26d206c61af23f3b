"""Run a workload on a site: arrivals on a schedule, figures every second.

In: a site or systems of your own, and a workload. Out: a `Result`: throughput and lag over time, latency from the
intended send to each place, CPU and memory by process. Lag is in records that the workers have still to read.
"""

from __future__ import annotations

import platform
import threading
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Protocol, Self

import msgspec
import psutil
import psycopg
from hdrh.histogram import HdrHistogram

from benchmarks.site import SERVERS, Say
from benchmarks.watch import HIGHEST_US, ProbeWatch, Usage, percentiles
from benchmarks.workload import Phase, Workload
from streams.demo.drain import raw_records
from streams.demo.watch import worker_totals
from streams.demo.writeback_check import wait_delivered
from streams.provision.systems import System
from streams.settings import Settings
from streams.stack.worker_stats import worker_stats


class Writer(Protocol):
    """Writes to the sources, open loop: the demo company, or what a profile says."""

    def run(self, rate: float, seconds: float) -> dict[str, Any]:
        """Write so many row changes a second for `seconds`; what `stats` says."""

    def stats(self) -> dict[str, Any]:
        """`row_changes` committed, transactions that `failed`, the last `errors`, `behind_ms_max`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: Any) -> None: ...


class Measured(Protocol):
    """What a workload is run on: a `Site` with the demo company, or `OwnSystems` with a profile."""

    settings: Settings
    systems: list[System]
    notes: list[str]
    """What a reader of the result has to know of it."""
    servers: dict[str, str]
    """Versions, as far as they are known."""

    @property
    def probed(self) -> dict[str, str]:
        """Topic in which marked rows are looked for → what it is called in the result."""

    def start_workers(self, count: int = 1) -> list[int]:
        """Have workers at work; their pids."""

    def processes(self) -> dict[str, int]:
        """name → pid of what is measured."""

    def bytes_written(self) -> dict[str, int]:
        """place → bytes that were ever written there; empty where that cannot be seen."""

    def company(self, seed: int = 1, **options: Any) -> Writer: ...

    def drain(self, seconds: float = 300) -> None:
        """Wait until nothing is in flight."""


class Sample(msgspec.Struct):
    """One second of a run."""

    at: float
    phase: str
    rate: float
    rows: int
    """Raw records written so far, by Kafka's offsets."""
    rows_in: int
    records_out: int
    lag: int
    cpu: dict[str, float]
    memory: dict[str, float]


class Result(msgspec.Struct):
    """What a run showed."""

    workload: str
    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    seconds: float
    rows: int
    rows_per_second: float
    """From the first arrival until nothing was in flight."""
    behind_ms_max: float
    latency_ms: dict[str, dict[str, float]]
    """By place. `hub` and `target` (written back, without those that waited for people) count from the source's commit,
    the topics from the intended send.
    """
    hdr: dict[str, str]
    cpu_us_per_row: dict[str, float]
    memory_mb: dict[str, float]
    samples: list[Sample]
    bytes_per_row: dict[str, float] = {}
    """By place: records as they stand in Kafka's logs, and WAL of the databases."""
    lag_end: int = 0
    """Records still to read when the last arrival had been sent."""
    drain_s: float = 0.0
    written: int = 0
    """Row changes that were committed, as who wrote them counts; `rows` is what capture brought."""
    failed: int = 0
    """Transactions that were not committed."""
    notes: list[str] = []
    """What a reader has to know, such as what was not measured or not waited for."""


def machine() -> dict[str, Any]:
    return {"cores": psutil.cpu_count(), "memory_gb": round(psutil.virtual_memory().total / 1e9, 1), "cpu": _model(), "system": platform.platform(terse=True),
            "load_before": round(psutil.getloadavg()[0], 2)}  # fmt: skip


def _model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(
                (line.partition(":")[2].strip() for line in file if line.startswith("model name")), platform.processor()
            )
    except OSError:
        return platform.processor()


def versions(servers: dict[str, str] = SERVERS) -> dict[str, str]:
    names = ("opshub", "faust-streaming", "confluent-kafka", "fastavro", "msgspec", "psycopg")
    return {"python": platform.python_version()} | servers | {n: version(n) for n in names}


def run_workload(site: Measured, workload: Workload, say: Say = lambda _: None) -> Result:
    """Run it; workers are started if none are (on `OwnSystems`: refused). What was there before has been worked off
    first.
    """
    info = machine()
    site.notes.clear()
    site.start_workers(workload.workers)
    say("catching up")
    site.drain(600)
    worker_stats(site.settings, reset=True)
    watch = ProbeWatch(site.settings.kafka, site.probed)
    watch.start()
    watch.ready.wait(30)
    usage = Usage(site.processes())
    bytes_before = site.bytes_written()
    rows_before = raw_records(site.settings, site.systems)
    samples: list[Sample] = []
    state: dict[str, Any] = {"phase": "", "rate": 0.0}
    ended = threading.Event()
    begun = time.monotonic()

    def sample() -> None:
        while not ended.wait(1.0):
            now = worker_totals(site.settings)
            samples.append(
                Sample(
                    round(time.monotonic() - begun, 1),
                    state["phase"],
                    state["rate"],
                    0,
                    now.rows_in,
                    now.records_out,
                    now.lag,
                    usage.since(),
                    usage.memory(),
                )
            )

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    worst = 0.0
    since = time.time_ns() // 1000
    try:
        with site.company(workload.seed, probe_every=workload.probe_every, habits=workload.habits) as company:
            for number, phase in enumerate(workload.phases):
                if not any(one.counted for one in workload.phases[:number]):
                    since = time.time_ns() // 1000
                worst = max(worst, _phase(site, company, phase, watch, state, say))
            written = company.stats()
        lag_end = worker_totals(site.settings).lag
        waiting = time.monotonic()
        say("waiting until nothing is in flight")
        state["phase"] = "drain"
        site.drain(600)
        drained = time.monotonic() - waiting
    finally:
        ended.set()
        sampler.join(5)
        time.sleep(0.3)
        watch.end()
    took = time.monotonic() - begun
    rows = raw_records(site.settings, site.systems) - rows_before
    hub = HdrHistogram(1, 3_600_000_000, 3)
    for worker in worker_stats(site.settings):
        hub.decode_and_add(worker["latency"]["hdr_histogram"])
    histograms = {**watch.places, "hub": hub}
    target = written_back(site.settings.hub, since)
    if target.get_total_count():
        histograms["target"] = target
    notes = list(site.notes)
    if written["failed"]:
        notes.append(f"{written['failed']:,} transactions were not committed; the last: {written['errors'][-1]}")
    return Result(
        workload.name, datetime.now(UTC).isoformat(timespec="seconds"), info, versions(site.servers), round(took, 1), rows, round(rows / took, 1), worst,
        {place: percentiles(h) for place, h in histograms.items()}, {place: h.encode().decode() for place, h in histograms.items()},
        {name: round(seconds / max(1, rows) * 1e6, 1) for name, seconds in usage.since().items()}, usage.memory(), samples,
        {place: round((now - bytes_before[place]) / max(1, rows)) for place, now in site.bytes_written().items()}, lag_end, round(drained, 1),
        written["row_changes"], written["failed"], notes,
    )  # fmt: skip


def warm_up(site: Measured, workload: Workload, rate: float, seconds: float, say: Say = lambda _: None) -> None:
    """Let `workload` run for so long at a rate, and measure nothing: JVMs compile for most of their first minute under
    load.
    """
    if seconds:
        run_workload(site, msgspec.structs.replace(workload, phases=[Phase(seconds, rate, "warm-up", False)]), say)


def written_back(dsn: str, since_us: int) -> HdrHistogram:
    """From the source's commit until the target had what was to be written back, of changes since a time (microseconds
    since 1970).
    """
    wait_delivered(dsn, seconds=10.0)
    histogram = HdrHistogram(1, HIGHEST_US, 3)
    with psycopg.connect(dsn) as hub:
        for (us,) in hub.execute(
            "SELECT (extract(epoch FROM done_at) * 1e6)::bigint - cause_us FROM intent WHERE state = 'delivered' AND cause_us >= %s AND people = 0",
            [since_us],
        ):
            histogram.record_value(min(HIGHEST_US, max(1, us)))
    return histogram


def _phase(site: Measured, company: Writer, phase: Phase, watch: ProbeWatch, state: dict[str, Any], say: Say) -> float:
    """Live through one phase; the most that the company was behind its schedule, in ms."""
    say(f"{phase.name or 'phase'}: {phase.rate} row changes/s for {phase.seconds:g} s")
    watch.counting = phase.counted
    state["phase"] = phase.name
    worst = 0.0
    for rate, seconds in phase.steps():
        state["rate"] = rate
        worst = max(worst, float(company.run(rate=rate, seconds=seconds)["behind_ms_max"]))
    if not phase.counted:
        worker_stats(site.settings, reset=True)
    return worst
