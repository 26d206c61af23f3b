"""Test records of write-back: intents, documents and rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streams.hub.intents import Intent
from streams.writeback.documents import Document, DocumentLine, EntityView
from streams.writeback.load import load_rules

CONNECTORS = Path(__file__).parents[2] / "connectors"
RULES = load_rules(CONNECTORS, ["demo-crm", "demo-erp"])
ORDER_RULE = RULES["demo-erp"].rules["order_from_opportunity"]
PRICE_RULE = RULES["demo-crm"].rules["product_price"]


def make_intent(**columns: Any) -> Intent:
    """A leased intent of the rule that makes an order of an opportunity."""
    defaults: dict[str, Any] = {
        "id": 1, "key": "k", "rule": "demo-erp/order_from_opportunity", "target": "demo-erp", "entity": "opportunity", "entity_id": "e",
        "aggregate_id": "a", "subject_id": "e", "customer_id": "c", "version": 1, "cause_us": 0, "given": {}, "state": "delivering",
        "decisions": [], "attempts": 1, "failures": 0, "age_s": 0.0,
    }  # fmt: skip
    return Intent(**(defaults | columns))


def make_document(
    amount: int,
    currency: str = "EUR",
    *,
    blocked: bool = False,
    lines: tuple[int, ...] = (),
    discounts: tuple[int | None, ...] = (),
    stage: str = "won",
    customer: dict[str, Any] | None = None,
    **more: Any,
) -> Document:
    """An opportunity with a customer, and a line for each of `lines` (net amounts) or `discounts` (unscaled percent)."""
    records = [{"net_amount": net} for net in lines] or [{"discount_pct": percent} for percent in discounts]
    whole = {"line_no": 1, "quantity": 1_000_000, "unit_price": 1_0000}
    product = EntityView({"sku": "M-1"}, {"demo-erp": "1"})
    main = EntityView({"id": "e", "amount": amount, "currency": currency, "stage": stage}, {"demo-crm": "o"})
    known = {"name": "Ada", "credit_blocked": blocked} if customer is None else {"name": "Ada", **customer}
    return Document(
        main=main,
        subject=main,
        references={"customer": EntityView(known, {"demo-crm": "c"})},
        lines=[DocumentLine(EntityView(whole | record), {"product": product}) for record in records],
        **more,
    )
