"""Order flows: lists, how many are where, one flow with its timeline, and why it waits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from streams.console.masking import mask, mask_value
from streams.console.operation import Context, operation
from streams.console.people import Person
from streams.console.problems import NotFound, WrongInput
from streams.dictionary.readable import readable
from streams.errors import ConfigError
from streams.flow.waiting import LineProgress, Wait, progress_of_lines, waits_for
from streams.hub.finding import FoundDeadLetter
from streams.hub.flow_lists import (
    FlowFilter,
    FlowLine,
    StageCount,
    after_of,
    check_stages,
    read_after,
    stage_counts,
    stuck_limits,
)
from streams.hub.flow_lists import list_flows as hub_flows
from streams.hub.order_flows import FlowMember, OrderFlow, find_flows
from streams.hub.record_names import is_id
from streams.hub.record_views import (
    MOST,
    RecordName,
    StandingConflict,
    dead_letters_of_keys,
    flow_conflicts,
    members_of_flow,
    names_of_ids,
)
from streams.model.entities import ENTITIES
from streams.model.names import changes_topic
from streams.model.state import Contribution

DAY_S = 86_400


class WantedFlows(msgspec.Struct, frozen=True, kw_only=True):
    """Which order flows to list; what is not given does not matter."""

    stage: list[str] | None = None
    customer: str | None = None
    """Part of the name, or the customer's id, or system:key."""
    number: str | None = None
    """Of any of its documents, or the digits at its end."""
    text: str | None = None
    """How a number begins, or part of a name."""
    stuck: bool = False
    """Only those that are too long in their stage."""
    after: str | None = None
    """The `after` of the page before."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class FlowList(msgspec.Struct, frozen=True):
    """A page of flows. `after` gives the next page; null: this is the last one."""

    flows: list[FlowLine]
    after: str | None


class WantedStages(msgspec.Struct, frozen=True):
    """Nothing to choose."""


class StageList(msgspec.Struct, frozen=True):
    """How many flows are in each stage, in the order of business."""

    stages: list[StageCount]


class WantedFlow(msgspec.Struct, frozen=True):
    """An id, or the number of one of its documents; demo-erp:11 is the number or key in one system."""

    id: str


class FoundFlows(msgspec.Struct, frozen=True):
    """The flows that have a document of this number: mostly one."""

    flows: list[OrderFlow]


class SourceOfDocument(msgspec.Struct, frozen=True):
    """What one system says of a document."""

    system: str
    key: str
    source_us: int
    """Commit time of its newest change there, µs since 1970."""
    position: str
    """epoch/major/minor"""
    deleted: bool
    differs: dict[str, Any]
    """Fields that it says otherwise than the golden record."""


class DocumentSources(msgspec.Struct, frozen=True):
    """A document of the flow with what each system says of it."""

    id: str
    entity: str
    number: str | None
    record: dict[str, Any]
    sources: list[SourceOfDocument]


class LineSupply(msgspec.Struct, frozen=True):
    """How an order line is supplied. Days are days since 1970."""

    order_line_id: str
    status: str
    expected_date: int | None
    late_days: int | None
    waits_for: str | None
    """Number of the document that comes last."""
    waits_for_id: str | None
    waits_for_entity: str | None


class FlowCase(msgspec.Struct, frozen=True):
    """A service case about this flow: the record `service_case`."""

    id: str
    record: dict[str, Any]


class FlowExplanation(msgspec.Struct, frozen=True):
    """Where a flow is, what it waits for, and who knows more."""

    flow: OrderFlow
    customer: str | None
    customer_id: str | None
    wait: Wait
    stuck: bool
    """Whether it is longer in its stage than the settings allow."""
    lines: list[LineProgress]
    supplies: list[LineSupply]
    """Of the lines that a purchase, production or reservation names."""
    cases: list[FlowCase]
    """The newest first."""
    documents: list[DocumentSources]
    conflicts: list[StandingConflict]
    """Business rules that do not hold."""
    dead_letters: list[FoundDeadLetter]
    """Changes of this flow that could not be processed."""


@operation("GET", "/flows", permission="see", command=lambda wanted: _list_command(wanted))
def list_flows(context: Context, wanted: WantedFlows) -> FlowList:
    """List order flows, those that came into their stage last first."""
    _refuse_nul(wanted.customer, wanted.number, wanted.text)
    try:
        check_stages(wanted.stage or ())
        after_us, after_id = read_after(wanted.after) if wanted.after else (None, None)
    except ConfigError as error:
        raise WrongInput(str(error), remedy=error.remedy) from error
    chosen = FlowFilter(
        stages=wanted.stage or None, customer=wanted.customer, number=wanted.number, text=wanted.text,
        limits=_limits(context) if wanted.stuck else None, after_us=after_us, after_id=after_id, limit=wanted.limit,
    )  # fmt: skip
    with context.place.hub() as hub:
        flows = hub_flows(hub, chosen)
    after = after_of(flows, wanted.limit)
    masked = [
        msgspec.structs.replace(flow, customer=mask_value(flow.customer, "customer", "name", context.person))
        for flow in flows
    ]
    return FlowList(masked, after)


@operation("GET", "/stages", permission="see", command="opshub flow list --stages")
def count_stages(context: Context, wanted: WantedStages) -> StageList:
    """Count the order flows in each stage. Beyond a thousand it is an estimate, and says so."""
    with context.place.hub() as hub:
        return StageList(stage_counts(hub))


@operation("GET", "/flows/{id}", permission="see", command=lambda wanted: f"opshub flow show {wanted.id}")
def show_flow(context: Context, wanted: WantedFlow) -> FoundFlows:
    """Show stage, amounts, documents, timeline and intents of an order flow."""
    _refuse_nul(wanted.id)
    with context.place.hub() as hub:
        flows = find_flows(hub, wanted.id)
    if not flows:
        raise NotFound(
            f"no order flow has the id or number {wanted.id}",
            remedy="look for the customer, or see whether the workers have caught up",
        )
    return FoundFlows([_masked(flow, context.person) for flow in flows])


@operation("GET", "/flows/{id}/explanation", permission="see", command=lambda wanted: f"opshub flow show {wanted.id}")
def explain_flow(context: Context, wanted: WantedFlow) -> FlowExplanation:
    """Say what an order flow waits for and who knows more; with lines, sources, conflicts and dead letters."""
    hits = show_flow(context, wanted).flows
    if len(hits) > 1:
        raise WrongInput(f"{len(hits)} order flows have a document {wanted.id}", remedy="give the id of one of them")
    (flow,) = hits
    record = flow.record
    with context.place.hub() as hub:
        members = members_of_flow(hub, flow.aggregate_id)
        conflicts = flow_conflicts(hub, flow.aggregate_id)
        dead = dead_letters_of_keys(hub, [changes_topic("order_flow")], [flow.aggregate_id.encode()])
        customer = record.get("customer_id")
        ids = {str(value) for member in members for value in _values_of(member.contributions) if is_id(value)}
        names = names_of_ids(hub, sorted(ids | {customer} if customer else ids))
    now = time.time()
    wait = waits_for(record, flow.members, flow.intents, int(now // DAY_S))
    wait = msgspec.structs.replace(wait, ask=mask_value(wait.ask, wait.ask_of or "", "owner", context.person))
    limit = _limits(context).get(str(record.get("stage")))
    since = record.get("stage_since")
    stuck = wait.what not in ("approval", "nothing") and bool(limit and since and now - since / 1e6 > limit)
    called = names.get(customer or "")
    sources = {member.id: member for member in members}
    live = [member for member in members if member.version and not member.deleted and member.merged_into is None]
    return FlowExplanation(
        flow,
        mask_value(called.name, "customer", "name", context.person) if called else None,
        customer, wait, stuck, progress_of_lines(members)[: MOST * 10],
        [_supply(member.record) for member in live if member.entity == "supply"],
        sorted(
            (
                FlowCase(member.id, mask(member.record, member.entity, context.person))
                for member in live
                if member.entity == "service_case"
            ),
            key=lambda case: (case.record.get("opened_at") or 0, case.id),
            reverse=True,
        ),
        [
            _sources(member, sources[member.id].contributions, names, context.person)
            for member in flow.members
            if member.id in sources
        ],
        conflicts, dead,
    )  # fmt: skip


_DOCUMENT_OF_KIND = {
    "stock": "reservation",
    "purchase": "purchase_order",
    "drop_ship": "purchase_order",
    "production": "production_order",
}


def _supply(record: Mapping[str, Any]) -> LineSupply:
    last = record.get("waits_for_id")
    kind = next((source["kind"] for source in record["supplied_by"] if source["document_id"] == last), None)
    return LineSupply(
        record["order_line_id"], record["status"], record.get("expected_date"), record.get("late_days"),
        record.get("waits_for"), last, _DOCUMENT_OF_KIND.get(kind or ""),
    )  # fmt: skip


def _values_of(contributions: Mapping[str, Contribution]) -> Iterable[object]:
    return (value for contribution in contributions.values() for value in (contribution.fields or {}).values())


def _sources(
    member: FlowMember, contributions: Mapping[str, Contribution], names: Mapping[str, RecordName], person: Person
) -> DocumentSources:
    sources = []
    for contribution in contributions.values():
        differs = {
            name: _as_people_read_it(member.entity, name, value, names, person)
            for name, value in (contribution.fields or {}).items()
            if value is not None and name != "attributes" and not _is_same(value, member.record.get(name), names)
        }
        sources.append(
            SourceOfDocument(
                contribution.system, contribution.key, contribution.source_us,
                f"{contribution.epoch}/{contribution.major}/{contribution.minor}", contribution.deleted,
                mask(differs, member.entity, person),
            )
        )  # fmt: skip
    return DocumentSources(member.id, member.entity, member.record.get("number"), member.record, sources)


def _is_same(value: object, stands: object, names: Mapping[str, RecordName]) -> bool:
    """Whether a system's value is the one that stands; a reference to a merged record is one to the other."""
    record = names.get(value) if isinstance(value, str) else None
    return value == stands or (record is not None and record.record_id == stands)


