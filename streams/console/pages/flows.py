"""The pages of order flows."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.console.blanks import blank, with_blanks
from streams.console.drawing import bars_of, draw_timeline, events_of
from streams.console.handling import ask, wanted_of
from streams.console.operations.flows import (
    WantedFlow,
    WantedFlows,
    WantedStages,
    count_stages,
    explain_flow,
    list_flows,
    show_flow,
)
from streams.console.render import page
from streams.hub.flow_lists import STAGES

BARS = {
    "ordered": "ordered_gross_amount",
    "invoiced": "invoiced_amount",
    "paid": "paid_amount",
    "settled otherwise": "settled_otherwise_amount",
    "open": "open_amount",
}
"""Name → field of the flow, all with tax: amounts with and without tax are on no common scale."""

NET = {"ordered": "ordered_amount", "shipped": "shipped_amount", "invoiced": "invoiced_net_amount"}
FINISHED = frozenset({"lost", "paid", "credited", "cancelled"})


def flows(request: Request) -> Response:
    """The list of flows, by stage, customer, number or text, with how many are in each stage."""
    wanted = wanted_of(request, WantedFlows)
    listed = ask(request, list_flows, wanted)
    counts = ask(request, count_stages, WantedStages()).stages
    largest = max([count.count for count in counts if count.stage not in FINISHED] + [1])
    return page(
        request, "flows.html", calls=[(list_flows, wanted), (count_stages, WantedStages())], wanted=wanted,
        listed=listed, stages=STAGES, counts=counts, largest=largest, finished=FINISHED,
        today=datetime.now(UTC).date().toordinal() - 719_163,
    )  # fmt: skip


def flow(request: Request) -> Response:
    """One flow; where several have a document of that number, a choice."""
    wanted = wanted_of(request, WantedFlow)
    hits = ask(request, show_flow, wanted).flows
    if len(hits) > 1:
        return page(request, "flow_choice.html", calls=[(show_flow, wanted)], flows=with_blanks(hits), wanted=wanted)
    exact = WantedFlow(hits[0].aggregate_id)
    picture = ask(request, explain_flow, exact)
    record = blank(picture.flow.record)
    documents = with_blanks(picture.documents)
    numbers = {member.id: member.record.get("number") for member in picture.flow.members}
    events = events_of(record.get("timeline") or [], numbers, picture.flow.intents)
    gross = {name: record.get(field) for name, field in BARS.items()}
    if not gross["settled otherwise"]:
        del gross["settled otherwise"]
    return page(
        request, "flow.html", calls=[(show_flow, exact), (explain_flow, exact)], picture=picture, flow=picture.flow,
        record=record, documents=documents, events=events, drawing=draw_timeline(events),
        systems=sorted({s.system for d in picture.documents for s in d.sources if s.system != "opshub"}),
        gross=bars_of(gross), net=bars_of({name: record.get(field) for name, field in NET.items()}),
        supplies={supply.order_line_id: supply for supply in picture.supplies}, cases=with_blanks(picture.cases),
        requests=[member for member in with_blanks(picture.flow.members) if member.entity == "service_request"],
    )  # fmt: skip


ROUTES = [Route("/flows", flows), Route("/flows/{id}", flow)]
