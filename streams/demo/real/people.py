"""People who use Creme and Tryton: sales win deals in the one, warehouse and finance fulfil them in the other.

In: a running `RealPair`. Out: what they did, as a `Done`. Nobody here touches a database: everything is a form of Creme
or a button of Tryton, pressed by somebody who may.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from random import Random
from typing import Any

import httpx
import msgspec

from streams.demo.real.creme import CremeRefused, CremeSession
from streams.demo.real.pair import RealPair
from streams.demo.real.tryton import TrytonRefused, TrytonSession
from streams.simulator import vocabulary

STOCK = 100_000.0
"""Pieces of each product at the start."""

PRODUCTS = ("Pump", "Valve", "Filter", "Hose", "Motor", "Sensor", "Gasket", "Bearing")
"""No more than a page of Creme's list shows."""

WON = "Won"


class Won(msgspec.Struct, frozen=True):
    """A deal that was won: what its quote is worth, and when (seconds since 1970)."""

    amount: Decimal
    at: float


class Done(msgspec.Struct):
    """What people did."""

    customers: int = 0
    won: dict[int, Won] = {}
    """Ids in Creme of the deals that were won."""
    shipped: int = 0
    invoiced: int = 0
    paid: int = 0
    refused: list[str] = []
    """What a system said no to, in its words."""


