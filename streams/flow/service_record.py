"""The record `service_case` of a case, and its story. Pure.

In: a case (`service.py`) and the members of the order's aggregate. Out: the record, without its header. The last
shipment and invoice with the product stand for those that a request does not name. Stock counts while a case is open:
later it would say what there is today, not what there was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from streams.flow.goods import shipped_lines
from streams.flow.money import is_billed
from streams.flow.returns import NOT_COMING, coming_back, is_other_serial, returned_too_much, serials_of
from streams.flow.service import Case
from streams.flow.shares import documents_here
from streams.flow.timeline import DAY_US, EVENT_FIELDS, RANKS
from streams.flow.warranty import warranty_of
from streams.model.live_row import LiveRow
from streams.model.state import EntityState

PIECE = 1_000_000
"""Wanted where a request names no quantity, unscaled."""

_REQUEST_OVER = ("resolved", "closed")
_RETURN_OVER = ("credited", "replaced", "repaired", "refused", "closed", "cancelled")
_SOLVED_BY = {"credited": "credit", "replaced": "replacement", "repaired": "repair"}
_REPAIRED = ("repaired", "returned")

Record = dict[str, Any]


def service_record(case: Case, members: Iterable[EntityState]) -> Record:
    """The record `service_case`, without its header. `members`: all of the order's aggregate; none without an order."""
    named, item = case.named, case.item
    order = case.order.record if case.order is not None else {}
    flow = _Flow(case, documents_here(members)) if case.order is not None else None
    shipment = flow.shipment() if flow is not None else None
    invoice = flow.invoice() if flow is not None else None
    back = case.returns[0] if case.returns else None
    repair = case.repairs[0] if case.repairs else None
    came = [each.record["received_at"] for each in case.returns if each.record.get("received_at") is not None]
    is_open = _is_open(case)
    return {
        "sales_order_id": case.order_id,
        "service_request_id": case.request.id if case.request is not None else None,
        "number": named.get("number"),
        "customer_id": named.get("customer_id"),
        "kind": named.get("kind") if case.request is not None else "return",
        "status": named.get("status"),
        "is_open": is_open,
        "opened_at": opened_at(case),
        "due_at": named.get("due_at"),
        "closed_at": named.get("closed_at"),
        "contact_count": named.get("contact_count"),
        "order_number": order.get("number") if case.order is not None else named.get("order_number"),
        "order_stage": flow.stage if flow is not None else None,
        "shipment_id": shipment.id if shipment is not None else None,
        "shipment_number": shipment.record.get("number") if shipment is not None else None,
        "shipped_at": shipment.record.get("shipped_at") if shipment is not None else None,
        "delivered_at": shipment.record.get("delivered_at") if shipment is not None else None,
        "invoice_id": invoice.id if invoice is not None else None,
        "invoice_number": invoice.record.get("number") if invoice is not None else None,
        "product_id": case.product_id,
        "quantity": named.get("quantity"),
        "installed_item_id": item.id if item is not None else None,
        "serial_number": (item.record.get("serial_number") if item is not None else None) or named.get("serial_number"),
        **warranty_of(
            _day(opened_at(case)), item.id if item is not None else None, item.record if item is not None else None,
            case.product_id, [(contract.id, contract.record) for contract in case.contracts],
        ),
        **(_part(case) if is_open else _NO_PART),
        "return_order_id": back.id if back is not None else None,
        "return_number": back.record.get("number") if back is not None else None,
        "return_status": back.record.get("status") if back is not None else None,
        "returned_at": max(came, default=None),
        "credit_note_id": case.credit_note.id if case.credit_note is not None else case.credit_note_id,
        "credit_note_number": case.credit_note.record.get("number") if case.credit_note is not None else None,
        "replacement_order_id": case.replacement.id if case.replacement is not None else case.replacement_id,
        "replacement_number": case.replacement.record.get("number") if case.replacement is not None else None,
        "repair_number": repair.record.get("number") if repair is not None else None,
        "repair_status": repair.record.get("status") if repair is not None else None,
        "solved_by": _solved_by(case),
        "problems": sorted({*case.problems, *_problems(case, flow)}) or None,
        "story": story(case),
    }  # fmt: skip


