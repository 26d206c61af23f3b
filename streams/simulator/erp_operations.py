"""What office, warehouse and accounting do in the ERP. Each operation takes the world and returns its transactions.

`touched` also names the rows that the ERP's triggers change: a statement that changes lines updates their header too.
Deliveries, invoices and payments are in `erp_documents`.
"""

from __future__ import annotations

from random import Random

from streams.simulator import firms, supply, vocabulary
from streams.simulator.deliveries import added, update
from streams.simulator.documents import Customer, Deal, Order, OrderLine, Product
from streams.simulator.erp_documents import step
from streams.simulator.session import Row, Statement
from streams.simulator.statements import MOST_ROWS, inserts
from streams.simulator.vocabulary import choose
from streams.simulator.world import ERP, Touched, Transaction, World, as_price, as_quantity, cents, quantity_of

MOST_OPEN = 5_000
"""Most orders that are open at once; past it, the company finishes orders before it takes new ones."""


# -- master data


def edit_cust(world: World) -> list[Transaction]:
    rng = world.rng
    customer = world.erp_customers.pick(rng)
    if customer is None or customer.erp_id is None:
        return firms.begin(world)
    drawn = rng.random()
    if drawn < 0.25:
        return update("cust_edited", "cust", customer.erp_id, "cust_memo", vocabulary.filler(rng, 200))
    if drawn < 0.5 and not customer.shared:
        return update(
            "cust_edited",
            "cust",
            customer.erp_id,
            "cust_phone",
            vocabulary.national_phone(customer.firm.country, vocabulary.phone(rng, customer.firm.country)),
        )
    return update(
        "cust_edited",
        "cust",
        customer.erp_id,
        "cust_terms",
        choose(rng, ("14N", "30N", "45N", "60N")),
        f"{5_000 * (1 + int(rng.random() * 40))}.00",
    )


def block_cust(world: World) -> list[Transaction]:
    """Somebody sets a credit block, or lifts the one that is set."""
    customer = world.erp_customers.pick(world.rng)
    if customer is None or customer.erp_id is None:
        return firms.begin(world)
    customer.blocked = not customer.blocked
    return update(
        "credit_blocked" if customer.blocked else "credit_unblocked",
        "cust",
        customer.erp_id,
        "cust_blocked",
        "X" if customer.blocked else None,
    )


