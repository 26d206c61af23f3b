"""Codes of lines and of orders that move between documents: each document ends with the lines that it has (issue: a
unique key that is checked at commit; materialize#6553).
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.change import Change
from streams.model.ids import source_id
from streams.testing import MemoryPipeline
from tests.property.stories import folded, row, serve_all


class Holding(NamedTuple):
    """A row: the document that it belongs to, the code that it has now, and what it says."""

    parent: str
    code: str
    name: str


class Codes:
    """Rows of one table with unique codes, each in a document; `changes` are those of ingest, in the source's order."""

    def __init__(self, entity: str, parent_entity: str, field: str) -> None:
        self.entity, self.parent_entity, self.field = entity, parent_entity, field
        self.rows: dict[str, Holding] = {}
        self.changes: list[Change] = []
        self.at = 10
        self.committed = 10

    def commit(self) -> None:
        self.at += 1
        self.committed = self.at

    def write(self, row_id: str, after: Holding | None) -> None:
        before = self.rows.pop(row_id, None)
        self.at += 1
        if before is not None and (after is None or after.code != before.code):
            self._emit(row_id, before, deleted=True)
        if after is not None:
            self.rows[row_id] = after
            self._emit(row_id, after, deleted=False)

    def _emit(self, row_id: str, holding: Holding, *, deleted: bool) -> None:
        self.changes.append(
            Change(
                "change", self.entity, source_id("erp", self.entity, holding.code), "erp", holding.code,
                "d" if deleted else "u", 0, self.committed, self.at, self.at,
                parent=None if deleted else source_id("erp", self.parent_entity, holding.parent), deleted=deleted,
                fields={} if deleted else {self.field: holding.name}, row=row_id,
            )
        )  # fmt: skip


def lines_of(pipeline: MemoryPipeline) -> dict[str, set[tuple[str, str]]]:
    """Order → (id, name) of its lines."""
    return {
        key: {(line["id"], line["description"]) for line in record["lines"]}
        for (entity, key), record in folded(pipeline).items()
        if entity == "sales_order"
    }


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_lines_hand_codes_over_between_orders(data: st.DataObject) -> None:
    orders, codes = ["A", "B", "C"], ["x", "y", "z", "w"]
    table = Codes("sales_order_line", "sales_order", "description")
    for number in range(3):
        table.write(f"r{number}", Holding(orders[number], codes[number], f"line {number}"))
    table.commit()
    for _ in range(data.draw(st.integers(1, 3))):
        goal = data.draw(st.permutations(codes))
        for row_id in data.draw(st.permutations(sorted(table.rows))):
            holding = table.rows[row_id]
            table.write(row_id, holding._replace(code=goal[int(row_id[1:])], parent=data.draw(st.sampled_from(orders))))
        table.commit()
    pipeline = MemoryPipeline()
    for number, order in enumerate(orders):
        pipeline.send_change(row("sales_order", order, number + 1, number=order, status="confirmed"))
    queues: dict[str, list[Change]] = {}
    for change in table.changes:
        queues.setdefault(change.row or "", []).append(change)
    while queues:
        key = data.draw(st.sampled_from(sorted(queues)))
        pipeline.send_change(queues[key].pop(0))
        if not queues[key]:
            del queues[key]
        if data.draw(st.booleans()):
            waiting = sorted(pipeline.queues)
            pipeline.serve(data.draw(st.sampled_from(waiting)), data.draw(st.integers(1, 3)))
    serve_all(pipeline, data)
    expected: dict[str, set[tuple[str, str]]] = {source_id("erp", "sales_order", order): set() for order in orders}
    for holding in table.rows.values():
        line = (source_id("erp", "sales_order_line", holding.code), holding.name)
        expected[source_id("erp", "sales_order", holding.parent)].add(line)
    assert lines_of(pipeline) == expected
    assert pipeline.reversions == []


@pytest.mark.parametrize("first", ["a", "b"])
def test_two_orders_of_two_deals_swap_their_numbers(first: str) -> None:
    """The lines refer to the order by its number, and follow it with ON UPDATE CASCADE."""
    table = Codes("sales_order", "opportunity", "number")
    table.write("a", Holding("D1", "1", "order a"))
    table.write("b", Holding("D2", "2", "order b"))
    table.commit()
    lines = Codes("sales_order_line", "sales_order", "description")
    lines.at = lines.committed = table.at
    lines.write("la", Holding("1", "la", "line of a"))
    lines.write("lb", Holding("2", "lb", "line of b"))
    lines.commit()
    table.at = table.committed = lines.at
    for row_id in "ab" if first == "a" else "ba":
        holding = table.rows[row_id]
        table.write(row_id, holding._replace(code="2" if holding.code == "1" else "1"))
    lines.at = table.at
    lines.write("la", Holding("2", "la", "line of a"))
    lines.write("lb", Holding("1", "lb", "line of b"))
    pipeline = MemoryPipeline()
    for number, deal in enumerate(("D1", "D2")):
        pipeline.send_change(row("opportunity", deal, number + 1, number=deal, stage="won"))
    for change in (*table.changes, *lines.changes):
        pipeline.send_change(change)
    pipeline.run()
    orders = {
        record["number"]: [line["description"] for line in record["lines"]]
        for (entity, _), record in folded(pipeline).items()
        if entity == "sales_order"
    }
    assert orders == {"order a": ["line of a"], "order b": ["line of b"]}
