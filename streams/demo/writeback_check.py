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
        orders = erp.execute(
            "SELECT h.crm_opp::text, count(*),"
            " bool_or(EXISTS (SELECT FROM erp.dlv_head d WHERE d.so_id = h.id AND d.stat IN ('S', 'D')))"
            " FROM erp.so_head h WHERE h.crm_opp = ANY(%s::uuid[]) GROUP BY 1", [list(shown)],
        ).fetchall()  # fmt: skip
    for opportunity, count, shipped in orders:
        verdict.orders_created += 1
        verdict.created_twice += count > 1
        if shipped:
            verdict.shipped += 1
            verdict.shipments_shown += shown[opportunity] in ("partially_shipped", "shipped", "delivered")
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
