"""What the console exports for Prometheus: requests, its hub sessions, and what only the hub knows.

The figures of the hub are read at each scrape, at most once in `FRESH_S`, by statements whose cost does not grow with
the history. While the hub is away, `opshub_hub_up` is 0 and they are missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.console.business_metrics import business_metrics
from streams.console.place import Place
from streams.errors import OpshubError
from streams.hub.hub_figures import LabelledCount, open_conflicts, open_dead_letters, unfinished_intents

FRESH_S = 5.0


class ConsoleMetrics:
    """The figures of one console."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._read_at = 0.0
        self._families: list[Metric] = []
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "opshub_console_request_seconds",
            "What a request took, by route and class of status",
            ["route", "status"],
            buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=self.registry,
        )
        self.registry.register(_HubFigures(self))

    def prometheus(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)

    def families(self) -> list[Metric]:
        """The figures of the hub and of the sessions with it."""
        if time.monotonic() - self._read_at > FRESH_S:
            self._families = list(self._read())
            self._read_at = time.monotonic()
        return self._families

    def _read(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("opshub_build_info", "1, with the version that runs", labels=["version"])
        build.add_metric([version("opshub")], 1)
        yield build
        up = GaugeMetricFamily("opshub_hub_up", "1 while the hub answers the console")
        try:
            with self._place.hub() as hub:
                intents, conflicts, dead = unfinished_intents(hub), open_conflicts(hub), open_dead_letters(hub)
                business = list(business_metrics(hub))
        except OpshubError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield _gauge("opshub_intents_unfinished", "Intents that are not delivered, by target and state", intents)
        yield _gauge("opshub_conflicts_open", "Conflicts that stand, by kind and entity", conflicts)
        yield _gauge("opshub_dead_letters_open", "Dead letters and records parked behind them, by state", dead)
        yield from business
        pool = GaugeMetricFamily("opshub_hub_pool", "Sessions of the console with the hub", labels=["state"])
        for state, count in self._place.pool_figures().items():
            pool.add_metric([state], count)
        yield pool


class MeasureRequests:
    """Middleware: what each request took. A stream of events is not measured: it ends when its page is left."""

    def __init__(self, app: ASGIApp, metrics: ConsoleMetrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status, is_stream = 500, False

        async def watched(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = any(
                    name == b"content-type" and value.startswith(b"text/event-stream")
                    for name, value in message["headers"]
                )
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            if not is_stream:
                route = scope.get("route")
                # The template of the route, not the address: its labels are bounded, and no id of a person is in it.
                path = getattr(route, "path", "none")
                self._metrics.requests.labels(path, f"{status // 100}xx").observe(time.perf_counter() - started)


class _HubFigures(Collector):
    def __init__(self, metrics: ConsoleMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics.families()

    def describe(self) -> Iterable[Metric]:
        return []  # else registering would read the hub


def _gauge(name: str, about: str, counts: list[LabelledCount]) -> Metric:
    labels = list(counts[0].labels) if counts else ["state"]
    family = GaugeMetricFamily(name, about, labels=labels)
    for row in counts:
        family.add_metric(list(row.labels.values()), row.count)
    return family
