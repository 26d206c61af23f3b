"""What supplies each order line, and which service cases there are to be, by the systems' tables: for the checker.

The ERP's side of supply is the statement of the demo's verdict, which shares nothing with the pipeline. Of service
cases only what nobody can argue about: there is one for each request and for each return that names none, with its
number, and it is open while the request is.
"""

from __future__ import annotations

from typing import Any

import psycopg

from streams.demo.statements import SQL
from tests.faults.rows import id_of

WAITS = ("short", "requested", "on_order", "partly_available")

CASES = {
    "demo-crm": (
        "service_request",
        "SELECT id::text, case_number, CASE WHEN status NOT IN ('Resolved', 'Closed') THEN true END FROM service_case WHERE NOT is_deleted",
    ),
    "demo-erp": ("return_order", "SELECT id::text, ret_no, stat < 50 FROM erp.ret_head WHERE crm_case IS NULL"),
}
"""System → what a case begins with there, and SQL that gives the key, the number, and whether the case is open; null:
not known."""


def read_supplies(erp: psycopg.Connection[Any]) -> dict[str, dict[str, Any]]:
    """Order line (its id) → what its record `supply` is to say; `status`, `waits_for`: any of these."""
    supplies = {}
    for line, _, status, late_days, expected, numbers in erp.execute(SQL["supply_in_erp"]).fetchall():
        waits = status in WAITS and bool(numbers)
        # Of several that come on the last day any may be the one that is needed, so also one that nobody has ordered.
        statuses = {status, *WAITS[1:]} if len(numbers) > 1 and status in WAITS[1:] else {status}
        supplies[id_of("demo-erp", "sales_order_line", line)] = {
            "status": sorted(statuses), "late_days": late_days, "expected_date": expected if waits else None,
            "waits_for": sorted(numbers) if waits else [None],
        }  # fmt: skip
    return supplies


def read_cases(system: str, connection: psycopg.Connection[Any]) -> dict[str, tuple[str, bool | None]]:
    """What a case begins with (its id) → its number, and whether it is open."""
    entity, query = CASES[system]
    rows = connection.execute(query.encode()).fetchall()
    return {id_of(system, entity, key): (number, is_open) for key, number, is_open in rows}
