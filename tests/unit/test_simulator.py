"""The simulated company: the same seed does the same, and what it makes up is such as real systems hold."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from itertools import count
from random import Random

import pytest
from stdnum import ean
from stdnum.cn import uscc
from stdnum.eu import vat

from streams.mapping.conversions.phones import phone
from streams.simulator import crm_operations, erp_documents, erp_operations, firms, vocabulary
from streams.simulator.documents import Customer, Order, Product
from streams.simulator.statements import ERP_INSERTS
from streams.simulator.stream import WEIGHTS, next_transactions
from streams.simulator.world import CRM, ERP, Habits, Ids, Transaction, World, discount_of, line_net, tax_of, zipf

DAY = dt.date(2026, 3, 2)


def a_world(seed: int, **options: object) -> World:
    numbers: dict[str, count[int]] = {}

    def reserve(table: str, number: int) -> list[int]:
        counter = numbers.setdefault(table, count(1))
        return [next(counter) for _ in range(number)]

    world = World(Random(seed), Ids(reserve), DAY, **options)  # type: ignore[arg-type]
    for number in range(60):
        unit = 0 if number % 4 else number % 3
        sku = f"M-{10_000 + number}"
        world.products.append(
            Product(number, sku, world.uuid(), number + 1, number % 6, unit, 123_457 + number * 9_871, "V1")
        )
    return world


def said(transactions: list[Transaction]) -> list[object]:
    """What would go to the databases, with orders by their key: their number is the database's."""
    return [
        (
            t.system,
            t.operation,
            [(name, [v.id if isinstance(v, Order) else v for v in values]) for name, values in t.statements],
            t.touched,
            t.facts,
        )
        for t in transactions
    ]


def test_a_seed_gives_one_sequence_of_operations() -> None:
    one, two, other = a_world(7), a_world(7), a_world(8)
    first = [said(next_transactions(one)) for _ in range(5_000)]
    assert first == [said(next_transactions(two)) for _ in range(5_000)]
    assert first != [said(next_transactions(other)) for _ in range(5_000)]


def test_habits_say_what_is_done_how_often() -> None:
    without = tuple((operation.__name__, 0.0) for operation, _ in WEIGHTS if operation is not crm_operations.new_deal)
    world = a_world(7, habits=Habits(without))
    firms.begin(world)
    assert {t.operation for _ in range(200) for t in next_transactions(world)} <= {
        "opportunity_created",
        "customer_in_crm",
    }


def test_skew_makes_few_customers_do_most_of_the_work() -> None:
    shares = []
    for skew in (0.0, 0.99):
        world = a_world(7, habits=Habits(skew=skew))
        for number in range(1_000):
            world.crm_customers.add(Customer(firms.new_firm(world), crm_id=str(number)))
        picked = Counter(customer.crm_id for _ in range(20_000) if (customer := world.crm_customers.pick(world.rng)))
        shares.append(sum(times for _, times in picked.most_common(10)) / 20_000)
    assert shares[0] < 0.02 < 0.3 < shares[1]


@pytest.mark.parametrize("exponent", [0.2, 0.99, 1, 1.3])
def test_the_first_of_many_comes_up_as_often_as_zipf_says(exponent: float) -> None:
    drawn = Counter(zipf(number / 100_000, 50, exponent) for number in range(100_000))
    assert set(drawn) == set(range(50))
    assert drawn[1] / drawn[0] == pytest.approx(2**-exponent, rel=0.25)


