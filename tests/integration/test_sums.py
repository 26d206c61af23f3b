"""What is summed over many records, on a real hub: marked with the change, summed once it is due, told to the one writer."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from streams.hub.store import HubStore
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.names import HUB, changes_topic
from streams.pipeline.assemble import Assemble
from streams.pipeline.sums import Sums
from streams.resolve.golden import Ownership
from streams.verify.sum_check import wrong_sums
from streams.writeback.planner import IntentPlanner
from tests.integration.place import Place
from tests.writers import Sent

EURO, PIECE = 10_000, 1_000_000
TODAY = (datetime.now(UTC).date() - date(1970, 1, 1)).days


@pytest.fixture
async def worker(place: Place) -> AsyncIterator[Worker]:
    made = Worker(place)
    yield made
    await made.store.close()


class Topic:
    """What is sent, kept."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Change]] = []

    def produce(self, topic: str, key: bytes, value: Any, on_delivery: Any) -> None:
        self.sent.append((topic, key.decode(), value))
        on_delivery(None, None)

    def flush(self, _: float) -> int:
        return 0


class Worker:
    """Assemble and what sums beside it; changes that go to other aggregates are settled in turn."""

    def __init__(self, place: Place) -> None:
        self.place, self.topic = place, Topic()
        self.store = HubStore(place.hub, "test")

        def message(*of: Any) -> tuple[Any, ...]:
            return "a topic", b"", b""

        self.assemble = Assemble(
            self.store, lambda change: change, lambda change: change, message, Ownership(), 1000, message, IntentPlanner(place.rules)  # type: ignore[arg-type, return-value]
        )  # fmt: skip
        self.summing = Sums(self.store, self.topic, lambda change: change)  # type: ignore[arg-type, return-value]

    async def say(self, *told: tuple[str, str, Change]) -> None:
        """(kind, aggregate, change), and what follows from it."""
        left = [(changes_topic(kind), key, change) for kind, key, change in told]
        while left:
            outputs, dead = await self.assemble.step([Sent(*one) for one in left])
            assert not dead
            left = [(o.topic, o.key.decode(), o.value) for o in outputs if o.topic.startswith("changes.")]

    async def sum(self, seconds: int = 60) -> list[Change]:
        """So many seconds later: what was summed and told."""
        self.place.db.execute("UPDATE due SET at = at - make_interval(secs => %s)", [seconds])
        self.assemble.committer.due.clear()
        for kind in ("customer", "product"):
            while await self.summing.sum_due(kind):
                pass
        while await self.summing.cases.make_due():
            pass
        told, self.topic.sent = self.topic.sent, []
        await self.say(*((topic.removeprefix("changes."), key, change) for topic, key, change in told))
        return [change for _, _, change in told]

    def record(self, entity: str, of: str) -> dict[str, Any] | None:
        row = self.place.db.execute(
            "SELECT record FROM entity WHERE id = %s AND NOT deleted AND merged_into IS NULL",
            [source_id(HUB, entity, of)],
        ).fetchone()
        return row[0] if row else None


class Books:
    """A customer and its documents, as the ERP says them."""

    def __init__(self, place: Place, system: str = "demo-erp") -> None:
        self.place, self.system, self.key = place, system, uuid.uuid4().hex[:8]
        self.id = source_id(system, "customer", self.key)

    def customer(self, **more: Any) -> tuple[str, str, Change]:
        said = self.place.change(self.system, "customer", self.key, name="Ada", currency="EUR", **more)
        return "customer", self.id, said

    def bill(self, number: str, amount: int, due: int | None, **more: Any) -> tuple[str, str, Change]:
        fields = {"kind": "invoice", "status": "open", "currency": "EUR"} | more
        order = source_id("demo-erp", "sales_order", f"{self.key}-{number}")
        said = self.place.change(
            "demo-erp", "invoice", f"{self.key}-{number}", order, number=number, customer_id=fields.pop("customer", self.id),
            open_amount=amount * EURO, due_date=due, **fields,
        )  # fmt: skip
        return "order_flow", order, said


