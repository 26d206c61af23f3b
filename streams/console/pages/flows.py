"""The pages of order flows."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.cli.flow_list import STAGES
from streams.console.handling import ask, wanted_of
from streams.console.operations.flows import WantedFlow, WantedFlows, list_flows, show_flow
from streams.console.render import page


def flows(request: Request) -> Response:
    """The list of flows, by stage, customer, number or text."""
    wanted = wanted_of(request, WantedFlows)
    listed = ask(request, list_flows, wanted)
    return page(request, "flows.html", calls=[(list_flows, wanted)], wanted=wanted, listed=listed, stages=STAGES)


def flow(request: Request) -> Response:
    """One flow."""
    wanted = wanted_of(request, WantedFlow)
    flows_of = ask(request, show_flow, wanted).flows
    return page(request, "flow.html", calls=[(show_flow, wanted)], flows=flows_of, wanted=wanted)


ROUTES = [Route("/flows", flows), Route("/flows/{id}", flow)]
