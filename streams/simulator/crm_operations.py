"""What sales and service people do in the CRM. Each operation takes the world and returns its transactions."""

from __future__ import annotations

from streams.simulator import firms, vocabulary
from streams.simulator.documents import Customer, Deal, DealLine, Order, Product
from streams.simulator.session import Row, Statement
from streams.simulator.vocabulary import choose
from streams.simulator.world import CRM, Touched, Transaction, World, cents

STAGES = (("Prospecting", 10), ("Qualification", 25), ("Proposal/Quote", 50), ("Negotiation/Review", 75))
REMEMBERED_DEALS = 20_000


def _update(operation: str, table: str, key: str, statement: str, *values: object, op: str = "u") -> list[Transaction]:
    return [Transaction(CRM, operation, [(statement, (key, *values))], [(f"public.{table}", key, op)])]


def _account(customer: Customer) -> tuple[tuple[str, str], ...]:
    return (("public.account", customer.crm_id or ""),)


def edit_account(world: World) -> list[Transaction]:
    """Somebody edits fields of a customer that only the CRM has."""
    rng = world.rng
    customer = world.crm_customers.pick(rng)
    if customer is None or customer.crm_id is None:
        return firms.begin(world)
    if customer.shared or rng.random() < 0.5:
        tags = [tag for tag in vocabulary.TAGS if rng.random() < 0.2]
        return _update(
            "account_edited",
            "account",
            customer.crm_id,
            "account_web",
            f"https://{customer.firm.domain}/{int(rng.random() * 100)}",
            tags,
        )
    if rng.random() < 0.5:
        return _update(
            "account_edited",
            "account",
            customer.crm_id,
            "account_tier",
            choose(rng, vocabulary.TIERS),
            choose(rng, vocabulary.OWNERS),
        )
    return _update(
        "account_edited",
        "account",
        customer.crm_id,
        "account_phone",
        vocabulary.typed_phone(rng, customer.firm.country, vocabulary.phone(rng, customer.firm.country)),
    )


def write_note(world: World) -> list[Transaction]:
    """A long note. Postgres does not send it again when later updates leave it alone (TOAST)."""
    customer = world.crm_customers.pick(world.rng)
    if customer is None or customer.crm_id is None or customer.shared:
        return edit_account(world)
    return _update(
        "note_written",
        "account",
        customer.crm_id,
        "account_notes",
        vocabulary.filler(world.rng, 300 + int(world.rng.random() * 300)),
    )


def edit_contact(world: World) -> list[Transaction]:
    rng = world.rng
    customer = world.crm_customers.pick(rng)
    if customer is None or not customer.contacts:
        return firms.begin(world)
    return _update(
        "contact_edited",
        "contact",
        choose(rng, customer.contacts),
        "contact_change",
        vocabulary.typed_phone(rng, customer.firm.country, vocabulary.phone(rng, customer.firm.country)),
        choose(rng, vocabulary.TITLES),
    )


def add_contact(world: World) -> list[Transaction]:
    customer = world.crm_customers.pick(world.rng)
    if customer is None or len(customer.contacts) > 9:
        return firms.begin(world)
    key = world.uuid()
    customer.contacts.append(key)
    row = firms.contact_row(world, customer, key, False, "now")
    return [
        Transaction(
            CRM, "contact_added", [("insert_contact_1", row)], [("public.contact", key, "c")], after=_account(customer)
        )
    ]


def delete_contact(world: World) -> list[Transaction]:
    """A contact goes to the recycle bin."""
    customer = world.crm_customers.pick(world.rng)
    if customer is None or len(customer.contacts) < 2:
        return edit_contact(world)
    key = customer.contacts.pop()
    world.deleted_contacts.add(key)
    return _update("contact_deleted", "contact", key, "contact_deleted")


def remove_contact(world: World) -> list[Transaction]:
    """A contact is deleted from the recycle bin for good."""
    key = world.deleted_contacts.take(world.rng)
    if key is None:
        return delete_contact(world)
    return _update("contact_removed", "contact", key, "contact_remove", op="d")


def delete_account(world: World) -> list[Transaction]:
    customer = world.crm_customers.take(world.rng)
    if customer is None or customer.crm_id is None:
        return firms.begin(world)
    if customer.busy or customer.shared:
        world.crm_customers.add(customer)
        return edit_account(world)
    world.deleted_accounts.add(customer)
    return _update("account_deleted", "account", customer.crm_id, "account_deleted", True)


def restore_account(world: World) -> list[Transaction]:
    customer = world.deleted_accounts.take(world.rng)
    if customer is None or customer.crm_id is None:
        return edit_account(world)
    world.crm_customers.add(customer)
    return _update("account_restored", "account", customer.crm_id, "account_deleted", False)


