"""What a service case waits for, by its joined record."""

from __future__ import annotations

from typing import Any

import pytest

from streams.flow.case_waiting import case_waits_for

REPLACED = {"replacement_order_id": "O"}


@pytest.mark.parametrize(
    ("record", "wait"),
    [
        ({"is_open": False, "return_status": "requested"}, "nothing"),
        ({"kind": "return"}, "return in the ERP"),
        ({"kind": "return", "return_status": "requested"}, "approval of the return"),
        ({"kind": "return", "return_status": "approved"}, "returned goods"),
        ({"kind": "return", "return_status": "inspected"}, "credit note or replacement"),
        ({"kind": "return", "return_status": "credited"}, "end of the case"),
        ({"kind": "return", "return_status": "requested", **REPLACED}, "approval of the return"),
        ({"kind": "repair"}, "repair"),
        ({"kind": "repair", "repair_status": "waiting_for_parts"}, "parts for the repair"),
        ({"kind": "repair", "repair_status": "returned"}, "end of the case"),
        ({"kind": "spare_part", "part_available": "no"}, "spare part"),
        ({"kind": "spare_part", "part_available": "yes"}, "order in the ERP"),
        ({"kind": "spare_part", "part_available": "no", **REPLACED}, "delivery"),
        ({"kind": "question"}, "answer"),
        ({}, "answer"),
    ],
)
def test_what_a_case_waits_for(record: dict[str, Any], wait: str) -> None:
    assert case_waits_for({"is_open": True} | record) == wait
