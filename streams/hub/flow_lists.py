"""Lists of order flows as people see them: by stage, customer, number and text, page by page, and how many are where.

In: a filter. Out: flows, those that came into their stage last first. Promised: each statement of `sql/flow_lists.sql`
reads an index and stops after a page, however many flows the hub has.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from streams.errors import ConfigError
from streams.hub.intent_review import Hub
from streams.hub.record_names import is_id
from streams.hub.statements import fetch_structs
from streams.model.entities import ENTITIES
from streams.model.ids import source_id

STAGES = ENTITIES["order_flow"].fields["stage"].values
"""The stages of a flow, in the order of business."""

DOCUMENTS = (
    "opportunity", "sales_order", "shipment", "invoice", "payment", "service_request", "share", "purchase_order",
    "production_order", "return_order",
)  # fmt: skip
"""Entities whose number finds a flow."""

MOST_NAMED = 300
"""Customers, or documents, that a part of a text is taken to mean: who asks for more wants another text."""

COUNTED = 1_000
"""Flows of a stage that are counted; more are estimated."""

LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
DAY_S = 86_400
FOREVER_US = 2**62


class FlowLine(msgspec.Struct, frozen=True):
    """An order flow in a list. Amounts are unscaled; `ordered_amount` is without tax, the others with it."""

    id: str
    record_id: str
    stage: str
    since_us: int
    """Since when it is in its stage, µs since 1970."""
    order_number: str | None
    opportunity_number: str | None
    customer: str | None
    customer_id: str | None
    currency: str | None
    ordered_amount: int | None
    invoiced_amount: int | None
    paid_amount: int | None
    open_amount: int | None
    goods: str | None
    money: str | None
    promised_date: int | None
    """Days since 1970."""


class FlowFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which order flows to list; None: no matter."""

    stages: list[str] | None = None
    customer: str | None = None
    """Part of the name, or the customer's id, or system:key."""
    number: str | None = None
    """Of any of its documents, or the digits at its end."""
    text: str | None = None
    """How a number begins, or part of a deal's or customer's name."""
    limits: Mapping[str, float] | None = None
    """Stage → seconds: only flows that are stuck."""
    after_us: int | None = None
    after_id: str | None = None
    limit: int = 50


class StageCount(msgspec.Struct, frozen=True):
    """How many live flows are in a stage. `exact`: counted, and not estimated."""

    stage: str
    count: int
    exact: bool


class _Place(msgspec.Struct, frozen=True):
    record_id: str
    since_us: int


class _Id(msgspec.Struct, frozen=True):
    id: str


def check_stages(stages: Sequence[str]) -> None:
    """Raises ConfigError for a stage that does not exist."""
    unknown = [name for name in stages if name not in STAGES]
    if unknown:
        raise ConfigError(f"there is no stage {unknown[0]}", remedy=f"one of {', '.join(STAGES)}")


def stuck_limits(days: Mapping[str, float | None]) -> dict[str, float]:
    """Stage → seconds after which a flow is stuck in it, of the setting in days."""
    return {name: limit * DAY_S for name, limit in days.items() if limit is not None}


def after_of(flows: Sequence[FlowLine], limit: int) -> str | None:
    """What gives the page after this one; None when this is the last."""
    return f"{flows[-1].since_us}:{flows[-1].record_id}" if len(flows) == limit else None


def read_after(after: str) -> tuple[int, str]:
    """(since, record id) of a place in a list. Raises ConfigError."""
    since, _, record_id = after.partition(":")
    if not (since.isascii() and since.isdigit() and len(since) < 19) or not is_id(record_id):
        raise ConfigError(f"{after} is no place in a list", remedy="copy it from the end of a list")
    return int(since), record_id


