"""Purchasing, production and service in the history of past years, as rows to copy.

The ERP keeps purchase and production orders of the last four months; older ones were archived.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from streams.simulator import production, purchases, service, supply
from streams.simulator.documents import Order, OrderLine, Portion, Product, Supply
from streams.simulator.statements import ERP_INSERTS
from streams.simulator.suppliers import supplier_rows
from streams.simulator.vocabulary import UNITS
from streams.simulator.world import Fact, Transaction, World, as_quantity

TABLES = (
    "rsv", "po_head", "po_line", "gr_head", "gr_line", "sinv", "pr_head", "pr_line", "inst", "ctr",
    "ret_head", "ret_line",
)  # fmt: skip
"""In the order in which they are copied."""

TableRows = dict[str, list[Sequence[object]]]


def master_rows(world: World, products: list[Product]) -> TableRows:
    """Suppliers, and the bill of materials of each product that is made."""
    rows: TableRows = {"supp": list(supplier_rows(world)), "bom_head": [], "bom_line": []}
    components = [product for product in products if product.way == "S"]
    for product in products:
        if product.way != "M" or not components:
            continue
        key, unit = world.ids.next("bom_head"), UNITS[product.unit][1]
        rows["bom_head"].append([key, product.erp_id, "1", 1.0, unit])
        for number in range(1, 4):
            portion = components[int(world.rng.random() * len(components))]
            quantity = float(1 + int(world.rng.random() * 8))
            rows["bom_line"].append(
                [world.ids.next("bom_line"), key, number * 10, portion.erp_id, quantity, UNITS[portion.unit][1]]
            )
    return rows


def open_rows(world: World, order: Order, rows: TableRows) -> list[Fact]:
    """An order that waits: stock is kept, and nine in ten of its other goods are ordered or planned. The facts that
    were planted.
    """
    kept, facts = supply.secure(world, order)
    rows["rsv"] += kept
    for line in order.lines:
        if line.needed <= 0 or world.rng.random() < (0.7 if line.product.way == "S" else 0.1):
            continue
        if line.product.way == "M":
            for planned in production.take_wishes(world, line):
                _date(world, planned)
                planned.status = 10 if world.rng.random() < 0.5 else 20
                _add(world, planned, rows)
        elif (bought := purchases.take_wishes(world, order, line)) is not None:
            _date(world, bought)
            bought.status = 30
            assert bought.supplier is not None
            if bought.supplier.late:
                facts += purchases.move_date(world, bought)
            _add(world, bought, rows)
    return facts


def _date(world: World, planned: Supply) -> None:
    planned.due = planned.expected = max(1, planned.needed - 1 - int(world.rng.random() * 5))


def _add(world: World, planned: Supply, rows: TableRows) -> None:
    world.supplies.add(planned)
    _rows_of_document(world, planned, rows)


def _rows_of_document(world: World, document: Supply, rows: TableRows) -> None:
    of, parts = ("pr", production.production_rows) if document.kind == "M" else ("po", purchases.purchase_rows)
    head, lines = parts(world, document)
    rows[f"{of}_head"].append(head)
    rows[f"{of}_line"] += lines


def past_rows(world: World, order: Order, rows: TableRows, age: int) -> None:
    """What supplied an order that was shipped `age` days ago: reservations that were picked, purchases that were
    received and paid, production that was finished.
    """
    for line in order.lines:
        way, item = line.product.way, line.product.erp_id
        if way == "S":
            key = world.ids.next("rsv")
            rows["rsv"].append([key, order.id, line.id, item, order.warehouse, as_quantity(line.quantity), "K"])
        elif way is not None:
            _past_document(world, order, line, rows, age)


def _past_document(world: World, order: Order, line: OrderLine, rows: TableRows, age: int) -> None:
    way = line.product.way
    table, kind = ("pr_line", "M") if way == "M" else ("po_line", "D" if way == "D" else "N")
    portion = Portion(world.ids.next(table), line.product, line.quantity, order, line, arrived=line.quantity)
    supplier = None
    if kind != "M":
        supplier = world.suppliers[purchases.key_of(order, line)[0] % len(world.suppliers)]
    key = world.ids.next(f"{table[:2]}_head")
    day = -age - 1
    document = Supply(key, kind, [portion], supplier, status=80, due=day, expected=day, needed=day)
    _rows_of_document(world, document, rows)
    if kind == "N":
        receipt, unit = world.ids.next("gr_head"), UNITS[line.product.unit][1]
        when = f"{world.iso_day(-age - 1)} 09:00"
        rows["gr_head"].append([receipt, key, "R", order.warehouse, f"LS-{receipt}", when, when])
        rows["gr_line"].append(
            [world.ids.next("gr_line"), receipt, 10, portion.id, line.product.erp_id, as_quantity(line.quantity), None,
             unit, None]
        )  # fmt: skip
    if kind != "M":
        rows["sinv"].append(purchases.bill_row(world, document, "30", max(0, age - 10)))


def returned_rows(world: World, count: int) -> TableRows:
    """So many returns that customers have asked for."""
    rows: TableRows = {"ret_head": [], "ret_line": []}
    for _ in range(count):
        for made in service.start_return(world) if len(world.closed) else ():
            if made.operation == "return_requested":
                _collect(made, rows)
    return rows


def _collect(made: Transaction, rows: TableRows) -> None:
    for name, values in made.statements:
        table = name.removeprefix("insert_").rpartition("_")[0]
        width = len(ERP_INSERTS[table])
        rows[table] += [values[start : start + width] for start in range(0, len(values), width)]


def make_partners(world: World, erp: psycopg.Connection[Any]) -> None:
    """Two of the suppliers are customers, too: one partner, two roles."""
    for supplier in world.suppliers[5::12]:
        customer = world.erp_customers.pick(world.rng)
        if customer is not None:
            erp.execute(
                "UPDATE erp.supp SET cust_id = %s, name1 = %s, vat_no = %s, ctry = %s"
                " WHERE id = %s AND cust_id IS NULL",
                [
                    customer.erp_id,
                    customer.firm.legal_name,
                    customer.firm.tax_id,
                    customer.firm.country.iso,
                    supplier.id,
                ],
            )