def new_deal(world: World) -> list[Transaction]:
    """An opportunity with its lines, in one transaction."""
    customer = world.crm_customers.pick(world.rng)
    if customer is None:
        return firms.begin(world)
    deal, statements, touched = make_deal(world, customer, 0, "now")
    world.deals.add(deal)
    if len(world.deals) > REMEMBERED_DEALS:
        world.deals.take(world.rng)
    return [Transaction(CRM, "opportunity_created", statements, touched, after=_account(customer))]


def make_deal(
    world: World, customer: Customer, stage: int, created: str
) -> tuple[Deal, list[Statement], list[Touched]]:
    """A deal with one to five lines, and the inserts that make it."""
    rng = world.rng
    customer.busy = True
    deal = Deal(world.uuid(), customer, stage, [])
    touched: list[Touched] = [("public.opportunity", deal.id, "c")]
    values: Row = []
    for number in range(1 + int(rng.random() * 5)):
        line, row = deal_line(world, deal, number + 1, created)
        deal.lines.append(line)
        values += row
        touched.append(("public.opportunity_item", line.id, "c"))
    contact = customer.contacts[0] if customer.contacts else None
    name, chance = STAGES[stage]
    row = [
        deal.id,
        f"{customer.firm.name}: {vocabulary.GOODS[deal.lines[0].product.family]}",
        customer.crm_id,
        contact,
        name,
        chance,
        amount_of(deal),
        customer.firm.country.currency,
        world.iso_day(10 + int(rng.random() * 80)),
        None,
        choose(rng, vocabulary.OWNERS),
        choose(rng, vocabulary.SOURCES),
        vocabulary.filler(rng, 9) if rng.random() < 0.3 else None,
        created,
    ]
    return deal, [("insert_opportunity_1", row), (f"insert_opportunity_item_{len(deal.lines)}", values)], touched