def list_flows(hub: Hub, wanted: FlowFilter) -> list[FlowLine]:
    """Order flows, those that came into their stage last first."""
    stages, before_us = _stages(wanted)
    parameters: dict[str, Any] = {
        "stages": stages,
        "before_us": before_us,
        "stuck": wanted.limits is not None,
        "after_us": FOREVER_US if wanted.after_us is None else wanted.after_us,
        "after_id": wanted.after_id or LAST,
        "limit": wanted.limit,
    }
    only = None if wanted.customer is None else customer_ids(hub, wanted.customer)
    named = [
        _named(hub, text, beginning=beginning)
        for text, beginning in ((wanted.number, False), (wanted.text, True))
        if text is not None
    ]
    if named:
        parameters |= {"aggregates": sorted(named[0].aggregates), "customers": named[0].customers, "only": only}
        places = fetch_structs(hub, _Place, "flows_meant", parameters)
    elif only is not None:
        parameters |= {"aggregates": [], "customers": only, "only": None}
        places = fetch_structs(hub, _Place, "flows_meant", parameters)
    elif stages is not None:
        places = fetch_structs(hub, _Place, "flows_by_stage", parameters)
    else:
        places = fetch_structs(hub, _Place, "flows_by_time", parameters)
    if not places:
        return []
    flows = fetch_structs(hub, FlowLine, "flow_lines", {"ids": [place.record_id for place in places]})
    others = named[1:]
    return [flow for flow in flows if all(other.means(flow) for other in others)]


def stage_counts(hub: Hub) -> list[StageCount]:
    """How many live flows are in each stage, in the order of business."""
    counts = fetch_structs(hub, StageCount, "stage_counts", {"stages": list(STAGES), "most": COUNTED})
    return sorted(counts, key=lambda count: STAGES.index(count.stage))


def customer_ids(hub: Hub, customer: str) -> list[str]:
    """The customers that a text means: by id, by system:key, or by a part of the name."""
    if is_id(customer):
        return [customer]
    system, colon, key = customer.partition(":")
    if colon and key and re.fullmatch(r"[\w.-]+", system):
        return [
            row.id for row in fetch_structs(hub, _Id, "records_by_id", {"ids": [source_id(system, "customer", key)]})
        ]
    return [row.id for row in fetch_structs(hub, _Id, "customers_named", name_parts(customer))]


def name_parts(text: str, limit: int = MOST_NAMED) -> dict[str, Any]:
    """Parameters of a statement that looks for a part of a name. `like` is None where no index knows so short a part:
    then the name must begin with it.
    """
    lower = " ".join(text.lower().split())[:100]
    pairs = sorted({lower[i : i + 2] for i in range(len(lower) - 1) if all(_is_other(c) for c in lower[i : i + 2])})
    has_trigram = re.search(r"[a-z0-9]{3}", lower) is not None
    escaped = lower.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    like = f"%{escaped}%" if pairs or has_trigram else None
    return {"like": like, "pairs": pairs or None, "text": lower, "limit": limit}


def digits_of(number: str) -> str | None:
    """The digits at the end of a number, without leading zeros; None where it has other characters than digits before
    them: then it is meant as it stands.
    """
    digits = number.strip().lstrip("#").lstrip("0")
    return digits if digits.isascii() and digits.isdigit() else None


def _is_other(character: str) -> bool:
    """As opshub_pairs in the hub: neither a Latin letter nor a sign."""
    code = ord(character)
    return code > 0x24F and not 0x2000 <= code <= 0x206F


def _stages(wanted: FlowFilter) -> tuple[list[str] | None, list[int] | None]:
    """Stages to list, each with the moment before which a flow must have come into it; None: all of any time."""
    if wanted.limits is None:
        stages = list(dict.fromkeys(wanted.stages or ()))
        return (stages, [FOREVER_US] * len(stages)) if stages else (None, None)
    now = time.time()
    limits = {name: limit for name, limit in wanted.limits.items() if not wanted.stages or name in wanted.stages}
    return list(limits), [int((now - limit) * 1e6) for limit in limits.values()]


class _Named(NamedTuple):
    """What a text means: flows, and customers whose flows are meant."""

    aggregates: set[str]
    customers: list[str]

    def means(self, flow: FlowLine) -> bool:
        return flow.id in self.aggregates or flow.customer_id in self.customers


def _named(hub: Hub, text: str, *, beginning: bool) -> _Named:
    """What a number means, or with `beginning` the begin of a number or a part of a name."""
    number = {"kinds": list(DOCUMENTS), "number": text.strip()[:100], "beginning": beginning}
    rows = fetch_structs(hub, _Id, "flows_numbered", number | {"digits": digits_of(text), "limit": MOST_NAMED})
    aggregates = {row.id for row in rows}
    if not beginning:
        return _Named(aggregates, [])
    parts = name_parts(text)
    aggregates |= {row.id for row in fetch_structs(hub, _Id, "flows_of_deals_named", parts)}
    return _Named(aggregates, [row.id for row in fetch_structs(hub, _Id, "customers_named", parts)])
