"""The business figures, and the orders that wait for goods."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streams.console.operation import Context, operation
from streams.hub.figures import BlockedFlow, blocked_flows
from streams.monitor.business_figures import BusinessFigures, business_figures


class WantedFigures(msgspec.Struct, frozen=True):
    """Of how many weeks, the running one included."""

    weeks: Annotated[int, msgspec.Meta(ge=1, le=260)] = 13


class WantedBlocked(msgspec.Struct, frozen=True):
    """How many at most."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class BlockedFlows(msgspec.Struct, frozen=True):
    """Orders that wait for goods, the longest first."""

    flows: list[BlockedFlow]


@operation("GET", "/figures", permission="see", command=lambda wanted: f"opshub figures --weeks {wanted.weeks}")
def figures(context: Context, wanted: WantedFigures) -> BusinessFigures:
    """Show the business figures by week: won to paid, on time, errors, days sales outstanding; and what waits."""
    with context.place.hub() as hub:
        return business_figures(hub, weeks=wanted.weeks)


@operation("GET", "/figures/blocked", permission="see")
def list_blocked_flows(context: Context, wanted: WantedBlocked) -> BlockedFlows:
    """List the orders that cannot be shipped since goods are missing, as far as the hub knows."""
    with context.place.hub() as hub:
        return BlockedFlows(blocked_flows(hub, limit=wanted.limit))
