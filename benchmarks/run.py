"""Run a workload on a site: arrivals on a schedule, figures every second.

In: a site and a workload. Out: a `Result`: throughput and lag over time, latency from the intended send to each place, CPU and memory by
process. Lag is in records that the workers have still to read.
"""

from __future__ import annotations

import platform
import threading
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import msgspec
import psutil
from hdrh.histogram import HdrHistogram

from benchmarks.site import Say, Site
from benchmarks.watch import ProbeWatch, Usage, percentiles
from benchmarks.workload import Phase, Workload
from streams.demo.drain import raw_records
from streams.demo.watch import figures
from streams.simulator.company import Company
from streams.stack.worker_stats import worker_stats

PROBED = {
    "raw.demo-crm.public.account": "raw topic",
    "raw.demo-erp.erp.so_head": "raw topic",
    "canonical.customer": "canonical topic",
    "canonical.sales_order": "canonical topic",
}


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
    """By place. `hub` counts from the source's commit, the topics from the intended send."""
    hdr: dict[str, str]
    cpu_us_per_row: dict[str, float]
    memory_mb: dict[str, float]
    samples: list[Sample]
    lag_end: int = 0
    """Records still to read when the last arrival had been sent."""
    drain_s: float = 0.0


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


def versions() -> dict[str, str]:
    names = ("opshub", "faust-streaming", "confluent-kafka", "fastavro", "msgspec", "psycopg")
    return {"python": platform.python_version(), "kafka": "4.3.1", "debezium": "3.7.0.Final", "postgres": "18.6"} | {
        n: version(n) for n in names
    }


def run_workload(site: Site, workload: Workload, say: Say = lambda _: None) -> Result:
    """Run it; workers are started if none are. What was there before has been worked off first."""
    info = machine()
    site.start_workers(workload.workers)
    say("catching up")
    site.drain(600)
    worker_stats(site.settings, reset=True)
    watch = ProbeWatch(site.settings.kafka, PROBED)
    watch.start()
    watch.ready.wait(30)
    usage = Usage(site.processes())
    rows_before = raw_records(site.settings, site.systems)
    samples: list[Sample] = []
    state: dict[str, Any] = {"phase": "", "rate": 0.0}
    ended = threading.Event()
    begun = time.monotonic()

    def sample() -> None:
        while not ended.wait(1.0):
            now = figures(site.settings)
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
    try:
        with site.company(workload.seed, probe_every=workload.probe_every, habits=workload.habits) as company:
            for phase in workload.phases:
                worst = max(worst, _phase(site, company, phase, watch, state, say))
        lag_end = figures(site.settings).lag
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
        hub.decode_and_add(worker["latency"]["hdr"])
    histograms = {**watch.places, "hub": hub}
    return Result(
        workload.name, datetime.now(UTC).isoformat(timespec="seconds"), info, versions(), round(took, 1), rows, round(rows / took, 1), worst,
        {place: percentiles(h) for place, h in histograms.items()}, {place: h.encode().decode() for place, h in histograms.items()},
        {name: round(seconds / max(1, rows) * 1e6, 1) for name, seconds in usage.since().items()}, usage.memory(), samples, lag_end, round(drained, 1),
    )  # fmt: skip


def _phase(site: Site, company: Company, phase: Phase, watch: ProbeWatch, state: dict[str, Any], say: Say) -> float:
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
