"""Documents that came into the ERP through an interface: the company takes them over and goes on with them as its own.

Orders get a promised day and reservations; their other goods are bought or made, by the requests that came for them
through the interface, else by the company itself. Returns are approved and taken in; their credit notes are not
written here.
"""

from __future__ import annotations

import dataclasses
import time
from random import Random
from typing import Any

import psycopg

from streams.simulator import supply
from streams.simulator.deliveries import added
from streams.simulator.documents import Order, OrderLine, Portion, Return, Supply
from streams.simulator.session import Statement
from streams.simulator.world import ERP, Pool, Touched, Transaction, World

EVERY = 1.0
"""Seconds between two searches."""
REQUESTED_WITHIN = 15.0
"""Seconds after which the company itself buys or makes what no interface requested."""


class Adoption:
    """What was taken over. `world` has these orders and drafts, separate from the company's own."""

    def __init__(self, world: World, erp: psycopg.Connection[tuple[Any, ...]], rng: Random) -> None:
        self.world = dataclasses.replace(world, rng=rng, drafts=Pool(), orders=Pool(), closed=Pool())
        self._erp = erp
        self._orders: set[int] = set()
        self._returns: set[int] = set()
        self._awaited: dict[int, tuple[Order, OrderLine, float]] = {}
        """Order line → its order, itself, and when the company buys or makes it by itself."""

    def take_over(self) -> list[Transaction]:
        """Look for what is new; what the company does with it at once."""
        made = self._take_orders()
        self._take_requests()
        self._take_returns()
        return made

    def _take_orders(self) -> list[Transaction]:
        newest = max(self._orders, default=0)
        orders = self._erp.execute(
            "SELECT id, cust_id, curr, stat, so_no, coalesce(whs, 'BER') FROM erp.so_head"
            " WHERE ext_ref IS NOT NULL AND id > %s AND stat IN (10, 20) ORDER BY id LIMIT 1000",
            [newest - 10_000],
        ).fetchall()
        products = {product.erp_id: product for product in self.world.products}
        made: list[Transaction] = []
        for key, customer, currency, status, number, whs in orders:
            if key in self._orders:
                continue
            rows = self._erp.execute(
                "SELECT id, item_id, (qty * 1000)::bigint, (price * 100000)::bigint, coalesce(disc, 0)::int"
                " FROM erp.so_line WHERE so_id = %s ORDER BY pos",
                [key],
            ).fetchall()
            if not rows or any(item not in products for _, item, *_ in rows):
                continue  # half written, or with new products: the next search takes it
            self._orders.add(key)
            lines = [
                OrderLine(line, products[item], quantity, price, discount)
                for line, item, quantity, price, discount in rows
            ]
            order = Order(key, customer, currency, lines, status, number, whs, for_deal=True)
            if status == 10:
                self.world.drafts.add(order)
            else:
                self.world.orders.add(order)
                made.append(self._promise(order))
        return made

    def _promise(self, order: Order) -> Transaction:
        """The sales office promises a day and keeps what is in stock."""
        order.promised = 5 + int(self.world.rng.random() * 20)
        by_itself = time.monotonic() + REQUESTED_WITHIN
        stocked = [line for line in order.lines if line.product.way in (None, "S")]
        for line in order.lines:
            if line not in stocked:
                self._awaited[line.id] = (order, line, by_itself)
        kept, facts = supply.secure(self.world, order, stocked)
        statements: list[Statement] = [("so_promise", (order.id, self.world.day(order.promised)))]
        touched: list[Touched] = [("erp.so_head", str(order.id), "u")]
        more, more_touched = added("rsv", kept)
        return Transaction(ERP, "order_promised", statements + more, touched + more_touched, facts=facts)

    def _take_requests(self) -> None:
        if not self._awaited:
            return
        suppliers = {supplier.id: supplier for supplier in self.world.suppliers}
        rows = self._erp.execute(
            "SELECT h.id, h.kind, h.supp_id, l.id, l.so_line_id, (l.qty * 1000)::bigint"
            "  FROM erp.po_line l JOIN erp.po_head h ON h.id = l.po_id"
            " WHERE l.so_line_id = ANY(%(lines)s) AND h.ext_ref IS NOT NULL AND h.stat = 5"
            " UNION ALL SELECT h.id, 'M', NULL, l.id, l.so_line_id, (l.qty * 1000)::bigint"
            "  FROM erp.pr_line l JOIN erp.pr_head h ON h.id = l.pr_id"
            " WHERE l.so_line_id = ANY(%(lines)s) AND h.ext_ref IS NOT NULL AND h.stat = 5 ORDER BY 2, 1, 4",
            {"lines": list(self._awaited)},
        ).fetchall()
        documents: dict[tuple[str, int], Supply] = {}
        for key, kind, supplier, portion, line_id, quantity in rows:
            order, line, _ = self._awaited.pop(line_id)
            document = documents.get((kind, key))
            if document is None:
                due = max(1, order.promised - 2)
                document = documents[kind, key] = Supply(
                    key, kind, [], suppliers.get(supplier), 5, due, due, needed=order.promised
                )
                order.waits.append(document)
                self.world.supplies.add(document)
            document.parts.append(Portion(portion, line.product, quantity, order, line))
        now = time.monotonic()
        for line_id, (order, line, by_itself) in list(self._awaited.items()):
            if now > by_itself:
                del self._awaited[line_id]
                supply.want(self.world, order, line, line.quantity)

    def _take_returns(self) -> None:
        rows = self._erp.execute(
            "SELECT h.id, h.so_id, h.cust_id, h.curr, coalesce(h.whs, 'BER'), h.wish, l.id, l.item_id,"
            " (l.qty * 1000)::bigint FROM erp.ret_head h JOIN erp.ret_line l ON l.ret_id = h.id"
            " WHERE h.ext_ref IS NOT NULL AND h.stat = 10 ORDER BY h.id, l.id LIMIT 1000"
        ).fetchall()
        products = {product.erp_id: product for product in self.world.products}
        came: dict[int, Return] = {}
        for key, sales_order, customer, currency, whs, wish, line_id, item, quantity in rows:
            if key in self._returns or item not in products:
                continue
            if key not in came:
                order = Order(sales_order or 0, customer, currency, [], warehouse=whs)
                came[key] = Return(key, order, [], wish=wish, by_staff=False)
                self.world.returns.add(came[key])
            came[key].lines.append((line_id, OrderLine(0, products[item], quantity, 0, 0), quantity))
        self._returns |= set(came)
