"""Purchase orders of the simulated company, from the request to the supplier's bill."""

from __future__ import annotations

from streams.simulator.deliveries import added, after, delivery_rows, shipped_status, update
from streams.simulator.documents import Order, OrderLine, Portion, Product, Supply
from streams.simulator.session import Row, Statement
from streams.simulator.suppliers import BUYERS, place_of
from streams.simulator.vocabulary import UNITS, WAREHOUSES, choose
from streams.simulator.world import ERP, Fact, Touched, Transaction, World, as_price, as_quantity, cents

MOST_LINES = 6
"""Order lines that one purchase order serves, at most."""
MOST_FOR_STOCK = 300
"""Purchase orders that are on their way at once, past which nothing is bought for stock."""


def key_of(order: Order, line: OrderLine) -> tuple[int, int]:
    """(place of the supplier, order of a drop shipment): what may stand in one purchase order."""
    return place_of(line.product), order.id if line.product.way == "D" else 0


def buy(world: World, order: Order, line: OrderLine) -> list[Transaction]:
    """A purchase order for this order line and others that wait for the same supplier; three in ten also fill our
    stock. One in seven is only requested.
    """
    rng = world.rng
    supply = take_wishes(world, order, line)
    if supply is None:
        return []
    supply.status = 5 if rng.random() < 0.15 else 20
    supply.due = supply.expected = max(1, supply.needed - 1 - int(rng.random() * 5))
    if supply.kind == "N" and rng.random() < 0.3:
        quantity = (10 + int(rng.random() * 90)) * 1000
        supply.parts.append(Portion(world.ids.next("po_line"), line.product, quantity))
    return _created(world, supply)


def buy_for_stock(world: World, product: Product) -> list[Transaction]:
    """A purchase order for our stock alone."""
    if len(world.supplies) > MOST_FOR_STOCK:
        return []
    rng = world.rng
    portion = Portion(world.ids.next("po_line"), product, (50 + int(rng.random() * 200)) * 1000)
    due = 5 + int(rng.random() * 20)
    supplier = world.suppliers[place_of(product) % len(world.suppliers)]
    supply = Supply(world.ids.next("po_head"), "N", [portion], supplier, due=due, expected=due, needed=due)
    return _created(world, supply)


def take_wishes(world: World, order: Order, line: OrderLine) -> Supply | None:
    """A purchase order, still without dates, of what waits for the supplier of this line. None where nothing does."""
    key = key_of(order, line)
    waiting = world.wishes.to_buy.pop(key, [])
    taken, rest = waiting[:MOST_LINES], waiting[MOST_LINES:]
    if rest:
        world.wishes.to_buy[key] = rest
    parts = [
        Portion(world.ids.next("po_line"), wanted.product, wanted.needed, of, wanted)
        for of, wanted in {id(entry[1]): entry for entry in taken}.values()
        if wanted.needed > 0 and of.status != 90
    ]
    orders = [portion.order for portion in parts if portion.order is not None]
    if not orders:
        return None
    kind = "D" if line.product.way == "D" else "N"
    supplier = world.suppliers[key[0] % len(world.suppliers)]
    supply = Supply(world.ids.next("po_head"), kind, parts, supplier, needed=min(of.promised for of in orders))
    for portion in parts:
        assert portion.line is not None and portion.order is not None
        portion.line.needed = 0
        if supply not in portion.order.waits:
            portion.order.waits.append(supply)
    return supply


def _created(world: World, supply: Supply) -> list[Transaction]:
    world.supplies.add(supply)
    head, lines = purchase_rows(world, supply)
    (heads, touched), (bought, bought_touched) = added("po_head", [head]), added("po_line", lines)
    orders = {after(portion.order)[0] for portion in supply.parts if portion.order is not None}
    known = (("erp.supp", str(supply.supplier.id if supply.supplier else 0)), *sorted(orders))
    return [Transaction(ERP, "purchase_created", heads + bought, touched + bought_touched, after=known)]


