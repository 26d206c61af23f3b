"""The guided tours: the choice of one, its steps, its end."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from streams.console.handling import ask
from streams.console.operations.flows import WantedFlows, list_flows
from streams.console.problems import NotFound
from streams.console.render import page
from streams.console.tours import COOKIE, LATE_FLOW, TOURS, step_at
from streams.errors import OpshubError
from streams.training.exercises import EXERCISES

DAY_S = 86_400


def tours(request: Request) -> Response:
    """All tours, and the exercises."""
    return page(request, "tour.html", tours=TOURS, exercises=EXERCISES)


def step(request: Request) -> Response:
    """Open the page of a step; the cookie makes the hint appear there."""
    role, number = request.path_params["role"], request.path_params["number"]
    chosen = step_at(role, number)
    if chosen is None:
        raise NotFound(f"the tour {role} has no step {number}", remedy="/tour lists the tours")
    path = _late_flow(request) if chosen.step.page == LATE_FLOW else chosen.step.page
    response = RedirectResponse(path, status_code=303)
    response.set_cookie(COOKIE, f"{role}:{number}", max_age=DAY_S, samesite="lax", httponly=True)
    return response


def end(request: Request) -> Response:
    """Leave the tour."""
    response = RedirectResponse("/tour", status_code=303)
    response.delete_cookie(COOKIE)
    return response


def _late_flow(request: Request) -> str:
    """The page of a flow that is stuck, or of any; the list where the hub has none or is away."""
    for wanted in (WantedFlows(stuck=True, limit=1), WantedFlows(limit=1)):
        try:
            flows = ask(request, list_flows, wanted).flows
        except OpshubError:
            break
        if flows:
            return f"/flows/{flows[0].id}"
    return "/flows"


ROUTES = [Route("/tour", tours), Route("/tour/end", end), Route("/tour/{role}/{number:int}", step)]