class _Flow:
    """The documents of the order's flow."""

    def __init__(self, case: Case, members: Iterable[EntityState]) -> None:
        self._case = case
        self._of: dict[str, list[EntityState]] = {}
        for member in members:
            if member.version and not member.deleted and member.merged_into is None:
                self._of.setdefault(member.entity, []).append(member)

    def of(self, entity: str) -> Sequence[EntityState]:
        return self._of.get(entity, ())

    @property
    def stage(self) -> str | None:
        return next((flow.record.get("stage") for flow in self.of("order_flow")), None)

    def shipment(self) -> EntityState | None:
        """The shipment with which the goods went."""
        named = self._named("shipment")
        item = self._case.item
        if named is None and item is not None:
            named = next((s for s in self.of("shipment") if s.id == item.record.get("shipment_id")), None)
        gone = [s for s in self.of("shipment") if s.record.get("status") in ("shipped", "delivered", "returned")]
        return named or self._last(gone, "shipment_line", "shipped_at")

    def invoice(self) -> EntityState | None:
        billed = [i for i in self.of("invoice") if is_billed(i) and i.record.get("kind") != "credit_note"]
        return self._named("invoice") or self._last(billed, "invoice_line", "invoice_date")

    def _named(self, entity: str) -> EntityState | None:
        id = self._case.named.get(f"{entity}_id")
        return next((document for document in self.of(entity) if id is not None and document.id == id), None)

    def _last(self, documents: Sequence[EntityState], lines: str, field: str) -> EntityState | None:
        """The last document that has the product, or any where the case is about none."""
        product, ordered = self._case.product_id, self.products()
        if product is not None:
            having = {
                line.parent
                for line in self.of(lines)
                if product == (line.record.get("product_id") or ordered.get(line.record.get("order_line_id") or ""))
            }
            documents = [document for document in documents if document.id in having]
        return max(documents, key=lambda document: (document.record.get(field) or 0, document.id), default=None)

    def products(self) -> dict[str, str | None]:
        """Order line → its product."""
        return {line.id: line.record.get("product_id") for line in self.of("sales_order_line")}


def _problems(case: Case, flow: _Flow | None) -> Iterable[str]:
    """What does not fit between what a case names and what the hub knows."""
    named = case.named
    coming = [back for back in case.returns if back.record.get("status") not in NOT_COMING]
    if coming and case.order is None:
        yield "return_without_order"
    if case.product_id is not None and not _is_known(case, flow):
        yield "product_unknown"
    if flow is None:
        for entity in ("shipment", "invoice"):
            if named.get(f"{entity}_id") is not None:
                yield f"{entity}_unknown"
        return
    for entity in ("shipment", "invoice"):
        id = named.get(f"{entity}_id")
        if id is not None and all(document.id != id for document in flow.of(entity)):
            yield f"{entity}_unknown"
    ordered = {*flow.products().values()} - {None}
    if case.product_id is not None and ordered and case.product_id not in ordered:
        yield "product_not_in_order"
    orders = {order.id for order in flow.of("sales_order")}
    of_item = case.item.record.get("sales_order_id") if case.item is not None else None
    shipped = serials_of(flow.of("shipment_line"), flow.of("installed_item"))
    pieces = [line.record for line in case.return_lines if line.parent in {back.id for back in coming}]
    pieces.append({"product_id": case.product_id, "serial_number": named.get("serial_number")})
    if (of_item is not None and of_item not in orders) or any(is_other_serial(piece, shipped) for piece in pieces):
        yield "other_serial"
    sent = shipped_lines(flow.of("shipment"), flow.of("shipment_line"), flow.of("sales_order_line"))
    here = {line.id for line in flow.of("return_order_line")}
    lines = [
        *coming_back(flow.of("return_order"), flow.of("return_order_line")),
        *(
            _as_member(line)
            for line in case.return_lines
            if line.id not in here and line.parent in {b.id for b in coming}
        ),
    ]
    if returned_too_much(flow.of("sales_order_line"), sent, lines):
        yield "more_returned_than_shipped"


