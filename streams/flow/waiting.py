"""What an order flow waits for, since when, and who knows more. Pure.

In: the joined record, the documents of the flow, the intents that it caused, and today. Out: one `Wait`. What stands in
the way counts before what comes next by itself: a refused write before the approval, the approval before the goods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from streams.flow.goods import GRAIN, compared, shipped_lines
from streams.flow.money import is_billed
from streams.flow.shares import SHARE, SHARES_SENT, documents_here
from streams.model.state import EntityState

DAY_US = 86_400_000_000

_TO_COME = ("short", "requested", "on_order", "partly_available")
"""Statuses of supply with which some goods are not there yet."""

WaitFor = Literal[
    "deal", "refused", "approval", "order", "confirmation", "supply", "goods", "arrival", "invoice", "payment",
    "refund", "nothing",
]  # fmt: skip
"""deal: sales work on it; refused: a target does not take what the hub writes; approval: people decide; order: a won
deal has no order yet; confirmation: the order is a draft; supply: goods must be bought or made first; goods: they are
to be shipped; arrival: they are on their
way; invoice: it is to be written; payment: the customer is to pay; refund: the customer has paid too much; nothing: the
flow is at its end.
"""


class WrittenIntent(Protocol):
    """What is read of an intent."""

    @property
    def id(self) -> int: ...
    @property
    def rule(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def state(self) -> Any: ...
    @property
    def problem(self) -> str | None: ...


class Document(Protocol):
    """What is read of a document."""

    @property
    def entity(self) -> str: ...
    @property
    def record(self) -> dict[str, Any]: ...


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """What a flow waits for."""

    what: WaitFor
    since_us: int | None
    """Since when the flow is in its stage, µs since 1970."""
    due: int | None = None
    """The day by which it was to happen, days since 1970: promised, due, or expected to close."""
    late_days: int | None = None
    """Days since then; None where it is not late."""
    ask: str | None = None
    """The person who looks after the document that it waits for, by its system."""
    ask_of: str | None = None
    """The kind of that document."""
    intent: int | None = None
    rule: str | None = None
    target: str | None = None
    problem: str | None = None
    """Why a target refuses."""
    supply: str | None = None
    """For what "supply" means: the status of the line that stands in the way; see flow/supply.py."""
    document: str | None = None
    """Number of the purchase or production order that comes last."""
    supplier_id: str | None = None
    expected: int | None = None
    """The day on which the last of the goods is there, days since 1970."""


class LineProgress(msgspec.Struct, frozen=True):
    """How far an order line is. Quantities are unscaled (six decimals) in `unit`; None: not known."""

    id: str
    order_number: str | None
    line_no: int | None
    description: str | None
    product_id: str | None
    unit: str | None
    kind: str | None
    ordered: int | None
    shipped: int | None
    invoiced: int | None
    net_amount: int | None

    @property
    def is_behind(self) -> bool:
        """Whether less was shipped than ordered."""
        return self.ordered is not None and self.shipped is not None and self.ordered - self.shipped > GRAIN


def waits_for(
    record: Mapping[str, Any], documents: Sequence[Document], intents: Iterable[WrittenIntent], today: int
) -> Wait:
    """What a flow waits for. `today`: days since 1970."""
    since = record.get("stage_since")
    stage = record.get("stage")
    for states, what in ((("dead", "failed"), "refused"), (("waiting",), "approval")):
        stopped = next((intent for intent in intents if intent.state in states), None)
        if stopped is not None:
            entity = "sales_order" if record.get("sales_order_id") else "opportunity"
            return Wait(
                what="refused" if what == "refused" else "approval", since_us=since, ask=_owner(documents, entity),
                ask_of=entity, intent=stopped.id, rule=stopped.rule, target=stopped.target, problem=stopped.problem,
            )  # fmt: skip

    def wait(what: WaitFor, entity: str, due: int | None = None) -> Wait:
        late = today - due if due is not None and due < today else None
        return Wait(what=what, since_us=since, due=due, late_days=late, ask=_owner(documents, entity), ask_of=entity)

    promised = record.get("promised_date")
    if stage == "opportunity":
        return wait("deal", "opportunity", _first(documents, "opportunity", "expected_close"))
    if stage == "won":
        return wait("order", "opportunity")
    if stage == "draft":
        return wait("confirmation", "sales_order", promised)
    if stage in ("ordered", "partially_shipped"):
        if record.get("shipment_status") == "nothing_to_ship":
            return wait("invoice", "sales_order")
        if record.get("supply_status") in _TO_COME:
            return msgspec.structs.replace(
                wait("supply", "purchase_order", promised), supply=record["supply_status"],
                document=record.get("waits_for"), supplier_id=record.get("supplier_id"),
                expected=record.get("expected_date"),
            )  # fmt: skip
        return wait("goods", "sales_order", promised)
    if stage in ("shipped", "shipped_in_part_or_whole"):
        return wait("arrival", "shipment", promised)
    if stage == "delivered":
        return wait("invoice", "sales_order")
    if stage in ("invoiced", "partially_paid"):
        return wait("payment", "invoice", _due(documents))
    if stage == "overpaid":
        return wait("refund", "invoice")
    return Wait(what="nothing", since_us=since)


def progress_of_lines(members: Sequence[EntityState]) -> list[LineProgress]:
    """How far each order line of a flow is. Lines of shipments and invoices that name no order line count for none."""
    live = [member for member in members if not member.deleted and member.merged_into is None and member.version > 0]
    if any(member.entity in (SHARE, SHARES_SENT) for member in live):
        live = [
            member
            for member in documents_here(members)
            if not member.deleted and member.merged_into is None and member.version > 0
        ]
    of: dict[str, list[EntityState]] = {}
    for member in live:
        of.setdefault(member.entity, []).append(member)
    shipped = shipped_lines(of.get("shipment", ()), of.get("shipment_line", ()), ())
    billed = {invoice.id: invoice for invoice in of.get("invoice", ()) if is_billed(invoice)}
    invoiced: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for line in of.get("invoice_line", ()):
        bill, named = billed.get(line.parent or ""), line.record.get("order_line_id")
        if bill is not None and named:
            sign = -1 if bill.record.get("kind") == "credit_note" else 1
            invoiced.setdefault(named, []).append((sign, line.record))
    numbers = {order.id: order.record.get("number") for order in of.get("sales_order", ())}
    lines = []
    for line in of.get("sales_order_line", ()):
        record = line.record
        counted = record.get("shipped_quantity")
        sent, clear = compared(record, shipped.sent.get(line.id))
        bills = [(sign, *compared(record, [item])) for sign, item in invoiced.get(line.id, ())]
        lines.append(
            LineProgress(
                line.id, numbers.get(line.parent or ""), record.get("line_no"), record.get("description"),
                record.get("product_id"), record.get("unit"), record.get("kind"), record.get("quantity"),
                counted if counted is not None else sent if clear else None,
                sum(sign * quantity for sign, quantity, _ in bills) if all(clear for *_, clear in bills) else None,
                record.get("net_amount"),
            )
        )  # fmt: skip
    return sorted(lines, key=lambda line: (line.order_number or "", line.line_no or 0, line.id))


def _owner(documents: Iterable[Document], entity: str) -> str | None:
    """Who looks after a document of this kind; else after the order, else after the deal."""
    for kind in (entity, "sales_order", "opportunity"):
        for document in documents:
            if document.entity == kind and document.record.get("owner"):
                return str(document.record["owner"])
    return None


def _first(documents: Iterable[Document], entity: str, field: str) -> int | None:
    return next((d.record[field] for d in documents if d.entity == entity and d.record.get(field) is not None), None)


def _due(documents: Iterable[Document]) -> int | None:
    """The earliest due date of an invoice that is open."""
    days = [
        document.record["due_date"]
        for document in documents
        if document.entity == "invoice"
        and document.record.get("due_date") is not None
        and document.record.get("status") not in ("draft", "paid", "cancelled")
        and document.record.get("open_amount") != 0
    ]
    return min(days, default=None)