def purchase_rows(world: World, supply: Supply) -> tuple[Row, list[Row]]:
    """Values for ERP_INSERTS of a purchase order and its lines, at the status that it has."""
    lines: list[Row] = []
    net = 0
    for number, portion in enumerate(supply.parts, 1):
        price, amount = _net(portion)
        net += amount
        item, line = portion.product.erp_id, portion.line.id if portion.line is not None else None
        unit = UNITS[portion.product.unit][1]
        lines.append(
            [
                portion.id,
                supply.id,
                number * 10,
                line,
                item,
                as_quantity(portion.quantity),
                unit,
                as_price(price),
                cents(amount),
            ]
        )
    is_ordered, is_confirmed = supply.status >= 20, supply.status >= 30
    order = next((portion.order for portion in supply.parts if portion.order is not None), None)
    warehouse = order.warehouse if order is not None else choose(world.rng, WAREHOUSES)
    head: Row = [
        supply.id, supply.supplier.id if supply.supplier else None, supply.kind, supply.status,
        world.day(0) if is_ordered else None, world.day(supply.needed), world.day(supply.due) if is_confirmed else None,
        world.day(supply.expected) if is_ordered else None, "EUR", cents(net), warehouse,
        f"AB-{supply.id % 1_000_000}" if is_confirmed else None, choose(world.rng, BUYERS),
        "now" if is_confirmed else None, "now",
    ]  # fmt: skip
    return head, lines


def _net(portion: Portion) -> tuple[int, int]:
    """(price in 1/100,000, cents of the line): whole units of currency."""
    price = portion.product.price * 10 // 16
    return price, (portion.quantity * price + 50_000_000) // 100_000_000 * 100


def advance(world: World, supply: Supply) -> list[Transaction]:
    """The next thing that happens to a purchase order."""
    rng = world.rng
    if supply.status == 5:
        supply.status = 20
        return update("purchase_ordered", "po_head", supply.id, "po_order", world.day(0), world.day(supply.expected))
    if supply.status == 20:
        supply.status = 30
        number = f"AB-{supply.id % 1_000_000}"
        return update("purchase_confirmed", "po_head", supply.id, "po_confirm", world.day(supply.expected), number)
    late = supply.supplier is not None and supply.supplier.late
    if supply.status == 30 and not supply.moved and rng.random() < (0.8 if late else 0.12):
        facts = move_date(world, supply)
        made = update("purchase_date_moved", "po_head", supply.id, "po_date", world.day(supply.expected))
        made[0].facts += facts
        return made
    if supply.status < 50:
        return _drop_shipped(world, supply) if supply.kind == "D" else _received(world, supply)
    return _billed(world, supply)


def move_date(world: World, supply: Supply) -> list[Fact]:
    """The supplier says another day: a late one a day after the promised one, others one that is a little later."""
    supply.moved = True
    if supply.is_late:
        supply.expected = max(supply.expected, supply.needed) + 3 + int(world.rng.random() * 20)
        return [
            {"fact": "late_supplier", "supplier": supply.supplier.id if supply.supplier else 0, "purchase": supply.id}
        ]
    supply.expected += 1 + int(world.rng.random() * 4)
    return []


