"""The console's page for Prometheus."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.console.handling import context_of
from streams.console.metrics import ConsoleMetrics


def metrics(request: Request) -> Response:
    """The figures in Prometheus' text format; a scraper signs in with a token."""
    context_of(request)
    exported: ConsoleMetrics = request.app.state.metrics
    return Response(exported.prometheus(), media_type="text/plain; version=0.0.4; charset=utf-8")


ROUTES = [Route("/metrics", metrics)]
