"""What a worker says of itself over HTTP: /healthz, /readyz, /stats (JSON), /metrics (Prometheus).

`/healthz` fails when a lane has not come back from its work or its poll for `stuck_after` seconds, when it comes back and reads nothing of
a partition that has more, or when the deliverer of a target stands still: whoever supervises should restart the worker. `/readyz` fails,
too, while a lane has no partitions yet, a step or the deliverer waits for a server, or a source is stopped since changes of it were lost.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web
from hdrh.histogram import HdrHistogram
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as Metric

from streams.errors import EnvironmentFault
from streams.runtime.faust_app import LaneApp
from streams.settings import Settings

COMMITS_WITHIN = 20.0
"""Seconds that a commit may take and say nothing: one that waits for the broker says so after five, and the broker ends it after eight."""

ASKS_WITHIN = 12.0
"""Seconds for one answer of a transactional producer, which is asked for it within five, and has taken eight."""

DELIVERS_WITHIN = 300.0
"""Seconds that the deliverer may take for one step to a target: a statement or request ends after some ten, and a transaction may be
twenty-five orders.
"""

Firing = Callable[[], dict[str, str] | None]
"""What is wrong now, by its name (`<code>/<where>`), in the worker that watches; None in others."""

Slowest = Callable[[bool], tuple[int, str]]
"""(µs, aggregate id) of the change that waited longest; with True it begins anew."""


class Health:
    """Figures of one worker. `counts` are the steps' counters by lane; `latencies` yields µs from source commit to hub commit."""

    def __init__(
        self,
        app: LaneApp,
        counts: dict[str, Counter[str]],
        latencies: list[int],
        slowest: Slowest,
        notes: Counter[tuple[str, str, str, str]] | None = None,
        *,
        deliverer: Any = None,
        stuck_after: float = 120.0,
    ) -> None:
        self._deliverer = deliverer
        self._slowest = slowest
        self._notes = notes if notes is not None else Counter()
        self._app = app
        self._counts = counts
        self._latencies = latencies
        self._stuck_after = stuck_after
        self._histogram = HdrHistogram(1, 3_600_000_000, 3)
        self.started = time.time()
        self.registry = CollectorRegistry()
        self._lag = Gauge(
            "opshub_lag_records", "records still to read", ["lane", "topic", "partition"], registry=self.registry
        )
        self._events = Metric(
            "opshub_records", "records by what their step did with them", ["lane", "outcome"], registry=self.registry
        )
        self._mended = Metric(
            "opshub_mapping_notes",
            "values that cleansing changed or let pass",
            ["system", "table", "field", "kind"],
            registry=self.registry,
        )
        self._problems = Gauge(
            "opshub_alert_active",
            "1 for each alert that the watching worker has active",
            ["alert", "where"],
            registry=self.registry,
        )
        self._watches = Gauge(
            "opshub_watcher_active", "1 in the worker that watches sources, hub and pipeline", registry=self.registry
        )
        self._ready = Gauge("opshub_worker_ready", "1 while /readyz answers 200", registry=self.registry)
        self.firing: Firing = lambda: None
        self._seconds = Histogram(
            "opshub_commit_to_hub_seconds",
            "from the source's commit to the hub's",
            buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60),
            registry=self.registry,
        )
        self._told: dict[tuple[str, ...], int] = {}

    @property
    def waiting(self) -> str | None:
        """Which server this worker waits for, if any."""
        told = [*self._app.waiting.values(), *(lane.waiting for lane in self._app.lanes.values() if lane.waiting)]
        if self._deliverer is not None:
            told += sorted({*self._deliverer.waiting.values()})
        return "; ".join(told) or None

    def _tell_problems(self) -> None:
        firing = self.firing()
        self._watches.set(firing is not None)
        self._ready.set(self.problem(ready=True) is None)
        self._problems.clear()
        for name in firing or ():
            code, _, where = name.partition("/")
            self._problems.labels(code, where).set(1)

    def take(self) -> None:
        """Empty the latencies that the step left into the histograms."""
        taken, self._latencies[:] = self._latencies[:], []
        for latency in taken:
            self._histogram.record_value(max(1, latency))
            self._seconds.observe(latency / 1e6)

    async def stats(self) -> dict[str, Any]:
        self.take()
        lanes: dict[str, Any] = {}
        self._lag.clear()  # a partition that another worker has by now would keep its last figure for ever
        for name, lane in self._app.lanes.items():
            lag = lane.lag()
            lanes[name] = {
                "partitions": [f"{topic}:{partition}" for topic, partition in sorted(lane.assigned)],
                "lag_records": sum(lag.values()),
                "records_in": lane.records_in,
                "records_out": lane.records_out,
                "batches": lane.batches,
                "busy_s": round(lane.work_s, 3),
                "commit_s": round(lane.commit_s, 3),
                "since_progress_s": round(time.monotonic() - lane.last_progress, 3),
                "counts": dict(self._counts.get(name, {})),
            }
            for (topic, partition), records in lag.items():
                self._lag.labels(name, topic, str(partition)).set(records)
            for what, count in self._counts.get(name, {}).items():
                told = self._told.get((name, what), 0)
                if count > told:
                    self._events.labels(name, what).inc(count - told)
                    self._told[name, what] = count
        for where, count in self._notes.items():
            self._mended.labels(*where).inc(count - self._told.get(where, 0))
            self._told[where] = count
        histogram = self._histogram
        return {
            "name": self._app.settings.worker_name,
            "pid": os.getpid(),
            "uptime_s": round(time.time() - self.started, 1),
            "waiting": self.waiting,
            "lanes": lanes,
            "mapping_notes": [
                dict(zip(("system", "table", "field", "kind", "count"), (*where, count), strict=True))
                for where, count in self._notes.items()
            ],
            "latency": {
                "count": histogram.get_total_count(),
                "slowest": dict(zip(("latency_us", "aggregate_id"), self._slowest(False), strict=True)),
                "hdr_histogram": histogram.encode().decode(),
            },
        }

    def problem(self, *, ready: bool = False) -> str | None:
        for name, lane in self._app.lanes.items():
            waits = self._app.waiting.get(name) or lane.waiting
            silent = time.monotonic() - lane.last_progress
            if silent > self._stuck_after and waits is None:
                return f"lane {name} has made no progress for {silent:.0f} s"
            # librdkafka's send_offsets_to_transaction may never come back from an outage (confluentinc/librdkafka #5456).
            commits = 0.0 if lane.committing_since is None else time.monotonic() - lane.committing_since
            # A lane that said that it waits, and was asked again, may sleep in that: the broker may be back for long.
            since = lane.asking_since
            asks = 0.0 if since is None else time.monotonic() - since
            if asks > ASKS_WITHIN or (commits > COMMITS_WITHIN and waits is None):
                return f"lane {name} has waited for the end of a transaction for {max(asks, commits):.0f} s"
            if lane.deaf_for() > (10.0 if ready else self._stuck_after) and waits is None:
                topic, partition = min(lane.unreached(), default=("", 0))
                return (
                    f"lane {name} can not read {len(lane.unreached())} of its partitions: {topic}:{partition}, for one"
                )
            still = lane.standing_still()
            if still and waits is None:
                (topic, partition), one = min(still.items())
                return (
                    f"lane {name} reads nothing more of {len(still)} of its partitions: {topic}:{partition} for one, "
                    f"of which it read up to {max(one.read, 0):,} and which ends at {one.end:,}"
                )
            if ready and not lane.assigned:
                return f"lane {name} has no partitions yet"
        for target, at in self._deliverer.progress.items() if self._deliverer is not None else ():
            silent = time.monotonic() - at
            if silent > DELIVERS_WITHIN:
                return f"the deliverer of {target} has made no progress for {silent:.0f} s"
        if ready and self.waiting is not None:
            return self.waiting
        if ready and self._app.stopped:
            return "; ".join(self._app.stopped.values())
        return None

    async def until_stuck(self, every: float = 2.0) -> str:
        """Wait until this worker is alive but makes no progress; what is stuck, for whoever then ends it."""
        while True:
            problem = self.problem()
            if problem is not None:
                return problem
            await asyncio.sleep(every)

    async def serve(self, host: str, port: int) -> web.AppRunner:
        """Listen; a `port` of 0 takes a free one. `runner.addresses` tells which."""
        service = web.Application()

        def verdict(problem: str | None) -> web.Response:
            return web.Response(text=(problem or "ok") + "\n", status=503 if problem else 200)

        async def healthz(_: web.Request) -> web.Response:
            return verdict(self.problem())

        async def readyz(_: web.Request) -> web.Response:
            return verdict(self.problem(ready=True))

        async def stats(request: web.Request) -> web.Response:
            if "reset" in request.query:
                self.take()
                self._histogram.reset()
                self._slowest(True)
            return web.json_response(await self.stats())

        async def metrics(_: web.Request) -> web.Response:
            await self.stats()
            self._tell_problems()
            return web.Response(body=generate_latest(self.registry), content_type="text/plain")

        service.router.add_get("/healthz", healthz)
        service.router.add_get("/readyz", readyz)
        service.router.add_get("/stats", stats)
        service.router.add_get("/metrics", metrics)
        return await _listen(service, host, port)


async def _listen(service: web.Application, host: str, port: int) -> web.AppRunner:
    runner = web.AppRunner(service, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        return runner
    except OSError as error:
        await runner.cleanup()
        raise EnvironmentFault(
            f"the worker's page can not listen on {host}:{port}: {error.strerror or error}",
            remedy="end what listens there, or choose another port with OPSHUB_METRICS_PORT (0 takes any free one)",
        ) from error


async def serve_waiting(settings: Settings, text: str) -> web.AppRunner:
    """The page of a worker that has not started yet: alive, not ready, and why."""
    service = web.Application()

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text=text + "\n", status=503)

    service.router.add_get("/healthz", healthz)
    service.router.add_get("/readyz", readyz)
    return await _listen(service, settings.host, settings.metrics_port)
