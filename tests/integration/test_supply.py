"""A purchase order that serves two sales orders, on a real hub: each line knows what it waits for, and who is late."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from streams.errors import ConfigError
from streams.hub.supply import Waiting, after_of, product_promise, supply_document, waiting_lines
from streams.model.change import Change
from streams.model.ids import source_id
from streams.verify.sum_check import wrong_sums
from tests.integration.place import Place
from tests.integration.test_sums import PIECE, Worker, worker

__all__ = ["worker"]
TODAY = (datetime.now(UTC).date() - date(1970, 1, 1)).days

Said = tuple[str, str, Change]


class Trade:
    """A customer with orders, and a supplier; `aggregate` is the document that a row belongs to."""

    def __init__(self, place: Place) -> None:
        self.place, self.key = place, uuid.uuid4().hex[:8]

    def id(self, entity: str, key: str) -> str:
        return source_id("demo-erp", entity, f"{self.key}-{key}")

    def say(self, kind: str, root: tuple[str, str], entity: str, key: str, **fields: Any) -> Said:
        parent = None if root == (entity, key) else self.id(*root)
        return kind, self.id(*root), self.place.change("demo-erp", entity, f"{self.key}-{key}", parent, **fields)

    def masters(self) -> list[Said]:
        return [
            self.say("customer", ("customer", "C"), "customer", "C", name="Ada Pumps"),
            self.say("customer", ("supplier", "V"), "supplier", "V", name=f"Valve Works {self.key}", number=f"V{self.key}"),
            self.say("product", ("product", "X"), "product", "X", sku=f"X-{self.key}", name="Valve", unit="C62"),
        ]  # fmt: skip

    def order(self, key: str, pieces: int) -> list[Said]:
        root = ("sales_order", key)
        of = {"customer_id": self.id("customer", "C"), "status": "confirmed", "currency": "EUR"}
        line = {"product_id": self.id("product", "X"), "quantity": pieces * PIECE, "line_no": 1, "unit": "C62"}
        return [
            self.say("order_flow", root, "sales_order", key, number=f"{key}{self.key}", promised_date=TODAY + 7, **of),
            self.say("order_flow", root, "sales_order_line", f"{key}1", **line),
        ]

    def purchase(self, expected: int, **more: Any) -> Said:
        fields = {"number": f"PO{self.key}", "status": "confirmed", "supplier_id": self.id("supplier", "V")} | more
        root = ("purchase_order", "P")
        return self.say("order_flow", root, "purchase_order", "P", expected_date=expected, **fields)

    def bought(self, key: str, order: str, pieces: int) -> Said:
        line = {"product_id": self.id("product", "X"), "quantity": pieces * PIECE, "unit": "C62"}
        line |= {"order_line_id": self.id("sales_order_line", f"{order}1")}
        return self.say("order_flow", ("purchase_order", "P"), "purchase_order_line", key, **line)


async def test_a_late_supplier_shows_in_every_order_that_it_hits(place: Place, worker: Worker) -> None:
    trade = Trade(place)
    await worker.say(*trade.masters(), *trade.order("A", 4), *trade.order("B", 1))
    await worker.say(trade.purchase(TODAY + 3), trade.bought("P1", "A", 4), trade.bought("P2", "B", 1))
    with psycopg.connect(place.hub, autocommit=True) as hub:
        document = supply_document(hub, f"PO{trade.key}").id
        lines = waiting_lines(hub, Waiting(document=document))
        assert {(line.order_number, line.status, line.expected_date, line.late_days) for line in lines} == {
            (f"A{trade.key}", "on_order", TODAY + 3, None), (f"B{trade.key}", "on_order", TODAY + 3, None)
        }  # fmt: skip
        assert waiting_lines(hub, Waiting(document=document, late=True)) == []
        await worker.say(trade.purchase(TODAY + 17))
        lines = waiting_lines(hub, Waiting(supplier=f"valve works {trade.key}", late=True))
        assert [(line.late_days, line.customer, line.supplier, line.waits_for) for line in lines] == [
            (10, "Ada Pumps", f"Valve Works {trade.key}", f"PO{trade.key}")
        ] * 2
        pages, after = [], None
        for _ in range(3):
            page = waiting_lines(hub, Waiting(document=document, limit=1, after=after))
            pages += page
            after = after_of(page, 1)
        assert [line.id for line in pages] == [line.id for line in lines]
        flow = hub.execute("SELECT record FROM entity WHERE id = %s", [source_id("opshub", "order_flow", trade.id("sales_order", "A"))]).fetchone()  # fmt: skip
        assert flow is not None
        wanted = {
            "supply_status": "on_order",
            "expected_date": TODAY + 17,
            "late_days": 10,
            "waits_for": f"PO{trade.key}",
        }
        assert {name: flow[0][name] for name in wanted} == wanted
        await worker.sum()
        promise = product_promise(hub, f"X-{trade.key}")
        assert (promise.stock["incoming"], promise.promisable) == (5 * PIECE, 0)
        await worker.say(trade.purchase(TODAY + 17, status="received"))
        assert [line.status for line in waiting_lines(hub, Waiting(product=f"X-{trade.key}"))] == ["short", "short"]
        await worker.say(trade.purchase(TODAY + 17, status="cancelled"))
        assert waiting_lines(hub, Waiting(product=f"X-{trade.key}")) == []


def test_what_nobody_knows_is_said(place: Place) -> None:
    with psycopg.connect(place.hub, autocommit=True) as hub:
        with pytest.raises(ConfigError, match="no purchase or production order has the number PO-0"):
            supply_document(hub, "PO-0")
        with pytest.raises(ConfigError, match="knows no product M-0"):
            product_promise(hub, "M-0")
        with pytest.raises(ConfigError, match="no list ends at x"):
            waiting_lines(hub, Waiting(after="x"))


class Purchases:
    """A product and what is bought of it, as the ERP says it."""

    def __init__(self, place: Place) -> None:
        self.place, self.key = place, uuid.uuid4().hex[:8]
        self.id = source_id("demo-erp", "product", self.key)

    def product(self) -> tuple[str, str, Change]:
        return "product", self.id, self.place.change("demo-erp", "product", self.key, sku=self.key, unit="C62")

    def say(self, entity: str, key: str, of: str, **fields: Any) -> tuple[str, str, Change]:
        """A row of the purchase or production order `of`."""
        root = "production_order" if entity.startswith("production") else "purchase_order"
        above = source_id("demo-erp", root, f"{self.key}-{of}")
        said = self.place.change("demo-erp", entity, f"{self.key}-{key}", None if entity == root else above, **fields)
        return "order_flow", source_id("demo-erp", root, f"{self.key}-{of}"), said

    def line(self, key: str, of: str, pieces: int, **more: Any) -> tuple[str, str, Change]:
        fields = {"product_id": self.id, "quantity": pieces * PIECE, "unit": "C62", "order_line_id": None} | more
        return self.say("purchase_order_line", key, of, **fields)


async def test_what_is_on_its_way_is_summed_by_day(place: Place, worker: Worker) -> None:
    bought = Purchases(place)
    order_line = source_id("demo-erp", "sales_order_line", f"{bought.key}-L")
    await worker.say(
        bought.product(),
        bought.say("purchase_order", "P", "P", number="P", status="confirmed", expected_date=TODAY + 5),
        bought.line("P1", "P", 10, received_quantity=4 * PIECE),
        bought.line("P2", "P", 3, order_line_id=order_line, expected_date=TODAY + 9),
        bought.line("P3", "P", 2, unit="XBX", base_quantity=24 * PIECE, base_unit="C62", expected_date=TODAY + 9),
        bought.line("P4", "P", 99, unit="XPX"),
        bought.line("P5", "P", 99, status="cancelled"),
        bought.say("purchase_order", "Q", "Q", number="Q", status="closed"),
        bought.line("Q1", "Q", 99),
        bought.say("production_order", "M", "M", number="M", status="in_progress", product_id=bought.id, unit="C62",
                   quantity=8 * PIECE, finished_quantity=PIECE),
        bought.say("production_order_line", "M1", "M", quantity=2 * PIECE, order_line_id=order_line),
    )  # fmt: skip
    await worker.sum()
    stock = worker.record("stock", bought.id)
    assert stock is not None
    assert (stock["incoming"], stock["incoming_for_orders"]) == ((6 + 3 + 24 + 7) * PIECE, (3 + 2) * PIECE)
    assert stock["next_incoming_date"] == TODAY + 5
    days = {day: (date(1970, 1, 1) + timedelta(TODAY + day)).isoformat() for day in (5, 9)}
    assert stock["incoming_by_day"] == {days[5]: "6", days[9]: "24", "": "5"}
    roots = {bought.id: "product"}
    roots |= {source_id("demo-erp", "purchase_order", f"{bought.key}-{key}"): "order_flow" for key in "PQ"}
    roots[source_id("demo-erp", "production_order", f"{bought.key}-M")] = "order_flow"
    assert list(wrong_sums((await worker.store.load(roots)).values())) == []
    # Goods come with a receipt, of which some are refused; the supplier cancels the rest, and production ends.
    receipt = source_id("demo-erp", "goods_receipt", f"{bought.key}-G")
    came = place.change(
        "demo-erp", "goods_receipt_line", f"{bought.key}-G1", receipt, quantity=3 * PIECE, rejected_quantity=PIECE,
        purchase_order_line_id=source_id("demo-erp", "purchase_order_line", f"{bought.key}-P2"),
    )  # fmt: skip
    home = source_id("demo-erp", "purchase_order", f"{bought.key}-P")
    await worker.say(
        bought.say("goods_receipt", "G", "P", status="received"),
        ("order_flow", home, came),
        bought.say("production_order", "M", "M", number="M", status="finished"),
    )
    await worker.sum()
    stock = worker.record("stock", bought.id)
    assert stock is not None
    assert (stock["incoming"], stock["incoming_for_orders"]) == ((6 + 1 + 24) * PIECE, PIECE)
    assert list(wrong_sums((await worker.store.load(roots)).values())) == []
    await worker.say(bought.say("purchase_order", "P", "P", number="P", status="cancelled"))
    await worker.sum()
    stock = worker.record("stock", bought.id)
    assert stock is not None
    assert (stock["incoming"], stock["incoming_by_day"], stock["next_incoming_date"]) == (None, None, None)