def test_orders_may_have_a_hundred_lines() -> None:
    world = a_world(7, habits=Habits(order_lines=(100, 100)))
    customer = Customer(firms.new_firm(world), erp_id=1)
    world.erp_customers.add(customer)
    made = next(ts for _ in range(50) if len(ts := erp_operations.new_order(world)) == 1)[0]
    inserts = [(name, len(values) // len(ERP_INSERTS["so_line"])) for name, values in made.statements[1:]]
    assert inserts == [("insert_so_line_8", 8)] * 12 + [("insert_so_line_4", 4)]
    assert Counter(made.touched)["erp.so_head", made.touched[0][1], "u"] == 13, (
        "each statement's trigger updates the header"
    )


def test_every_kind_of_operation_comes_about() -> None:
    world = a_world(1, orders_by_hand=True)
    seen = Counter(t.operation for _ in range(30_000) for t in next_transactions(world))
    wanted = {
        "customer_in_crm", "customer_in_erp", "customer_in_both", "customer_shared", "customer_contradicted", "account_edited", "account_deleted",
        "account_restored", "note_written", "contact_added", "contact_edited", "contact_deleted", "contact_removed", "opportunity_created",
        "opportunity_moved", "opportunity_won", "opportunity_lost", "opportunity_deleted", "opportunity_item_changed", "case_opened",
        "case_worked_on", "case_closed", "product_described", "cust_edited", "credit_blocked", "credit_unblocked", "price_changed", "stock_moved",
        "stock_counted", "order_created", "order_for_opportunity", "order_confirmed", "order_in_production", "order_line_added",
        "order_line_changed", "order_line_deleted", "draft_deleted", "order_cancelled", "delivery_planned", "delivery_picked",
        "delivery_shipped", "delivery_arrived", "delivery_returned", "invoice_created", "invoice_corrected", "credit_note_created",
        "payment_received", "territory_moved", "campaign_run", "prices_imported", "warehouse_counted", "dunning_run", "payment_reversed", "order_closed",
        "suppliers_created", "purchase_created", "purchase_ordered", "purchase_confirmed", "purchase_date_moved", "goods_received", "drop_shipped",
        "supplier_billed", "production_planned", "production_released", "production_started", "production_date_moved", "production_progress",
        "production_finished", "return_requested", "return_approved", "return_refused", "return_received", "return_credited", "return_ended",
        "repair_opened", "repair_advanced",
    }  # fmt: skip
    assert set(seen) == wanted


def test_a_row_is_created_once_and_changed_only_while_it_is_there() -> None:
    world = a_world(3, orders_by_hand=True)
    there: set[tuple[str, str]] = {("public.product", p.crm_id) for p in world.products} | {
        ("erp.item", str(p.erp_id)) for p in world.products
    }
    there |= {("erp.stock", f"{p.erp_id}|{whs}") for p in world.products for whs in vocabulary.WAREHOUSES}
    gone: set[tuple[str, str]] = set()
    for _ in range(20_000):
        for transaction in next_transactions(world):
            for table, key, op in transaction.touched:
                row = (table, key)
                if op == "c":
                    assert row not in there | gone, (transaction.operation, row)
                    there.add(row)
                else:
                    assert row in there, (transaction.operation, row)
                if op == "d":
                    there.remove(row)
                    gone.add(row)
            for row in transaction.after:
                assert row in there, (transaction.operation, row)


def test_what_is_remembered_stays_bounded() -> None:
    world = a_world(2)
    for _ in range(60_000):
        next_transactions(world)
    assert len(world.orders) + len(world.drafts) < erp_operations.MOST_OPEN + 10
    assert len(world.closed) <= erp_operations.MOST_OPEN + 1
    assert len(world.deals) < 2_000
    assert len(world.cases) < 2_000


def test_shares_of_shared_and_conflicting_customers_are_as_asked() -> None:
    world = a_world(4, shared=0.2, conflicting=0.05)
    facts = [fact for _ in range(10_000) for t in firms.begin(world) for fact in t.facts]
    shared = [fact for fact in facts if fact["fact"] == "shared"]
    assert len(shared) == pytest.approx(2_000, rel=0.1)
    assert sum(bool(fact["conflicts"]) for fact in shared) == pytest.approx(500, rel=0.2)
    assert {fact["by"] for fact in shared} == {"reference", "tax_id"}
    assert sum(fact["fact"] == "lookalike" for fact in facts) > 10


def test_an_order_is_shipped_billed_and_paid_in_full_before_it_closes() -> None:
    world = a_world(5)
    for _ in range(3_000):
        firms.begin(world)
    closed = charged = 0
    for _ in range(300):
        erp_operations.new_order(world)
        order = world.drafts.take(world.rng)
        assert order is not None
        erp_operations.confirm(world, order)
        freight = order.freight
        charged += bool(freight and order.discount)
        invoices = []
        for _ in range(2_000):  # suppliers that are late let an order wait for long
            made = erp_documents.step(world, order)
            invoices += [dict(t.statements) for t in made if t.operation == "invoice_created"]
            if order.status == 80:
                break
        assert order.status == 80
        assert all(line.shipped == line.invoiced == line.quantity for line in order.lines)
        assert not order.open_invoices
        goods = sum(line_net(x.quantity, x.price, x.discount) for x in order.lines)
        assert sum(i.net for i in order.settled) == goods - discount_of(goods, order.discount) + freight
        for said in invoices:
            head = dict(zip(ERP_INSERTS["inv_head"], said["insert_inv_head_1"], strict=True))
            values = next(values for name, values in said.items() if name.startswith("insert_inv_line_"))
            lines = sum(
                Decimal(net) for net in values[len(ERP_INSERTS["inv_line"]) - 1 :: len(ERP_INSERTS["inv_line"])]
            )
            assert Decimal(head["net"]) == lines - Decimal(head["disc_amt"] or 0) + Decimal(head["freight"] or 0)
            assert Decimal(head["gross"]) == Decimal(head["net"]) + Decimal(head["tax"])
        assert all(i.open == 0 and sum(amount for _, amount in i.payments) == i.gross for i in order.settled)
        closed += len(order.settled) > 1
    assert closed, "no order had several invoices"
    assert charged, "no order had freight and a discount"


def test_won_opportunities_get_their_order_by_hand_only_when_asked() -> None:
    for by_hand in (False, True):
        world = a_world(6, orders_by_hand=by_hand)
        facts = [fact for _ in range(8_000) for t in next_transactions(world) for fact in t.facts]
        won = {fact["opportunity"] for fact in facts if fact["fact"] == "won"}
        assert won
        assert {fact["opportunity"] for fact in facts if fact["fact"] == "order_for"} == (won if by_hand else set())


def test_tax_numbers_are_right_and_no_two_companies_share_one() -> None:
    rng = Random(1)
    seen: set[str] = set()
    for number in range(5_000):
        firm = vocabulary.firm(rng, number)
        if firm.tax_id is not None:
            assert uscc.is_valid(firm.tax_id) if firm.country.iso == "CN" else vat.is_valid(firm.tax_id), firm
            assert firm.tax_id not in seen
            seen.add(firm.tax_id)
    assert len(seen) > 3_000


def test_the_hub_reads_both_spellings_of_a_phone_number_as_the_same() -> None:
    rng = Random(2)
    read = phone(country_column="country")
    for number in range(2_000):
        firm = vocabulary.firm(rng, number)
        meant = f"+{firm.country.phone}{firm.phone}"
        assert read(vocabulary.typed_phone(rng, firm.country, firm.phone), firm.country.iso) == meant
        assert read(vocabulary.national_phone(firm.country, firm.phone), firm.country.iso) == meant


def test_article_numbers_have_their_check_digit() -> None:
    assert all(ean.is_valid(vocabulary.ean13(number)) for number in range(500))


def test_money_is_rounded_half_up_as_postgres_does() -> None:
    assert line_net(2_500, 123_456, 0) == 309  # 2.5 * 1.23456 = 3.0864
    assert line_net(1_000, 100_500, 0) == 101  # 1.005 rounds up
    assert tax_of(50, "V1") == 10  # 9.5 cents
    assert tax_of(100, "V1", 50) == 10
    assert discount_of(25, 2) == 1  # half a cent


def test_weights_name_each_operation_once() -> None:
    operations = [operation for operation, _ in WEIGHTS]
    assert len(set(operations)) == len(operations)
    world = a_world(9)
    for _ in range(2_000):
        next_transactions(world)
    for operation in (*operations, crm_operations.open_case):
        made = operation(world)
        assert all(t.system in (CRM, ERP) and t.statements and t.touched for t in made)
