"""What `opshub flow show` prints of a flow that waits for a late supplier."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streams.cli.flow import _print
from streams.hub.intent_review import IntentView
from streams.hub.order_flows import FlowMember, OrderFlow

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAY = 20_788
"""2026-12-01, in days since 1970."""


def intent(number: int, rule: str, state: str, **more: object) -> IntentView:
    given: dict[str, object] = {
        "id": number, "key": str(number), "rule": rule, "target": rule.partition("/")[0], "entity": "order_flow", "entity_id": "F",
        "aggregate_id": "A", "subject_id": "O", "state": state, "reasons": [], "people": 0, "decisions": [], "attempts": 1, "problem": None,
        "request": None, "result": None, "created_at": NOON, "expires_at": None, "done_at": None, "about": {},
    }  # fmt: skip
    return IntentView(**given | more)  # type: ignore[arg-type]


def test_a_late_purchase_and_what_was_written_back(capsys: pytest.CaptureFixture[str]) -> None:
    at = int(NOON.timestamp() * 1e6)
    event = {"entity": "purchase_order", "id": "P", "system": "demo-erp"}
    flow = OrderFlow(
        "A",
        {
            "stage": "partially_shipped", "order_number": "SO-1", "order_status": "partially_shipped", "shipment_status": "partially_shipped",
            "supply_status": "on_order", "expected_date": DAY + 22, "late_days": 20, "waits_for": "PO-1",
            "timeline": [
                event | {"at": at, "precision": "date", "what": "purchased"},
                event | {"at": at + 1, "precision": "time", "what": "purchase confirmed"},
            ],
        },
        [FlowMember("P", "purchase_order", 1, {"number": "PO-1", "promised_date": DAY + 2, "expected_date": DAY + 22})],
        [
            intent(1, "demo-crm/order_state", "delivered", done_at=NOON),
            intent(2, "demo-crm/order_state", "delivered", done_at=NOON + timedelta(seconds=5)),
            intent(3, "demo-erp/order_from_opportunity", "delivered", done_at=NOON - timedelta(seconds=5)),
            intent(4, "demo-erp/supply_for_order", "waiting", problem="large"),
        ],
    )  # fmt: skip
    _print(flow, [])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "flow A: partially shipped"
    assert "  supply on order; expected 2026-12-23, 20 days late; waits for PO-1" in printed
    assert printed[printed.index("timeline (UTC)") + 1 :] == [
        "  2026-12-01           purchased  purchase order PO-1, promised for 2026-12-03 and now 20 days later, on 2026-12-23  [demo-erp]",
        "  2026-12-01 12:00:00  purchase confirmed  purchase order PO-1  [demo-erp]",
        "  written back: demo-erp/order_from_opportunity, 2026-12-01 11:59:55",
        "  written back: demo-crm/order_state, 2 times, last 2026-12-01 12:00:05",
        "  waiting: demo-erp/supply_for_order (large)",
    ]
