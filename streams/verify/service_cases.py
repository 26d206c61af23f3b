"""Joins every service case again from the records of the hub, which it finds without the hub's statements.

In: all aggregates, with nothing in flight: a case follows its records by seconds. Out: the cases that there should be.
Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from streams.flow.returns import plain_serial
from streams.flow.service import case_of
from streams.flow.service_record import Record, service_record
from streams.hub.service import case_id
from streams.hub.verification import final_record
from streams.model.live_row import LiveRow
from streams.model.names import HUB, PEOPLE
from streams.model.state import AggregateState, EntityState

ROOTS = ("service_request", "return_order")
NAMED = (
    "sales_order_id", "shipment_id", "invoice_id", "installed_item_id", "product_id", "credit_note_id",
    "replacement_order_id", "service_request_id",
)  # fmt: skip
"""Fields by which a request, its returns and its item name what a case concerns."""


class ExpectedCase(NamedTuple):
    """A service case as its records give it now, and the aggregate that it belongs to."""

    aggregate_id: str
    record: Record


def expected_cases(states: Mapping[str, AggregateState], same: dict[str, str]) -> dict[str, ExpectedCase]:
    """Id of a case → what it should be. `same`: source id → the record that it is the same as."""
    rows = _Rows(states.values(), same)
    cases = {}
    for root in rows.roots:
        case = case_of(root.id, rows.of_case(root))
        if case is not None:
            home = (case.order or case.root).aggregate_id
            members = states[home].members.values() if case.order is not None else ()
            cases[case_id(root.id)] = ExpectedCase(home, service_record(case, members))
    return cases


class _Rows:
    """The live records of the hub, by what finds them."""

    def __init__(self, states: Iterable[AggregateState], same: dict[str, str]) -> None:
        self._same = same
        self._by_id: dict[str, LiveRow] = {}
        self._found: dict[tuple[str, str], list[LiveRow]] = defaultdict(list)
        """(what finds it, its value) → records."""
        names: dict[str, list[str]] = defaultdict(list)
        for name in same:
            if final_record(name, same) != name:
                names[final_record(name, same)].append(name)
        for state in states:
            for member in state.members.values():
                if member.version and not member.deleted and member.merged_into is None:
                    self._add(_live_row(member, state.id, names.get(member.id, ())))

    @property
    def roots(self) -> list[LiveRow]:
        return [row for row in self._by_id.values() if row.entity in ROOTS]

    def _add(self, row: LiveRow) -> None:
        self._by_id[row.id] = row
        record = row.record
        for by, value in (
            ("parent", row.parent if row.entity == "return_order_line" else None),
            ("request", record.get("service_request_id") if row.entity != "service_case" else None),
            ("number", (record.get("number") or "").strip().lower() if row.entity == "sales_order" else None),
            ("serial", plain_serial(record.get("serial_number")) if row.entity == "installed_item" else None),
            ("product", record.get("product_id") if row.entity == "inventory_level" else None),
            ("customer", record.get("customer_id") if row.entity == "contract" else None),
        ):
            if value:
                self._found[by, self._final(value)].append(row)

    def _final(self, id: str) -> str:
        return final_record(id, self._same)

    def of_case(self, root: LiveRow) -> list[LiveRow]:
        """All that may concern the case of a request or return: more than that does no harm."""
        rows = {root.id: root}
        waiting = [root]
        while waiting:
            for row in self._next_to(waiting.pop()):
                if row.id not in rows:
                    rows[row.id] = row
                    if row.entity not in ("sales_order", "service_request"):  # what these name is another story
                        waiting.append(row)
        return list(rows.values())

    def _next_to(self, row: LiveRow) -> Iterator[LiveRow]:
        record = row.record
        for id in (record.get(field) for field in NAMED):
            if id and self._final(id) in self._by_id:
                yield self._by_id[self._final(id)]
        if row.entity in ("shipment", "invoice") and self._final(row.parent or "") in self._by_id:
            yield self._by_id[self._final(row.parent or "")]
        for by, value in (
            ("parent", row.id),
            ("request", row.id),
            ("number", (record.get("order_number") or "").strip().lower()),
            ("serial", plain_serial(record.get("serial_number"))),
            ("product", record.get("product_id")),
            ("customer", record.get("customer_id")),
        ):
            if value:
                yield from self._found.get((by, self._final(value)), ())


def _live_row(member: EntityState, aggregate_id: str, names: Iterable[str]) -> LiveRow:
    systems = {c.system for c in member.contributions.values() if not c.deleted} - {HUB, PEOPLE}
    return LiveRow(
        member.id, member.entity, aggregate_id, member.parent, member.record, sorted(systems), tuple(sorted(names))
    )
