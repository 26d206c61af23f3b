"""What a service case waits for. Pure.

In: the record `service_case`. Out: one word, for people. What is under way counts before what nobody has begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

CaseWait = Literal[
    "approval of the return", "returned goods", "credit note or replacement", "repair", "parts for the repair",
    "spare part", "delivery", "return in the ERP", "order in the ERP", "answer", "end of the case", "nothing",
]  # fmt: skip
"""spare part: stock does not have it; return, order in the ERP: nobody has entered it; delivery: an order brings what
the customer is to get; end of the case: the customer has got it, and the request is still open; nothing: it is over.
"""

_OF_RETURN: dict[str | None, CaseWait] = {
    "requested": "approval of the return",
    "approved": "returned goods",
    "received": "credit note or replacement",
    "inspected": "credit note or replacement",
}
_OF_REPAIR: dict[str | None, CaseWait] = {
    "open": "repair",
    "diagnosed": "repair",
    "in_progress": "repair",
    "waiting_for_parts": "parts for the repair",
}


def case_waits_for(record: Mapping[str, Any]) -> CaseWait:
    """What a case waits for."""
    if not record.get("is_open"):
        return "nothing"
    under_way = _OF_RETURN.get(record.get("return_status")) or _OF_REPAIR.get(record.get("repair_status"))
    if under_way is not None:
        return under_way
    if record.get("return_status") or record.get("repair_status"):
        return "end of the case"
    if record.get("replacement_order_id"):
        return "delivery"
    kind = record.get("kind")
    if kind == "spare_part":
        return "spare part" if record.get("part_available") == "no" else "order in the ERP"
    return "return in the ERP" if kind == "return" else "repair" if kind == "repair" else "answer"
