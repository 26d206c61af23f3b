"""What write-back was to do, and what it did, by the two databases themselves: for the checker.

Every won opportunity has one order and shows its number and status; what was shipped of it shows; no intent is given
up, or waits for people, who are asked nothing here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import psycopg

from tests.faults.rows import id_of

STATUS = {10: "draft", 20: "confirmed", 30: "in_production", 40: "partially_shipped", 50: "shipped", 60: "invoiced", 80: "closed", 90: "cancelled"}  # fmt: skip
SHOWN = {"partially_shipped", "shipped", "delivered"}


@dataclass
class Written:
    """By opportunity: what is to be, what the CRM shows, what the ERP has."""

    won: set[str] = field(default_factory=set)
    """Opportunities that were won, and are to have an order."""
    shown: dict[str, tuple[str | None, str | None, str | None]] = field(default_factory=dict)
    """Won opportunity in the CRM → (number, status, shipment status of its order)."""
    orders: dict[str, list[tuple[str, int, bool]]] = field(default_factory=dict)
    """Opportunity → (number, status, whether anything of it left and was not returned) of each of its orders that is
    not cancelled.
    """
    stuck: list[tuple[str, str, str]] = field(default_factory=list)
    """(key, state, problem) of intents that came to nothing."""


def gather_written(hub: str, dsns: dict[str, str], won: Collection[str]) -> Written:
    """With nothing in flight."""
    found = Written(set(won))
    with psycopg.connect(dsns["demo-crm"]) as crm:
        for one, *shown in crm.execute(
            "SELECT id::text, erp_order_no, erp_order_status, shipment_status FROM opportunity "
            "WHERE id = ANY(%s::uuid[]) AND stage = 'Closed Won' AND NOT is_deleted", [list(won)],
        ).fetchall():  # fmt: skip
            found.shown[one] = (shown[0], shown[1], shown[2])
    with psycopg.connect(dsns["demo-erp"]) as erp:
        for one, *order in erp.execute(
            "SELECT crm_opp::text, so_no, stat::int, EXISTS (SELECT FROM erp.dlv_head d JOIN erp.dlv_line p ON p.dlv_id = d.id "
            "WHERE d.so_id = h.id AND d.stat IN ('S', 'D')) FROM erp.so_head h WHERE crm_opp IS NOT NULL AND stat <> 90"
        ).fetchall():
            found.orders.setdefault(one, []).append((order[0], order[1], order[2]))
    with psycopg.connect(hub) as connection:
        found.stuck = connection.execute(
            "SELECT key, state, coalesce(problem, '') FROM intent WHERE state NOT IN ('delivered', 'superseded', 'shadow') "
            "AND (state <> 'waiting' OR entity_id::text = ANY(%s))", [[id_of("demo-crm", "opportunity", one) for one in won]],
        ).fetchall()  # fmt: skip
    return found


def what_is_wrong(written: Written) -> Iterator[tuple[str, str]]:
    """(kind, what)."""
    for one in sorted(written.won):
        if one not in written.shown:
            yield "lost", f"opportunity {one}: it was won, and the CRM does not say so"
        elif one not in written.orders:
            yield "lost", f"opportunity {one}: it was won, and has no order"
    for one, orders in written.orders.items():
        if len(orders) > 1:
            yield (
                "doubled",
                f"opportunity {one}: it has {len(orders)} orders, {', '.join(number for number, *_ in orders)}",
            )
        elif one in written.shown:
            number, status, shipped = orders[0]
            said = written.shown[one]
            if said[:2] != (number, STATUS[status]):
                yield (
                    "differing",
                    f"opportunity {one}: the order is {number}, {STATUS[status]}, and the CRM shows {said[:2]}",
                )
            elif (said[2] in SHOWN) is not shipped:
                yield (
                    "differing",
                    f"opportunity {one}: {'something' if shipped else 'nothing'} of {number} was shipped, the CRM shows {said[2]}",
                )
    for key, state, problem in written.stuck:
        yield "lost", f"intent {key}: it is {state}: {problem}"
