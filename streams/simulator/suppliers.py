"""The suppliers of the simulated company."""

from __future__ import annotations

from streams.simulator import vocabulary
from streams.simulator.deliveries import added
from streams.simulator.documents import Product, Supplier
from streams.simulator.session import Row
from streams.simulator.world import ERP, Transaction, World

COUNT = 24
LATE = 3
"""One in so many is late."""
FIRST_FIRM = 8_000_000
"""Numbers of firms that no customer has: tax numbers of customers come from numbers below."""
BUYERS = ("PM", "QS", "RT")


def hire(world: World) -> list[Transaction]:
    """The transaction that creates the suppliers, unless the company has some."""
    if world.suppliers:
        return []
    rows = supplier_rows(world)
    return [Transaction(ERP, "suppliers_created", *added("supp", rows))]


def supplier_rows(world: World) -> list[Row]:
    """New suppliers: remembered, and their values for ERP_INSERTS["supp"]. Two of them are customers, too."""
    rng = world.rng
    rows: list[Row] = []
    for place in range(COUNT):
        firm, customer = vocabulary.firm(rng, FIRST_FIRM + place), None
        if place % 12 == 5 and (known := world.erp_customers.pick(rng)) is not None:
            firm, customer = known.firm, known.erp_id
        supplier = Supplier(world.ids.next("supp"), is_late(place))
        world.suppliers.append(supplier)
        land = firm.country
        rows.append(
            [
                supplier.id, firm.legal_name, firm.tax_id, customer, firm.street, firm.postal_code, firm.city, land.iso,
                vocabulary.national_phone(land, firm.phone), f"verkauf@{firm.domain}", "EUR", "30N",
                5 + int(rng.random() * 20), BUYERS[place % 3], world.day(-900),
            ]
        )  # fmt: skip
    return rows


def is_late(place: int) -> bool:
    return place % LATE == 2


def place_of(product: Product) -> int:
    """The place of a product's supplier among the suppliers."""
    return product.number // 6 * 5 % COUNT if product.family != 3 else product.number // 12 % COUNT
