"""What warehouse and accounting do with a confirmed order in the ERP: deliveries, invoices, payments, corrections.

`touched` also names the rows that the ERP's triggers change: a change of a payment updates its invoice.
"""

from __future__ import annotations

from streams.simulator import supply, vocabulary
from streams.simulator.deliveries import advance_delivery, after, plan_delivery, update
from streams.simulator.documents import Invoice, Order, OrderLine
from streams.simulator.session import Row, Statement
from streams.simulator.statements import inserts
from streams.simulator.vocabulary import choose
from streams.simulator.world import (
    ERP,
    Touched,
    Transaction,
    World,
    as_price,
    as_quantity,
    cents,
    discount_of,
    line_net,
    tax_of,
)

PAYMENT_METHODS = ("BT", "BT", "BT", "CC", "DD", "CH", "CA")


def step(world: World, order: Order) -> list[Transaction]:
    """The next thing that can happen to a confirmed order; its status is 80 when nothing is left to do."""
    rng = world.rng
    drawn = rng.random()
    if order.status == 20 and drawn < 0.3 and any(line.product.way == "M" for line in order.lines):
        order.status = 30
        return update("order_in_production", "so_head", order.id, "so_stat", 30)
    if order.deliveries:
        return advance_delivery(world, order)
    if drawn < 0.5 and order.open_invoices:
        return pay(world, order)
    # Some goods leave while others are awaited; the more often, the more is billed in several invoices.
    waits = any(line.ready < line.quantity for line in order.lines)
    if waits and drawn < 0.7:
        return supply.push(world, order)
    if any(line.sendable > 0 for line in order.lines) and (
        drawn < 0.8 or not any(line.invoiced < line.shipped for line in order.lines)
    ):
        return plan_delivery(world, order)
    if any(line.invoiced < line.shipped for line in order.lines):
        return bill(world, order)
    if order.open_invoices:
        return pay(world, order)
    if waits:
        return supply.push(world, order)
    order.status = 80
    return update("order_closed", "so_head", order.id, "so_stat", 80)


# -- invoices and payments


def bill(world: World, order: Order) -> list[Transaction]:
    """An invoice of what was shipped and not billed yet. An order with several shipments gets several invoices; the
    first one has the freight."""
    invoice, rows, discount, freight = billed(world, order)
    order.open_invoices.append(invoice)
    statements = [
        invoice_row(world, order, invoice, "RE", discount=discount, freight=freight),
        *inserts("inv_line", rows),
    ]
    touched: list[Touched] = [
        ("erp.inv_head", str(invoice.id), "c"),
        *(("erp.inv_line", str(row[0]), "c") for row in rows),
    ]
    if order.status == 50:
        order.status = 60
        statements.append(("so_stat", (order.id, 60)))
        touched.append(("erp.so_head", str(order.id), "u"))
    return [Transaction(ERP, "invoice_created", statements, touched, after=after(order))]


def billed(world: World, order: Order) -> tuple[Invoice, list[Row], int, int]:
    """The invoice of what was shipped and not billed yet; its rows for ERP_INSERTS["inv_line"], and its discount and
    freight in cents.
    """
    key, goods, tax = world.ids.next("inv_head"), 0, 0
    rows: list[Row] = []
    for line in order.lines:
        if line.shipped == line.invoiced:
            continue
        # The difference of two rounded totals, so that all the invoices of a line add up to the line.
        net = line_net(line.shipped, line.price, line.discount) - line_net(line.invoiced, line.price, line.discount)
        rows.append(invoice_line(world, key, len(rows), line, line.shipped - line.invoiced, line.price, net))
        line.invoiced = line.shipped
        goods += net
        tax += tax_of(net, line.product.tax, order.discount)
    discount = discount_of(order.billed + goods, order.discount) - discount_of(order.billed, order.discount)
    freight, order.freight = order.freight, 0
    order.billed += goods
    net, tax = goods - discount + freight, tax + tax_of(freight, "V1")
    return Invoice(key, net, tax, net + tax), rows, discount, freight


def invoice_line(world: World, invoice: int, place: int, line: OrderLine, quantity: int, price: int, net: int) -> Row:
    """Values for ERP_INSERTS["inv_line"]: quantity in thousandths, price in 1/100,000, net in cents."""
    product = line.product
    return [
        world.ids.next("inv_line"),
        invoice,
        (place + 1) * 10,
        line.id,
        product.erp_id,
        f"{vocabulary.GOODS[product.family]} {product.sku}",
        as_quantity(quantity),
        vocabulary.UNITS[product.unit][1],
        as_price(price),
        line.discount or None,
        product.tax,
        cents(net),
    ]


def invoice_row(
    world: World,
    order: Order,
    invoice: Invoice,
    kind: str,
    *,
    corrects: int | None = None,
    discount: int = 0,
    freight: int = 0,
) -> Statement:
    return (
        "insert_inv_head_1",
        [
            invoice.id,
            kind,
            order.id,
            order.customer_id,
            "10",
            world.day(0),
            world.day(30),
            order.currency,
            cents(invoice.net),
            cents(invoice.tax),
            cents(invoice.gross),
            "now",
            corrects,
            cents(discount) if discount else None,
            cents(freight) if freight else None,
        ],
    )


def pay(world: World, order: Order) -> list[Transaction]:
    """A customer pays the oldest open invoice, one time in four only half of it."""
    rng = world.rng
    invoice = order.open_invoices[0]
    amount = invoice.open // 2 if rng.random() < 0.25 and invoice.open > 100 else invoice.open
    invoice.open -= amount
    if invoice.open <= 0:
        order.settled.append(order.open_invoices.pop(0))
    key = world.ids.next("pay")
    invoice.payments.append((key, amount))
    row = [
        key,
        invoice.id,
        order.customer_id,
        choose(rng, PAYMENT_METHODS),
        "C",
        cents(amount),
        order.currency,
        "now",
        f"Zahlung {invoice.id}",
        "now",
    ]
    return [
        Transaction(
            ERP,
            "payment_received",
            [("insert_pay_1", row)],
            [("erp.pay", str(key), "c"), ("erp.inv_head", str(invoice.id), "u")],
        )
    ]
