"""A service case: a service request with all that it concerns, or a return that no request asked for. Pure.

In: rows of the hub that may concern it. Out: those that do; `service_record.py` makes the record `service_case` of
them. Rows that do not concern it change nothing, so it depends on what the hub knows and not on the order in which it
came.

What it concerns is found by what the request names: ids, the number of an order, a serial number. Where it names no
order, its return, shipment, invoice or item does. docs/guides/service.md explains the fields and the problems.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from streams.flow.returns import plain_serial
from streams.model.live_row import LiveRow

Record = dict[str, Any]


class Case(NamedTuple):
    """What a case concerns, of the records that are no part of the order's aggregate."""

    root: LiveRow
    request: LiveRow | None
    returns: Sequence[LiveRow]
    """The newest first."""
    return_lines: Sequence[LiveRow]
    repairs: Sequence[LiveRow]
    """The newest first."""
    order_id: str | None
    """Also of an order that the hub does not know."""
    order: LiveRow | None
    item: LiveRow | None
    product: LiveRow | None
    product_id: str | None
    contracts: Sequence[LiveRow]
    levels: Sequence[LiveRow]
    credit_note_id: str | None
    credit_note: LiveRow | None
    replacement_id: str | None
    replacement: LiveRow | None
    problems: Collection[str]

    @property
    def named(self) -> Record:
        """The record of the request, else of the return."""
        return self.root.record


def case_of(root_id: str, rows: Iterable[LiveRow]) -> Case | None:
    """The case of a request or return; None where it is none: a return belongs to the case of its request. `rows`: all
    that may concern it, more than that does no harm.
    """
    of: dict[str, list[LiveRow]] = {}
    by_name: dict[str, LiveRow] = {}
    for row in sorted(rows, key=lambda row: row.id):
        of.setdefault(row.entity, []).append(row)
        by_name |= dict.fromkeys((row.id, *row.names), row)
    root = by_name.get(root_id)
    if root is None or root.id != root_id or root.entity not in ("service_request", "return_order"):
        return None
    request = root if root.entity == "service_request" else None
    if request is None and root.record.get("service_request_id") in by_name:
        return None
    returns = [root]
    if request is not None:
        names = {request.id, *request.names}
        returns = _newest_first(
            [back for back in of.get("return_order", ()) if back.record.get("service_request_id") in names],
            "requested_at",
        )
    problems: set[str] = set()
    named = root.record
    item = _item(named, returns, of, by_name, problems)
    order_id, order = _order(named, request, returns, item, of, by_name, problems)
    lines = [line for line in of.get("return_order_line", ()) if line.parent in {back.id for back in returns}]
    product_id = named.get("product_id") or (item.record.get("product_id") if item is not None else None)
    products = {line.record.get("product_id") for line in lines} - {None}
    if product_id is None and len(products) == 1:
        (product_id,) = products
    customer = named.get("customer_id")
    credit_note, replacement = (
        next((id for back in returns if (id := back.record.get(field))), None)
        for field in ("credit_note_id", "replacement_order_id")
    )
    if replacement is None and request is not None:
        answers = [answer for answer in of.get("sales_order", ()) if _is_of(answer, request)]
        replacement = next((answer.id for answer in _newest_first(answers, "created_at") if _is_live(answer)), None)
    return Case(
        root, request, returns, lines,
        _newest_first([repair for repair in of.get("repair", ()) if request and _is_of(repair, request)], "created_at"),
        order_id, order, item, by_name.get(product_id or ""), product_id,
        [c for c in of.get("contract", ()) if customer is not None and c.record.get("customer_id") == customer],
        [row for row in of.get("inventory_level", ()) if product_id and row.record.get("product_id") == product_id],
        credit_note, by_name.get(credit_note or ""), replacement, by_name.get(replacement or ""), problems,
    )  # fmt: skip


def _is_of(row: LiveRow, request: LiveRow) -> bool:
    return row.record.get("service_request_id") in {request.id, *request.names}


def _is_live(order: LiveRow) -> bool:
    return order.record.get("status") != "cancelled"


def _newest_first(rows: Iterable[LiveRow], field: str) -> list[LiveRow]:
    return sorted(rows, key=lambda row: (row.record.get(field) or 0, row.id), reverse=True)


def _item(
    named: Record,
    returns: Sequence[LiveRow],
    of: Mapping[str, Sequence[LiveRow]],
    by_name: Mapping[str, LiveRow],
    problems: set[str],
) -> LiveRow | None:
    """The piece that a case is about: by its id, else by its serial number, of several the one of the customer."""
    id, serial = named.get("installed_item_id"), plain_serial(named.get("serial_number"))
    if id is not None and id in by_name:
        return by_name[id]
    fitting = [
        row
        for row in of.get("installed_item", ())
        if serial and plain_serial(row.record.get("serial_number")) == serial
    ]
    fitting = _of_customer(fitting, named) if len(fitting) > 1 else fitting
    if len(fitting) == 1:
        return fitting[0]
    if id is not None or serial is not None:
        problems.add("item_ambiguous" if fitting else "item_unknown")
    return None


def _order(
    named: Record,
    request: LiveRow | None,
    returns: Sequence[LiveRow],
    item: LiveRow | None,
    of: Mapping[str, Sequence[LiveRow]],
    by_name: Mapping[str, LiveRow],
    problems: set[str],
) -> tuple[str | None, LiveRow | None]:
    """The order that a case concerns: its id, and the order itself, if the hub knows it. What names it most directly
    counts.
    """
    id, number = named.get("sales_order_id"), (named.get("order_number") or "").strip().lower()
    if id is not None and id in by_name:
        return by_name[id].id, by_name[id]
    if number:
        fitting = [
            row for row in of.get("sales_order", ()) if (row.record.get("number") or "").strip().lower() == number
        ]
        fitting = _of_customer(fitting, named) if len(fitting) > 1 else fitting
        if len(fitting) == 1:
            return fitting[0].id, fitting[0]
        problems.add("order_ambiguous" if fitting else "order_unknown")
    references = [back.record.get("sales_order_id") for back in returns if request is not None]
    for field in ("shipment_id", "invoice_id"):
        document = by_name.get(named.get(field) or "")
        references.append(document.parent if document is not None else None)
    references.append(item.record.get("sales_order_id") if item is not None else None)
    reference = next((reference for reference in references if reference is not None), None)
    order = by_name.get(reference or "")
    if order is None and (id or reference) is not None:
        problems.add("order_unknown")
        return id or reference, None
    if id is not None:
        problems.add("order_unknown")
    return (order.id, order) if order is not None else (None, None)


def _of_customer(fitting: list[LiveRow], named: Record) -> list[LiveRow]:
    customer = named.get("customer_id")
    mine = [row for row in fitting if customer is not None and row.record.get("customer_id") == customer]
    return mine or fitting
