"""What the warehouse does with a confirmed order: deliveries, and the pieces that a customer has from them."""

from __future__ import annotations

from streams.simulator import vocabulary
from streams.simulator.documents import Delivery, Order, OrderLine
from streams.simulator.session import Row, Statement
from streams.simulator.statements import inserts
from streams.simulator.vocabulary import choose
from streams.simulator.world import ERP, Touched, Transaction, World

WARRANTY_DAYS = 730


def update(operation: str, table: str, key: str | int, statement: str, *values: object) -> list[Transaction]:
    """One row changes, in a transaction of its own."""
    return [Transaction(ERP, operation, [(statement, (key, *values))], [(f"erp.{table}", str(key), "u")])]


def after(order: Order) -> tuple[tuple[str, str], ...]:
    """Rows that must be committed before a document of this order: the order itself."""
    return (("erp.so_head", str(order.id)),)


def added(table: str, rows: list[Row]) -> tuple[list[Statement], list[Touched]]:
    """The statements that add these rows, and what they touch. The first value of a row is its key."""
    return inserts(table, rows), [(f"erp.{table}", str(row[0]), "c") for row in rows]


def plan_delivery(world: World, order: Order) -> list[Transaction]:
    """A delivery of everything that lies ready and is not shipped yet, or of some of it."""
    rng = world.rng
    partial = rng.random() < 0.4
    amounts: list[tuple[OrderLine, int]] = []
    for line in order.lines:
        left = line.sendable
        if left <= 0 or (partial and amounts and rng.random() < 0.5):
            continue
        amounts.append((line, max(1000, left // 2 // 1000 * 1000) if partial and left > 1000 else left))
    head, rows, delivery = delivery_rows(world, order, amounts, "P")
    order.deliveries.append(delivery)
    (heads, head_touched), (lines, lines_touched) = added("dlv_head", [head]), added("dlv_line", rows)
    return [Transaction(ERP, "delivery_planned", heads + lines, head_touched + lines_touched, after=after(order))]


def delivery_rows(
    world: World, order: Order, amounts: list[tuple[OrderLine, int]], status: str
) -> tuple[Row, list[Row], Delivery]:
    """A new delivery of these thousandths: its row, those of its lines, and what is remembered of it. What it takes
    counts as shipped.
    """
    rng = world.rng
    key = world.ids.next("dlv_head")
    rows: list[Row] = []
    sent: list[tuple[OrderLine, int, str | None]] = []
    for line, amount in amounts:
        line.shipped += amount
        serial = f"SN{rng.getrandbits(32):08X}" if amount == 1000 and line.product.family in (2, 3) else None
        lot = f"L{int(rng.random() * 9999):04d}"
        rows.append([world.ids.next("dlv_line"), key, line.id, line.product.erp_id, amount / 1000, lot, serial])
        sent.append((line, amount, serial))
    head: Row = [key, order.id, status, choose(rng, vocabulary.CARRIERS), None, order.warehouse, None, None, "now"]
    if status == "S":
        head[4], head[6] = f"TR{rng.getrandbits(40):012d}", "now"
    return head, rows, Delivery(key, status, sent)


def shipped_status(order: Order) -> int:
    """50 where all of the order has left, 40 where some has not."""
    return 50 if all(line.shipped >= line.quantity for line in order.lines) else 40


def advance_delivery(world: World, order: Order) -> list[Transaction]:
    """The newest delivery that is not there yet is picked, leaves, arrives, or comes back."""
    rng = world.rng
    delivery = order.deliveries[-1]
    key, status = delivery.id, delivery.status
    if status == "P" and rng.random() < 0.4:
        delivery.status = "K"
        return update("delivery_picked", "dlv_head", key, "dlv_stat", "K")
    if status in ("P", "K"):
        delivery.status = "S"
        order.status = shipped_status(order)
        shipped: Statement = ("dlv_shipped", (key, f"TR{rng.getrandbits(40):012d}"))
        header: Statement = ("so_stat", (order.id, order.status))
        touched: list[Touched] = [("erp.dlv_head", str(key), "u"), ("erp.so_head", str(order.id), "u")]
        picked = pick_reserved(delivery)
        if rng.random() < 0.8:
            statements = [shipped, header]
            if picked:
                statements.append(("rsv_pick", (picked,)))
                touched += [("erp.rsv", str(kept), "u") for kept in picked]
            return [Transaction(ERP, "delivery_shipped", statements, touched)]
        made = [
            Transaction(ERP, "delivery_shipped", [shipped], touched[:1]),
            Transaction(ERP, "delivery_shipped", [header], touched[1:]),
        ]
        if picked:
            of_stock: list[Touched] = [("erp.rsv", str(kept), "u") for kept in picked]
            made.append(Transaction(ERP, "delivery_shipped", [("rsv_pick", (picked,))], of_stock))
        return made
    order.deliveries.pop()
    if rng.random() < 0.01 and not any(line.invoiced for line in order.lines):
        # Before anything is billed, and it is shipped again: a return without a credit note breaks a business rule, and
        # `opshub flow check` after a demo would list what nobody planted.
        for line, amount, _ in delivery.sent:
            line.shipped -= amount
        return update("delivery_returned", "dlv_head", key, "dlv_stat", "R")
    statements = [("dlv_arrived", (key,))]
    touched = [("erp.dlv_head", str(key), "u")]
    pieces, contracts = installed_rows(world, order, delivery, 0)
    for table, rows in (("inst", pieces), ("ctr", contracts)):
        more, more_touched = added(table, rows)
        statements += more
        touched += more_touched
    return [Transaction(ERP, "delivery_arrived", statements, touched, after=after(order))]


def pick_reserved(delivery: Delivery) -> list[int]:
    """Reservations of lines that this delivery ends: they are picked now."""
    picked = [line.kept for line, *_ in delivery.sent if line.kept is not None and line.sendable <= 0]
    for line, *_ in delivery.sent:
        if line.kept in picked:
            line.kept = None
    return [kept for kept in picked if kept is not None]


def installed_rows(world: World, order: Order, delivery: Delivery, age: int) -> tuple[list[Row], list[Row]]:
    """Rows of the pieces with a serial number that came with a delivery `age` days ago, and of the contracts that some
    customers take for them.
    """
    pieces: list[Row] = []
    contracts: list[Row] = []
    end = world.day(WARRANTY_DAYS - age)
    for line, _, serial in delivery.sent:
        if serial is None:
            continue
        key, item = world.ids.next("inst"), line.product.erp_id
        pieces.append([key, order.id, delivery.id, order.customer_id, item, serial, None, 1.0, "D", end])
        if world.rng.random() < 0.25:
            kind = choose(world.rng, ("G", "W", "S"))
            contract = world.ids.next("ctr")
            until = world.day(WARRANTY_DAYS + 365 - age)
            contracts.append(
                [contract, order.customer_id, kind, "A", item, key, choose(world.rng, (8, 24, 48)), world.day(-age),
                 until, order.currency, "120.00", "now"]
            )  # fmt: skip
    return pieces, contracts
