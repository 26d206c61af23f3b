"""A version of a record is one record: whatever two workers emit, in whatever order they commit and emit, versions only grow."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streams.model.change import Change
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.model.names import changes_topic
from tests.factories import changed
from tests.property.workers import Workers

MOST_TURNS = 20_000

PARENTS = {
    "sales_order": "opportunity",
    "sales_order_line": "sales_order",
    "shipment": "sales_order",
    "shipment_line": "shipment",
    "invoice": "sales_order",
    "invoice_line": "invoice",
    "payment": "invoice",
}
LINES = {"sales_order": "sales_order_line", "shipment": "shipment_line", "invoice": "invoice_line"}


class Source:
    """Tables of an application, at which random statements are executed, and the changes that capture makes of them."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.rows: dict[tuple[str, str], tuple[str | None, dict[str, Any]]] = {}
        """(entity, key) → (key of the parent, fields)."""
        self.changes: list[Change] = []
        self._keys = 0
        self._position = 0

    def statements(self, count: int) -> None:
        for _ in range(count):
            statement = self.draw.choice([self.insert, self.insert, self.insert, self.update, self.move, self.delete])
            statement()

    def insert(self) -> None:
        entity = self.draw.choice(["opportunity", *PARENTS])
        parents = self._keys_of(PARENTS.get(entity))
        if entity == "sales_order" and self.draw.random() < 0.6:
            parents = []
        elif entity not in ("opportunity", "sales_order") and not parents:
            return
        self._keys += 1
        self._write(entity, f"{self._keys:03}", self.draw.choice(parents) if parents else None)

    def update(self) -> None:
        row = self._any_row()
        if row is not None:
            self._write(*row, self.rows[row][0])

    def move(self) -> None:
        row = self._any_row()
        if row is not None and self.rows[row][0] is not None:
            self._write(*row, self.draw.choice(self._keys_of(PARENTS[row[0]]) or [self.rows[row][0]]))

    def delete(self) -> None:
        """Capture gives a deleted row's key, and nothing else of it."""
        row = self._any_row()
        if row is not None:
            del self.rows[row]
            self._position += 1
            self.changes.append(changed("erp", *row, self._position, op="d", deleted=True))

    def _any_row(self) -> tuple[str, str] | None:
        return self.draw.choice(sorted(self.rows)) if self.rows else None

    def _keys_of(self, entity: str | None) -> list[str]:
        return sorted(key for kind, key in self.rows if kind == entity)

    def _write(self, entity: str, key: str, parent: str | None) -> None:
        self._position += 1
        fields: dict[str, Any] = {"net_amount": self.draw.randint(1, 3) * 10_0000} if entity in LINES else {}
        if entity in LINES.values():
            fields = {"line_no": self.draw.randint(1, 3), "quantity": 1_000000}
            if entity != "sales_order_line" and self.draw.random() < 0.5:
                order_lines = self._keys_of("sales_order_line")
                line = self.draw.choice(order_lines) if order_lines else None
                fields["order_line_id"] = source_id("erp", "sales_order_line", line) if line else None
        self.rows[entity, key] = (parent, fields)
        parent_id = source_id("erp", PARENTS[entity], parent) if parent else None
        self.changes.append(changed("erp", entity, key, self._position, parent=parent_id, **fields))


class Ingest:
    """Sends changes as ingest does, with a routing cache that it may have lost."""

    def __init__(self, pipeline: Workers, draw: random.Random) -> None:
        self._pipeline = pipeline
        self._draw = draw
        self._known: dict[str, str] = {}

    def send(self, change: Change) -> None:
        if self._draw.random() < 0.1:
            self._known.clear()
        target = change.parent or change.id
        home = self._known.get(target) or self._place(target)
        topic = changes_topic(ENTITIES[change.entity].aggregate)
        self._pipeline.send(topic, home, change)
        if change.deleted:
            return
        if self._known.get(change.id) != home:
            self._known[change.id] = home
        if home != change.id and change.entity in PARENTS.values():
            link = Change(
                "link", change.entity, change.id, change.system, change.key, "u", 0, change.major, 0, target=home
            )
            self._pipeline.send(topic, change.id, link)

    def _place(self, id: str) -> str:
        hub = self._pipeline.hub
        if id in hub.links:
            return hub.links[id].target
        return hub.entities[id].aggregate_id if id in hub.entities else id


def played(seed: int, *, crashes: int = 0, newly_assigned: bool = True) -> tuple[Source, Workers]:
    """The changes of random statements through two workers, which commit and emit whenever it comes."""
    draw = random.Random(seed)
    source = Source(draw)
    source.statements(draw.randint(5, 60))
    pipeline = Workers(newly_assigned=newly_assigned)
    ingest = Ingest(pipeline, draw)
    waiting = list(source.changes)
    most = draw.choice([1, 3, 10])
    for _ in range(MOST_TURNS):
        worker = draw.randrange(pipeline.count)
        partitions = pipeline.waiting(worker)
        if waiting and draw.random() < 0.3:
            ingest.send(waiting.pop(0))
        elif pipeline.unemitted[worker] is not None:
            if crashes and draw.random() < 0.3:
                crashes -= 1
                pipeline.die(worker)
            else:
                pipeline.emit(worker)
        elif partitions:
            chosen = draw.sample(partitions, draw.randint(1, len(partitions)))
            pipeline.commit(worker, {number: draw.randint(1, most) for number in chosen})
        elif not waiting and not any(pipeline.logs):
            return source, pipeline
    raise AssertionError("the aggregates send each other messages for ever")


def check_records(source: Source, pipeline: Workers) -> None:
    """The last record of each document is what the source says of it and of its lines."""
    live = {id: record for (_, id), (_, record) in pipeline.records.items() if record is not None}
    for (entity, key), (_, fields) in source.rows.items():
        if entity in LINES.values():
            continue
        record = live[source_id("erp", entity, key)]
        assert {name: record[name] for name in fields} == fields
        if entity in LINES:
            lines = [k for (kind, k), (parent, _) in source.rows.items() if kind == LINES[entity] and parent == key]
            expected = {source_id("erp", LINES[entity], line) for line in lines}
            assert {line["id"] for line in record["lines"]} == expected
    documents = {source_id("erp", *row) for row in source.rows if row[0] not in LINES.values()}
    flows = {id for (entity, id), (_, record) in pipeline.records.items() if entity == "order_flow"}
    assert live.keys() - documents - flows == set()


@pytest.mark.parametrize("newly_assigned", [False, True])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**9))
@example(seed=295)
@example(seed=1085)
@example(seed=1956)
def test_a_version_is_one_record(newly_assigned: bool, seed: int) -> None:
    source, pipeline = played(seed, newly_assigned=newly_assigned)
    assert pipeline.dead_letters == []
    assert pipeline.reversions == []
    check_records(source, pipeline)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**9))
@example(seed=101)
@example(seed=105)
def test_a_version_is_one_record_whenever_workers_die(seed: int) -> None:
    source, pipeline = played(seed, crashes=5, newly_assigned=False)
    assert pipeline.dead_letters == []
    assert pipeline.reversions == []
    check_records(source, pipeline)
