"""Rows that hand their keys to each other (materialize#6553, pglogical#438): whatever the order in which their changes
arrive, each key ends with the row that has it.

The model is a table with a key that is checked at the end of a transaction. Its changes go through the dictionary and
are merged, in orders that hypothesis chooses.
"""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.mapping.compiled import CompiledDictionary
from streams.model.change import Change, Op
from streams.model.state import EntityState
from streams.resolve.contribution import merge
from tests.factories import change, compiled

Kind = Literal["unique key", "primary key", "no key"]

LINE = """
system: erp
tables:
  public.line:
    key: [so_id, pos]
    before: full
    to:
      - {entity: sales_order_line, parent: so_id, fields: {line_no: pos, description: name}}
"""
SO = 9
DICTIONARY = compiled(LINE)


class Row(NamedTuple):
    pos: int
    name: str


class Table:
    """A table in memory, and the events that Debezium makes of its changes."""

    def __init__(self, kind: Kind, dictionary: CompiledDictionary = DICTIONARY) -> None:
        self.kind = kind
        self.dictionary = dictionary
        self.rows: dict[int, Row] = {}
        self.events: list[tuple[str, Change]] = []
        """(message key, change): Kafka keeps the order of the changes of one message key."""
        self.lsn = 100
        self.committed = 100

    def commit(self) -> None:
        positions = [row.pos for row in self.rows.values()]
        assert len(positions) == len(set(positions)), "the constraint is checked at commit"
        self.lsn += 1
        self.committed = self.lsn

    def write(self, row_id: int, after: Row | None, snapshot: bool = False) -> None:
        before = self.rows.get(row_id)
        if after is None:
            assert before is not None
            del self.rows[row_id]
            self._emit("d", row_id, before, None)
            return
        self.rows[row_id] = after
        if before is None:
            self._emit("r" if snapshot else "c", row_id, None, after)
        elif self.kind == "primary key" and before.pos != after.pos:
            # Debezium: the primary key changed, so the row is deleted and made at one position.
            self._emit("d", row_id, before, None)
            self.lsn -= 1
            self._emit("c", row_id, None, after)
        else:
            self._emit("u", row_id, before, after)

    def _emit(self, op: Op, row_id: int, before: Row | None, after: Row | None) -> None:
        self.lsn += 1
        row = after or before
        assert row is not None
        key = {"unique key": {"id": row_id}, "primary key": {"so_id": SO, "pos": row.pos}, "no key": None}[self.kind]
        position = (0, 0, 0) if op == "r" else (0, self.committed, self.lsn)
        event = change(
            self.dictionary, _columns(after), op=op, before=_columns(before), table="public.line",
            key={"so_id": SO, "pos": row.pos}, position=position,
            message_key=None if key is None else json.dumps(key).encode(),
        )  # fmt: skip
        for mapped in self.dictionary.tables["public.line"].map_change(event):
            made = Change(
                "change", mapped.entity, mapped.id, "erp", mapped.key, op, *position, source_us=self.lsn,
                parent=mapped.parent, deleted=mapped.deleted, fields=mapped.fields, row=mapped.row,
            )  # fmt: skip
            self.events.append((json.dumps(key), made))

    def expected(self) -> dict[str, str]:
        return {f"{SO}|{row.pos}": row.name for row in self.rows.values()}


def _columns(row: Row | None) -> dict[str, Any] | None:
    return None if row is None else {"so_id": SO, "pos": row.pos, "name": row.name}


def merged(events: list[Change]) -> dict[str, str]:
    """Key → name of the live records, once these changes are merged."""
    entities: dict[str, EntityState] = {}
    for each in events:
        entity = entities.setdefault(each.id, EntityState(each.id, each.entity, contributions={}, record={}))
        merge(entity, each)
        if each.major % 3 == 0:
            merge(entity, each)  # Kafka delivers some of them twice
    live: dict[str, str] = {}
    for entity in entities.values():
        (contribution,) = entity.contributions.values()
        if not contribution.deleted:
            live[contribution.key] = (contribution.fields or {})["description"]
    return live