def change_price(world: World) -> list[Transaction]:
    product = choose(world.rng, world.products)
    product.price = max(1_000, product.price * (90 + int(world.rng.random() * 21)) // 100)
    return update("price_changed", "item", product.erp_id, "item_price", as_price(product.price))


def move_stock(world: World) -> list[Transaction]:
    """Stock moves in one warehouse, or is counted in all three."""
    rng = world.rng
    product = choose(rng, world.products)
    if rng.random() < 0.2:
        touched = [("erp.stock", f"{product.erp_id}|{whs}", "u") for whs in vocabulary.WAREHOUSES]
        return [
            Transaction(
                ERP,
                "stock_counted",
                [("stock_all", (product.erp_id, choose(rng, (-1, 0.5, 1)), world.day(0)))],
                touched,
            )
        ]
    whs = choose(rng, vocabulary.WAREHOUSES)
    moved: Statement = ("stock_move", (product.erp_id, whs, int(rng.random() * 400 - 150) / 4))
    return [Transaction(ERP, "stock_moved", [moved], [("erp.stock", f"{product.erp_id}|{whs}", "u")])]


# -- orders


def new_order(world: World) -> list[Transaction]:
    """An order without an opportunity: header and lines in one transaction, or sometimes in one each."""
    rng = world.rng
    if len(world.orders) + len(world.drafts) > MOST_OPEN:
        return advance_order(world)
    customer = world.erp_customers.pick(rng)
    if customer is None or customer.erp_id is None:
        return firms.begin(world)
    customer.busy = True
    order = Order(
        world.ids.next("so_head"),
        customer.erp_id,
        customer.firm.country.currency,
        [],
        warehouse=choose(rng, vocabulary.WAREHOUSES),
        customer=customer,
        discount=choose(rng, (0, 0, 0, 0, 2, 3)),
        freight=choose(rng, (0, 0, 1_490, 3_900)),
    )
    products = [choose(rng, world.products) for _ in range(world.between(world.habits.order_lines))]
    rows = [
        add_line(world, order, product, quantity_of(rng.random(), product), choose(rng, (0, 0, 0, 0, 2, 5)))
        for product in products
    ]
    world.drafts.add(order)
    return enter(world, order, rows, customer, None, "order_created", slowly=rng.random() < 0.12)


def order_for(world: World, deal: Deal) -> list[Transaction]:
    """The order of an opportunity that was won, entered by hand; the customer too, when the ERP does not know it
    yet.
    """
    customer = deal.customer
    made = [] if customer.erp_id is not None else [firms.share(world, customer)]
    assert customer.erp_id is not None
    order = Order(
        world.ids.next("so_head"),
        customer.erp_id,
        customer.firm.country.currency,
        [],
        warehouse=choose(world.rng, vocabulary.WAREHOUSES),
        customer=customer,
        for_deal=True,
    )
    rows = [
        add_line(world, order, line.product, line.quantity * 1000, line.discount, line.price * 1000)
        for line in deal.lines
    ]
    world.drafts.add(order)
    made += enter(world, order, rows, customer, deal.id, "order_for_opportunity")
    made[-1].facts.append({"fact": "order_for", "opportunity": deal.id, "order": order.id})
    return made


def enter(
    world: World,
    order: Order,
    rows: list[Row],
    customer: Customer,
    deal: str | None,
    operation: str,
    *,
    slowly: bool = False,
) -> list[Transaction]:
    """The transactions that bring a new order with its lines into the ERP."""
    rng = world.rng
    head: Statement = (
        "insert_so_head_1",
        [
            order.id,
            order.customer_id,
            deal,
            10,
            world.day(0),
            world.day(3 + int(rng.random() * 30)),
            None,
            order.currency,
            choose(rng, ("14N", "30N", "60N")),
            order.warehouse,
            choose(rng, vocabulary.SALESMEN),
            f"PO-{int(rng.random() * 1e6)}",
            None,
            "now",
            *terms_row(rng, order, customer),
            None,
        ],
    )

    def numbered(returned: list[bytes | None]) -> None:
        order.number = (returned[0] or b"").decode()

    key, known = str(order.id), (("erp.cust", str(order.customer_id)),)
    born: Touched = ("erp.so_head", key, "c")
    updated: Touched = ("erp.so_head", key, "u")
    lines: list[Touched] = [("erp.so_line", str(line.id), "c") for line in order.lines]
    if not slowly:
        statements, touched = [head, *inserts("so_line", rows)], [born]
        for start in range(0, len(lines), MOST_ROWS):
            touched += [*lines[start : start + MOST_ROWS], updated]
        return [Transaction(ERP, operation, statements, touched, numbered, after=known)]
    made = [Transaction(ERP, operation, [head], [born], numbered, after=known)]
    made += [
        Transaction(ERP, operation, [("insert_so_line_1", row)], [line, updated])
        for row, line in zip(rows, lines, strict=True)
    ]
    return made


def terms_row(rng: Random, order: Order, customer: Customer) -> Row:
    """Discount, freight, incoterm and ship-to address for ERP_INSERTS["so_head"]; three in ten go to another site of
    the customer.
    """
    firm = customer.firm
    site: Row = [None] * 5
    if rng.random() < 0.3:
        street = f"{choose(rng, vocabulary.STREETS)} {1 + int(rng.random() * 90)}"
        site = [f"{firm.name}, Werk {2 + int(rng.random() * 3)}", street, firm.postal_code, firm.city, firm.country.iso]
    freight = cents(order.freight) if order.freight else None
    return [order.discount or None, freight, "DAP" if freight else "EXW", *site]


def add_line(
    world: World, order: Order, product: Product, quantity: int, discount: int, price: int | None = None
) -> Row:
    """One more line: added to the order; its values for ERP_INSERTS["so_line"]."""
    line = OrderLine(world.ids.next("so_line"), product, quantity, product.price if price is None else price, discount)
    order.lines.append(line)
    return [
        line.id,
        order.id,
        len(order.lines) * 10,
        product.erp_id,
        f"{vocabulary.GOODS[product.family]} {product.sku}",
        as_quantity(quantity),
        vocabulary.UNITS[product.unit][1],
        as_price(line.price),
        discount or None,
        product.tax,
        None,
    ]


def change_line(world: World) -> list[Transaction]:
    """A quantity or discount changes, a line is added or deleted, while nothing has been shipped."""
    rng = world.rng
    order = world.drafts.pick(rng)
    if order is None:
        return new_order(world)
    header: Touched = ("erp.so_head", str(order.id), "u")
    drawn = rng.random()
    if drawn < 0.25 and len(order.lines) <= world.habits.order_lines[1]:
        product = choose(rng, world.products)
        row = add_line(world, order, product, quantity_of(rng.random(), product), 0)
        return [
            Transaction(
                ERP, "order_line_added", [("insert_so_line_1", row)], [("erp.so_line", str(row[0]), "c"), header]
            )
        ]
    if drawn < 0.4 and len(order.lines) > 1:
        line = order.lines.pop()
        return [
            Transaction(
                ERP, "order_line_deleted", [("line_remove", (line.id,))], [("erp.so_line", str(line.id), "d"), header]
            )
        ]
    line = choose(rng, order.lines)
    line.quantity = quantity_of(rng.random(), line.product)
    line.discount = choose(rng, (0, 1, 2, 5))
    changed: Statement = ("line_change", (line.id, as_quantity(line.quantity), line.discount or None))
    return [Transaction(ERP, "order_line_changed", [changed], [("erp.so_line", str(line.id), "u"), header])]


def drop_draft(world: World) -> list[Transaction]:
    """A draft is deleted with its lines."""
    order = world.drafts.pick(world.rng)
    if order is None or order.for_deal:
        return new_order(world)
    world.drafts.remove(order)
    touched: list[Touched] = [
        ("erp.so_head", str(order.id), "d"),
        *(("erp.so_line", str(line.id), "d") for line in order.lines),
    ]
    return [
        Transaction(
            ERP,
            "draft_deleted",
            [("so_remove", (order.id,))],
            touched,
            facts=[{"fact": "order_deleted", "order": order.id}],
        )
    ]


def cancel_order(world: World) -> list[Transaction]:
    order = world.orders.pick(world.rng)
    if order is None or order.status > 30 or order.deliveries or order.for_deal:
        return advance_order(world)
    world.orders.remove(order)
    order.status = 90
    return update("order_cancelled", "so_head", order.id, "so_stat", 90)


def advance_order(world: World) -> list[Transaction]:
    """An order takes its next step: confirmed, in production, shipped (perhaps partially), invoiced, paid, closed."""
    rng = world.rng
    if len(world.drafts) and (rng.random() < (0.25 if len(world.drafts) > 200 else 0.08) or not len(world.orders)):
        order = world.drafts.take(rng)
        assert order is not None
        world.orders.add(order)
        return confirm(world, order)
    order = world.orders.pick(rng)
    if order is None:
        return new_order(world)
    made = step(world, order)
    if order.status == 80:
        world.orders.remove(order)
        world.closed.add(order)
        if len(world.closed) > MOST_OPEN:
            world.closed.take(rng)
    return made


def confirm(world: World, order: Order) -> list[Transaction]:
    """Confirmed with a promised day, and goods kept in stock; one time in three their stock shows it in the same
    transaction.
    """
    order.status = 20
    order.promised = 5 + int(world.rng.random() * 20)
    kept, facts = supply.secure(world, order)
    reserved, touched_rows = added("rsv", kept)
    statements: list[Statement] = [("so_confirm", (order.id, world.day(order.promised))), *reserved]
    touched: list[Touched] = [("erp.so_head", str(order.id), "u"), *touched_rows]
    if world.rng.random() < 0.33:
        # Always in the same order of products, so that two sessions never deadlock.
        for row in sorted(kept, key=lambda row: int(str(row[3]))):
            statements.append(("stock_reserve", (row[3], order.warehouse, row[5])))
            touched.append(("erp.stock", f"{row[3]}|{order.warehouse}", "u"))
    return [Transaction(ERP, "order_confirmed", statements, touched, facts=facts)]


def reverse_payment(world: World) -> list[Transaction]:
    """The bank returns a direct debit."""
    order = world.orders.pick(world.rng)
    if order is None or not order.settled or not order.settled[-1].payments:
        return advance_order(world)
    invoice = order.settled.pop()
    key, amount = invoice.payments.pop()
    invoice.open += amount
    order.open_invoices.append(invoice)
    touched: list[Touched] = [("erp.pay", str(key), "u"), ("erp.inv_head", str(invoice.id), "u")]
    return [Transaction(ERP, "payment_reversed", [("pay_reverse", (key,))], touched)]


def correct_invoice(world: World) -> list[Transaction]:
    """An amount was wrong: it becomes a twentieth less, at the same tax rate."""
    order = world.orders.pick(world.rng)
    if order is None or not order.open_invoices or order.open_invoices[-1].payments or not order.open_invoices[-1].net:
        return advance_order(world)
    invoice = order.open_invoices[-1]
    invoice.tax -= invoice.tax // 20
    invoice.net -= invoice.net // 20
    invoice.open = invoice.gross
    return update(
        "invoice_corrected",
        "inv_head",
        invoice.id,
        "inv_correct",
        cents(invoice.net),
        cents(invoice.tax),
        cents(invoice.gross),
    )
