"""What the simulated company remembers of its products, customers, deals, orders, purchases, production and returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.simulator.vocabulary import Firm

WAYS = ("S", "B", "M", "D")
"""From stock, bought to order, made to order, drop shipment: codes of `erp.item.way`."""


def way_of(number: int, family: int) -> str | None:
    """How product `number` is supplied; None for work. Of a hundred goods about 60 come from stock, 20 are bought and
    15 made to order, 5 go from the supplier to the customer.
    """
    turn = number // 6
    if family == 5:
        return None
    if family == 2:
        return "M" if turn % 4 else "S"
    if family == 3:
        return "B" if turn % 2 else "S"
    if family == 1:
        return "B" if turn % 2 else "S"
    return "D" if family == 4 and turn % 4 == 1 else "S"


@dataclass(slots=True)
class Product:
    number: int
    sku: str
    crm_id: str
    erp_id: int
    family: int
    unit: int
    price: int
    """In 1/100,000 of a unit of currency."""
    tax: str

    @property
    def way(self) -> str | None:
        """How it is supplied: a code of `erp.item.way`."""
        return way_of(self.number, self.family)


@dataclass(slots=True)
class Customer:
    firm: Firm
    crm_id: str | None = None
    erp_id: int | None = None
    blocked: bool = False
    contacts: list[str] = field(default_factory=list)
    busy: bool = False
    """Has an order or a deal: it is not deleted."""

    @property
    def shared(self) -> bool:
        return self.crm_id is not None and self.erp_id is not None


@dataclass(slots=True)
class DealLine:
    id: str
    product: Product
    quantity: int
    price: int
    """Cents."""
    discount: int
    """Percent."""

    @property
    def net(self) -> int:
        """Cents."""
        return (self.quantity * self.price * (100 - self.discount) + 50) // 100


@dataclass(slots=True)
class Deal:
    id: str
    customer: Customer
    stage: int
    lines: list[DealLine]


@dataclass(slots=True)
class OrderLine:
    id: int
    product: Product
    quantity: int
    """Thousandths."""
    price: int
    discount: int
    shipped: int = 0
    invoiced: int = 0
    ready: int = 0
    """What of it was kept, came in or was made."""
    needed: int = 0
    """What of it nobody has kept, ordered or planned yet."""
    kept: int | None = None
    """Id of its reservation, until that is picked."""
    returned: bool = False

    @property
    def sendable(self) -> int:
        """What can be shipped now."""
        return min(self.ready, self.quantity) - self.shipped


@dataclass(slots=True)
class Order:
    id: int
    customer_id: int
    currency: str
    lines: list[OrderLine]
    status: int = 10
    number: str | None = None
    """Given by the ERP; known once the transaction was answered."""
    warehouse: str = "BER"
    discount: int = 0
    """Percent of all lines, beside their own."""
    freight: int = 0
    """Cents that were not billed yet."""
    billed: int = 0
    """Cents of lines that were billed, before `discount`."""
    promised: int = 0
    """Days from today until the promised day."""
    customer: Customer | None = None
    deliveries: list[Delivery] = field(default_factory=list)
    """Those that are not there yet."""
    waits: list[Supply] = field(default_factory=list)
    """Purchase and production orders for it that are not complete."""
    open_invoices: list[Invoice] = field(default_factory=list)
    settled: list[Invoice] = field(default_factory=list)
    for_deal: bool = False
    """It is the order of an opportunity that was won. The company neither deletes nor cancels it: a won deal without an
    order breaks a business rule, and `opshub flow check` after a demo would list what nobody planted."""

    def __str__(self) -> str:
        """Its number, by which other documents refer to it."""
        return self.number or ""


@dataclass(slots=True)
class Delivery:
    id: int
    status: str
    sent: list[tuple[OrderLine, int, str | None]]
    """(line, thousandths, serial number)"""


@dataclass(slots=True)
class Invoice:
    id: int
    net: int
    tax: int
    open: int
    """Cents, as are the others."""
    payments: list[tuple[int, int]] = field(default_factory=list)
    """(id, cents) of those that were not reversed."""

    @property
    def gross(self) -> int:
        return self.net + self.tax


@dataclass(slots=True)
class Supplier:
    id: int
    late: bool
    """Its goods come later than it promised: planted, so that the checkers know whom to look for."""


@dataclass(slots=True, eq=False)
class Portion:
    """One line of a purchase or production order. Quantities are thousandths."""

    id: int
    product: Product
    quantity: int
    order: Order | None = None
    """None: for our stock."""
    line: OrderLine | None = None
    arrived: int = 0

    @property
    def open(self) -> int:
        return max(0, self.quantity - self.arrived)


@dataclass(slots=True, eq=False)
class Supply:
    """A purchase order or a production order."""

    id: int
    kind: str
    """N purchase, D drop shipment, M production."""
    parts: list[Portion]
    supplier: Supplier | None = None
    status: int = 20
    due: int = 0
    """Days from today until it was first expected."""
    expected: int = 0
    """Days from today until it is expected now."""
    needed: int = 0
    """Days from today until the first of its orders is promised."""
    moved: bool = False
    is_partial: bool = False

    @property
    def is_late(self) -> bool:
        return self.supplier is not None and self.supplier.late and self.moved


@dataclass(slots=True, eq=False)
class Return:
    id: int
    order: Order
    lines: list[tuple[int, OrderLine, int]]
    """(id, order line, thousandths)"""
    status: int = 10
    wish: str = "G"
    by_staff: bool = True
    """Staff writes its credit note. Of the others write-back does, once somebody approved it."""


@dataclass(slots=True, eq=False)
class Repair:
    id: int
    status: int = 10


@dataclass(slots=True)
class Wishes:
    """What waits to be ordered."""

    to_buy: dict[tuple[int, int], list[tuple[Order, OrderLine]]] = field(default_factory=dict)
    """(place of the supplier, order of a drop shipment or 0) → order lines for which nothing is bought yet."""
    to_make: dict[int, list[tuple[Order, OrderLine]]] = field(default_factory=dict)
    """Product → order lines for which nothing is planned yet."""
    to_repair: list[tuple[str, Customer, Product]] = field(default_factory=list)
    """(service case, customer, product)"""
