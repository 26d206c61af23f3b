"""A supplier moves a date in the ERP, and the CRM shows it in every deal that it hits: on the whole running stack."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from tests.conftest import Pipeline
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(600)

SHOWN = "SELECT erp_order_no, supply_status, delivery_date::text, late_days FROM opportunity WHERE id = ANY(%s::uuid[]) ORDER BY id"
TASKS = "SELECT o.id::text, t.subject FROM task t JOIN opportunity o ON o.id = t.opportunity_id WHERE o.id = ANY(%s::uuid[]) AND t.status = 'Open' ORDER BY o.id"


def test_a_date_that_a_supplier_moves_shows_in_every_deal_that_it_hits(pipeline: Pipeline) -> None:
    crm, erp = pipeline.connect("CRM"), pipeline.connect("ERP")
    sku = f"MD-{uuid.uuid4().hex[:8]}"

    def one(connection: Any, query: str, *values: object) -> Any:
        row = connection.execute(query.encode(), values).fetchone()
        assert row is not None
        return row[0]

    supplier = one(erp, "INSERT INTO erp.supp (name1) VALUES ('Bolt Works') RETURNING id")
    erp.execute(
        "INSERT INTO erp.item (item_no, descr, way, supp_id, price, cost) VALUES (%s, 'Bolt', 'B', %s, 50, 10)",
        [sku, supplier],
    )
    product = one(crm, "INSERT INTO product (sku, name, list_price) VALUES (%s, 'Bolt', 50) RETURNING id::text", sku)
    account = one(crm, "INSERT INTO account (name, billing_country) VALUES (%s, 'Germany') RETURNING id::text", f"Firm {sku}")  # fmt: skip
    deals = []
    for number in (1, 2):
        deal = one(
            crm, "INSERT INTO opportunity (name, account_id, stage, amount) VALUES (%s, %s, 'Proposal/Quote', 100) RETURNING id::text",
            f"Deal {number}", account,
        )  # fmt: skip
        crm.execute(
            "INSERT INTO opportunity_item (opportunity_id, product_id, line_no, description, quantity, unit_price, net_amount) VALUES (%s, %s, 1, %s, 2, 50, 100)",
            [deal, product, sku],
        )  # fmt: skip
        deals.append(deal)
    deals.sort()

    def shown() -> list[Any]:
        return crm.execute(SHOWN, [deals]).fetchall()

    pipeline.start_worker("dates")
    try:
        crm.execute(
            "UPDATE opportunity SET stage = 'Closed Won', probability = 100, won_at = now() WHERE id = ANY(%s::uuid[])",
            [deals],
        )
        # Both orders are made and their goods requested by write-back alone: no person did anything in the ERP yet.
        wait_for(lambda: all(row[0] and row[1] == "requested" for row in shown()), 180, seen=shown)
        numbers = [row[0] for row in shown()]
        # The buyer puts both requests into one purchase order, and orders it.
        purchases = [
            row[0]
            for row in erp.execute(
                "SELECT DISTINCT p.po_id FROM erp.po_line p JOIN erp.so_line l ON l.id = p.so_line_id JOIN erp.so_head h ON h.id = l.so_id"
                " WHERE h.crm_opp = ANY(%s::uuid[]) ORDER BY 1", [deals],
            ).fetchall()
        ]  # fmt: skip
        assert len(purchases) == 2
        with erp.transaction():
            erp.execute("UPDATE erp.so_head SET prom_date = 20270310 WHERE crm_opp = ANY(%s::uuid[])", [deals])
            erp.execute("UPDATE erp.po_line SET po_id = %s, pos = 20 WHERE po_id = %s", purchases)
            erp.execute("UPDATE erp.po_head SET stat = 90 WHERE id = %s", [purchases[1]])
            erp.execute("UPDATE erp.po_head SET stat = 30, prom_date = 20270305, exp_date = 20270305 WHERE id = %s", [purchases[0]])  # fmt: skip
        wanted = [(number, "on_order", "2027-03-05", None) for number in numbers]
        wait_for(lambda: shown() == wanted, 180, seen=shown)
        seconds = []
        for day, late in ((17, 7), (19, 9), (21, 11)):
            began = time.monotonic()
            erp.execute("UPDATE erp.po_head SET exp_date = %s WHERE id = %s", [20270300 + day, purchases[0]])
            wanted = [(number, "on_order", f"2027-03-{day}", late) for number in numbers]
            wait_for(lambda wanted=wanted: shown() == wanted, 180, pause=0.01, seen=shown)  # type: ignore[misc]
            seconds.append(round(time.monotonic() - began, 2))
        print(f"\na supplier's date shows in both deals after {seconds} s")
        document = one(erp, "SELECT po_no FROM erp.po_head WHERE id = %s", purchases[0])

        def tasks() -> list[Any]:
            return crm.execute(TASKS, [deals]).fetchall()

        def are_told() -> bool:
            return [deal for deal, _ in tasks()] == deals and all(
                f"{number} comes 11 days late" in subject and str(document) in subject
                for number, (_, subject) in zip(numbers, tasks(), strict=True)
            )

        wait_for(are_told, 180, seen=tasks)
        pipeline.drain()
    finally:
        pipeline.stop_workers()
        crm.close()
        erp.close()
