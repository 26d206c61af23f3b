"""A worker's page over HTTP: /healthz and /readyz (200, or 503 and why), /stats (JSON), /metrics (Prometheus)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from streams.errors import EnvironmentFault
from streams.runtime.health import Health
from streams.runtime.metrics import WorkerMetrics


def _verdict(problem: str | None) -> web.Response:
    return web.Response(text=(problem or "ok") + "\n", status=503 if problem else 200)


async def serve_health(health: Health, metrics: WorkerMetrics, host: str, port: int) -> web.AppRunner:
    """Listen; a `port` of 0 takes a free one, which `runner.addresses` holds. Raises EnvironmentFault when the port is
    taken.
    """
    service = web.Application()

    async def healthz(_: web.Request) -> web.Response:
        return _verdict(health.problem())

    async def readyz(_: web.Request) -> web.Response:
        return _verdict(health.problem(ready=True))

    async def stats(request: web.Request) -> web.Response:
        if "reset" in request.query:
            metrics.reset()
        return web.json_response(metrics.stats())

    async def prometheus(_: web.Request) -> web.Response:
        # A scrape must not fail while the worker is not ready: that is what it is to show.
        body = metrics.prometheus(ready=health.problem(ready=True) is None)
        return web.Response(body=body, content_type="text/plain")

    service.router.add_get("/healthz", healthz)
    service.router.add_get("/readyz", readyz)
    service.router.add_get("/stats", stats)
    service.router.add_get("/metrics", prometheus)
    return await _listen(service, host, port)


@asynccontextmanager
async def announced_page(
    health: Health, metrics: WorkerMetrics, host: str, port: int, port_file: Path
) -> AsyncIterator[int]:
    """Serve the page while the block runs; yields its port. `port_file` says meanwhile, to other processes, where it
    is.
    """
    runner = await serve_health(health, metrics, host, port)
    try:
        listens_on: int = runner.addresses[0][1]
        # In a container whose files are read only, nobody looks for the file: the port is known.
        with contextlib.suppress(OSError):
            port_file.parent.mkdir(parents=True, exist_ok=True)
            port_file.write_text(json.dumps({"pid": os.getpid(), "port": listens_on}), encoding="utf-8")
        yield listens_on
    finally:
        await runner.cleanup()
        with contextlib.suppress(OSError):
            port_file.unlink(missing_ok=True)


async def serve_not_started(host: str, port: int, reason: str) -> web.AppRunner:
    """The page of a worker that waits to start: alive, not ready, and why."""
    service = web.Application()

    async def healthz(_: web.Request) -> web.Response:
        return _verdict(None)

    async def readyz(_: web.Request) -> web.Response:
        return _verdict(reason)

    service.router.add_get("/healthz", healthz)
    service.router.add_get("/readyz", readyz)
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