async def test_receivables_are_summed_by_currency_and_due_date(place: Place, worker: Worker) -> None:
    books = Books(place)
    await worker.say(
        books.customer(),
        books.bill("1", 100, TODAY - 1),
        books.bill("2", 60, TODAY + 5),
        books.bill("3", 10, TODAY - 9, kind="credit_note"),
        books.bill("4", 500, TODAY - 9, status="cancelled"),
        books.bill("5", 500, TODAY - 9, status="draft"),
        books.bill("6", 7, TODAY - 9, currency="USD"),
        books.bill("7", 30, TODAY + 3, status="overdue"),
        books.bill("8", 0, TODAY - 9, status="paid"),
        books.bill("9", 40, None),
    )
    assert await worker.sum(seconds=2) == [], "not yet"
    assert len(await worker.sum()) == 1
    told = worker.record("receivables", books.id)
    assert told is not None
    assert (told["currency"], told["open_amount"], told["overdue_amount"]) == ("EUR", 220 * EURO, 130 * EURO)
    assert (told["oldest_due_date"], told["next_due_date"]) == (TODAY - 9, TODAY + 5)
    assert (told["open_invoice_count"], told["overdue_invoice_count"]) == (5, 3)
    assert told["other_open_amounts"] == {"USD": "7"}
    states = await worker.store.load({books.id: "customer"})
    orders = [books.bill(str(number), 0, None)[1] for number in range(1, 10)]
    states |= await worker.store.load(dict.fromkeys(orders, "order_flow"))
    assert list(wrong_sums(states.values())) == []
    of_it = states[books.id].members[source_id(HUB, "receivables", books.id)]
    of_it.record = of_it.record | {"open_amount": 219 * EURO}
    assert [line.split(":")[0] for line in wrong_sums(states.values())] == [f"receivables of customer {books.id}"]
    # Nothing changed: nothing is told. Then all is paid.
    await worker.say(books.bill("1", 100, TODAY - 1, notes="called"))
    assert await worker.sum() == []
    paid = [books.bill(number, 0, TODAY - 1, status="paid") for number in ("1", "2", "3", "6", "7", "9")]
    await worker.say(*paid)
    assert len(await worker.sum()) == 1
    told = worker.record("receivables", books.id)
    assert told is not None
    assert (told["open_amount"], told["overdue_amount"], told["other_open_amounts"]) == (0, 0, None)


async def test_payments_decide_what_is_open_where_the_erp_does_not_say(place: Place, worker: Worker) -> None:
    """odoo#23233, alyf-de/banking#270: an invoice that its ERP calls paid owes nothing, whatever the payments add up to."""
    books = Books(place)

    def bill(number: str, gross: int, **more: Any) -> tuple[str, str, Change]:
        kind, order, said = books.bill(number, 0, TODAY - 1, gross_amount=gross * EURO, **more)
        said.fields.pop("open_amount")
        return kind, order, said

    def pay(number: str, amount: int, **more: Any) -> tuple[str, str, Change]:
        invoice = source_id("demo-erp", "invoice", f"{books.key}-{number}")
        key = f"{books.key}-{number}-{amount}"
        said = place.change("demo-erp", "payment", key, invoice, invoice_id=invoice, amount=amount * EURO, **more)
        return "order_flow", bill(number, 0)[1], said

    bills = [
        bill("1", 119),
        bill("2", 119, status="paid"),
        bill("3", 50, kind="credit_note"),
        bill("4", 80, status="cancelled"),
    ]
    orders = [
        ("order_flow", order, place.change("demo-erp", "sales_order", f"{books.key}-{number}", status="confirmed"))
        for number, (_, order, _) in enumerate(bills, 1)
    ]
    await worker.say(books.customer(), *orders, *bills)
    await worker.sum()

    def owed() -> tuple[int, int]:
        told = worker.record("receivables", books.id)
        assert told is not None
        return told["open_amount"] // EURO, told["open_invoice_count"]

    assert owed() == (119 - 50, 1)
    await worker.say(pay("1", 100), pay("1", 5, status="pending"), pay("2", 90), pay("3", 20), pay("4", 30))
    assert len(await worker.sum()) == 1, "a payment makes the sum due"
    assert owed() == (19 - 30 - 30, 1)
    states = await worker.store.load({books.id: "customer"} | {order: "order_flow" for _, order, _ in bills})
    assert list(wrong_sums(states.values())) == []
    flows = [m.record for s in states.values() for m in s.members.values() if m.entity == "order_flow"]
    assert sum(flow["open_amount"] for flow in flows) == owed()[0] * EURO


async def test_invoice_becomes_overdue_when_a_day_passes(place: Place, worker: Worker) -> None:
    books = Books(place)
    await worker.say(books.customer(), books.bill("1", 100, TODAY + 1))
    await worker.sum()
    assert await worker.summing.mark_overdue() == 0
    # The invoice is a day older than it was when it was summed.
    place.db.execute(
        "UPDATE entity SET record = record || jsonb_build_object('due_date', %s::int) WHERE id = %s",
        [TODAY - 1, source_id("demo-erp", "invoice", f"{books.key}-1")],
    )
    place.db.execute(
        "UPDATE entity SET record = record || jsonb_build_object('next_due_date', %s::int) WHERE id = %s",
        [TODAY - 1, source_id(HUB, "receivables", books.id)],
    )
    assert await worker.summing.mark_overdue() == 1
    (told,) = await worker.sum()
    assert told.fields["overdue_amount"] == 100 * EURO
    assert await worker.summing.mark_overdue() == 0


