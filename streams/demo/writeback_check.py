"""Check write-back in the two databases: each won opportunity has one order, and the CRM shows its shipment.

In: the facts of the simulator's journal, both databases, the hub. Out: a `WritebackVerdict`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec
import psycopg

from streams.demo.statements import SQL, count
from streams.simulator.world import Fact


class WritebackVerdict(msgspec.Struct):
    """Figures of the opportunities that were won while the demo ran."""

    won: int = 0
    orders_created: int = 0
    created_twice: int = 0
    """Opportunities with more than one order."""
    shipped: int = 0
    shipments_shown: int = 0
    """Shipped orders whose shipment the CRM shows."""
    echoes_dropped: int = 0
    pending: int = 0
    """Intents that are neither delivered nor given up."""
    waiting: int = 0
    """Orders that wait for approval."""
    dead: int = 0
    """Intents that were given up."""

    @property
    def holds(self) -> bool:
        """No order is missing or doubled, except those that wait for approval; every shipment is shown."""
        return (
            self.created_twice == 0
            and self.dead == 0
            and self.won - self.waiting <= self.orders_created <= self.won
            and self.shipments_shown == self.shipped
        )


def wait_delivered(hub_dsn: str, *, seconds: float) -> bool:
    """Wait until every intent is delivered, given up or waits for approval. Returns False when time ran out."""
    end = time.monotonic() + seconds
    with psycopg.connect(hub_dsn, autocommit=True) as hub:
        while True:
            if count(hub, "intents_on_their_way") == 0:
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(0.2)


def shown_as(shipped: bool, whole: bool, came_back: bool) -> tuple[str, ...]:
    """The shipment statuses that the CRM may show for this order; none when nothing was shipped."""
    if not shipped:
        return ()
    if whole:
        return ("shipped", "delivered")
    # A returned delivery is shipped again, unless it was credited.
    return ("partially_shipped", "shipped", "delivered") if came_back else ("partially_shipped",)


def check_writeback(
    hub_dsn: str, crm_dsn: str, erp_dsn: str, facts: Iterable[Fact], stats: Iterable[dict[str, Any]]
) -> WritebackVerdict:
    """Compare the opportunities that were won with the orders in the ERP and the shipments in the CRM.

    `facts`: the company's journal ({"fact": "won", "opportunity": …}). `stats`: the workers' figures, which count
    echoes.
    """
    won = sorted({fact["opportunity"] for fact in facts if fact.get("fact") == "won"})
    verdict = WritebackVerdict()
    with psycopg.connect(crm_dsn) as crm:
        shown: dict[str, str | None] = dict(crm.execute(SQL["won_opportunities"], [won]).fetchall())
    verdict.won = len(shown)
    with psycopg.connect(erp_dsn) as erp:
        orders = erp.execute(SQL["orders_of_opportunities"], [list(shown)]).fetchall()
    for opportunity, number, *goods in orders:
        verdict.orders_created += 1
        verdict.created_twice += number > 1
        words = shown_as(*goods)
        if words:
            verdict.shipped += 1
            verdict.shipments_shown += shown[opportunity] in words
    verdict.echoes_dropped = sum(
        worker["lanes"].get("assemble", {}).get("counts", {}).get("echoes", 0) for worker in stats
    )
    with psycopg.connect(hub_dsn) as hub:
        states: dict[str, int] = dict(hub.execute(SQL["intents_by_state"]).fetchall())
        verdict.waiting = count(hub, "orders_that_wait_for_approval")
    verdict.pending = sum(states.get(state, 0) for state in ("planned", "waiting", "approved", "delivering", "failed"))
    verdict.dead = states.get("dead", 0)
    return verdict
