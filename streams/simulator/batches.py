"""The applications' batch work: jobs, imports and bulk edits that change many rows in one statement.

Three fifths of all row changes come from these operations, as in real systems with nightly jobs and imports.
"""

from __future__ import annotations

from streams.simulator import vocabulary
from streams.simulator.documents import Product
from streams.simulator.vocabulary import choose
from streams.simulator.world import CRM, ERP, Touched, Transaction, World, as_price


def _customers(world: World, *, shared: bool) -> list[str]:
    """Accounts to change together; with `shared` False only those that the ERP does not know."""
    keys: dict[str, None] = {}
    for _ in range(world.between(world.habits.batch_rows)):
        customer = world.crm_customers.pick(world.rng)
        if customer is not None and customer.crm_id is not None and (shared or not customer.shared):
            keys[customer.crm_id] = None
    return list(keys)


def _products(world: World) -> list[Product]:
    products = {
        product.erp_id: product
        for product in (choose(world.rng, world.products) for _ in range(world.between(world.habits.batch_rows)))
    }
    return list(products.values())


def _accounts(operation: str, statement: str, keys: list[str], value: object) -> list[Transaction]:
    touched: list[Touched] = [("public.account", key, "u") for key in keys]
    return [Transaction(CRM, operation, [(statement, (keys, value))], touched)] if keys else []


def move_territory(world: World) -> list[Transaction]:
    """A sales person takes over a colleague's customers."""
    return _accounts(
        "territory_moved", "accounts_owner", _customers(world, shared=False), choose(world.rng, vocabulary.OWNERS)
    )


def run_campaign(world: World) -> list[Transaction]:
    """Customers are tagged for a campaign."""
    tags = [tag for tag in vocabulary.TAGS if world.rng.random() < 0.3]
    return _accounts("campaign_run", "accounts_tags", _customers(world, shared=True), tags)


def import_prices(world: World) -> list[Transaction]:
    """A new price list."""
    products = _products(world)
    for product in products:
        product.price = max(1_000, product.price * (95 + int(world.rng.random() * 11)) // 100)
    values = ([product.erp_id for product in products], [as_price(product.price) for product in products])
    touched: list[Touched] = [("erp.item", str(product.erp_id), "u") for product in products]
    return [Transaction(ERP, "prices_imported", [("items_price", values)], touched)]


def count_warehouse(world: World) -> list[Transaction]:
    """Stock-taking in one warehouse."""
    products, whs = _products(world), choose(world.rng, vocabulary.WAREHOUSES)
    keys = [product.erp_id for product in products]
    values = (keys, whs, choose(world.rng, (-0.5, 0, 0.25, 1)), world.day(0))
    touched: list[Touched] = [("erp.stock", f"{key}|{whs}", "u") for key in keys]
    return [Transaction(ERP, "warehouse_counted", [("stock_warehouse", values)], touched)]


def run_dunning(world: World) -> list[Transaction]:
    """Invoices that nobody has paid are marked overdue."""
    invoices: dict[int, None] = {}
    for _ in range(world.between(world.habits.batch_rows)):
        order = world.orders.pick(world.rng)
        if order is not None and order.open_invoices:
            invoices[order.open_invoices[0].id] = None
    keys = list(invoices)
    touched: list[Touched] = [("erp.inv_head", str(key), "u") for key in keys]
    return [Transaction(ERP, "dunning_run", [("invoices_overdue", (keys,))], touched)] if keys else []
