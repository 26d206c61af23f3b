"""What a worker counts, as JSON (/stats) and for Prometheus (/metrics)."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import NamedTuple, TypedDict

from hdrh.histogram import HdrHistogram
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as Total
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.runtime.lane import Lane
from streams.runtime.timings import Timings
from streams.runtime.worker_state import WorkerState

ActiveAlerts = Callable[[], Mapping[str, str] | None]
"""Alerts that are active now, by name (`<code>/<where>`), in the worker that watches; None in the others."""
Slowest = Callable[[bool], tuple[int, str]]
"""(µs, aggregate id) of the change that took longest to the hub; called with True it begins a new measurement."""
NoteKey = tuple[str, str, str, str]
"""(system, table, field, kind) of a mapping note."""


class SlotFigures(NamedTuple):
    """A replication slot: bytes of WAL that it holds back, bytes that may still follow until the source invalidates it,
    seconds since the last heartbeat; None where it is not known.
    """

    kept_bytes: int | None
    left_bytes: int | None
    heartbeat_age_s: float | None


LONGEST_US = 3_600_000_000
"""An hour: the histogram needs a bound."""


RECENT_S = 60.0
RECENT_MOST = 5_000
"""The newest latencies that are kept for the report: enough for a p99, and sorted within two milliseconds."""


class RecentLatency(NamedTuple):
    """Latencies of the last minute; None where there was none."""

    changes: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None


class LaneStats(TypedDict):
    """One lane, in /stats. Names that end in `_s` are seconds."""

    partitions: list[str]
    lag_records: int
    records_in: int
    records_out: int
    batches: int
    busy_s: float
    commit_s: float
    since_progress_s: float
    counts: dict[str, int]


class WorkerStats(TypedDict):
    """The JSON of /stats."""

    name: str
    pid: int
    uptime_s: float
    waiting: str | None
    lanes: dict[str, LaneStats]
    mapping_notes: list[dict[str, str | int]]
    latency: dict[str, object]
    """From the source's commit to the hub's: count, slowest {latency_us, aggregate_id}, hdr_histogram (µs, encoded)."""


class WorkerMetrics:
    """Figures of one worker.

    `counts`: step → outcome → records, grown by the steps. `latencies`: µs from source commit to hub commit, appended
    by assemble and taken out here. `notes`: how often cleansing changed a value or let it pass. `stages`: durations of
    what is no lane: `capture` and `write_back`.
    """

    def __init__(
        self,
        state: WorkerState,
        counts: Mapping[str, Counter[str]],
        latencies: list[int],
        slowest: Slowest,
        notes: Counter[NoteKey] | None = None,
        stages: Mapping[str, Timings] | None = None,
    ) -> None:
        self._state = state
        self._counts = counts
        self._latencies = latencies
        self._slowest = slowest
        self._notes: Counter[NoteKey] = notes if notes is not None else Counter()
        self._histogram = HdrHistogram(1, LONGEST_US, 3)
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT_MOST)
        """(time.monotonic(), µs) of the last latencies, for the report of the worker."""
        self._started = time.time()
        self._exported: Counter[tuple[str, ...]] = Counter()
        """What the totals of Prometheus, which only grow, hold already."""
        self.active_alerts: ActiveAlerts = lambda: None
        self.slots: Callable[[], Mapping[str, SlotFigures]] = dict
        self._stages = stages or {}
        self.registry = registry = CollectorRegistry()
        self._lag = Gauge(
            "opshub_lag_records", "Records still to read", ["lane", "topic", "partition"], registry=registry
        )
        self._records = Total(
            "opshub_records", "Records by what their step did with them", ["lane", "outcome"], registry=registry
        )
        self._mapping_notes = Total(
            "opshub_mapping_notes",
            "Values that cleansing changed or let pass",
            ["system", "table", "field", "kind"],
            registry=registry,
        )
        self._alerts = Gauge(
            "opshub_alert_active",
            "1 for each active alert, in the worker that watches",
            ["alert", "where"],
            registry=registry,
        )
        self._watcher = Gauge("opshub_watcher_active", "1 in the worker that watches", registry=registry)
        self._ready = Gauge("opshub_worker_ready", "1 while /readyz answers 200", registry=registry)
        self._seconds = Histogram(
            "opshub_commit_to_hub_seconds",
            "From the source's commit to the hub's",
            buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60),
            registry=registry,
        )

        registry.register(_Figures(self))

    def reset(self) -> None:
        """Begin a new measurement of latencies."""
        self._take_latencies()
        self._histogram.reset()
        self._slowest(True)

    def count(self, step: str, outcome: str) -> int:
        """How many records a step gave this outcome since the worker started."""
        return self._counts.get(step, Counter())[outcome]

    def recent_latency(self) -> RecentLatency:
        """From the source's commit to the hub's, within the last minute."""
        self._take_latencies()
        oldest = time.monotonic() - RECENT_S
        while self._recent and self._recent[0][0] < oldest:
            self._recent.popleft()
        values = sorted(latency_us for _, latency_us in self._recent)
        if not values:
            return RecentLatency()
        p50, p99 = (values[min(len(values) - 1, int(len(values) * share))] for share in (0.5, 0.99))
        return RecentLatency(len(values), round(p50 / 1000, 1), round(p99 / 1000, 1))

    def stats(self) -> WorkerStats:
        """The figures as JSON."""
        self._take_latencies()
        slowest_us, aggregate_id = self._slowest(False)
        return {
            "name": self._state.name,
            "pid": os.getpid(),
            "uptime_s": round(time.time() - self._started, 1),
            "waiting": self._state.waiting_text(),
            "lanes": {name: self._lane_stats(name, lane) for name, lane in self._state.lanes.items()},
            "mapping_notes": [
                {"system": system, "table": table, "field": field, "kind": kind, "count": count}
                for (system, table, field, kind), count in self._notes.items()
            ],
            "latency": {
                "count": self._histogram.get_total_count(),
                "slowest": {"latency_us": slowest_us, "aggregate_id": aggregate_id},
                "hdr_histogram": self._histogram.encode().decode(),
            },
        }

    def prometheus(self, *, ready: bool) -> bytes:
        """The figures in Prometheus' text format."""
        self._take_latencies()
        self._lag.clear()  # a partition that another worker owns by now would keep its last figure for ever
        for name, lane in self._state.lanes.items():
            for (topic, partition), records in lane.lag().items():
                self._lag.labels(name, topic, str(partition)).set(records)
        for step, outcomes in self._counts.items():
            for outcome, count in outcomes.items():
                self._grow(self._records, (step, outcome), count)
        for note, count in self._notes.items():
            self._grow(self._mapping_notes, note, count)
        active = self.active_alerts()
        # Alerts are cleared in every worker: the one that watched before must not go on exporting them.
        self._watcher.set(active is not None)
        self._ready.set(ready)
        self._alerts.clear()
        for alert in active or ():
            code, _, where = alert.partition("/")
            self._alerts.labels(code, where).set(1)
        return generate_latest(self.registry)

    def _grow(self, total: Total, labels: tuple[str, ...], count: int) -> None:
        new = count - self._exported[labels]
        if new > 0:
            total.labels(*labels).inc(new)
            self._exported[labels] = count

    def _take_latencies(self) -> None:
        taken, self._latencies[:] = self._latencies[:], []
        now = time.monotonic()
        self._recent.extend((now, latency_us) for latency_us in taken[-RECENT_MOST:])
        for latency_us in taken:
            # At least 1: the clocks of two servers may put the hub's commit before the source's.
            self._histogram.record_value(max(1, latency_us))
            self._seconds.observe(latency_us / 1e6)

    def _lane_stats(self, name: str, lane: Lane) -> LaneStats:
        figures = lane.figures
        return {
            "partitions": [f"{topic}:{partition}" for topic, partition in sorted(lane.progress.assigned)],
            "lag_records": sum(lane.lag().values()),
            "records_in": figures.records_in,
            "records_out": figures.records_out,
            "batches": figures.batches,
            "busy_s": round(figures.busy_s, 3),
            "commit_s": round(figures.commit_s, 3),
            "since_progress_s": round(time.monotonic() - figures.last_progress, 3),
            "counts": dict(self._counts.get(name, {})),
        }

    def families(self) -> Iterator[Metric]:
        """What other parts count by themselves, as Prometheus has it."""
        lanes = self._state.lanes.items()
        build = GaugeMetricFamily("opshub_build_info", "1, with the version that runs", labels=["version"])
        build.add_metric([version("opshub")], 1)
        yield build
        stages = {name: lane.figures.stage for name, lane in lanes} | dict(self._stages)
        yield _histogram(
            "opshub_stage_seconds",
            "Until a stage is through: capture from the commit to Kafka, ingest and assemble from a record's arrival, "
            "write_back from the commit to the target's answer",
            "stage",
            stages,
        )
        batches = {name: lane.figures.batch for name, lane in lanes}
        yield _histogram("opshub_batch_seconds", "What a batch took, its commit included", "lane", batches)
        yield _total(
            "opshub_commit_seconds", "Of those, seconds in commits", "lane", {n: x.figures.commit_s for n, x in lanes}
        )
        yield _total(
            "opshub_retries", "Batches that were tried again since a server was away", "lane", self._state.retries
        )
        waiting = GaugeMetricFamily("opshub_lane_waiting", "1 while a lane waits for a server", labels=["lane"])
        for name, lane in lanes:
            waiting.add_metric([name], float(name in self._state.waiting or lane.broker.waiting is not None))
        yield waiting
        slots = self.slots()
        for name, about, field in (
            ("opshub_slot_kept_bytes", "WAL that the slot of a source holds back", "kept_bytes"),
            ("opshub_slot_left_bytes", "WAL until the source invalidates the slot", "left_bytes"),
            ("opshub_heartbeat_age_seconds", "Since the last heartbeat of a source's connector", "heartbeat_age_s"),
        ):
            family = GaugeMetricFamily(name, about, labels=["system"])
            for system, figures in slots.items():
                value = getattr(figures, field)
                if value is not None:
                    family.add_metric([system], value)
            yield family


class _Figures(Collector):
    """Hands the families over at each scrape."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics.families()


def _histogram(name: str, about: str, label: str, timings: Mapping[str, Timings]) -> Metric:
    family = HistogramMetricFamily(name, about, labels=[label])
    for value, taken in timings.items():
        family.add_metric([value], list(taken.buckets()), taken.total_s)
    return family


def _total(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, about, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