def _received(world: World, supply: Supply) -> list[Transaction]:
    """Goods come in: all that is left, or half of it; now and then too much, or some of them are refused."""
    rng = world.rng
    partial = not supply.is_partial and rng.random() < 0.3
    supply.is_partial = True
    receipt = world.ids.next("gr_head")
    rows: list[Row] = []
    moved: list[Row] = []
    statements: list[Statement] = []
    touched: list[Touched] = []
    whs = next((portion.order.warehouse for portion in supply.parts if portion.order is not None), WAREHOUSES[0])
    for portion in supply.parts:
        amount = portion.open
        if amount <= 0:
            continue
        refused = 0
        if partial and amount > 1_000:
            amount = max(1000, amount // 2_000 * 1_000)
        elif rng.random() < 0.04:
            amount += max(1000, amount // 10_000 * 1_000)
        elif rng.random() < 0.05 and amount > 1_000:
            refused = max(1000, amount // 4_000 * 1_000)
        accepted = amount - refused
        portion.arrived += accepted
        if portion.line is not None:
            portion.line.ready = min(portion.line.quantity, portion.line.ready + accepted)
        unit, item, lot = UNITS[portion.product.unit][1], portion.product.erp_id, f"L{int(rng.random() * 9999):04d}"
        rows.append(
            [world.ids.next("gr_line"), receipt, len(rows) * 10 + 10, portion.id, item, as_quantity(amount),
             as_quantity(refused) if refused else None, unit, lot]
        )  # fmt: skip
        moved.append(
            [world.ids.next("mov"), item, "W", as_quantity(accepted), unit, None, whs, lot, f"gr {receipt}", "now"]
        )
        if portion.line is None:
            statements.append(("stock_move", (item, whs, as_quantity(accepted))))
            touched.append(("erp.stock", f"{item}|{whs}", "u"))
    supply.status = 40 if any(portion.open for portion in supply.parts) else 50
    if supply.status == 50:
        forget(supply)
    head: Row = [receipt, supply.id, "R", whs, f"LS-{rng.getrandbits(24)}", "now", "now"]
    for table, values in (("gr_head", [head]), ("gr_line", rows), ("mov", moved)):
        more, more_touched = added(table, values)
        statements += more
        touched += more_touched
    statements.append(("po_stat", (supply.id, supply.status)))
    touched.append(("erp.po_head", str(supply.id), "u"))
    return [Transaction(ERP, "goods_received", statements, touched)]


def _drop_shipped(world: World, supply: Supply) -> list[Transaction]:
    """The supplier sent the goods to the customer: the ERP keeps a delivery of it."""
    order = supply.parts[0].order
    assert order is not None
    amounts: list[tuple[OrderLine, int]] = []
    for portion in supply.parts:
        assert portion.line is not None
        portion.arrived = portion.quantity
        portion.line.ready = min(portion.line.quantity, portion.line.ready + portion.quantity)
        amounts.append((portion.line, portion.line.sendable))
    supply.status = 50
    forget(supply)
    head, rows, delivery = delivery_rows(world, order, amounts, "S")
    order.deliveries.append(delivery)
    order.status = shipped_status(order)
    (heads, touched), (lines, lines_touched) = added("dlv_head", [head]), added("dlv_line", rows)
    statements: list[Statement] = [("po_stat", (supply.id, 50)), *heads, *lines, ("so_stat", (order.id, order.status))]
    changed: list[Touched] = [("erp.po_head", str(supply.id), "u"), ("erp.so_head", str(order.id), "u")]
    return [Transaction(ERP, "drop_shipped", statements, [*touched, *lines_touched, *changed])]


def forget(supply: Supply) -> None:
    """The orders do not wait for it any more."""
    for portion in supply.parts:
        if portion.order is not None and supply in portion.order.waits:
            portion.order.waits.remove(supply)


def _billed(world: World, supply: Supply) -> list[Transaction]:
    """The supplier's bill, and the end of the purchase order."""
    world.supplies.remove(supply)
    supply.status = 80
    row = bill_row(world, supply, "10", 0)
    (statements, touched) = added("sinv", [row])
    return [
        Transaction(
            ERP,
            "supplier_billed",
            [*statements, ("po_stat", (supply.id, 80))],
            [*touched, ("erp.po_head", str(supply.id), "u")],
        )
    ]


def bill_row(world: World, supply: Supply, status: str, age: int) -> Row:
    """Values for ERP_INSERTS["sinv"] of a bill of `age` days ago."""
    net = sum(
        (portion.quantity * (portion.product.price * 10 // 16) + 50_000_000) // 100_000_000 * 100
        for portion in supply.parts
    )
    match = "Q" if any(portion.arrived > portion.quantity for portion in supply.parts) else "O"
    return [
        world.ids.next("sinv"), supply.id, supply.supplier.id if supply.supplier else 0, status, match,
        f"R{world.rng.getrandbits(24)}", world.day(-age), world.day(30 - age), "EUR", cents(net),
        cents(0 if status == "30" else net), "now",
    ]  # fmt: skip
