"""Did every won opportunity become one order, and does its shipment show in the CRM? Asked of the two databases themselves."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec
import psycopg


class WritebackVerdict(msgspec.Struct):
    """Of the opportunities that were won while the demo ran. `pending`: intents that are neither done nor given up."""

    won: int = 0
    orders_created: int = 0
    created_twice: int = 0
    shipped: int = 0
    shipments_shown: int = 0
    echoes_dropped: int = 0
    pending: int = 0
    waiting: int = 0
    dead: int = 0

    @property
    def holds(self) -> bool:
        """Nothing twice, nothing missing but what people were asked about, every shipment shown."""
        asked = self.waiting
        return (
            self.created_twice == 0
            and self.dead == 0
            and self.won - asked <= self.orders_created <= self.won
            and self.shipments_shown == self.shipped
        )


def wait_delivered(hub_dsn: str, *, seconds: float) -> bool:
    """Wait until no intent is on its way (those that wait for people stay); whether that came about."""
    end = time.monotonic() + seconds
    with psycopg.connect(hub_dsn, autocommit=True) as hub:
        while True:
            row = hub.execute(
                "SELECT count(*) FROM intent WHERE state IN ('planned', 'approved', 'delivering', 'failed')"
            ).fetchone()
            if row is None or row[0] == 0:
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(0.2)


_ORDERS = """
SELECT h.crm_opp::text, count(*), bool_or(went.any), bool_and(went.whole), bool_or(came.back)
  FROM erp.so_head h,
       LATERAL (SELECT coalesce(bool_or(gone.qty > 0), false) AS any, bool_and(gone.qty >= l.qty - 0.0001) AS whole
                  FROM erp.so_line l, LATERAL (
                       SELECT coalesce(sum(d.qty), 0) AS qty FROM erp.dlv_head v JOIN erp.dlv_line d ON d.dlv_id = v.id
                        WHERE v.so_id = h.id AND v.stat IN ('S', 'D') AND d.so_line_id = l.id) gone
                 WHERE l.so_id = h.id) went,
       LATERAL (SELECT EXISTS (SELECT FROM erp.dlv_head v WHERE v.so_id = h.id AND v.stat = 'R') AS back) came
 WHERE h.crm_opp = ANY(%s::uuid[]) GROUP BY 1
"""
"""Opportunity, orders, whether something was shipped, whether all of it was, whether something came back."""


def shown_as(shipped: bool, whole: bool, came_back: bool) -> tuple[str, ...]:
    """The words of which the CRM is to show one, for an order of which this left the ERP's house; none where nothing did."""
    if not shipped:
        return ()
    if whole:
        return ("shipped", "delivered")
    # What came back is to be sent again, unless it was credited.
    return ("partially_shipped", "shipped", "delivered") if came_back else ("partially_shipped",)


def check_writeback(
    hub_dsn: str, crm_dsn: str, erp_dsn: str, facts: Iterable[dict[str, Any]], stats: Iterable[dict[str, Any]]
) -> WritebackVerdict:
    """`facts`: what the company's journal says ({"fact": "won", "opportunity": …}); `stats`: the workers' own figures, for the echoes."""
    won = sorted({fact["opportunity"] for fact in facts if fact.get("fact") == "won"})
    verdict = WritebackVerdict()
    with psycopg.connect(crm_dsn) as crm:
        shown: dict[str, Any] = dict(
            crm.execute(
                "SELECT id::text, shipment_status FROM opportunity"
                " WHERE id = ANY(%s::uuid[]) AND stage = 'Closed Won' AND NOT is_deleted", [won],
            ).fetchall()
        )  # fmt: skip
    verdict.won = len(shown)
    with psycopg.connect(erp_dsn) as erp:
        orders = erp.execute(_ORDERS, [list(shown)]).fetchall()
    for opportunity, count, *goods in orders:
        verdict.orders_created += 1
        verdict.created_twice += count > 1
        words = shown_as(*goods)
        if words:
            verdict.shipped += 1
            verdict.shipments_shown += shown[opportunity] in words
    verdict.echoes_dropped = sum(one["lanes"].get("assemble", {}).get("counts", {}).get("echoes", 0) for one in stats)
    with psycopg.connect(hub_dsn) as hub:
        states: dict[str, int] = dict(hub.execute("SELECT state, count(*) FROM intent GROUP BY state").fetchall())
        asked = hub.execute(
            "SELECT count(*) FROM intent WHERE state = 'waiting' AND rule = 'demo-erp/order_from_opportunity'"
        ).fetchone()
    verdict.pending = sum(states.get(state, 0) for state in ("planned", "waiting", "approved", "delivering", "failed"))
    verdict.waiting = int(asked[0]) if asked else 0
    verdict.dead = states.get("dead", 0)
    return verdict
