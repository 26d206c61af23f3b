"""What buyers and planners do in the ERP: keep stock for orders, buy and make what is not in stock, take goods in.

A purchase order may serve several sales orders and our stock. One supplier in three is late: it confirms a date, and
then moves it past the promised day of the order (fact `late_supplier`).
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.simulator import production, purchases, suppliers
from streams.simulator.documents import Order, OrderLine, Product, Supply
from streams.simulator.session import Row
from streams.simulator.world import Fact, Transaction, World, as_quantity

SHORTAGE = 0.04
"""Share of order lines from stock of which only half is there."""
PATIENCE = 0.995
"""Share of the times at which nothing happens to what a late supplier owes, nor to what is short and not ordered yet:
so that there is always some to be seen."""
CROWDED = 300
"""Open orders past which such orders are not kept waiting: in a long run they would be all there is."""


def secure(world: World, order: Order, lines: Sequence[OrderLine] | None = None) -> tuple[list[Row], list[Fact]]:
    """Keep what is in stock for a confirmed order (or for these lines of it), and remember what must be bought or made:
    the rows of its reservations, and the shortages that were planted.
    """
    kept: list[Row] = []
    facts: list[Fact] = []
    for line in order.lines if lines is None else lines:
        way, has = line.product.way, 0
        if way is None:
            has = line.quantity
        elif way == "S":
            has = line.quantity
            if world.rng.random() < SHORTAGE and line.quantity >= 2_000:
                has = line.quantity // 2_000 * 1_000
                facts.append({"fact": "shortage", "order": order.id, "line": line.id})
            line.kept = world.ids.next("rsv")
            item = line.product.erp_id
            kept.append([line.kept, order.id, line.id, item, order.warehouse, as_quantity(has), "R"])
        line.ready = has
        want(world, order, line, line.quantity - has)
    return kept, facts


def want(world: World, order: Order, line: OrderLine, quantity: int) -> None:
    """Remember that this much of an order line must be bought or made."""
    if quantity <= 0:
        return
    line.needed += quantity
    if line.product.way == "M":
        world.wishes.to_make.setdefault(line.product.erp_id, []).append((order, line))
    else:
        world.wishes.to_buy.setdefault(purchases.key_of(order, line), []).append((order, line))


def push(world: World, order: Order) -> list[Transaction]:
    """What brings an order that waits for goods nearer to them."""
    for line in order.lines:
        if line.needed > 0 and not (line.product.way == "S" and _is_put_off(world)):
            return begin(world, order, line)
    if order.waits and not (order.waits[0].is_late and _is_put_off(world)):
        return advance(world, order.waits[0])
    return advance_supply(world)


def _is_put_off(world: World) -> bool:
    return world.rng.random() < (PATIENCE if len(world.orders) < CROWDED else 0.5)


def begin(world: World, order: Order, line: OrderLine) -> list[Transaction]:
    """Buy or make what an order line needs."""
    made = suppliers.hire(world)
    make = production.produce if line.product.way == "M" else purchases.buy
    return made + make(world, order, line)


def advance_supply(world: World) -> list[Transaction]:
    """The next thing happens to a purchase or production order; now and then something is bought for our stock."""
    for _ in range(4):
        supply = world.supplies.pick(world.rng)
        if supply is None:
            break
        if not (supply.is_late and supply.status < 50 and _is_put_off(world)):
            return advance(world, supply)
    return replenish(world)


def advance(world: World, supply: Supply) -> list[Transaction]:
    """The next thing happens to this one. What failed in production is wanted again."""
    if supply.kind == "M":
        made, scrapped = production.advance(world, supply)
        for portion in scrapped:
            assert portion.order is not None and portion.line is not None
            want(world, portion.order, portion.line, portion.open)
        return made
    return purchases.advance(world, supply)


def replenish(world: World) -> list[Transaction]:
    """A purchase order for our stock alone."""
    made = suppliers.hire(world)
    product: Product | None = None
    for _ in range(20):
        product = world.products[int(world.rng.random() * len(world.products))]
        if product.way in ("S", "B"):
            break
    assert product is not None
    return made + purchases.buy_for_stock(world, product)
