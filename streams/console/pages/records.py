"""The pages of the search, of records, and of their way through the systems."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from streams.console.blanks import blank, with_blanks
from streams.console.handling import ask, wanted_of
from streams.console.operations.journey import (
    TopicRecords,
    WantedTopics,
    read_topics,
    show_journey,
)
from streams.console.operations.records import (
    BROWSED,
    WantedEntities,
    WantedRecord,
    WantedRecords,
    WantedText,
    count_records,
    find,
    list_records,
    show_record,
)
from streams.console.render import Call, page
from streams.errors import OpshubError
from streams.hub.finding import FoundRecord
from streams.model.entities import ENTITIES

HOURS = (0, 1, 24, 168)


ASKED_FOR_MOST = ("customer", "sales_order")
"""What people mean as a rule, by a name or by the digits of a number: these stand first."""


def find_page(request: Request) -> Response:
    """What a text may mean; one hit goes straight to its page."""
    text = request.query_params.get("text", "").strip()
    if not text:
        return page(request, "find.html", text="", hits=None, groups={})
    wanted = WantedText(text[:300])
    hits = ask(request, find, wanted)
    others = [*hits.intents, *hits.dead_letters]
    if len(hits.records) == 1 and not others:
        return RedirectResponse(address(hits.records[0]), status_code=303)
    groups: dict[str, list[FoundRecord]] = {}
    for record in sorted(hits.records, key=lambda record: record.entity not in ASKED_FOR_MOST):
        groups.setdefault(record.entity, []).append(record)
    flow_of = {record.aggregate_id for record in hits.records if _is_of_flow(record.entity)}
    # A number that an order, its shipments and its flow share is one hit to people.
    if len(flow_of) == 1 and not others and all(_is_of_flow(record.entity) for record in hits.records):
        return RedirectResponse(f"/flows/{flow_of.pop()}", status_code=303)
    return page(
        request, "find.html", calls=[(find, wanted)], text=text, hits=hits, groups=groups, address=address
    )  # fmt: skip


def records(request: Request) -> Response:
    """Records of one entity."""
    entity = request.query_params.get("entity") or BROWSED[0]
    wanted = WantedRecords(entity=entity, after=request.query_params.get("after") or None)
    listed = ask(request, list_records, wanted)
    counts = ask(request, count_records, WantedEntities()).entities
    return page(
        request, "records.html", calls=[(list_records, wanted), (count_records, WantedEntities())], wanted=wanted,
        listed=listed, counts=counts, address=address,
    )  # fmt: skip


def record(request: Request) -> Response:
    """One record with all that is known of it."""
    wanted = WantedRecord(request.path_params["id"])
    picture = ask(request, show_record, wanted)
    if picture.entity == "order_flow":
        return RedirectResponse(f"/flows/{picture.aggregate_id}", status_code=303)
    in_flow = _is_of_flow(picture.entity)
    kinds = ENTITIES[picture.entity].fields if picture.entity in ENTITIES else {}
    everything = request.query_params.get("all") == "1"
    return page(
        request, "record.html", calls=[(show_record, wanted)], picture=picture, kinds=kinds, in_flow=in_flow,
        everything=everything, requests=with_blanks(picture.requests),
        parts=blank({kind: with_blanks(members) for kind, members in picture.parts.items()}),
    )  # fmt: skip


def journey(request: Request) -> Response:
    """The way of a record; with `kafka` also what the topics still have of it."""
    wanted = WantedRecord(request.path_params["id"])
    hits = ask(request, show_journey, wanted)
    hours = request.query_params.get("hours")
    topics: TopicRecords | None = None
    problem: OpshubError | None = None
    exact = WantedTopics(id=wanted.id, entity=hits.entity)
    if hours is not None:
        exact = msgspec.structs.replace(wanted_of(request, WantedTopics), entity=hits.entity)
        try:
            topics = ask(request, read_topics, exact)
        except OpshubError as error:
            problem = error
    calls: list[Call] = [(show_journey, wanted), (read_topics, exact)]
    return page(
        request, "journey.html", calls=calls, journey=hits, topics=topics, problem=problem, hours=hours, choices=HOURS,
        kinds=ENTITIES[hits.entity].fields if hits.entity in ENTITIES else {},
    )  # fmt: skip


def address(record: FoundRecord) -> str:
    """The page of a record: of what belongs to a flow, the flow's."""
    if record.entity in ("order_flow", "share"):
        return f"/flows/{record.aggregate_id}"
    if record.entity in ("opportunity", "sales_order"):
        return f"/flows/{record.aggregate_id}"
    return f"/records/{quote(record.entity)}/{record.id}"


def _is_of_flow(entity: str) -> bool:
    return entity in ENTITIES and ENTITIES[entity].aggregate == "order_flow"


ROUTES = [
    Route("/find", find_page),
    Route("/records", records),
    Route("/records/{id}/journey", journey),
    Route("/records/{entity}/{id}", record),
]