class People:
    """Sales, warehouse and finance, each with a session and a thread of their own while they work."""

    def __init__(self, pair: RealPair, seed: int) -> None:
        self._pair = pair
        self._rng = Random(seed)
        self.done = Done()
        self._stop = threading.Event()
        self._products: list[int] = []
        self._prices: list[Decimal] = []
        self._customers: list[int] = []
        self._threads: list[threading.Thread] = []

    def prepare(self) -> None:
        """The same products in both systems, and goods on stock. A second run adds none."""
        sales, admin = self._pair.creme.session("sales"), self._pair.tryton.session("admin")
        with contextlib.closing(sales), contextlib.closing(admin):
            kinds = list(sales.choices("/products/product/add", "cform_extra-products_subcategory").values())
            self._products = sales.links("/products/products", r"/products/product/(\d+)")
            prices = Random(1)
            for number, name in enumerate(PRODUCTS):
                code, price = str(1001 + number), Decimal(prices.randrange(500, 50_000)) / 100
                if not admin.ids("product.product", ["code", "=", code]):
                    self._add_product(admin, name, code, price)
                self._fill_stock(admin, code)
                if number >= len(self._products):
                    values = {
                        "name": name, "code": code, "unit_price": price, "unit": "pcs",
                        "cform_extra-products_subcategory": kinds[-1],
                    }  # fmt: skip
                    self._products.append(sales.fill("/products/product/add", values))
                self._prices.append(price)

    def _add_product(self, admin: TrytonSession, name: str, code: str, price: Decimal) -> None:
        unit, category = self._pair.tryton.numbers["unit"], self._pair.tryton.numbers["category"]
        admin.create(
            "product.template",
            {
                "name": name,
                "type": "goods",
                "default_uom": unit,
                "sale_uom": unit,
                "salable": True,
                "list_price": price,
                "account_category": category,
                "products": [["create", [{"suffix_code": code}]]],
            },
        )

    def _fill_stock(self, admin: TrytonSession, code: str) -> None:
        """Count a product into the storage, once."""
        (product,) = admin.ids("product.product", ["code", "=", code])
        if admin.ids("stock.inventory.line", ["product", "=", product], ["inventory.state", "=", "done"]):
            return
        line = {"product": product, "quantity": STOCK}
        location = self._pair.tryton.numbers["storage"]
        (inventory,) = admin.create("stock.inventory", {"location": location, "lines": [["create", [line]]]})
        admin.press("stock.inventory", "confirm", inventory)

    def work(self, seconds: float, per_second: float, show: Callable[[Done], object]) -> None:
        """Win deals at this rate for so long; warehouse and finance go on until `settle`. Raises what one of them
        raised.
        """
        failures: list[BaseException] = []

        def run(role: Callable[[], None]) -> None:
            try:
                role()
            except BaseException as error:
                failures.append(error)
                self._stop.set()

        self._threads = [
            threading.Thread(target=run, args=[role], name=role.__name__, daemon=True)
            for role in (self._warehouse, self._finance)
        ]
        for thread in self._threads:
            thread.start()
        sales = self._pair.creme.session("sales")
        with contextlib.closing(sales):
            won = str(sales.choices("/opportunities/opportunity/add", "sales_phase")[WON])
            start = time.monotonic()
            number = 0
            while time.monotonic() - start < seconds and not self._stop.is_set():
                with self._takes_no():
                    self._win(sales, won)
                number += 1
                show(self.done)
                self._stop.wait(max(0.0, start + number / per_second - time.monotonic()))
        if failures:
            raise failures[0]

    def settle(self, is_settled: Callable[[], bool], seconds: float) -> bool:
        """Wait until nothing is left to do, then let everybody go home; whether that came in time."""
        end = time.monotonic() + seconds
        settled = False
        while time.monotonic() < end and not self._stop.is_set() and not settled:
            self._stop.wait(1.0)
            settled = is_settled()
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        return settled

    # -- what each does

    def _win(self, sales: CremeSession, won: str) -> None:
        """A company, a deal with it, a quote with one to four lines; then the deal is won."""
        rng = self._rng
        known = self._customers
        if known and rng.random() < 0.5:
            customer = known[int(rng.random() * len(known))]
        else:
            firm = vocabulary.firm(rng, len(known) + int(time.time()) % 100_000 * 100)
            customer = sales.fill(
                "/persons/organisation/add",
                {
                    "name": firm.name, "email": firm.email, "tvaintra": firm.tax_id or "",
                    "phone": vocabulary.typed_phone(rng, firm.country, firm.phone),
                    "billing_address-address": firm.street,
                    "billing_address-city": firm.city, "billing_address-zipcode": firm.postal_code,
                    "billing_address-country": firm.country.iso,
                },
            )  # fmt: skip
            known.append(customer)
            self.done.customers += 1
        target = json.dumps({"ctype": {"id": self._pair.creme.numbers["organisation"]}, "entity": customer})
        deal = sales.fill(
            "/opportunities/opportunity/add",
            {"name": f"Deal {len(self.done.won) + 1}", "cform_extra-opportunities_target": target},
        )
        sales.press(f"/opportunities/opportunity/generate_new_doc/{deal}/{self._pair.creme.numbers['quote']}")
        (quote,) = sales.links(f"/opportunities/opportunity/{deal}", r"/billing/quote/(\d+)")
        amount = Decimal(0)
        for number in rng.sample(range(len(PRODUCTS)), 1 + int(rng.random() * 4)):
            quantity = 1 + int(rng.random() * 20)
            line = {"items": json.dumps([self._products[number]]), "quantity": quantity}
            sales.fill(f"/billing/{quote}/product_line/add_multiple", line)
            amount += quantity * self._prices[number]
        at = time.time()
        sales.fill(f"/opportunities/opportunity/edit/{deal}", {"sales_phase": won})
        self.done.won[deal] = Won(amount, at)

    def _warehouse(self) -> None:
        person = self._pair.tryton.session("warehouse")
        with contextlib.closing(person):
            while not self._stop.wait(0.5):
                for state, button in (
                    ("waiting", "assign_try"),
                    ("assigned", "pick"),
                    ("picked", "pack"),
                    ("packed", "do"),
                ):
                    for shipment in person.ids("stock.shipment.out", ["state", "=", state]):
                        with self._takes_no():
                            person.press("stock.shipment.out", button, shipment)
                            self.done.shipped += button == "do"

    def _finance(self) -> None:
        person = self._pair.tryton.session("finance")
        with contextlib.closing(person):
            while not self._stop.wait(0.7):
                for invoice in person.ids("account.invoice", ["state", "=", "draft"], ["type", "=", "out"]):
                    with self._takes_no():
                        person.press("account.invoice", "post", invoice)
                        self.done.invoiced += 1
                for invoice in person.ids("account.invoice", ["state", "=", "posted"], ["type", "=", "out"]):
                    with self._takes_no():
                        _pay(person, invoice)
                        self.done.paid += 1

    @contextlib.contextmanager
    def _takes_no(self) -> Iterator[None]:
        """People note a refusal, and try again later."""
        try:
            yield
        except (TrytonRefused, CremeRefused, httpx.HTTPError) as error:
            if len(self.done.refused) < 20:
                self.done.refused.append(str(error)[:300])


def _pay(person: TrytonSession, invoice: int) -> None:
    """Pay an invoice in full, by Tryton's wizard."""
    context = {"active_model": "account.invoice", "active_id": invoice, "active_ids": [invoice]}
    wizard = "wizard.account.invoice.pay"
    session, start, _ = person.call(f"{wizard}.create")
    person.context, before = {**person.context, **context}, person.context
    try:
        form: dict[str, Any] = person.call(f"{wizard}.execute", session, {}, start)
        # Names of records, for people to read, come with a dot in their key.
        values = {name: value for name, value in form["view"]["defaults"].items() if "." not in name}
        values["payment_method"] = person.ids("account.invoice.payment.method", limit=1)[0]
        person.call(f"{wizard}.execute", session, {form["view"]["state"]: values}, "choice")
    finally:
        person.context = before
        person.call(f"{wizard}.delete", session)
