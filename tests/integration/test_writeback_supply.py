"""The rules of supply and service on real servers: requests for orders, moved dates, returns, spare parts, credit notes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from streams.hub.intent_review import IntentView
from streams.model.ids import source_id
from streams.writeback.commands import STATES, connect_hub, decide_intent, list_intents
from tests.integration.place import Place

pytestmark = pytest.mark.timeout(300)
PIECE, DAY = 1_000_000, 20_800


def supplied(place: Place, sku: str, way: str, cost: float = 10) -> int:
    """Let an item be supplied this way; its supplier."""
    row = place.erp.execute("INSERT INTO erp.supp (name1) VALUES ('Bolt Works') RETURNING id").fetchone()
    assert row is not None
    supplier = row[0] if way in "BD" else None
    place.erp.execute(
        "UPDATE erp.item SET way = %s, supp_id = %s, cost = %s WHERE item_no = %s", [way, supplier, cost, sku]
    )
    return int(row[0])


async def item(place: Place, way: str, cost: float = 10) -> tuple[str, int]:
    """A product of both systems: (its key in the CRM, its key in the ERP)."""
    key = await place.product()
    row = place.erp.execute("SELECT id, item_no FROM erp.item ORDER BY id DESC LIMIT 1").fetchone()
    assert row is not None
    supplied(place, row[1], way, cost)
    product = source_id("demo-crm", "product", key)
    of_erp = place.change("demo-erp", "product", str(row[0]), sku=row[1])
    await place.settle("product", product, of_erp)
    return key, int(row[0])


def intents(place: Place, rule: str, entity_id: str) -> list[IntentView]:
    with connect_hub(place.hub) as hub:
        every = list_intents(hub, [*STATES], rule=rule, limit=500)
        return [intent for intent in every if intent.entity_id == entity_id]


def state(place: Place, rule: str, entity_id: str) -> str | None:
    return next((one.state for one in intents(place, rule, entity_id)), None)


def is_delivered(place: Place, rule: str, entity_id: str) -> bool:
    """Whether all intents of the rule for this record are delivered, and there is one."""
    states = {intent.state for intent in intents(place, rule, entity_id)}
    return states == {"delivered"}


def one(connection: Any, sql: str, *values: object) -> Any:
    row = connection.execute(sql, values).fetchone()
    return None if row is None else row[0] if len(row) == 1 else row


@pytest.mark.parametrize(("way", "kind"), [("B", "N"), ("D", "D"), ("M", "M")])
async def test_an_order_requests_what_stock_does_not_have(place: Place, way: str, kind: str) -> None:
    customer, (product, erp_item) = await place.customer(), await item(place, way)
    key = await place.win(customer, product)
    deal = source_id("demo-crm", "opportunity", key)
    async with place.deliverer():
        await place.until(lambda: state(place, "demo-erp/supply_for_order", deal) == "delivered")
    lines = "SELECT l.item_id, count(*)::int, sum(l.qty)::int, min(h.stat)::int FROM erp.so_line s JOIN erp.so_head o ON o.id = s.so_id"
    if kind == "M":
        join = "JOIN erp.pr_line l ON l.so_line_id = s.id JOIN erp.pr_head h ON h.id = l.pr_id"
    else:
        join = f"JOIN erp.po_line l ON l.so_line_id = s.id JOIN erp.po_head h ON h.id = l.po_id AND h.kind = '{kind}'"
    found = place.erp.execute(f"{lines} {join} WHERE o.crm_opp = %s GROUP BY 1".encode(), [key]).fetchall()
    assert found == [(erp_item, 2, 2, 5)]


async def test_an_order_from_stock_requests_nothing(place: Place) -> None:
    customer, (product, _) = await place.customer(), await item(place, "S")
    key = await place.win(customer, product)
    async with place.deliverer():
        await place.until(
            lambda: state(place, "demo-erp/supply_for_order", source_id("demo-crm", "opportunity", key)) == "delivered"
        )
    assert one(place.erp, "SELECT count(*) FROM erp.po_line l JOIN erp.so_line s ON s.id = l.so_line_id JOIN erp.so_head h ON h.id = s.so_id WHERE h.crm_opp = %s", key) == 0  # fmt: skip


async def test_a_large_request_waits_for_approval(place: Place) -> None:
    customer, (product, _) = await place.customer(), await item(place, "B", cost=90_000)
    key = await place.win(customer, product)
    deal = source_id("demo-crm", "opportunity", key)
    bought = "SELECT count(*) FROM erp.po_line l JOIN erp.so_line s ON s.id = l.so_line_id JOIN erp.so_head h ON h.id = s.so_id WHERE h.crm_opp = %s"  # fmt: skip
    async with place.deliverer():
        await place.until(lambda: state(place, "demo-erp/supply_for_order", deal) == "waiting")
        assert one(place.erp, bought, key) == 0
        (waiting,) = intents(place, "demo-erp/supply_for_order", deal)
        with connect_hub(place.hub) as hub:
            decide_intent(hub, str(waiting.id), "approve", who="ada", reason="a good price")
        await place.until(lambda: state(place, "demo-erp/supply_for_order", deal) == "delivered")
    assert one(place.erp, bought, key) == 2


async def test_a_moved_date_shows_in_the_opportunity_and_opens_one_task(place: Place) -> None:
    customer, product = await place.customer(), await place.product()
    key = await place.win(customer, product)
    deal, order, purchase = source_id("demo-crm", "opportunity", key), f"o{key[:8]}", f"p{key[:8]}"
    product_id = source_id("demo-crm", "product", product)

    async def purchased(expected: int) -> None:
        fields: dict[str, Any] = {"number": f"BE{key[:4]}", "status": "confirmed", "expected_date": DAY + expected}
        await place.settle("order_flow", deal, place.change("demo-erp", "purchase_order", purchase, deal, **fields))

    def shown() -> tuple[Any, ...]:
        return tuple(
            place.crm.execute(
                "SELECT delivery_date - DATE '1970-01-01', supply_status FROM opportunity WHERE id = %s", [key]
            ).fetchone()
            or ()
        )

    def tasks() -> list[tuple[str, str]]:
        return place.crm.execute(
            "SELECT status, subject FROM task WHERE opportunity_id = %s AND kind = 'Late delivery' ORDER BY created_at",
            [key],
        ).fetchall()

    line_id = source_id("demo-erp", "sales_order_line", f"{order}-1")
    parent, above = source_id("demo-erp", "sales_order", order), source_id("demo-erp", "purchase_order", purchase)
    async with place.deliverer():
        await place.until(lambda: place.intent(key).state == "delivered")
        await purchased(3)
        await place.settle(
            "order_flow", deal,
            place.change("demo-erp", "sales_order", order, deal, number="SO-7", status="confirmed", promised_date=DAY + 5),
            place.change("demo-erp", "sales_order_line", f"{order}-1", parent, product_id=product_id, quantity=PIECE, kind="goods"),
            place.change("demo-erp", "purchase_order_line", f"{purchase}-1", above, product_id=product_id, quantity=PIECE, order_line_id=line_id),
        )  # fmt: skip
        await place.until(lambda: shown() == (DAY + 3, "on_order"))
        assert tasks() == []
        for expected in (17, 19):
            await purchased(expected)
            wanted, late = (DAY + expected, "on_order"), f"SO-7 comes {expected - 5} days late"
            await place.until(partial(lambda wanted: shown() == wanted, wanted))
            await place.until(
                partial(lambda late: [(s, late in text) for s, text in tasks()] == [("Open", True)], late)
            )
        assert f"BE{key[:4]}" in tasks()[0][1]
        await purchased(4)
        await place.until(lambda: [status for status, _ in tasks()] == ["Done"])


class Sale:
    """An order that the ERP shipped two pieces of, with its customer and product in both systems, and a case of the CRM."""

    def __init__(self, place: Place, customer: str, product: tuple[str, int]) -> None:
        self.place, (self.product, self.item) = place, product
        self.customer = source_id("demo-crm", "customer", customer)
        self.account = customer

    async def ship(self) -> None:
        place = self.place
        self.cust = one(place.erp, "INSERT INTO erp.cust (name1) VALUES ('Ada GmbH') RETURNING id")
        self.order = one(
            place.erp, "INSERT INTO erp.so_head (cust_id, stat, whs) VALUES (%s, 80, 'BER') RETURNING id", self.cust
        )
        self.line = one(
            place.erp, "INSERT INTO erp.so_line (so_id, pos, item_id, qty, price) VALUES (%s, 10, %s, 2, 50) RETURNING id", self.order, self.item
        )  # fmt: skip
        delivery = one(place.erp, "INSERT INTO erp.dlv_head (so_id, stat) VALUES (%s, 'D') RETURNING id", self.order)
        place.erp.execute(
            "INSERT INTO erp.dlv_line (dlv_id, so_line_id, item_id, qty) VALUES (%s, %s, %s, 2)",
            [delivery, self.line, self.item],
        )
        self.flow = source_id("demo-erp", "sales_order", str(self.order))
        await place.settle(
            "customer", self.customer, place.change("demo-erp", "customer", str(self.cust), name="Ada GmbH")
        )
        fields: dict[str, Any] = {"number": f"SO-{self.order}", "status": "closed", "customer_id": self.customer}
        await place.settle("order_flow", self.flow, place.change("demo-erp", "sales_order", str(self.order), **fields))

    async def ask(self, kind: str, pieces: int) -> str:
        """A case that somebody works on; its key."""
        place = self.place
        key = str(
            one(
                place.crm,
                "INSERT INTO service_case (account_id, subject) VALUES (%s, 'Does not fit') RETURNING id::text",
                self.account,
            )
        )
        fields: dict[str, Any] = {
            "customer_id": self.customer,
            "product_id": source_id("demo-crm", "product", self.product),
        }
        fields |= {"kind": kind, "quantity": pieces * PIECE, "number": f"CS-{key[:6]}", "subject": "Does not fit"}
        fields |= {"sales_order_id": self.flow, "attributes": {}}
        for status in ("open", "in_progress"):
            case = place.change("demo-crm", "service_request", key, self.flow, status=status, **fields)
            await place.settle("order_flow", self.flow, case)
        return key


async def sale(place: Place) -> Sale:
    made = Sale(place, await place.customer(), await item(place, "S"))
    await made.ship()
    return made


async def test_a_case_becomes_a_return_whose_state_comes_back(place: Place) -> None:
    sold = await sale(place)
    key = await sold.ask("return", 1)
    rule, case = "demo-erp/return_from_case", source_id("demo-crm", "service_request", key)
    async with place.deliverer():
        await place.until(lambda: state(place, rule, case) == "delivered")
        back = "SELECT h.id, h.ret_no, h.so_id, h.cust_id, h.net::int, l.so_line_id, l.qty::int FROM erp.ret_head h JOIN erp.ret_line l ON l.ret_id = h.id WHERE crm_case = %s"  # fmt: skip
        made = one(place.erp, back, key)
        assert made[2:] == (sold.order, sold.cust, 50, sold.line, 1)
        shown = "SELECT erp_document_no, erp_document_status FROM service_case WHERE id = %s"
        await place.until(lambda: one(place.crm, shown, key) == (made[1], "requested"))
        for status in ("requested", "approved"):
            fields: dict[str, Any] = {"number": made[1], "status": status, "service_request_id": case}
            await place.settle(
                "order_flow", sold.flow, place.change("demo-erp", "return_order", str(made[0]), sold.flow, **fields)
            )
            await place.until(partial(lambda wanted: one(place.crm, shown, key) == wanted, (made[1], status)))
            # The CRM's echo does not come here: the hub knows what the row has by what this rule wrote.
            back_id = source_id("demo-erp", "return_order", str(made[0]))
            await place.until(partial(is_delivered, place, "demo-crm/return_state", back_id))


async def test_more_than_was_shipped_comes_back_only_after_approval(place: Place) -> None:
    sold = await sale(place)
    key = await sold.ask("return", 3)
    case = source_id("demo-crm", "service_request", key)
    async with place.deliverer():
        await place.until(lambda: state(place, "demo-erp/return_from_case", case) == "waiting")
    assert one(place.erp, "SELECT count(*) FROM erp.ret_head WHERE crm_case = %s", key) == 0


@pytest.mark.parametrize("in_stock", [5, 1])
async def test_a_spare_part_is_ordered_if_stock_has_it(place: Place, in_stock: int) -> None:
    sold = await sale(place)
    place.erp.execute("INSERT INTO erp.stock (item_id, whs, qty) VALUES (%s, 'BER', %s)", [sold.item, in_stock])
    key = await sold.ask("spare_part", 3)
    rule, case = "demo-erp/spare_part_order", source_id("demo-crm", "service_request", key)
    ordered = "SELECT h.so_no FROM erp.so_head h JOIN erp.so_line l ON l.so_id = h.id WHERE h.cust_id = %s AND l.item_id = %s AND l.qty = 3"
    async with place.deliverer():
        await place.until(lambda: state(place, rule, case) == ("delivered" if in_stock > 3 else "waiting"))
        number = one(place.erp, ordered, sold.cust, sold.item)
        assert (number is None) == (in_stock < 3)
        if number is not None:
            shown = "SELECT erp_document_no, erp_document_status FROM service_case WHERE id = %s"
            await place.until(lambda: one(place.crm, shown, key) == (number, "confirmed"))
            made = one(place.erp, "SELECT id, crm_case::text FROM erp.so_head WHERE so_no = %s", number)
            assert made[1] == key
            for status in ("confirmed", "partially_shipped", "shipped"):
                fields: dict[str, Any] = {"number": number, "status": status, "service_request_id": case}
                order = source_id("demo-erp", "sales_order", str(made[0]))
                await place.settle("order_flow", order, place.change("demo-erp", "sales_order", str(made[0]), **fields))
                await place.until(partial(lambda wanted: one(place.crm, shown, key) == wanted, (number, status)))
                await place.until(partial(is_delivered, place, "demo-crm/spare_part_state", order))


async def test_returned_goods_are_credited_once_somebody_approved_it(place: Place) -> None:
    sold = await sale(place)
    back = one(
        place.erp,
        "INSERT INTO erp.ret_head (so_id, cust_id, stat, net) VALUES (%s, %s, 30, 50) RETURNING id",
        sold.order,
        sold.cust,
    )
    place.erp.execute(
        "INSERT INTO erp.ret_line (ret_id, pos, so_line_id, item_id, qty) VALUES (%s, 10, %s, %s, 1)",
        [back, sold.line, sold.item],
    )
    fields: dict[str, Any] = {"number": f"RT-{back}", "wanted": "credit", "net_amount": 50_0000, "currency": "EUR"}
    for status in ("approved", "received"):
        change = place.change("demo-erp", "return_order", str(back), sold.flow, status=status, **fields)
        await place.settle("order_flow", sold.flow, change)
    rule, entity = "demo-erp/credit_note_from_return", source_id("demo-erp", "return_order", str(back))
    note = "SELECT i.kind::text, i.net::text, i.gross::text, l.qty::int, r.stat::int FROM erp.ret_head r JOIN erp.inv_head i ON i.id = r.inv_id JOIN erp.inv_line l ON l.inv_id = i.id WHERE r.id = %s"  # fmt: skip
    async with place.deliverer():
        await place.until(lambda: state(place, rule, entity) == "waiting")
        assert one(place.erp, note, back) is None
        (waiting,) = intents(place, rule, entity)
        with connect_hub(place.hub) as hub:
            decide_intent(hub, str(waiting.id), "approve", who="ada", reason="as new")
        await place.until(lambda: state(place, rule, entity) == "delivered")
    assert one(place.erp, note, back) == ("GS", "50.00", "59.50", 1, 50)


async def test_nobody_is_asked_any_more_about_what_staff_credited_meanwhile(place: Place) -> None:
    sold = await sale(place)
    back = one(
        place.erp,
        "INSERT INTO erp.ret_head (so_id, cust_id, stat, net) VALUES (%s, %s, 30, 50) RETURNING id",
        sold.order,
        sold.cust,
    )
    fields: dict[str, Any] = {"number": f"RT-{back}", "wanted": "credit", "net_amount": 50_0000, "currency": "EUR"}
    change = place.change("demo-erp", "return_order", str(back), sold.flow, status="received", **fields)
    await place.settle("order_flow", sold.flow, change)
    rule, entity = "demo-erp/credit_note_from_return", source_id("demo-erp", "return_order", str(back))
    async with place.deliverer():
        await place.until(lambda: state(place, rule, entity) == "waiting")
        change = place.change("demo-erp", "return_order", str(back), sold.flow, status="credited", **fields)
        await place.settle("order_flow", sold.flow, change)
        # By itself: nobody is asked any more about what has happened.
        await place.until(lambda: state(place, rule, entity) == "superseded")
    assert one(place.erp, "SELECT count(*) FROM erp.inv_head WHERE so_id = %s", sold.order) == 0


async def test_what_still_waits_for_approval_goes_on_waiting_when_its_record_changes(place: Place) -> None:
    sold = await sale(place)
    key = await sold.ask("return", 3)
    rule, case = "demo-erp/return_from_case", source_id("demo-crm", "service_request", key)
    async with place.deliverer():
        await place.until(lambda: state(place, rule, case) == "waiting")
        asked = "SELECT count(*) FROM intent_log l JOIN intent i ON i.id = l.intent_id WHERE i.entity_id = %s AND l.what = 'waiting'"
        fields: dict[str, Any] = {
            "kind": "return",
            "status": "in_progress",
            "quantity": 3 * PIECE,
            "subject": "Does not fit at all",
        }
        fields |= {"customer_id": sold.customer, "product_id": source_id("demo-crm", "product", sold.product)}
        change = place.change("demo-crm", "service_request", key, sold.flow, sales_order_id=sold.flow, **fields)
        await place.settle("order_flow", sold.flow, change)
        await place.until(lambda: one(place.db, asked, case) > 1)
        await place.until(lambda: state(place, rule, case) == "waiting")
    assert one(place.erp, "SELECT count(*) FROM erp.ret_head WHERE crm_case = %s", key) == 0