def _as_people_read_it(
    entity: str, field: str, value: object, names: Mapping[str, RecordName], person: Person
) -> object:
    """A reference by the name of its record, all else as a decimal, a date, a text."""
    record = names.get(value) if isinstance(value, str) else None
    if record is not None and record.name:
        return mask_value(record.name, record.entity, "name", person)
    kind = ENTITIES[entity].fields.get(field) if entity in ENTITIES else None
    return readable(kind, value) if kind is not None else value


def _masked(flow: OrderFlow, person: Person) -> OrderFlow:
    members = [
        msgspec.structs.replace(member, record=mask(member.record, member.entity, person)) for member in flow.members
    ]
    return msgspec.structs.replace(flow, record=mask(flow.record, "order_flow", person), members=members)


def _refuse_nul(*texts: str | None) -> None:
    """Postgres keeps no such character, so nothing is called like that."""
    if any("\x00" in text for text in texts if text is not None):
        raise WrongInput("a text has the character NUL", remedy="leave it out")


def _limits(context: Context) -> dict[str, float]:
    return stuck_limits(context.place.settings.stuck_after_days.model_dump())


def _list_command(wanted: WantedFlows) -> str:
    words = ["opshub flow list", *(f"--stage {stage}" for stage in wanted.stage or ())]
    words += [f"--{name} '{value}'" for name in ("customer", "number", "text") if (value := getattr(wanted, name))]
    return " ".join(words + (["--stuck"] if wanted.stuck else []))
