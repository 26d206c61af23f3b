"""What the flows of a company must come to, counted by the tables of docs/guides/order-to-cash.md while `company.py`
makes their documents. Nothing here imports `streams/flow`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from streams.model.ids import source_id

EURO, PIECE = 10_000, 1_000_000
SYSTEM = "erp"


def ref(entity: str, key: str) -> str:
    return source_id(SYSTEM, entity, key)


@dataclass
class Line:
    key: str
    kind: str
    """goods, kit, service, charge or text."""
    quantity: int
    price: int
    sent: int = 0
    came_back: int = 0
    kit_sent: bool = False
    billed: int = 0

    @property
    def net(self) -> int:
        return self.quantity * self.price


@dataclass
class Order:
    key: str
    status: str
    lines: list[Line]
    gone: list[str] = field(default_factory=list)
    """Statuses of the shipments that left and did not come back."""
    shipments: int = 0

    @property
    def firm(self) -> bool:
        return self.status not in ("draft", "cancelled")

    @property
    def net(self) -> int:
        return sum(line.net for line in self.lines)


@dataclass
class Flow:
    deal: str | None
    orders: list[Order]
    invoiced_net: int = 0
    invoices_only: int = 0
    open: int = 0
    paid: int = 0
    bills: int = 0
    credit_notes: int = 0
    payments: int = 0
    has_orphan_payment: bool = False

    @property
    def root(self) -> str:
        if self.deal is not None:
            return ref("opportunity", self.deal)
        return ref("sales_order", self.orders[0].key)

    def expected(self) -> dict[str, Any]:
        """The fields of the joined record that the tables of the guide decide."""
        live = [order for order in self.orders if order.status != "cancelled"]
        firm = [order for order in live if order.firm]
        ordered = sum(order.net for order in firm)
        shipped, goods = self._goods(live)
        invoiced = self.invoiced_net * 6 // 5
        money = self._money(live, firm, ordered, invoiced, goods)
        return {
            "ordered_amount": (ordered if firm or not live else None),
            "ordered_gross_amount": (ordered * 6 // 5 if firm or not live else None),
            "shipped_amount": shipped,
            "invoiced_amount": invoiced,
            "invoiced_net_amount": self.invoiced_net,
            "paid_amount": self.paid,
            "open_amount": self.open,
            "settled_otherwise_amount": invoiced - self.paid - self.open,
            "shipment_status": goods,
            "payment_status": money,
            "stage": self._stage(live, firm, goods, money),
            "invoice_count": self.bills,
            "payment_count": self.payments,
            "shipment_count": sum(order.shipments for order in live),
            "line_count": sum(len(order.lines) for order in live),
        }

    def _goods(self, live: list[Order]) -> tuple[int | None, str]:
        amount: int | None = 0
        left, unknown, to_ship = False, False, False
        for order in live:
            for line in order.lines:
                if line.kind not in ("goods", "kit"):
                    continue
                to_ship = True
                if line.kind == "kit" and line.kit_sent:
                    if order.status == "closed":
                        amount = None if amount is None else amount + line.net
                    else:
                        amount, unknown = None, True
                    continue
                amount = None if amount is None else amount + line.sent * line.price
                replaced = line.came_back if self.credit_notes else 0
                left = left or line.sent + replaced < line.quantity
        gone = [status for order in live for status in order.gone]
        if not gone:
            return amount, "none" if to_ship or not any(order.lines for order in live) else "nothing_to_ship"
        if left:
            return amount, "partially_shipped"
        if unknown:
            return amount, "shipped_in_part_or_whole"
        return amount, "delivered" if set(gone) == {"delivered"} else "shipped"

    def _money(self, live: list[Order], firm: list[Order], ordered: int, invoiced: int, goods: str) -> str:
        closed = bool(firm) and all(order.status == "closed" for order in firm)
        extras = [line for order in live for line in order.lines if line.kind in ("service", "charge")]
        complete = closed or (
            self.bills > 0
            and (
                (self.invoices_only >= ordered if firm or not live else False)
                or (goods in ("shipped", "delivered") and all(line.billed >= line.quantity for line in extras))
            )
        )
        if self.open < 0 and (not live or (firm and self.paid > ordered * 6 // 5) or (self.bills > 0 and complete)):
            return "overpaid"
        if not self.bills:
            return "partially_paid" if self.paid > 0 else "none"
        if self.open <= 0:
            if self.credit_notes and invoiced <= 0:
                return "credited"
            if complete:
                return "paid"
        return "partially_paid" if self.paid > 0 else "invoiced"

    def _stage(self, live: list[Order], firm: list[Order], goods: str, money: str) -> str:
        closed = bool(firm) and all(order.status == "closed" for order in firm)
        if money == "overpaid":
            return money
        if not live:
            return "cancelled"
        if money in ("invoiced", "partially_paid"):
            return money
        if money in ("paid", "credited") and (goods != "partially_shipped" or closed):
            return money
        if goods not in ("none", "nothing_to_ship"):
            return goods
        return "ordered" if firm else "draft"
