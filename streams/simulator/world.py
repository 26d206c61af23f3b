"""What the simulated company remembers: customers, deals, orders, and the running numbers for new ones.

Nothing here uses a database, except that `Ids` hands out keys that the ERP's sequences have reserved. Operations
(`crm_operations`, `erp_operations`) change a `World` and return the transactions that bring the databases to that
state.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Generic, TypeVar

from streams.simulator.documents import Customer, Deal, Order, Product, Repair, Return, Supplier, Supply, Wishes
from streams.simulator.session import Statement

CRM, ERP = "demo-crm", "demo-erp"

Fact = dict[str, Any]
"""One fact that was planted for the checkers, as JSON: see `journal.Journal`."""

T = TypeVar("T")


def zipf(drawn: float, count: int, exponent: float) -> int:
    """Index below `count` for a number drawn from [0, 1): index k comes up about in proportion to 1/(k+1)^exponent."""
    if exponent == 1:
        return min(count, int((count + 1) ** drawn)) - 1
    rest = 1 - exponent
    return min(count, int((drawn * ((count + 1) ** rest - 1) + 1) ** (1 / rest))) - 1


@dataclass(frozen=True, slots=True)
class Habits:
    """How a load test changes the way in which the company works."""

    mix: tuple[tuple[str, float], ...] = ()
    """(operation, weight) in place of the usual weights; operations that are not named keep theirs."""
    skew: float = 0.0
    """Zipf exponent: with a large one, a few customers, deals and orders get most of the work. 0: all the same."""
    batch_rows: tuple[int, int] = (40, 160)
    """Rows of one transaction of the jobs, fewest and most."""
    order_lines: tuple[int, int] = (1, 7)
    """Lines of an order, fewest and most."""


USUAL = Habits()

Touched = tuple[str, str, str]
"""(table, key as text, op): one row change of a transaction; `op` is c, u or d, as Debezium writes it."""


@dataclass(slots=True)
class Transaction:
    """One transaction of one application.

    `touched` has every row change that it makes, those of triggers included. After the commit, `returned` is called
    with what the statements returned, and `facts` go to the journal.
    """

    system: str
    operation: str
    statements: list[Statement]
    touched: list[Touched]
    returned: Callable[[list[bytes | None]], None] | None = None
    facts: list[Fact] = field(default_factory=list)
    needs: Order | None = None
    """An order whose number must be known before this can be sent."""
    after: tuple[tuple[str, str], ...] = ()
    """(table, key) of rows that it does not change, but whose earlier transactions must be committed before."""


class Pool(Generic[T]):
    """A collection from which a random item is read or removed in constant time."""

    __slots__ = ("_items", "_last", "skew")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._last = 0
        self.skew = 0.0
        """Zipf exponent of `pick`; 0: all items are picked equally often."""

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._items)

    def add(self, item: T) -> None:
        self._items.append(item)

    def pick(self, rng: Random) -> T | None:
        """A random item, which stays in the pool."""
        items = self._items
        if not items:
            return None
        self._last = zipf(rng.random(), len(items), self.skew) if self.skew else int(rng.random() * len(items))
        return items[self._last]

    def take(self, rng: Random) -> T | None:
        """A random item, which leaves the pool."""
        items = self._items
        if not items:
            return None
        index = int(rng.random() * len(items))
        items[index], items[-1] = items[-1], items[index]
        return items.pop()

    def remove(self, item: T) -> None:
        """Remove this item: fast for the one that `pick` returned last, by a search for others."""
        items = self._items
        index = (
            self._last
            if self._last < len(items) and items[self._last] is item
            else next(i for i, other in enumerate(items) if other is item)
        )
        items[index] = items[-1]
        items.pop()


class Ids:
    """Keys for new ERP rows, in blocks: `reserve(table, n)` gives n keys that nobody else gets."""

    def __init__(self, reserve: Callable[[str, int], list[int]], block: int = 2_000) -> None:
        self._reserve = reserve
        self._block = block
        self._left: dict[str, list[int]] = {}

    def next(self, table: str) -> int:
        left = self._left.get(table)
        if not left:
            left = self._left[table] = self._reserve(table, self._block)[::-1]
        return left.pop()


@dataclass(slots=True)
class World:
    """Everything that an operation reads and changes. `next_firm` is a number that no earlier run has used."""

    rng: Random
    ids: Ids
    today: dt.date
    shared: float = 0.05
    """Share of new customers that both systems know."""
    conflicting: float = 0.02
    """Share of new customers that both know and on which they disagree."""
    orders_by_hand: bool = False
    next_firm: int = 0
    habits: Habits = USUAL
    products: list[Product] = field(default_factory=list)
    crm_customers: Pool[Customer] = field(default_factory=Pool)
    erp_customers: Pool[Customer] = field(default_factory=Pool)
    both_customers: Pool[Customer] = field(default_factory=Pool)
    deals: Pool[Deal] = field(default_factory=Pool)
    drafts: Pool[Order] = field(default_factory=Pool)
    orders: Pool[Order] = field(default_factory=Pool)
    """Confirmed and not finished."""
    closed: Pool[Order] = field(default_factory=Pool)
    cases: Pool[tuple[str, int]] = field(default_factory=Pool)
    """(id, how far it has got)"""
    suppliers: list[Supplier] = field(default_factory=list)
    supplies: Pool[Supply] = field(default_factory=Pool)
    """Purchase and production orders that are not done."""
    wishes: Wishes = field(default_factory=Wishes)
    returns: Pool[Return] = field(default_factory=Pool)
    repairs: Pool[Repair] = field(default_factory=Pool)
    deleted_contacts: Pool[str] = field(default_factory=Pool)
    deleted_accounts: Pool[Customer] = field(default_factory=Pool)

    def __post_init__(self) -> None:
        for pool in (self.crm_customers, self.erp_customers, self.both_customers, self.deals, self.drafts, self.orders):
            pool.skew = self.habits.skew

    def between(self, bounds: tuple[int, int]) -> int:
        """One of the numbers from the first bound to the second."""
        fewest, most = bounds
        return fewest + int(self.rng.random() * (most - fewest + 1))

    def uuid(self) -> str:
        """A version 4 UUID from the seed."""
        text = f"{self.rng.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    def day(self, offset: int) -> int:
        """yyyymmdd of today + `offset` days."""
        day = self.today + dt.timedelta(days=offset)
        return day.year * 10_000 + day.month * 100 + day.day

    def iso_day(self, offset: int) -> str:
        return (self.today + dt.timedelta(days=offset)).isoformat()


def cents(amount: int) -> str:
    """An amount in cents as decimal text."""
    sign = "-" if amount < 0 else ""
    amount = abs(amount)
    return f"{sign}{amount // 100}.{amount % 100:02d}"


def as_quantity(thousandths: int) -> float:
    """A quantity as the ERP keeps it."""
    return thousandths / 1000


def quantity_of(drawn: float, product: Product) -> int:
    """Thousandths: whole pieces, anything for what is weighed or measured."""
    if product.unit == 0:
        return (1 + int(drawn**3 * 300)) * 1000
    return 1 + int(drawn**3 * 300_000)


def as_price(hundred_thousandths: int) -> str:
    """A price as the ERP keeps it, with five decimals."""
    return f"{hundred_thousandths // 100_000}.{hundred_thousandths % 100_000:05d}"


def line_net(quantity: int, price: int, discount: int) -> int:
    """Net of an order line in cents, rounded as the ERP's trigger does.

    Quantity in thousandths, price in 1/100,000, discount in percent.
    """
    return (quantity * price * (100 - discount) + 50_000_000) // 100_000_000


TAX = {"V1": 19, "V2": 7, "V0": 0}


def tax_of(net: int, code: str, discount: int = 0) -> int:
    """Cents of tax on `net` cents less `discount` percent, half up."""
    return (net * (100 - discount) * TAX[code] + 5_000) // 10_000


def discount_of(net: int, discount: int) -> int:
    """Cents that `discount` percent of `net` cents are, half up."""
    return (net * discount + 50) // 100
