"""Order flows: lists, and one flow with its timeline."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streams.cli.flow_list import STAGES
from streams.console.operation import Context, operation
from streams.console.problems import NotFound, WrongInput
from streams.hub.order_flows import FlowFilter, FlowLine, OrderFlow, find_flows
from streams.hub.order_flows import list_flows as hub_flows
from streams.hub.record_names import is_id

DAY_S = 86_400


class WantedFlows(msgspec.Struct, frozen=True, kw_only=True):
    """Which order flows to list; what is not given does not matter."""

    stage: list[str] | None = None
    customer: str | None = None
    """Part of the name, or the customer's id, or system:key."""
    number: str | None = None
    """Of any of its documents."""
    text: str | None = None
    """Part of a number or name."""
    stuck: bool = False
    """Only those that are too long in their stage."""
    after: str | None = None
    """The `after` of the page before."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class FlowList(msgspec.Struct, frozen=True):
    """A page of flows. `after` gives the next page; null: this is the last one."""

    flows: list[FlowLine]
    after: str | None


class WantedFlow(msgspec.Struct, frozen=True):
    """An id, or the number of one of its documents; demo-erp:11 is the number or key in one system."""

    id: str


class FoundFlows(msgspec.Struct, frozen=True):
    """The flows that have a document of this number: mostly one."""

    flows: list[OrderFlow]


@operation("GET", "/flows", permission="see", command=lambda wanted: _list_command(wanted))
def list_flows(context: Context, wanted: WantedFlows) -> FlowList:
    """List order flows, those that came into their stage last first."""
    unknown = [name for name in wanted.stage or () if name not in STAGES]
    if unknown:
        raise WrongInput(f"there is no stage {unknown[0]}", remedy=f"one of {', '.join(STAGES)}")
    days = context.place.settings.stuck_after_days.model_dump()
    limits = {name: limit * DAY_S for name, limit in days.items() if limit is not None}
    after_us, after_id = _position(wanted.after) if wanted.after else (None, None)
    chosen = FlowFilter(
        stages=wanted.stage or None, customer=wanted.customer, number=wanted.number, text=wanted.text,
        limits=limits if wanted.stuck else None, after_us=after_us, after_id=after_id, limit=wanted.limit,
    )  # fmt: skip
    with context.place.hub() as hub:
        flows = hub_flows(hub, chosen)
    after = f"{flows[-1].since_us}:{flows[-1].record_id}" if len(flows) == wanted.limit else None
    return FlowList(flows, after)


@operation("GET", "/flows/{id}", permission="see", command=lambda wanted: f"opshub flow show {wanted.id}")
def show_flow(context: Context, wanted: WantedFlow) -> FoundFlows:
    """Show stage, amounts, documents, timeline and intents of an order flow."""
    with context.place.hub() as hub:
        flows = find_flows(hub, wanted.id)
    if not flows:
        raise NotFound(
            f"no order flow has the id or number {wanted.id}",
            remedy="look for the customer, or see whether the workers have caught up",
        )
    return FoundFlows(flows)


def _position(after: str) -> tuple[int, str]:
    since, _, record_id = after.partition(":")
    if not (since.isascii() and since.isdigit() and len(since) < 19) or not is_id(record_id):
        raise WrongInput(f"{after} is no place in a list", remedy="take `after` of the page before")
    return int(since), record_id


def _list_command(wanted: WantedFlows) -> str:
    words = ["opshub flow list", *(f"--stage {stage}" for stage in wanted.stage or ())]
    words += [f"--{name} '{value}'" for name in ("customer", "number", "text") if (value := getattr(wanted, name))]
    return " ".join(words + (["--stuck"] if wanted.stuck else []))
