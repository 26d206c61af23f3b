"""Stories that the property tests of settling play, in orders and batches that hypothesis chooses."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase
from hypothesis import strategies as st

from streams.model.change import Change
from streams.model.ids import source_id
from streams.testing import MemoryPipeline
from tests.factories import changed

UNSHRUNK = [Phase.explicit, Phase.reuse, Phase.generate]
"""Making a failure smaller takes minutes, and the stories are short anyway."""

Folded = dict[tuple[str, str], dict[str, Any]]


def folded(pipeline: MemoryPipeline) -> Folded:
    """What a compacted topic holds in the end, without how many steps it took and when the last that mattered came."""
    assert pipeline.dead_letters == []
    return {
        key: {name: value for name, value in record.items() if name not in ("version", "updated_at")}
        for key, (_, record) in pipeline.records.items()
        if record is not None
    }


def flow_of(pipeline: MemoryPipeline) -> dict[str, Any]:
    (flow,) = [record for (entity, _), record in folded(pipeline).items() if entity == "order_flow"]
    return flow


def serve_all(pipeline: MemoryPipeline, data: st.DataObject, limit: int = 2000) -> None:
    """Serve queues in an order that hypothesis chooses, until nothing waits."""
    for _ in range(limit):
        if not pipeline.queues:
            return
        key = data.draw(st.sampled_from(sorted(pipeline.queues)))
        pipeline.serve(key, data.draw(st.integers(1, 3)))
    raise AssertionError("the aggregates hand records to each other for ever")


def play(order: list[Change], choices: st.DataObject | None, crashes: int = 0) -> MemoryPipeline:
    """`crashes`: how often at most a writer dies between the hub's commit and what it emits."""
    pipeline = MemoryPipeline()
    waiting, turns = list(order), 0
    while waiting or pipeline.queues:
        turns += 1
        assert turns < 2000, f"it never comes to rest: {pipeline.queues}"
        if waiting and (not pipeline.queues or choices is None or choices.draw(st.booleans())):
            pipeline.send_change(waiting.pop(0))
            continue
        keys = sorted(pipeline.queues)
        key = keys[0] if choices is None else choices.draw(st.sampled_from(keys))
        crash = choices is not None and crashes > 0 and choices.draw(st.booleans())
        crashes -= crash
        pipeline.serve(key, 1 if choices is None else choices.draw(st.integers(1, 3)), crash=crash)
    return pipeline


def row(
    entity: str, key: str, major: int, parent: tuple[str, str] | None = None, deleted: bool = False, **fields: Any
) -> Change:
    parent_id = source_id("erp", *parent) if parent else None
    return changed("erp", entity, key, major, parent=parent_id, deleted=deleted, **fields)


def customer(system: str, key: str, major: int, same_as: str | None = None, **fields: Any) -> Change:
    return changed(system, "customer", key, major, same_as=same_as, **fields)


STORY = [
    row("opportunity", "O", 1, number="OPP-1", stage="won", amount=100_0000),
    row(
        "sales_order",
        "S",
        2,
        ("opportunity", "O"),
        number="SO-1",
        status="confirmed",
        net_amount=100_0000,
        created_at=5,
    ),
    row("sales_order_line", "L1", 3, ("sales_order", "S"), line_no=1, quantity=4_000000, net_amount=60_0000),
    row("sales_order_line", "L2", 4, ("sales_order", "S"), line_no=2, quantity=1_000000, net_amount=40_0000),
    row("shipment", "H", 5, ("sales_order", "S"), number="D-1", status="shipped", shipped_at=9),
    row(
        "shipment_line",
        "HL",
        6,
        ("shipment", "H"),
        order_line_id=source_id("erp", "sales_order_line", "L1"),
        quantity=2_000000,
    ),
    row("invoice", "I", 7, ("sales_order", "S"), number="I-1", kind="invoice", status="open", gross_amount=119_0000),
    row("invoice_line", "I1", 7, ("invoice", "I"), line_no=1, quantity=4_000000, net_amount=60_0000),
    row("invoice_line", "I2", 7, ("invoice", "I"), line_no=2, quantity=1_000000, net_amount=40_0000),
    row("payment", "P", 8, ("invoice", "I"), number="P-1", status="cleared", amount=19_0000, paid_at=11),
    row("sales_order_line", "L2", 9, None, deleted=True),  # as a delete comes: with its key, and without its parent
    row(
        "invoice",
        "I",
        10,
        ("sales_order", "S"),
        number="I-1",
        kind="invoice",
        status="partially_paid",
        gross_amount=119_0000,
    ),
    row("invoice_line", "I1", 11, ("invoice", "I"), line_no=3, quantity=4_000000, net_amount=60_0000),
    row("invoice_line", "I2", 12, None, deleted=True),
]


