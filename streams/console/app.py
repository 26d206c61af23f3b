"""The console as one ASGI application: pages, API, static files, live events."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from streams.console import api, operations, pages
from streams.console.access import access_of
from streams.console.faults import AnswerFaults
from streams.console.guard import Guard
from streams.console.health import HealthPages
from streams.console.live import reader_of
from streams.console.metrics import ConsoleMetrics, MeasureRequests
from streams.console.operation import API
from streams.console.place import WAIT_FOR_HUB_S, Place
from streams.console.problems import NotFound, problem_answer, status_of
from streams.console.render import STATIC, page
from streams.console.sign_in import SignIn
from streams.errors import OpshubError
from streams.settings import Settings

log = logging.getLogger(__name__)


def create_app(settings: Settings, *, wait_for_hub: float = WAIT_FOR_HUB_S) -> Starlette:
    """The application. It opens the hub when it starts, and lives while the hub is away; a request waits for it for
    `wait_for_hub` seconds.
    """
    for package in (operations, pages):
        for module in iter_modules(package.__path__):
            import_module(f"{package.__name__}.{module.name}")
    access = access_of(settings)
    place = Place(settings, wait_for_hub=wait_for_hub)
    metrics = ConsoleMetrics(place)
    sign_in = SignIn(place, is_local=access.is_local)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        place.open()
        place.jobs.start()
        try:
            yield
        finally:
            reader_of(place).close()
            await run_in_threadpool(place.jobs.stop)
            place.close()

    app = Starlette(
        routes=[*_page_routes(), *api.routes(), Mount("/static", _Files(directory=STATIC))],
        middleware=[
            Middleware(AnswerFaults),
            Middleware(HealthPages, place=place),
            Middleware(MeasureRequests, metrics=metrics),
            Middleware(Guard, sign_in=sign_in, access=access),
            Middleware(GZipMiddleware, minimum_size=1_000),
        ],
        exception_handlers={404: _not_found, OpshubError: _failed},
        lifespan=lifespan,
    )
    app.state.place = place
    app.state.metrics = metrics
    app.state.sign_in = sign_in
    app.state.access = access
    return app


def _page_routes() -> list[BaseRoute]:
    routes: list[BaseRoute] = []
    for module in iter_modules(pages.__path__):
        routes += import_module(f"{pages.__name__}.{module.name}").ROUTES
    return routes


class _Files(StaticFiles):
    """Files whose address changes with their content: a browser asks for each once."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        response = super().file_response(*arguments, **named)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, OpshubError)
    if request.url.path.startswith(API):
        return problem_answer(error)
    return page(request, "problem.html", status=status_of(error), error=error)


def _not_found(request: Request, error: Exception) -> Response:
    return _failed(request, NotFound("there is no such page", remedy="the menu above has all pages"))