def in_some_order(table: Table, data: st.DataObject, *, any_order: bool = False) -> list[Change]:
    """The changes as partitions deliver them: those of one message key in their order."""
    queues: dict[str, list[Change]] = {}
    for number, (key, each) in enumerate(table.events):
        queues.setdefault(f"{key}{number if any_order else ''}", []).append(each)
    order = []
    while queues:
        key = data.draw(st.sampled_from(sorted(queues)))
        order.append(queues[key].pop(0))
        if not queues[key]:
            del queues[key]
    return order


KINDS: list[Kind] = ["unique key", "primary key", "no key"]


def shifted(kind: Kind) -> Table:
    table = Table(kind)
    table.write(1, Row(2, "a"), snapshot=True)
    table.write(2, Row(3, "b"), snapshot=True)
    for row_id, row in list(table.rows.items()):
        table.write(row_id, row._replace(pos=row.pos + 1))
    table.commit()
    return table


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_positions_move_along(kind: Kind, reverse: bool) -> None:
    """`UPDATE … SET pos = pos + 1 WHERE pos >= 2` over a(2), b(3)."""
    table = shifted(kind)
    events = [each for _, each in table.events]
    if reverse:
        events = events[:2] + events[2:][::-1]
    assert merged(events) == {"9|3": "a", "9|4": "b"}


@pytest.mark.parametrize("kind", KINDS)
def test_two_rows_swap_and_three_turn(kind: Kind) -> None:
    table = Table(kind)
    for number in range(5):
        table.write(number, Row(number, f"row {number}"), snapshot=True)
    for row_id, pos in ((0, 1), (1, 0), (2, 3), (3, 4), (4, 2)):
        table.write(row_id, table.rows[row_id]._replace(pos=pos))
    table.commit()
    assert merged([each for _, each in table.events]) == table.expected()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delete_first", [False, True])
@pytest.mark.parametrize("later", [False, True])
def test_a_new_row_takes_the_key_of_a_deleted_row(kind: Kind, delete_first: bool, later: bool) -> None:
    if later and not delete_first:
        pytest.skip("the constraint forbids it")
    table = Table(kind)
    table.write(1, Row(2, "old"))
    table.commit()
    steps = [(1, None), (2, Row(2, "new"))]
    for row_id, row in steps if delete_first else steps[::-1]:
        table.write(row_id, row)
        if later:
            table.commit()
    table.commit()
    assert merged([each for _, each in table.events]) == {"9|2": "new"}
    table.write(2, None)
    table.commit()
    assert merged([each for _, each in table.events]) == {}


def _story(data: st.DataObject, kind: Kind) -> Table:
    table = Table(kind)
    numbers = st.integers(0, 5)
    for row_id in range(data.draw(st.integers(0, 4))):
        table.write(row_id, Row(row_id, f"first {row_id}"), snapshot=True)
    for turn in range(data.draw(st.integers(1, 4))):
        for step in range(data.draw(st.integers(0, 5))):
            row_id, pos = data.draw(numbers), data.draw(numbers)
            before = table.rows.get(row_id)
            what = data.draw(st.sampled_from(["move", "delete", "rename"]))
            if before is None:
                table.write(row_id, Row(pos, f"new {turn}/{step}"))
            elif what == "move" and pos != before.pos:
                table.write(row_id, before._replace(pos=pos))
            elif what == "delete":
                table.write(row_id, None)
            elif kind == "unique key" or [row.pos for row in table.rows.values()].count(before.pos) == 1:
                # An update that leaves the key says nothing of which of two rows with this key it is about.
                table.write(row_id, before._replace(name=f"renamed {turn}/{step}"))
        free = data.draw(st.permutations(range(6)))
        for row_id in data.draw(st.permutations(sorted(table.rows))):
            if [row.pos for row in table.rows.values()].count(table.rows[row_id].pos) > 1:
                pos = next(one for one in free if one not in {row.pos for row in table.rows.values()})
                table.write(row_id, table.rows[row_id]._replace(pos=pos))
        table.commit()
    return table


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_each_key_ends_with_the_row_that_has_it(kind: Kind, data: st.DataObject) -> None:
    table = _story(data, kind)
    changes = [each for _, each in table.events] if kind == "no key" else in_some_order(table, data)
    assert merged(changes) == table.expected()