async def test_receivables_follow_merged_customers_and_moved_invoices(place: Place, worker: Worker) -> None:
    erp, crm = Books(place), Books(place, "demo-crm")
    await worker.say(erp.customer(), erp.bill("1", 100, TODAY + 1))
    await worker.sum()
    assert worker.record("receivables", erp.id) is not None
    # The CRM has the same customer: what it owes is known by the CRM's name from now on, and told to the CRM.
    await worker.say(
        crm.customer(), ("customer", erp.id, Change("link", "", erp.id, "demo-erp", target=crm.id, same_as=crm.id))
    )
    await worker.sum()
    told = worker.record("receivables", crm.id)
    assert told is not None
    assert (told["open_amount"], told["customer_id"]) == (100 * EURO, crm.id)
    assert worker.record("receivables", erp.id) is None
    rows = place.db.execute(
        "SELECT state, entity_id::text FROM intent WHERE rule = 'demo-crm/receivables' AND subject_id = %s ORDER BY id",
        [crm.id],
    ).fetchall()
    assert rows[-1] == ("planned", source_id(HUB, "receivables", crm.id))
    # The invoice was written to the wrong customer: neither keeps a wrong sum.
    other = Books(place)
    await worker.say(other.customer(), erp.bill("1", 100, TODAY + 1, customer=other.id))
    await worker.sum()
    for books, amount in ((crm, 0), (other, 100)):
        told = worker.record("receivables", books.id)
        assert told is not None
        assert told["open_amount"] == amount * EURO


async def test_no_intent_for_a_customer_that_the_crm_does_not_have(place: Place, worker: Worker) -> None:
    books = Books(place)
    await worker.say(books.customer(), books.bill("1", 100, TODAY + 1))
    await worker.sum()
    assert place.db.execute("SELECT count(*) FROM intent WHERE subject_id = %s", [books.id]).fetchone() == (0,)


async def test_customer_that_arrives_after_its_invoices_is_summed(place: Place, worker: Worker) -> None:
    books = Books(place)
    await worker.say(books.bill("1", 100, TODAY + 1))
    await worker.sum()
    assert worker.record("receivables", books.id) is None
    await worker.say(books.customer())
    await worker.sum()
    told = worker.record("receivables", books.id)
    assert told is not None
    assert told["open_amount"] == 100 * EURO


async def test_stock_that_moves_all_the_time_is_summed_at_intervals(place: Place, worker: Worker) -> None:
    key = uuid.uuid4().hex[:8]
    product = source_id("demo-erp", "product", key)

    def level(warehouse: str, available: int, lot: str | None = None) -> tuple[str, str, Change]:
        said = place.change(
            "demo-erp", "inventory_level", f"{key}|{warehouse}|{lot}", product, product_id=product, warehouse=warehouse, lot=lot,
            on_hand=available * PIECE, reserved=None, available=available * PIECE,
        )  # fmt: skip
        return "product", product, said

    await worker.say(
        ("product", product, place.change("demo-erp", "product", key, sku=key)),
        level("BER", 3),
        level("HAM", 1, "A"),
        level("HAM", 3, "B"),
    )
    (told,) = await worker.sum()
    assert (told.fields["available"], told.fields["warehouse_count"], told.fields["reserved"]) == (7 * PIECE, 2, None)
    for moved in range(20):
        await worker.say(level("BER", moved))
    assert await worker.sum(seconds=15) == [], "it was summed just now"
    (told,) = await worker.sum(seconds=20)
    assert told.fields["available"] == 23 * PIECE


async def test_hub_clock_that_is_put_back_delays_no_sum(place: Place, worker: Worker) -> None:
    books = Books(place)
    await worker.say(books.customer(), books.bill("1", 100, TODAY + 1))
    await worker.sum()
    ahead = 10**16
    place.db.execute(
        "UPDATE entity SET contributions = jsonb_set(contributions, ARRAY[id::text, '3'], %s::text::jsonb) WHERE id = %s",
        [str(ahead), source_id(HUB, "receivables", books.id)],
    )
    worker.assemble.forget()
    await worker.say(books.bill("1", 50, TODAY + 1))
    await worker.sum()
    told = worker.record("receivables", books.id)
    assert told is not None
    assert told["open_amount"] == 50 * EURO


async def test_change_during_a_sum_is_summed_later(place: Place, worker: Worker) -> None:
    books = Books(place)
    await worker.say(books.customer(), books.bill("1", 100, TODAY + 1))
    await worker.sum()
    send = worker.topic.produce

    def and_meanwhile(topic: str, key: bytes, value: Any, on_delivery: Any) -> None:
        place.db.execute("UPDATE due SET changes = changes + 1 WHERE kind = 'customer' AND id = %s", [books.id])
        send(topic, key, value, on_delivery)

    worker.assemble.forget()
    await worker.say(books.bill("1", 50, TODAY + 1))
    worker.topic.produce = and_meanwhile  # type: ignore[method-assign]
    assert len(await worker.sum()) == 1
    worker.topic.produce = send  # type: ignore[method-assign]
    assert place.db.execute("SELECT changes FROM due WHERE kind = 'customer' AND id = %s", [books.id]).fetchone() == (
        1,
    )
    await worker.sum()
    await worker.sum()
    assert place.db.execute("SELECT count(*) FROM due WHERE kind = 'customer' AND id = %s", [books.id]).fetchone() == (
        0,
    )
