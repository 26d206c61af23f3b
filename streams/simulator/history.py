"""The history of past years: rows of every kind, loaded by COPY into the same tables with the same triggers.

All dates lie before today. Orders are at every stage; the company remembers those that are not finished and goes on
with them. A deal that was won has its order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from streams.simulator import firms, history_supply, vocabulary
from streams.simulator.crm_operations import amount_of, make_deal
from streams.simulator.deliveries import delivery_rows, installed_rows
from streams.simulator.documents import Customer, Deal, Order, Product, Supplier
from streams.simulator.erp_documents import billed, invoice_row
from streams.simulator.erp_operations import add_line, terms_row
from streams.simulator.statements import CRM_INSERTS, ERP_INSERTS
from streams.simulator.suppliers import is_late, place_of
from streams.simulator.vocabulary import choose
from streams.simulator.world import Fact, World, cents, quantity_of

RECENT = 120
"""Days: of the orders that would be younger, most are moved into the last two weeks, where open ones are."""
OLDEST_OPEN = 3 + RECENT // 12
"""Days: an order of the history that is older is closed."""

CHUNK = 2_000
Progress = Callable[[str, int, int], None]
"""Called with what is being made, how many are done, and how many there will be."""
TableRows = dict[str, list[Sequence[object]]]
"""Table → its rows, in the order in which they are copied."""
Connection = psycopg.Connection[tuple[Any, ...]]


def load_products(world: World, crm: Connection, erp: Connection, count: int) -> None:
    """Products, the same in both systems, their stock, suppliers and bills of materials. Those that are already there
    are used.
    """
    known = {sku: key for sku, key in crm.execute("SELECT sku, id::text FROM product ORDER BY sku").fetchall()}
    for key, sku, group, uom, price, tax in erp.execute(
        "SELECT id, item_no, grp, uom, (price * 100000)::bigint, tax_cd FROM erp.item ORDER BY item_no"
    ).fetchall():
        number = sku.rpartition("-")[2]
        if sku in known and group is not None and number.isdigit():  # not those that somebody else made
            unit = next((i for i, (_, code) in enumerate(vocabulary.UNITS) if code == uom), 0)
            world.products.append(Product(int(number), sku, known[sku], key, int(group) // 10 - 1, unit, price, tax))
    suppliers = erp.execute("SELECT id FROM erp.supp ORDER BY id").fetchall()
    world.suppliers += [Supplier(key, is_late(place)) for place, (key,) in enumerate(suppliers)]
    if world.products:
        return
    rows: TableRows = {"product": [], "item": [], "stock": []}
    rng = world.rng
    made: list[Product] = []
    for number in range(count):
        family = number % len(vocabulary.FAMILIES)
        unit = 3 if family == 5 else (0 if rng.random() < 0.8 else 1 + int(rng.random() * 2))
        tax = "V1" if rng.random() < 0.85 else choose(rng, ("V2", "V0"))
        product = Product(
            number,
            f"M-{10_000 + number}",
            world.uuid(),
            world.ids.next("item"),
            family,
            unit,
            50_000 + int(rng.random() ** 4 * 90_000_000),
            tax,
        )
        made.append(product)
        name, gtin, text = (
            f"{vocabulary.GOODS[family]} {choose(rng, vocabulary.STEMS)} {100 + int(rng.random() * 900)}",
            vocabulary.ean13(number),
            vocabulary.filler(rng, 24),
        )
        price = f"{product.price / 100_000:.5f}"
        rows["product"].append(
            (
                product.crm_id,
                product.sku,
                name,
                text,
                vocabulary.FAMILIES[family],
                vocabulary.UNITS[unit][0],
                gtin,
                f"{product.price / 100_000:.2f}",
                "EUR",
                _time(world, 900),
            )
        )
        rows["item"].append(
            (
                product.erp_id,
                product.sku,
                name,
                text,
                vocabulary.ITEM_GROUPS[family],
                gtin,
                vocabulary.UNITS[unit][1],
                price,
                f"{product.price / 160_000:.5f}",
                "EUR",
                tax,
                round(rng.random() * 30, 3),
                world.day(-900),
                product.way,
                None,
            )
        )
        for whs in vocabulary.WAREHOUSES:
            rows["stock"].append(
                (
                    product.erp_id,
                    whs,
                    float(int(rng.random() * 4000)) / 4 + 500,
                    None,
                    50.0,
                    world.day(-int(rng.random() * 300)),
                )
            )
    world.products += made
    masters = history_supply.master_rows(world, made) if not suppliers else {}
    rows["item"] = [
        (
            *row[:-1],
            world.suppliers[place_of(product) % len(world.suppliers)].id if product.way in ("S", "B", "D") else None,
        )
        for row, product in zip(rows["item"], made, strict=True)
    ]
    _copy(crm, "public", CRM_INSERTS, {"product": rows["product"]})
    _copy(erp, "erp", ERP_INSERTS, {"item": rows["item"], "stock": rows["stock"], **masters})


def load_customers(world: World, crm: Connection, erp: Connection, count: int, progress: Progress) -> list[Fact]:
    """Customers in one system or both; the facts that were planted."""
    facts: list[Fact] = []
    for start in range(0, count, CHUNK):
        crm_rows: TableRows = {"account": [], "contact": []}
        erp_rows: TableRows = {"cust": []}
        for _ in range(start, min(count, start + CHUNK)):
            firm, drawn, age = firms.new_firm(world), world.rng.random(), 30 + int(world.rng.random() * 1500)
            shared = drawn < world.shared
            if shared or drawn < world.shared + (1 - world.shared) * 0.6:
                customer = Customer(firm, crm_id=world.uuid())
                assert customer.crm_id is not None
                created = _time(world, age)
                crm_rows["account"].append(firms.account_row(world, firm, customer.crm_id, created))
                for number in range(1 + int(world.rng.random() ** 2 * 3)):
                    customer.contacts.append(world.uuid())
                    crm_rows["contact"].append(
                        firms.contact_row(world, customer, customer.contacts[-1], number == 0, created)
                    )
                firms.remember(world, customer)
                if shared:
                    row, _, fact = firms.shared_row(world, customer, world.day(-age))
                    erp_rows["cust"].append(row)
                    facts.append(fact)
            else:
                customer = Customer(firm, erp_id=world.ids.next("cust"))
                assert customer.erp_id is not None
                erp_rows["cust"].append(firms.cust_row(world, firm, customer.erp_id, None, world.day(-age)))
                firms.remember(world, customer)
        _copy(crm, "public", CRM_INSERTS, crm_rows)
        _copy(erp, "erp", ERP_INSERTS, erp_rows)
        progress("customers", min(count, start + CHUNK), count)
    return facts


def load_deals(world: World, crm: Connection, count: int) -> None:
    """Deals that are still open."""
    rows: TableRows = {"opportunity": [], "opportunity_item": []}
    for _ in range(count):
        customer = world.crm_customers.pick(world.rng)
        if customer is None:
            return
        deal = _deal(world, customer, int(world.rng.random() * 4), rows, int(world.rng.random() * 60))
        world.deals.add(deal)
    _copy(crm, "public", CRM_INSERTS, rows)


def load_orders(world: World, crm: Connection, erp: Connection, count: int, progress: Progress) -> list[Fact]:
    """Orders with lines, deliveries, invoices and payments, at every stage; the facts that were planted."""
    facts: list[Fact] = []
    for start in range(0, count, CHUNK):
        crm_rows: TableRows = {"opportunity": [], "opportunity_item": []}
        rows: TableRows = {
            name: []
            for name in (
                "so_head",
                "so_line",
                "dlv_head",
                "dlv_line",
                "inv_head",
                "inv_line",
                "pay",
                *history_supply.TABLES,
            )
        }
        open_orders: dict[int, Order] = {}
        for _ in range(start, min(count, start + CHUNK)):
            customer = world.both_customers.pick(world.rng) if world.rng.random() < 0.25 else None
            deal = None
            age = 3 + int(world.rng.random() * 700)
            if age <= RECENT and world.rng.random() < 0.7:
                age = 3 + age // 12  # orders of today's work: none is stuck in its stage before the company begins
            if customer is not None:
                deal = _deal(world, customer, 3, crm_rows, age + 20, won=age)
            customer = customer or world.erp_customers.pick(world.rng)
            if customer is None or customer.erp_id is None:
                break
            order, planted = _order(world, customer, deal, rows, age)
            facts += planted
            if deal is not None:
                facts.append({"fact": "order_for", "opportunity": deal.id, "order": order.id})
            open_orders[order.id] = order
        _copy(erp, "erp", ERP_INSERTS, rows)
        _copy(crm, "public", CRM_INSERTS, crm_rows)
        for key, number in erp.execute(
            "SELECT id, so_no FROM erp.so_head WHERE id = ANY(%s)", [list(open_orders)]
        ).fetchall():
            open_orders[key].number = number
        progress("orders", min(count, start + CHUNK), count)
    _copy(erp, "erp", ERP_INSERTS, history_supply.returned_rows(world, count // 100))
    return facts


def _deal(world: World, customer: Customer, stage: int, rows: TableRows, age: int, won: int | None = None) -> Deal:
    deal, statements, _ = make_deal(world, customer, stage, _time(world, age))
    (_, head), (_, items) = statements
    row = list(head)
    if won is not None:
        row[4:7] = ["Closed Won", 100, amount_of(deal)]
        row[8:10] = [world.iso_day(-won), _time(world, won)]
    rows["opportunity"].append(row)
    width = len(CRM_INSERTS["opportunity_item"])
    rows["opportunity_item"] += [items[i : i + width] for i in range(0, len(items), width)]
    return deal


def _order(world: World, customer: Customer, deal: Deal | None, rows: TableRows, age: int) -> tuple[Order, list[Fact]]:
    """One order and its documents, and what was planted. Its status depends on its age: old ones are mostly closed."""
    rng = world.rng
    customer.busy = True
    assert customer.erp_id is not None
    order = Order(
        world.ids.next("so_head"),
        customer.erp_id,
        customer.firm.country.currency,
        [],
        warehouse=choose(rng, vocabulary.WAREHOUSES),
        customer=customer,
        promised=12 - age,
        for_deal=deal is not None,
    )
    if deal is not None:
        rows["so_line"] += [
            add_line(world, order, line.product, line.quantity * 1000, line.discount, line.price * 1000)
            for line in deal.lines
        ]
    else:
        order.discount, order.freight = choose(rng, (0, 0, 0, 0, 2, 3)), choose(rng, (0, 0, 1_490, 3_900))
        products = [choose(rng, world.products) for _ in range(world.between(world.habits.order_lines))]
        rows["so_line"] += [
            add_line(world, order, product, quantity_of(rng.random(), product), choose(rng, (0, 0, 0, 2, 5)))
            for product in products
        ]
    drawn = rng.random()
    order.status = (
        90
        if drawn > 0.98 and deal is None
        else (
            80
            if age > OLDEST_OPEN or drawn < 0.3
            else (60 if drawn < 0.5 else (50 if drawn < 0.65 else (20 if drawn < 0.85 else 10)))
        )
    )
    confirmed = _time(world, age - 1) if order.status not in (10, 90) else None
    promised = world.day(12 - age) if confirmed else None
    rows["so_head"].append(
        [
            order.id,
            order.customer_id,
            deal.id if deal else None,
            order.status,
            world.day(-age),
            world.day(14 - age),
            promised,
            order.currency,
            "30N",
            order.warehouse,
            choose(rng, vocabulary.SALESMEN),
            f"PO-{int(rng.random() * 1e6)}",
            confirmed,
            _time(world, age),
            *terms_row(rng, order, customer),
            _time(world, max(0, age - 30)) if order.status >= 80 else None,
        ]
    )
    # Most goods leave within a few days, some late: as in a company whose promises are not always kept.
    shipped = max(0, age - 2 - int(rng.random() ** 3 * 16))
    facts = history_supply.open_rows(world, order, rows) if order.status == 20 else []
    if order.status in (50, 60, 80):
        _ship(world, order, rows, shipped)
        if age <= RECENT:
            history_supply.past_rows(world, order, rows, shipped)
    if order.status in (60, 80):
        _bill(world, order, rows, max(0, shipped - int(rng.random() * 3)), paid=order.status == 80)
    pool = world.drafts if order.status == 10 else (world.closed if order.status == 80 else world.orders)
    if order.status != 90 and len(pool) < 5_000:
        pool.add(order)
    return order, facts


def _ship(world: World, order: Order, rows: TableRows, left: int) -> None:
    """The delivery of an order that left `left` days ago."""
    for line in order.lines:
        line.ready = line.quantity
    head, lines, delivery = delivery_rows(world, order, [(line, line.quantity) for line in order.lines], "D")
    arrived = max(0, left - 1 - int(world.rng.random() * 3))
    head[4] = f"TR{world.rng.getrandbits(40):012d}"
    head[6:9] = [_time(world, left), _time(world, arrived), _time(world, left)]
    rows["dlv_head"].append(head)
    rows["dlv_line"] += lines
    pieces, contracts = installed_rows(world, order, delivery, arrived)
    rows["inst"] += pieces
    rows["ctr"] += contracts


def _bill(world: World, order: Order, rows: TableRows, left: int, *, paid: bool) -> None:
    """The invoice of `left` days ago, and its payment."""
    invoice, lines, discount, freight = billed(world, order)
    _, head = invoice_row(world, order, invoice, "RE", discount=discount, freight=freight)
    row = list(head)
    row[5:7] = [world.day(-left), world.day(30 - left)]
    row[11] = _time(world, left)
    rows["inv_head"].append(row)
    rows["inv_line"] += lines
    if not paid:
        order.open_invoices.append(invoice)
        return
    invoice.open = 0
    key = world.ids.next("pay")
    invoice.payments.append((key, invoice.gross))
    order.settled.append(invoice)
    when = _time(world, max(0, left - 8 - int(world.rng.random() ** 2 * 40)))
    rows["pay"].append(
        [
            key,
            invoice.id,
            order.customer_id,
            "BT",
            "C",
            cents(invoice.gross),
            order.currency,
            when,
            f"Zahlung {invoice.id}",
            when,
        ]
    )


def _time(world: World, age: int) -> str:
    """A random time of day, `age` days ago, without a time zone: Postgres takes that of the session. Never later than
    now.
    """
    share = world.rng.random()
    seconds = 8 * 3600 + int(share * 36_000) if age else int(share * 3600 * dt.datetime.now(dt.UTC).hour)
    day, micros = world.today - dt.timedelta(days=age), int(world.rng.random() * 1e6)
    return f"{day} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{micros:06d}"


def _copy(connection: Connection, schema: str, columns: dict[str, tuple[str, ...]], rows: TableRows) -> None:
    """Copy all these rows in one transaction, table by table."""
    with connection.transaction(), connection.cursor() as cursor:
        for table, values in rows.items():
            if not values:
                continue
            names = sql.SQL(", ").join(map(sql.Identifier, columns[table]))
            with cursor.copy(
                sql.SQL("COPY {}.{} ({}) FROM STDIN").format(sql.Identifier(schema), sql.Identifier(table), names)
            ) as copy:
                for row in values:
                    copy.write_row(row)
