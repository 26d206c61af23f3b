"""A random company: flows of orders, shipments, invoices and payments, as an ERP would write them, and what each flow
must come to (`company_model.py`).

Prices are whole and tax is a fifth, so that every amount is exact.
"""

from __future__ import annotations

import random
from typing import Any

from streams.model.change import Change
from tests.factories import changed
from tests.property.company_model import EURO, PIECE, SYSTEM, Flow, Line, Order, ref


class Company:
    """Flows, and the changes that an ERP sends of them, each record in one or two versions."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.changes: list[Change] = []
        self.position = 0
        self.keys = 0
        self.speaks = self.draw.choice(["amounts", "statuses", "nothing"])
        """What the ERP says of an invoice's settlement."""
        self.flows = [self._flow() for _ in range(self.draw.randint(1, 3))]
        self._collective_invoice()

    def _key(self) -> str:
        self.keys += 1
        return f"{self.keys:03}"

    def _row(self, entity: str, key: str, parent: tuple[str, str] | None = None, **fields: Any) -> None:
        """One record; sometimes an older version of it, too."""
        parent_id = ref(*parent) if parent else None
        if self.draw.random() < 0.2:
            self.position += 1
            older = {name: value for name, value in fields.items() if not name.endswith("_amount")}
            self.changes.append(changed(SYSTEM, entity, key, self.position, parent=parent_id, **older))
        self.position += 1
        self.changes.append(changed(SYSTEM, entity, key, self.position, parent=parent_id, **fields))

    def _flow(self) -> Flow:
        deal = self._key() if self.draw.random() < 0.7 else None
        if deal is not None:
            self._row("opportunity", deal, stage="won", created_at=1, won_at=2)
        count = 2 if deal is not None and self.draw.random() < 0.25 else 1
        flow = Flow(deal, [self._order(deal) for _ in range(count)])
        for order in flow.orders:
            if order.firm:
                for _ in range(self.draw.choice([0, 1, 1, 2, 3])):
                    self._shipment(flow, order)
                for _ in range(self.draw.choice([0, 1, 1, 2])):
                    self._invoice(flow, order)
            elif self.draw.random() < 0.5:
                self._deposit(flow, order)
        return flow

    def _order(self, deal: str | None) -> Order:
        status = self.draw.choice(
            ["draft", "cancelled", "confirmed", "confirmed", "confirmed", "in_production", "closed"]
        )
        kinds = ["goods", "goods", "goods", "kit", "service", "charge", "text"]
        lines = [
            Line(self._key(), self.draw.choice(kinds), self.draw.randint(1, 5), 5 * self.draw.randint(1, 9))
            for _ in range(self.draw.randint(1, 4))
        ]
        order = Order(self._key(), status, lines)
        for line in lines:
            if line.kind == "text":
                line.quantity = line.price = 0
        self._row(
            "sales_order", order.key, ("opportunity", deal) if deal else None, status=status, currency="EUR", created_at=3,
            net_amount=order.net * EURO, gross_amount=order.net * 6 // 5 * EURO,
        )  # fmt: skip
        for line in lines:
            fields: dict[str, Any] = {
                "product_id": ref("product", line.key),
                "quantity": line.quantity * PIECE,
                "unit": "C62",
            }
            if line.kind == "service":
                fields["kind"] = "service"
            elif line.kind in ("charge", "text"):  # a line without a product
                fields["product_id"] = None
                if line.kind == "text":
                    fields["quantity"] = None
            net = None if line.kind == "text" else line.net * EURO
            self._row("sales_order_line", line.key, ("sales_order", order.key), net_amount=net, **fields)
        return order

    def _shipment(self, flow: Flow, order: Order) -> None:
        status = self.draw.choice(["shipped", "delivered", "delivered", "returned", "planned", "cancelled"])
        parts: list[tuple[Line, int]] = []
        for line in order.lines:
            if line.kind == "goods":
                left = line.quantity - line.sent - line.came_back
                if left > 0 and self.draw.random() < 0.8:
                    parts.append((line, self.draw.randint(1, left)))
            elif line.kind == "kit" and self.draw.random() < 0.7:
                parts.append((line, self.draw.randint(1, 4)))
        if not parts:
            return
        key = self._key()
        self._row("shipment", key, ("sales_order", order.key), status=status, shipped_at=5, created_at=4)
        if status not in ("returned", "cancelled"):
            order.shipments += 1
        if status in ("shipped", "delivered"):
            order.gone.append(status)
        for line, quantity in parts:
            if line.kind == "kit":
                line.kit_sent = line.kit_sent or status in ("shipped", "delivered")
                fields = {"product_id": ref("product", f"a part of {line.key}"), "quantity": quantity * PIECE}
            else:
                if status in ("shipped", "delivered"):
                    line.sent += quantity
                elif status == "returned":
                    line.came_back += quantity
                fields = self._quantity(line, quantity)
            self._row(
                "shipment_line",
                self._key(),
                ("shipment", key),
                order_line_id=ref("sales_order_line", line.key),
                **fields,
            )

    def _quantity(self, line: Line, quantity: int) -> dict[str, Any]:
        """In the unit of the order, or in boxes that say how many pieces they hold."""
        product = ref("product", line.key)
        if self.draw.random() < 0.3:
            return {
                "product_id": product,
                "quantity": PIECE,
                "unit": "BX",
                "base_quantity": quantity * PIECE,
                "base_unit": "C62",
            }
        return {"product_id": product, "quantity": quantity * PIECE, "unit": self.draw.choice(["C62", None])}

    def _invoice(self, flow: Flow, order: Order) -> None:
        parts = [
            (line, self.draw.randint(1, line.quantity - line.billed))
            for line in order.lines
            if line.quantity > line.billed and self.draw.random() < 0.7
        ]
        if not parts:
            return
        net = sum(line.price * quantity for line, quantity in parts)
        key = self._key()
        status = self.draw.choice(["open", "open", "open", "open", "draft", "cancelled"])
        counts = status == "open"
        if counts:
            for line, quantity in parts:
                line.billed += quantity
        paid = self._document(flow, key, order, "invoice", status, net, parts)
        if counts and self.draw.random() < 0.25:
            line, quantity = self.draw.choice(parts)
            self._document(
                flow, self._key(), order, "credit_note", "open", line.price * quantity, [(line, quantity)], paid
            )

    def _document(
        self, flow: Flow, key: str, order: Order, kind: str, status: str, net: int, parts: list[tuple[Line, int]],
        paid_before: int = 0,
    ) -> int:  # fmt: skip
        """An invoice or credit note with its payments; how much was paid."""
        gross, sign, counts = net * 6 // 5, -1 if kind == "credit_note" else 1, status == "open"
        choices = ["none", "half", "all"]
        if counts and kind == "invoice":
            choices += ["discount", "written off"] if self.speaks != "nothing" else ["double"]
        if kind == "credit_note":
            choices = ["none", "all"] if paid_before else ["none"]
        how = self.draw.choice(choices)
        amount = {"half": gross // 2, "all": gross, "discount": gross - 1, "double": 2 * gross}.get(how, 0)
        still_open = 0 if how in ("discount", "written off") else gross - amount
        fields: dict[str, Any] = {}
        if self.speaks == "amounts" and counts:
            fields["open_amount"] = still_open * EURO
        if self.speaks == "nothing" and counts:
            fields["status"] = None
        elif counts:
            fields["status"] = "open" if still_open else "paid"
        else:
            fields["status"] = status
        self._row(
            "invoice", key, ("sales_order", order.key), kind=kind, currency="EUR", invoice_date=1,
            net_amount=net * EURO, gross_amount=gross * EURO, **fields,
        )  # fmt: skip
        for line, quantity in parts:
            self._row(
                "invoice_line", self._key(), ("invoice", key), net_amount=line.price * quantity * EURO,
                quantity=quantity * PIECE, order_line_id=ref("sales_order_line", line.key),
            )  # fmt: skip
        if amount:
            self._payment(key, amount)
            flow.payments += 1
            flow.paid += sign * amount
        if self.draw.random() < 0.2:
            self._payment(key, 7, self.draw.choice(["pending", "reversed"]))
        if counts:
            flow.bills += 1
            flow.credit_notes += kind == "credit_note"
            flow.invoiced_net += sign * net
            flow.invoices_only += net if kind == "invoice" else 0
            flow.open += sign * still_open
        else:
            flow.open -= amount
        return amount

    def _payment(self, invoice: str, amount: int, status: str | None = None) -> None:
        status = status or self.draw.choice(["cleared", None])
        self._row(
            "payment", self._key(), ("invoice", invoice), invoice_id=ref("invoice", invoice), amount=amount * EURO,
            currency="EUR", status=status, paid_at=9,
        )  # fmt: skip

    def _deposit(self, flow: Flow, order: Order) -> None:
        """Money for a draft, or for an order that was cancelled."""
        key = self._key()
        self._row(
            "invoice",
            key,
            ("sales_order", order.key),
            kind="invoice",
            currency="EUR",
            status="draft",
            gross_amount=60 * EURO,
        )
        self._payment(key, 60)
        flow.payments += 1
        flow.paid += 60
        flow.open -= 60

    def _collective_invoice(self) -> None:
        """One invoice for orders of two flows, open or paid in full: each flow has its lines."""
        orders = [(flow, order) for flow in self.flows for order in flow.orders if order.firm]
        if len(self.flows) < 2 or len({id(flow) for flow, _ in orders}) < 2 or self.draw.random() < 0.4:
            return
        first = self.draw.choice(orders)
        second = self.draw.choice([other for other in orders if other[0] is not first[0]])
        shares = []
        for flow, order in (first, second):
            lines = [line for line in order.lines if line.quantity > line.billed]
            if not lines:
                return
            shares.append((flow, [(line, line.quantity - line.billed) for line in lines]))
        net = sum(line.price * quantity for _, parts in shares for line, quantity in parts)
        is_paid, key, gross = self.draw.random() < 0.5, self._key(), net * 6 // 5
        fields: dict[str, Any] = {}
        if self.speaks == "amounts":
            fields["open_amount"] = 0 if is_paid else gross * EURO
        if self.speaks != "nothing":
            fields["status"] = "paid" if is_paid else "open"
        self._row(
            "invoice", key, ("sales_order", first[1].key), kind="invoice", currency="EUR", invoice_date=1,
            net_amount=net * EURO, tax_amount=(gross - net) * EURO, gross_amount=gross * EURO, **fields,
        )  # fmt: skip
        if is_paid:
            self._payment(key, gross)
        for flow, parts in shares:
            of_flow = sum(line.price * quantity for line, quantity in parts)
            for line, quantity in parts:
                line.billed += quantity
                self._row(
                    "invoice_line", self._key(), ("invoice", key), net_amount=line.price * quantity * EURO, tax_rate=20_0000,
                    quantity=quantity * PIECE, order_line_id=ref("sales_order_line", line.key),
                )  # fmt: skip
            flow.bills += 1
            flow.invoiced_net += of_flow
            flow.invoices_only += of_flow
            flow.open += 0 if is_paid else of_flow * 6 // 5
            if is_paid:
                flow.paid += of_flow * 6 // 5
                flow.payments += 1
