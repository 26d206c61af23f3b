"""What clerks, warehouse and accounting do in the ERP. Each operation takes the world and gives its transactions.

`touched` names what the ERP's triggers change, too: a statement that touches lines updates their header once more, one that touches payments
updates their invoice.
"""

from __future__ import annotations

from typing import Any

from streams.simulator import firms, words
from streams.simulator.session import Statement
from streams.simulator.words import one
from streams.simulator.world import ERP, TAX, Deal, Invoice, Order, OrderLine, Product, Touched, Transaction, World, cents, line_net, tax_of

MOST_OPEN = 5_000
"""Orders that are under way at once; past it, the company finishes some before it takes new ones."""

PAYMENT_METHODS = ("BT", "BT", "BT", "CC", "DD", "CH", "CA")


def _update(operation: str, table: str, key: str | int, statement: str, *values: Any) -> list[Transaction]:
    return [Transaction(ERP, operation, [(statement, (key, *values))], [(f"erp.{table}", str(key), "u")])]


def _order(order: Order) -> tuple[tuple[str, str], ...]:
    return (("erp.so_head", str(order.id)),)


# -- master data


def edit_cust(world: World) -> list[Transaction]:
    rng = world.rng
    customer = world.erp_customers.pick(rng)
    if customer is None or customer.erp_id is None:
        return firms.begin(world)
    drawn = rng.random()
    if drawn < 0.25:
        return _update("cust_edited", "cust", customer.erp_id, "cust_memo", words.filler(rng, 200))
    if drawn < 0.5 and not customer.shared:
        return _update("cust_edited", "cust", customer.erp_id, "cust_phone", words.national_phone(customer.firm.country, words.phone(rng, customer.firm.country)))
    return _update("cust_edited", "cust", customer.erp_id, "cust_terms", one(rng, ("14N", "30N", "45N", "60N")), f"{5_000 * (1 + int(rng.random() * 40))}.00")


def block_cust(world: World) -> list[Transaction]:
    """A credit block is set; or lifted, where there is one."""
    customer = world.erp_customers.pick(world.rng)
    if customer is None or customer.erp_id is None:
        return firms.begin(world)
    customer.blocked = not customer.blocked
    return _update("credit_blocked" if customer.blocked else "credit_unblocked", "cust", customer.erp_id, "cust_blocked", "X" if customer.blocked else None)