def of_line(key: str) -> str:
    return source_id("erp", "sales_order_line", key)


SALE = [
    row("opportunity", "O", 1, number="OPP-1", stage="won", won_at=4),
    row("sales_order", "S", 2, ("opportunity", "O"), status="confirmed", net_amount=100_0000, currency="EUR", created_at=5),
    row("sales_order_line", "L", 3, ("sales_order", "S"), line_no=1, quantity=3_000000, net_amount=100_0000),
]  # fmt: skip

ENDINGS: dict[str, tuple[list[Change], dict[str, Any]]] = {
    "split shipments": (
        [
            change
            for number in range(3)
            for change in (
                row("shipment", f"H{number}", 10 + number, ("sales_order", "S"), status="shipped", shipped_at=7 + number),
                row("shipment_line", f"H{number}", 20 + number, ("shipment", f"H{number}"), order_line_id=of_line("L"), quantity=1_000000),
                row("shipment", f"H{number}", 30 + number, ("sales_order", "S"), status="delivered", shipped_at=7 + number, delivered_at=9),
            )
        ],
        {"stage": "delivered", "shipped_amount": 100_0000, "delivered_at": 9},
    ),
    "a return that is credited and refunded": (
        [
            row("shipment", "H", 10, ("sales_order", "S"), status="delivered", shipped_at=7, delivered_at=8),
            row("shipment_line", "H", 11, ("shipment", "H"), order_line_id=of_line("L"), quantity=3_000000),
            row("invoice", "I", 12, ("sales_order", "S"), kind="invoice", status="open", gross_amount=119_0000),
            row("payment", "P", 13, ("invoice", "I"), status="pending", amount=119_0000, paid_at=9),
            row("payment", "P", 14, ("invoice", "I"), status="cleared", amount=119_0000, paid_at=9),
            row("shipment", "H", 15, ("sales_order", "S"), status="returned", shipped_at=7, delivered_at=8),
            row("invoice", "C", 16, ("sales_order", "S"), kind="credit_note", status="open", gross_amount=119_0000),
            row("payment", "R", 17, ("invoice", "C"), status="cleared", amount=119_0000, paid_at=12),
        ],
        {"stage": "credited", "paid_amount": 0, "open_amount": 0, "shipment_status": "none"},
    ),
    "a second order in a second currency": (
        [
            row("sales_order", "T", 10, ("opportunity", "O"), status="confirmed", net_amount=9_0000, currency="JPY", created_at=6),
            row("sales_order_line", "M", 11, ("sales_order", "T"), line_no=1, quantity=1_000000, net_amount=9_0000),
            row("shipment", "H", 12, ("sales_order", "T"), status="shipped", shipped_at=7),
            row("shipment_line", "H", 13, ("shipment", "H"), order_line_id=of_line("M"), quantity=1_000000),
            row("invoice", "I", 14, ("sales_order", "T"), kind="invoice", status="open", gross_amount=9_0000, currency="JPY"),
            row("payment", "P", 15, ("invoice", "I"), status="cleared", amount=4_0000),
        ],
        {"stage": "partially_paid", "ordered_amount": 100_0000, "other_open_amounts": {"JPY": "5"}, "other_shipped_amounts": {"JPY": "9"}},
    ),
    "a cancellation, and a new order": (
        [
            row("shipment", "H", 10, ("sales_order", "S"), status="planned"),
            row("shipment", "H", 11, ("sales_order", "S"), status="cancelled"),
            row("sales_order", "S", 12, ("opportunity", "O"), status="cancelled", net_amount=100_0000, currency="EUR", created_at=5),
            row("opportunity", "O", 13, number="OPP-1", stage="negotiation", won_at=4),
            row("opportunity", "O", 14, number="OPP-1", stage="won", won_at=13),
            row("sales_order", "T", 15, ("opportunity", "O"), status="confirmed", net_amount=100_0000, currency="EUR", created_at=14),
            row("sales_order_line", "M", 16, ("sales_order", "T"), line_no=1, quantity=3_000000, net_amount=100_0000),
            row("shipment", "G", 17, ("sales_order", "T"), status="shipped", shipped_at=16),
            row("shipment_line", "G", 18, ("shipment", "G"), order_line_id=of_line("M"), quantity=3_000000),
        ],
        {"stage": "shipped", "ordered_amount": 100_0000, "line_count": 1, "shipment_count": 1},
    ),
}  # fmt: skip
