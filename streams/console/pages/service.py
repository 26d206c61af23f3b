"""The lists behind the tiles of supply and service: order lines that wait for goods, service cases."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.console.blanks import with_blanks
from streams.console.handling import ask, wanted_of
from streams.console.operations.service import (
    WantedServiceCases,
    WantedWaitingLines,
    list_service_cases,
    list_waiting_lines,
)
from streams.console.render import page
from streams.hub.service import KINDS


def supply(request: Request) -> Response:
    """Order lines that wait for goods, the latest first; with `document`, those that one purchase holds up."""
    wanted = wanted_of(request, WantedWaitingLines)
    listed = ask(request, list_waiting_lines, wanted)
    return page(request, "supply.html", calls=[(list_waiting_lines, wanted)], wanted=wanted, listed=listed)


def service(request: Request) -> Response:
    """Service cases, those that were opened last first."""
    wanted = wanted_of(request, WantedServiceCases)
    listed = ask(request, list_service_cases, wanted)
    return page(
        request, "service.html", calls=[(list_service_cases, wanted)], wanted=wanted, listed=listed,
        cases=with_blanks(listed.cases), kinds=KINDS,
    )  # fmt: skip


ROUTES = [Route("/supply", supply), Route("/service", service)]