def _as_member(row: LiveRow) -> EntityState:
    return EntityState(row.id, row.entity, row.parent, version=1, record=row.record)


def _is_known(case: Case, flow: _Flow | None) -> bool:
    """Whether another system than that of the request knows the product: its record is of another one, or it has stock,
    or the order has it.
    """
    if case.levels or (flow is not None and case.product_id in flow.products().values()):
        return True
    if case.product is None:
        return False
    return case.request is None or not set(case.product.systems) <= set(case.request.systems)


def _is_open(case: Case) -> bool:
    if case.request is not None and case.request.record.get("status") not in _REQUEST_OVER:
        return True
    return any(back.record.get("status") not in _RETURN_OVER for back in case.returns)


def opened_at(case: Case) -> int | None:
    """When a case began, µs since 1970."""
    at = case.named.get("opened_at" if case.request is not None else "requested_at")
    return at if at is not None else case.named.get("created_at")


def _day(at: int | None) -> int | None:
    return None if at is None else at // DAY_US


_NO_PART: Record = {"part_available": None, "available_quantity": None, "available_by_warehouse": None}


def _part(case: Case) -> Record:
    """Whether the product is there, and where."""
    if case.product_id is None:
        return _NO_PART
    by_warehouse: dict[str, int] = {}
    for level in case.levels:
        record = level.record
        free = record.get("available")
        if free is None and record.get("on_hand") is not None:
            free = record["on_hand"] - (record.get("reserved") or 0)
        if free is not None:
            warehouse = record.get("warehouse") or ""
            by_warehouse[warehouse] = by_warehouse.get(warehouse, 0) + free
    if not by_warehouse:
        return _NO_PART | {"part_available": "unknown"}
    free = sum(by_warehouse.values())
    wanted = case.named.get("quantity") or PIECE
    return {
        "part_available": "yes" if free >= wanted else "no",
        "available_quantity": free,
        "available_by_warehouse": {name: _text(free) for name, free in sorted(by_warehouse.items()) if free} or None,
    }


def _text(quantity: int) -> str:
    return f"{Decimal(quantity).scaleb(-6).normalize():f}"


def _solved_by(case: Case) -> str | None:
    for back in case.returns:
        if back.record.get("status") in _SOLVED_BY:
            return _SOLVED_BY[back.record["status"]]
    if case.credit_note_id:
        return "credit"
    if case.replacement_id:
        return "replacement"
    return "repair" if any(repair.record.get("status") in _REPAIRED for repair in case.repairs) else None


def story(case: Case) -> list[Record]:
    """What happened in a case, oldest first."""
    events: list[tuple[int, int, str, Record]] = []

    def add(row: LiveRow, what: str, at: int | None, precision: str = "time") -> None:
        if at is not None:
            event = {
                "at": at, "precision": precision, "what": what, "entity": row.entity, "id": row.id,
                "number": row.record.get("number"), "system": min(row.systems, default=""),
            }  # fmt: skip
            events.append((at, RANKS[what], row.id, event))

    if case.request is not None:
        add(case.request, "service requested", case.request.record.get("opened_at"))
        add(case.request, "service closed", case.request.record.get("closed_at"))
    for row in (*case.returns, *case.repairs):
        for field, what in EVENT_FIELDS[row.entity] if row.record.get("status") != "cancelled" else ():
            add(row, what, row.record.get(field))
    if case.credit_note is not None:
        day = case.credit_note.record.get("invoice_date")
        add(case.credit_note, "credit note written", None if day is None else day * DAY_US, "date")
    if case.replacement is not None:
        add(case.replacement, "replacement ordered", case.replacement.record.get("created_at"))
    events.sort(key=lambda event: event[:3])
    return [event[3] for event in events]
