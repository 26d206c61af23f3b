"""A flow of ten thousand lines: what a change of one costs does not grow with the changes before it."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

from streams.emit.encode import encoder
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.state import AggregateState, EntityState, RenderedLine
from streams.pipeline.aggregate_cache import AggregateCache
from streams.pipeline.settle import Settled
from streams.pipeline.settle.emitted import records_to_emit
from tests.factories import changed
from tests.settled import settle_changes

ORDER = source_id("demo-erp", "sales_order", "S")
LINES = 10_000


class Flow:
    def __init__(self, lines: int) -> None:
        self.state = AggregateState(ORDER, "order_flow", members={}, sources={})
        self.position = 0
        amount = 10_0000 * lines
        head = self.said("sales_order", "S", None, number="SO-1", status="confirmed", net_amount=amount, currency="EUR")
        self.settle(head, *(self.line(number, 1) for number in range(1, lines + 1)))

    def said(self, entity: str, key: str, parent: str | None, **fields: Any) -> Change:
        self.position += 1
        return changed("demo-erp", entity, key, self.position, parent=parent, **fields)

    def line(self, number: int, quantity: int) -> Change:
        told = {"line_no": number, "description": f"Bolt M{number}", "unit": "C62", "quantity": quantity * 1_000_000}
        return self.said("sales_order_line", str(number), ORDER, **told, net_amount=quantity * 10_0000)

    def settle(self, *changes: Change) -> tuple[Settled, dict[str, dict[str, Any]]]:
        """What was settled, and entity → the record that is emitted."""
        settled = settle_changes(self.state, *changes)
        return settled, {emitted.entity: emitted.record or {} for emitted in records_to_emit(settled)}


def test_one_changed_line_writes_two_rows_and_encodes_one_line() -> None:
    flow, write = Flow(LINES), encoder("sales_order")
    _, first = flow.settle(flow.line(1, 2))
    write(first["sales_order"])
    settled, records = flow.settle(flow.line(7, 3))
    document = records["sales_order"]
    assert sorted(member.entity for member, _, _ in settled.entities.values()) == ["sales_order", "sales_order_line"]
    assert [line["line_no"] for line in document["lines"] if line.body is None] == [7]
    plain = document | {"lines": [dict(line) for line in document["lines"]]}
    assert write(document) == write(plain)
    assert all(isinstance(line, RenderedLine) and line.body for line in document["lines"])


def test_changes_to_a_long_flow_keep_no_memory() -> None:
    flow, write = Flow(2_000), encoder("sales_order")

    def change(times: int) -> int:
        for turn in range(times):
            _, records = flow.settle(flow.line(turn % 50 + 1, 2 + flow.position % 7))
            write(records["sales_order"])
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        held = change(100)
        assert change(300) - held < 100_000
    finally:
        tracemalloc.stop()


def test_the_cache_holds_so_many_entities_however_they_are_spread() -> None:
    cache = AggregateCache(10)

    def use(key: str, members: int) -> None:
        state = cache.get(key) or AggregateState(key, "order_flow", members={}, sources={})
        state.members.update({f"{key}{n}": EntityState(f"{key}{n}", "sales_order_line") for n in range(members)})
        cache.put({key: state})
        cache.trim([key])

    for number in range(30):
        use(f"small-{number}", 3)
    assert (len(cache), cache.members) == (3, 9)
    use("small-29", 5)
    use("large", 11)
    assert len(cache) == 1, "what was just used stays, however large"
    use("small-0", 3)
    assert cache.get("large") is None
    assert cache.members == 3
    cache.drop(["small-0"])
    assert (len(cache), cache.members) == (0, 0)
