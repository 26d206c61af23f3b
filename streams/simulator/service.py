"""What service people do in the ERP: returns of delivered goods with their credit notes, repairs."""

from __future__ import annotations

from streams.simulator import vocabulary
from streams.simulator.deliveries import added, after, update
from streams.simulator.documents import Invoice, Repair, Return
from streams.simulator.erp_documents import invoice_line, invoice_row
from streams.simulator.erp_operations import advance_order
from streams.simulator.session import Row, Statement
from streams.simulator.vocabulary import UNITS, choose
from streams.simulator.world import (
    ERP,
    TAX,
    Touched,
    Transaction,
    World,
    as_quantity,
    cents,
    discount_of,
    line_net,
    tax_of,
)

CREDITED_BY_STAFF = 0.7
"""Share of the returns whose credit note staff writes. The others wait until somebody approves that write-back does."""


def start_return(world: World) -> list[Transaction]:
    """A customer sends back some of what a finished order delivered."""
    rng = world.rng
    order = world.closed.pick(rng)
    if order is None:
        return advance_order(world)
    lines = [line for line in order.lines if line.shipped >= 1_000 and line.product.way and not line.returned]
    if not lines:
        return advance_order(world)
    line = choose(rng, lines)
    line.returned = True
    amount = max(1_000, int(rng.random() * line.shipped) // 1_000 * 1_000)
    key, number = world.ids.next("ret_head"), world.ids.next("ret_line")
    wish = choose(rng, ("G", "G", "G", "G", "E", "R"))
    made = Return(key, order, [(number, line, amount)], wish=wish, by_staff=rng.random() < CREDITED_BY_STAFF)
    world.returns.add(made)
    net = cents(line_net(amount, line.price, line.discount))
    reason = choose(rng, vocabulary.SUBJECTS)
    head = [key, order.id, order.customer_id, 10, wish, reason, order.currency, net, order.warehouse, "now", "now"]
    unit = UNITS[line.product.unit][1]
    (heads, touched) = added("ret_head", [head])
    (came, came_touched) = added(
        "ret_line", [[number, key, 10, line.id, line.product.erp_id, as_quantity(amount), unit, None]]
    )
    return [Transaction(ERP, "return_requested", heads + came, touched + came_touched, after=after(order))]


def advance_return(world: World) -> list[Transaction]:
    """A return is approved or refused, comes in, and is credited, replaced or repaired."""
    rng = world.rng
    back = world.returns.pick(rng)
    if back is None:
        return start_return(world)
    if back.status == 10:
        if rng.random() < 0.1:
            world.returns.remove(back)
            return update("return_refused", "ret_head", back.id, "ret_refuse")
        back.status = 20
        return update("return_approved", "ret_head", back.id, "ret_approve")
    if back.status == 20:
        back.status = 30
        return _received(world, back)
    world.returns.remove(back)
    if back.wish == "G":
        return _credited(world, back) if back.by_staff else advance_order(world)
    return update("return_ended", "ret_head", back.id, "ret_end", 60 if back.wish == "R" else 80)


def _received(world: World, back: Return) -> list[Transaction]:
    statements: list[Statement] = [("ret_receive", (back.id,))]
    touched: list[Touched] = [("erp.ret_head", str(back.id), "u")]
    for number, line, amount in back.lines:
        statements.append(("ret_came", (number, choose(world.rng, ("as new", "used", "damaged")))))
        touched.append(("erp.ret_line", str(number), "u"))
        unit, item = UNITS[line.product.unit][1], line.product.erp_id
        whs, cause = back.order.warehouse, f"ret {back.id}"
        row: Row = [world.ids.next("mov"), item, "R", as_quantity(amount), unit, None, whs, None, cause, "now"]
        more, more_touched = added("mov", [row])
        statements += more
        touched += more_touched
    return [Transaction(ERP, "return_received", statements, touched)]


def _credited(world: World, back: Return) -> list[Transaction]:
    """The credit note of what came back, at what the customer paid for it."""
    order = back.order
    note = Invoice(world.ids.next("inv_head"), 0, 0, 0)
    rows: list[Row] = []
    goods = tax = 0
    for _, line, amount in back.lines:
        net = line_net(amount, line.price, line.discount)
        rows.append(invoice_line(world, note.id, len(rows), line, amount, line.price, net))
        goods += net
        tax += tax_of(net, line.product.tax, order.discount)
    discount = discount_of(goods, order.discount)
    note.net, note.tax = goods - discount, tax
    note.open = note.gross
    corrects = order.settled[0].id if order.settled else None
    lines, touched = added("inv_line", rows)
    statements = [invoice_row(world, order, note, "GS", corrects=corrects, discount=discount), *lines]
    statements.append(("ret_credit", (back.id, note.id)))
    changed: list[Touched] = [("erp.inv_head", str(note.id), "c"), *touched, ("erp.ret_head", str(back.id), "u")]
    return [Transaction(ERP, "return_credited", statements, changed, after=after(order))]


def advance_repair(world: World) -> list[Transaction]:
    """A repair begins with a service case, or goes on."""
    rng = world.rng
    wanted = world.wishes.to_repair
    if wanted and (rng.random() < 0.3 or not len(world.repairs)):
        case, customer, product = wanted.pop()
        if len(wanted) > 200:
            del wanted[:100]
        repair = Repair(world.ids.next("rep"))
        world.repairs.add(repair)
        wty = "X" if rng.random() < 0.6 else None
        row: Row = [repair.id, customer.erp_id, case, None, None, product.erp_id, None, 10, wty, world.day(10), "now"]
        statements, touched = added("rep", [row])
        known = (("erp.cust", str(customer.erp_id)),)
        return [Transaction(ERP, "repair_opened", statements, touched, after=known)]
    repair = world.repairs.pick(rng)  # type: ignore[assignment]
    if repair is None:
        return advance_return(world)
    later = [
        status for status in (20, 30, 40, 50, 80) if status > repair.status and (status != 30 or rng.random() < 0.3)
    ]
    repair.status = later[0]
    if repair.status == 80:
        world.repairs.remove(repair)
    return update("repair_advanced", "rep", repair.id, "rep_stat", repair.status)


def credit(world: World) -> list[Transaction]:
    """A credit note for a tenth of what one line was billed."""
    rng = world.rng
    order = world.closed.pick(rng)
    if order is None:
        return advance_order(world)
    line = choose(rng, order.lines)
    net = line_net(line.invoiced, line.price, line.discount) // 10
    if net <= 0:
        return advance_order(world)
    note = Invoice(world.ids.next("inv_head"), net, net * TAX[line.product.tax] // 100, net)
    corrects = order.settled[0].id if order.settled else None
    # A credit of an amount, not of goods: one piece whose price is the amount that is returned.
    row = invoice_line(world, note.id, 0, line, 1_000, net * 1_000, net)
    row[-3] = None
    return [
        Transaction(
            ERP,
            "credit_note_created",
            [invoice_row(world, order, note, "GS", corrects=corrects), ("insert_inv_line_1", row)],
            [("erp.inv_head", str(note.id), "c"), ("erp.inv_line", str(row[0]), "c")],
            after=after(order),
        )
    ]
