"""Production orders of the simulated company: planned for order lines, released, made, perhaps with scrap."""

from __future__ import annotations

from streams.simulator.deliveries import added, after, update
from streams.simulator.documents import Order, OrderLine, Portion, Supply
from streams.simulator.purchases import forget
from streams.simulator.session import Row, Statement
from streams.simulator.vocabulary import UNITS
from streams.simulator.world import ERP, Touched, Transaction, World, as_quantity

MOST_LINES = 3
"""Order lines that one production order serves, at most."""
OPERATIONS = 4


def produce(world: World, order: Order, line: OrderLine) -> list[Transaction]:
    """A production order for this order line and others that wait for the same product. One in ten is split."""
    supplies = take_wishes(world, line)
    made: list[Transaction] = []
    for supply in supplies:
        supply.status = 10
        supply.due = supply.expected = max(1, supply.needed - 1 - int(world.rng.random() * 4))
        world.supplies.add(supply)
        head, lines = production_rows(world, supply)
        (heads, touched), (parts, parts_touched) = added("pr_head", [head]), added("pr_line", lines)
        known = tuple(sorted({after(portion.order)[0] for portion in supply.parts if portion.order is not None}))
        made.append(Transaction(ERP, "production_planned", heads + parts, touched + parts_touched, after=known))
    return made


def take_wishes(world: World, line: OrderLine) -> list[Supply]:
    """Production orders, still without dates, of what waits for the product of this line."""
    waiting = world.wishes.to_make.pop(line.product.erp_id, [])
    taken, rest = waiting[:MOST_LINES], waiting[MOST_LINES:]
    if rest:
        world.wishes.to_make[line.product.erp_id] = rest
    once = {id(entry[1]): entry for entry in taken}.values()
    wanted = [(of, wish) for of, wish in once if wish.needed > 0 and of.status != 90]
    if not wanted:
        return []
    first = wanted[0][1]
    half = first.needed // 2_000 * 1_000
    is_split = half > 0 and world.rng.random() < 0.1
    supplies = [_supply_of(world, wanted, {id(first): half} if is_split else {})]
    if is_split:
        supplies.append(_supply_of(world, wanted[:1], {}))
    for _, wish in wanted:
        wish.needed = 0
    return supplies


def _supply_of(world: World, wanted: list[tuple[Order, OrderLine]], amounts: dict[int, int]) -> Supply:
    """`amounts`: of these lines only so much is made; they still need the rest."""
    parts: list[Portion] = []
    for order, line in wanted:
        amount = amounts.get(id(line), line.needed)
        parts.append(Portion(world.ids.next("pr_line"), line.product, amount, order, line))
        line.needed -= amount
    supply = Supply(world.ids.next("pr_head"), "M", parts, needed=min(order.promised for order, _ in wanted))
    for order, _ in wanted:
        if supply not in order.waits:
            order.waits.append(supply)
    return supply


def production_rows(world: World, supply: Supply) -> tuple[Row, list[Row]]:
    """Values for ERP_INSERTS of a production order and its lines, at the status that it has."""
    product = supply.parts[0].product
    unit, total = UNITS[product.unit][1], sum(portion.quantity for portion in supply.parts)
    done = sum(portion.arrived for portion in supply.parts)
    is_over = supply.status >= 50
    order = supply.parts[0].order
    head: Row = [
        supply.id, product.erp_id, supply.status, as_quantity(total), as_quantity(done) if done else None, None, unit,
        world.day(max(0, supply.due - 5)), world.day(supply.due), world.day(supply.expected),
        OPERATIONS if is_over else int(supply.status >= 30), OPERATIONS, order.warehouse if order is not None else None,
        "now" if supply.status >= 30 else None, "now" if is_over else None, "now",
    ]  # fmt: skip
    lines: list[Row] = [
        [portion.id, supply.id, number * 10, portion.line.id if portion.line else None, product.erp_id,
         as_quantity(portion.quantity), unit]
        for number, portion in enumerate(supply.parts, 1)
    ]  # fmt: skip
    return head, lines


def advance(world: World, supply: Supply) -> tuple[list[Transaction], list[Portion]]:
    """The next thing that happens to a production order, and the parts of which some failed: to be made again."""
    rng, key = world.rng, supply.id
    if supply.status in (5, 10):
        supply.status = 20
        return update("production_released", "pr_head", key, "pr_stat", 20), []
    if supply.status == 20:
        supply.status = 30
        return update("production_started", "pr_head", key, "pr_start"), []
    if not supply.moved and rng.random() < 0.2:
        supply.moved = True
        supply.expected += 2 + int(rng.random() * 10)
        return update("production_date_moved", "pr_head", key, "pr_date", world.day(supply.expected)), []
    total = sum(portion.quantity for portion in supply.parts)
    if not supply.is_partial and total >= 2_000 and rng.random() < 0.3:
        supply.is_partial = True
        finished = total // 2_000 * 1_000
        _arrived(supply, finished)
        return update("production_progress", "pr_head", key, "pr_part", as_quantity(finished)), []
    scrapped = max(1_000, total // 20_000 * 1_000) if total >= 2_000 and rng.random() < 0.1 else 0
    finished = max(total - scrapped, sum(portion.arrived for portion in supply.parts))
    scrapped = total - finished
    _arrived(supply, finished)
    supply.status = 50
    forget(supply)
    world.supplies.remove(supply)
    product, order = supply.parts[0].product, supply.parts[0].order
    moved: Row = [
        world.ids.next("mov"), product.erp_id, "F", as_quantity(finished), UNITS[product.unit][1], None,
        order.warehouse if order is not None else None, None, f"pr {key}", "now",
    ]  # fmt: skip
    finish: Statement = ("pr_finish", (key, as_quantity(finished), as_quantity(scrapped) if scrapped else None))
    statements, touched = added("mov", [moved])
    head: Touched = ("erp.pr_head", str(key), "u")
    made = [Transaction(ERP, "production_finished", [finish, *statements], [head, *touched])]
    return made, [portion for portion in supply.parts if portion.open and portion.line is not None]


def _arrived(supply: Supply, finished: int) -> None:
    """So much is made in all: it goes to the parts in their order."""
    left = finished
    for portion in supply.parts:
        more = min(portion.quantity, left) - portion.arrived
        left -= min(portion.quantity, left)
        portion.arrived += more
        if portion.line is not None:
            portion.line.ready = min(portion.line.quantity, portion.line.ready + more)