def change_price(world: World) -> list[Transaction]:
    product = one(world.rng, world.products)
    product.price = max(1_000, product.price * (90 + int(world.rng.random() * 21)) // 100)
    return _update("price_changed", "item", product.erp_id, "item_price", _price(product.price))


def move_stock(world: World) -> list[Transaction]:
    """Goods come or go in one warehouse, or are counted in all three."""
    rng = world.rng
    product = one(rng, world.products)
    if rng.random() < 0.2:
        touched = [("erp.stock", f"{product.erp_id}|{whs}", "u") for whs in words.WAREHOUSES]
        return [Transaction(ERP, "stock_counted", [("stock_all", (product.erp_id, one(rng, (-1, 0.5, 1)), world.day(0)))], touched)]
    whs = one(rng, words.WAREHOUSES)
    moved: Statement = ("stock_move", (product.erp_id, whs, int(rng.random() * 400 - 150) / 4))
    return [Transaction(ERP, "stock_moved", [moved], [("erp.stock", f"{product.erp_id}|{whs}", "u")])]


# -- orders


def new_order(world: World) -> list[Transaction]:
    """An order without an opportunity: header and lines in one transaction, or, now and then, in many."""
    rng = world.rng
    if len(world.orders) + len(world.drafts) > MOST_OPEN:
        return advance_order(world)
    customer = world.erp_customers.pick(rng)
    if customer is None or customer.erp_id is None:
        return firms.begin(world)
    customer.busy = True
    order = Order(world.ids.next("so_head"), customer.erp_id, customer.firm.country.currency, [], warehouse=one(rng, words.WAREHOUSES))
    products = [one(rng, world.products) for _ in range(1 + int(rng.random() * 7))]
    rows = [add_line(world, order, product, quantity_of(rng.random(), product), one(rng, (0, 0, 0, 0, 2, 5))) for product in products]
    world.drafts.add(order)
    return [*enter(world, order, rows, None, "order_created", slowly=rng.random() < 0.12)]


def order_for(world: World, deal: Deal) -> list[Transaction]:
    """The order of an opportunity that was won, entered by hand; the customer too, when the ERP does not know it yet."""
    customer = deal.customer
    made = [] if customer.erp_id is not None else [firms.share(world, customer)]
    assert customer.erp_id is not None
    order = Order(world.ids.next("so_head"), customer.erp_id, customer.firm.country.currency, [], warehouse=one(world.rng, words.WAREHOUSES))
    rows = [add_line(world, order, line.product, line.quantity * 1000, line.discount, line.price * 1000) for line in deal.lines]
    world.drafts.add(order)
    made += enter(world, order, rows, deal.id, "order_for_opportunity")
    made[-1].facts.append({"fact": "order_for", "opportunity": deal.id, "order": order.id})
    return made


def enter(world: World, order: Order, rows: list[list[Any]], deal: str | None, operation: str, *, slowly: bool = False) -> list[Transaction]:
    """The transactions that bring a new order with its lines into the ERP."""
    rng = world.rng
    head: Statement = ("insert_so_head_1", [
        order.id, order.customer_id, deal, 10, world.day(0), world.day(3 + int(rng.random() * 30)), None, order.currency, one(rng, ("14N", "30N", "60N")),
        order.warehouse, one(rng, words.SALESMEN), f"PO-{int(rng.random() * 1e6)}", None, "now",
    ])  # fmt: skip

    def numbered(returned: list[bytes | None]) -> None:
        order.number = (returned[0] or b"").decode()

    key, known = str(order.id), (("erp.cust", str(order.customer_id)),)
    born: Touched = ("erp.so_head", key, "c")
    again: Touched = ("erp.so_head", key, "u")
    lines: list[Touched] = [("erp.so_line", str(line.id), "c") for line in order.lines]
    if not slowly:
        insert: Statement = (f"insert_so_line_{len(rows)}", [value for row in rows for value in row])
        return [Transaction(ERP, operation, [head, insert], [born, *lines, again], numbered, after=known)]
    made = [Transaction(ERP, operation, [head], [born], numbered, after=known)]
    made += [Transaction(ERP, operation, [("insert_so_line_1", row)], [line, again]) for row, line in zip(rows, lines, strict=True)]
    return made


def add_line(world: World, order: Order, product: Product, quantity: int, discount: int, price: int | None = None) -> list[Any]:
    """One more line: added to the order; its values for ERP_INSERTS["so_line"]."""
    line = OrderLine(world.ids.next("so_line"), product, quantity, product.price if price is None else price, discount)
    order.lines.append(line)
    return [line.id, order.id, len(order.lines) * 10, product.erp_id, f"{words.GOODS[product.family]} {product.sku}", _quantity(quantity),
            words.UNITS[product.unit][1], _price(line.price), discount or None, product.tax, None]  # fmt: skip


def change_line(world: World) -> list[Transaction]:
    """A quantity or discount changes, a line is added or deleted, while nothing has been shipped."""
    rng = world.rng
    order = world.drafts.pick(rng)
    if order is None:
        return new_order(world)
    header: Touched = ("erp.so_head", str(order.id), "u")
    drawn = rng.random()
    if drawn < 0.25 and len(order.lines) < 8:
        product = one(rng, world.products)
        row = add_line(world, order, product, quantity_of(rng.random(), product), 0)
        return [Transaction(ERP, "order_line_added", [("insert_so_line_1", row)], [("erp.so_line", str(row[0]), "c"), header])]
    if drawn < 0.4 and len(order.lines) > 1:
        line = order.lines.pop()
        return [Transaction(ERP, "order_line_deleted", [("line_remove", (line.id,))], [("erp.so_line", str(line.id), "d"), header])]
    line = one(rng, order.lines)
    line.quantity = quantity_of(rng.random(), line.product)
    line.discount = one(rng, (0, 1, 2, 5))
    changed: Statement = ("line_change", (line.id, _quantity(line.quantity), line.discount or None))
    return [Transaction(ERP, "order_line_changed", [changed], [("erp.so_line", str(line.id), "u"), header])]


def drop_draft(world: World) -> list[Transaction]:
    """A draft that comes to nothing is deleted, lines and all."""
    order = world.drafts.take(world.rng)
    if order is None:
        return new_order(world)
    touched: list[Touched] = [("erp.so_head", str(order.id), "d"), *(("erp.so_line", str(line.id), "d") for line in order.lines)]
    return [Transaction(ERP, "draft_deleted", [("so_remove", (order.id,))], touched, facts=[{"fact": "order_deleted", "order": order.id}])]


def cancel_order(world: World) -> list[Transaction]:
    order = world.orders.pick(world.rng)
    if order is None or order.status > 30 or order.deliveries:
        return advance_order(world)
    world.orders.remove(order)
    return _update("order_cancelled", "so_head", order.id, "so_stat", 90)


def advance_order(world: World) -> list[Transaction]:
    """Some order takes its next step: it is confirmed, goes into production, ships (perhaps in part), is invoiced, is paid, is closed."""
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
    """Confirmed with a promised day; one time in three the goods are reserved in the same transaction."""
    order.status = 20
    statements: list[Statement] = [("so_confirm", (order.id, world.day(5 + int(world.rng.random() * 20))))]
    touched: list[Touched] = [("erp.so_head", str(order.id), "u")]
    if world.rng.random() < 0.33:
        # In one order for all, so that two clerks never wait for each other.
        for line in sorted(order.lines, key=lambda line: line.product.erp_id):
            statements.append(("stock_reserve", (line.product.erp_id, order.warehouse, _quantity(line.quantity))))
            touched.append(("erp.stock", f"{line.product.erp_id}|{order.warehouse}", "u"))
    return [Transaction(ERP, "order_confirmed", statements, touched)]


def step(world: World, order: Order) -> list[Transaction]:
    """The next thing that can happen to a confirmed order; its status is 80 when nothing is left to do."""
    rng = world.rng
    drawn = rng.random()
    if order.status == 20 and drawn < 0.3:
        order.status = 30
        return _update("order_in_production", "so_head", order.id, "so_stat", 30)
    if order.deliveries:
        return _advance_delivery(world, order)
    if drawn < 0.5 and order.open_invoices:
        return pay(world, order)
    if any(line.shipped < line.quantity for line in order.lines) and (drawn < 0.8 or not any(line.invoiced < line.shipped for line in order.lines)):
        return plan_delivery(world, order)
    if any(line.invoiced < line.shipped for line in order.lines):
        return bill(world, order)
    if order.open_invoices:
        return pay(world, order)
    order.status = 80
    return _update("order_closed", "so_head", order.id, "so_stat", 80)


def plan_delivery(world: World, order: Order) -> list[Transaction]:
    """A delivery of all that is left, or of a part of it."""
    rng = world.rng
    key = world.ids.next("dlv_head")
    part = rng.random() < 0.4
    rows: list[Any] = []
    touched: list[Touched] = [("erp.dlv_head", str(key), "c")]
    for line in order.lines:
        left = line.quantity - line.shipped
        if left <= 0 or (part and rows and rng.random() < 0.5):
            continue
        quantity = max(1000, left // 2 // 1000 * 1000) if part and left > 1000 else left
        line.shipped += quantity
        number = world.ids.next("dlv_line")
        serial = f"SN{rng.getrandbits(32):08X}" if quantity == 1000 and line.product.family in (2, 3) else None
        rows += [number, key, line.id, line.product.erp_id, _quantity(quantity), f"L{int(rng.random() * 9999):04d}", serial]
        touched.append(("erp.dlv_line", str(number), "c"))
    head: Statement = ("insert_dlv_head_1", [key, order.id, "P", one(rng, words.CARRIERS), None, order.warehouse, None, None, "now"])
    order.deliveries.append((key, "P"))
    return [Transaction(ERP, "delivery_planned", [head, (f"insert_dlv_line_{len(touched) - 1}", rows)], touched, after=_order(order))]


def _advance_delivery(world: World, order: Order) -> list[Transaction]:
    key, status = order.deliveries.pop()
    rng = world.rng
    if status == "P" and rng.random() < 0.4:
        order.deliveries.append((key, "K"))
        return _update("delivery_picked", "dlv_head", key, "dlv_stat", "K")
    if status in ("P", "K"):
        order.deliveries.append((key, "S"))
        order.status = 50 if all(line.shipped >= line.quantity for line in order.lines) else 40
        shipped: Statement = ("dlv_shipped", (key, f"TR{rng.getrandbits(40):012d}"))
        header: Statement = ("so_stat", (order.id, order.status))
        touched: list[Touched] = [("erp.dlv_head", str(key), "u"), ("erp.so_head", str(order.id), "u")]
        if rng.random() < 0.8:
            return [Transaction(ERP, "delivery_shipped", [shipped, header], touched)]
        return [Transaction(ERP, "delivery_shipped", [shipped], touched[:1]), Transaction(ERP, "delivery_shipped", [header], touched[1:])]
    if rng.random() < 0.01:
        return _update("delivery_returned", "dlv_head", key, "dlv_stat", "R")
    return [Transaction(ERP, "delivery_arrived", [("dlv_arrived", (key,))], [("erp.dlv_head", str(key), "u")], after=_order(order))]


# -- invoices and payments


def bill(world: World, order: Order) -> list[Transaction]:
    """An invoice of what was shipped and not billed yet; an order shipped in parts gets several."""
    net = tax = 0
    for line in order.lines:
        # The difference of two rounded totals, so that all the invoices of a line add up to the line.
        amount = line_net(line.shipped, line.price, line.discount) - line_net(line.invoiced, line.price, line.discount)
        line.invoiced = line.shipped
        net += amount
        tax += tax_of(amount, line.product.tax)
    invoice = Invoice(world.ids.next("inv_head"), net, tax, net + tax)
    order.open_invoices.append(invoice)
    statements = [_invoice(world, order, invoice, "RE")]
    touched: list[Touched] = [("erp.inv_head", str(invoice.id), "c")]
    if order.status == 50:
        order.status = 60
        statements.append(("so_stat", (order.id, 60)))
        touched.append(("erp.so_head", str(order.id), "u"))
    return [Transaction(ERP, "invoice_created", statements, touched, after=_order(order))]


def _invoice(world: World, order: Order, invoice: Invoice, kind: str) -> Statement:
    return ("insert_inv_head_1", [invoice.id, kind, order.id, order.customer_id, "10", world.day(0), world.day(30), order.currency,
                                  cents(invoice.net), cents(invoice.tax), cents(invoice.gross), "now"])  # fmt: skip


def pay(world: World, order: Order) -> list[Transaction]:
    """The oldest open invoice is paid, one time in four only in part."""
    rng = world.rng
    invoice = order.open_invoices[0]
    amount = invoice.open // 2 if rng.random() < 0.25 and invoice.open > 100 else invoice.open
    invoice.open -= amount
    if invoice.open <= 0:
        order.settled.append(order.open_invoices.pop(0))
    key = world.ids.next("pay")
    invoice.payments.append((key, amount))
    row = [key, invoice.id, order.customer_id, one(rng, PAYMENT_METHODS), "C", cents(amount), order.currency, "now", f"Zahlung {invoice.id}", "now"]
    return [Transaction(ERP, "payment_received", [("insert_pay_1", row)], [("erp.pay", str(key), "c"), ("erp.inv_head", str(invoice.id), "u")])]


def reverse_payment(world: World) -> list[Transaction]:
    """A direct debit comes back."""
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
    """An amount was wrong: a little less, all of it at the same rate of tax."""
    order = world.orders.pick(world.rng)
    if order is None or not order.open_invoices or order.open_invoices[-1].payments or not order.open_invoices[-1].net:
        return advance_order(world)
    invoice = order.open_invoices[-1]
    invoice.tax -= invoice.tax // 20
    invoice.net -= invoice.net // 20
    invoice.open = invoice.gross
    return _update("invoice_corrected", "inv_head", invoice.id, "inv_correct", cents(invoice.net), cents(invoice.tax), cents(invoice.gross))


def credit(world: World) -> list[Transaction]:
    """A credit note for a tenth of what one line was billed."""
    rng = world.rng
    order = world.closed.pick(rng)
    if order is None:
        return advance_order(world)
    line = one(rng, order.lines)
    net = line_net(line.invoiced, line.price, line.discount) // 10
    if net <= 0:
        return advance_order(world)
    note = Invoice(world.ids.next("inv_head"), net, net * TAX[line.product.tax] // 100, net)
    return [Transaction(ERP, "credit_note_created", [_invoice(world, order, note, "GS")], [("erp.inv_head", str(note.id), "c")], after=_order(order))]


def quantity_of(drawn: float, product: Product) -> int:
    """Thousandths: whole pieces, anything for what is weighed or measured."""
    if product.unit == 0:
        return (1 + int(drawn**3 * 300)) * 1000
    return 1 + int(drawn**3 * 300_000)


def _quantity(thousandths: int) -> float:
    return thousandths / 1000


def _price(hundred_thousandths: int) -> str:
    return f"{hundred_thousandths // 100_000}.{hundred_thousandths % 100_000:05d}"