def deal_line(world: World, deal: Deal, number: int, created: str) -> tuple[DealLine, Row]:
    rng = world.rng
    product = choose(rng, world.products)
    line = DealLine(
        world.uuid(),
        product,
        1 + int(rng.random() ** 3 * 200),
        max(1, product.price // 1000),
        choose(rng, (0, 0, 0, 3, 5, 10)),
    )
    return line, [
        line.id,
        deal.id,
        product.crm_id,
        number,
        f"{vocabulary.GOODS[product.family]} {product.sku}",
        line.quantity,
        vocabulary.UNITS[product.unit][0],
        cents(line.price),
        line.discount,
        cents(line.net),
        created,
    ]


def amount_of(deal: Deal) -> str:
    return cents(sum(line.net for line in deal.lines))


def advance_deal(world: World) -> list[Transaction]:
    """A deal moves on, back, is won or lost."""
    rng = world.rng
    deal = world.deals.pick(rng)
    if deal is None:
        return new_deal(world)
    drawn = rng.random()
    if deal.stage == len(STAGES) - 1 and drawn < 0.6:
        return win(world, deal)
    if drawn < 0.08:
        _forget(world, deal)
        return _update(
            "opportunity_lost",
            "opportunity",
            deal.id,
            "opportunity_lost",
            choose(rng, vocabulary.LOST),
            world.iso_day(0),
        )
    if drawn < 0.1:
        _forget(world, deal)
        return _update("opportunity_deleted", "opportunity", deal.id, "opportunity_deleted")
    deal.stage = max(0, deal.stage - 1) if drawn < 0.2 else min(len(STAGES) - 1, deal.stage + 1)
    name, chance = STAGES[deal.stage]
    return _update(
        "opportunity_moved", "opportunity", deal.id, "opportunity_stage", name, chance, vocabulary.filler(rng, 6)
    )


def win(world: World, deal: Deal) -> list[Transaction]:
    """The deal is won. With `orders_by_hand`, an order for it is entered into the ERP next."""
    from streams.simulator.erp_operations import order_for  # the ERP's people read what sales have won

    _forget(world, deal)
    won = _update("opportunity_won", "opportunity", deal.id, "opportunity_won", world.iso_day(0))
    won[0].facts.append(
        {
            "fact": "won",
            "opportunity": deal.id,
            "account": deal.customer.crm_id,
            "amount": amount_of(deal),
            "lines": len(deal.lines),
        }
    )
    return won + order_for(world, deal) if world.orders_by_hand else won


def _forget(world: World, deal: Deal) -> None:
    world.deals.remove(deal)


def change_item(world: World) -> list[Transaction]:
    """A quantity changes, or a line is added or removed. The amount follows in the same transaction, or, as some ORMs
    do, in the next one."""
    rng = world.rng
    deal = world.deals.pick(rng)
    if deal is None:
        return new_deal(world)
    drawn = rng.random()
    if drawn < 0.6 or (drawn >= 0.8 and len(deal.lines) < 2) or (drawn < 0.8 and len(deal.lines) > 7):
        line = choose(rng, deal.lines)
        line.quantity = 1 + int(rng.random() ** 3 * 200)
        first: Statement = ("item_change", (line.id, line.quantity, cents(line.net)))
        touched: Touched = ("public.opportunity_item", line.id, "u")
    elif drawn < 0.8:
        line, row = deal_line(world, deal, len(deal.lines) + 1, "now")
        deal.lines.append(line)
        first, touched = ("insert_opportunity_item_1", row), ("public.opportunity_item", line.id, "c")
    else:
        line = deal.lines.pop()
        first, touched = ("item_remove", (line.id,)), ("public.opportunity_item", line.id, "d")
    second: Statement = ("opportunity_amount", (deal.id, amount_of(deal)))
    header: Touched = ("public.opportunity", deal.id, "u")
    if rng.random() < 0.7:
        return [Transaction(CRM, "opportunity_item_changed", [first, second], [touched, header])]
    return [
        Transaction(CRM, "opportunity_item_changed", [first], [touched], after=(header[:2],)),
        Transaction(CRM, "opportunity_item_changed", [second], [header]),
    ]


def open_case(world: World) -> list[Transaction]:
    """A customer opens a service case, perhaps about an order of theirs: a question, a complaint, a return, a repair, a
    spare part.
    """
    rng = world.rng
    order: Order | None = None
    customer = world.crm_customers.pick(rng)
    if rng.random() < 0.5:
        chosen = world.closed.pick(rng) if rng.random() < 0.5 else world.orders.pick(rng)
        if chosen is not None and chosen.customer is not None and chosen.customer.crm_id is not None:
            order, customer = chosen, chosen.customer
    if customer is None:
        return firms.begin(world)
    key = world.uuid()
    world.cases.add((key, 0))
    kind, product, quantity = _wanted(world, order)
    if kind == "Repair" and customer.erp_id is not None and product is not None:
        world.wishes.to_repair.append((key, customer, product))
    row = [
        key,
        customer.crm_id,
        customer.contacts[0] if customer.contacts else None,
        product.crm_id if product is not None else None,
        order,
        choose(rng, vocabulary.SUBJECTS),
        vocabulary.filler(rng, 15),
        "New",
        choose(rng, ("Low", "Medium", "Medium", "High", "Urgent")),
        choose(rng, vocabulary.OWNERS),
        "now",
        kind,
        order.id if order is not None else None,
        quantity,
        None,
    ]
    customer.busy = True
    return [
        Transaction(
            CRM,
            "case_opened",
            [("insert_service_case_1", row)],
            [("public.service_case", key, "c")],
            needs=order,
            after=_account(customer),
        )
    ]


def _wanted(world: World, order: Order | None) -> tuple[str, Product | None, int | None]:
    """What a customer wants: the kind of the case, the product, and how many pieces. Only goods that were shipped come
    back, and none twice.
    """
    rng = world.rng
    drawn = rng.random()
    if order is not None:
        line = choose(rng, order.lines)
        if drawn < 0.2 and line.shipped >= 1_000 and line.product.way is not None and not line.returned:
            line.returned = True
            return "Return", line.product, 1
        if drawn < 0.35 and line.product.way == "S":
            return "Spare Part", line.product, 1 + int(rng.random() * 3)
        return choose(rng, ("Question", "Complaint", "Repair")), line.product, None
    kind = "Repair" if drawn < 0.1 else choose(rng, ("Question", "Question", "Complaint"))
    return kind, choose(rng, world.products) if kind == "Repair" or rng.random() < 0.6 else None, None


def advance_case(world: World) -> list[Transaction]:
    taken = world.cases.take(world.rng)
    if taken is None:
        return open_case(world)
    key, step = taken
    if step < 3 and world.rng.random() < 0.8:
        world.cases.add((key, step + 1))
        return _update(
            "case_worked_on", "service_case", key, "case_status", ("Working", "Waiting on Customer", "Resolved")[step]
        )
    return _update("case_closed", "service_case", key, "case_closed")


def describe_product(world: World) -> list[Transaction]:
    product = choose(world.rng, world.products)
    return _update("product_described", "product", product.crm_id, "product_text", vocabulary.filler(world.rng, 18))
