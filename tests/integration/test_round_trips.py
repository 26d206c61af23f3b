"""Write-back with the whole walk around it: what is written comes back through Debezium, and gives rise to nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from streams.emit.consume import consume
from streams.model import Receivables, SalesOrder
from streams.model.ids import source_id
from streams.stack.worker_stats import worker_stats
from tests.conftest import Pipeline
from tests.waiting import wait_for

RULE = "demo-crm/credit_block"


@pytest.fixture(scope="module")
def live(pipeline: Pipeline) -> Iterator[Pipeline]:
    pipeline.start_worker("trips-0")
    yield pipeline
    pipeline.stop_workers()


@pytest.fixture
def hub(live: Pipeline) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(live.settings.hub, autocommit=True) as connection:
        yield connection


def both(live: Pipeline, count: int) -> list[str]:
    """So many new customers that both systems have; their keys in the CRM."""
    with live.connect("CRM") as crm, live.connect("ERP") as erp:
        rows = crm.execute(
            "INSERT INTO account (name) SELECT 'Trip ' || n FROM generate_series(1, %s) n RETURNING id::text", [count]
        ).fetchall()
        keys = [str(row[0]) for row in rows]
        erp.execute("INSERT INTO erp.cust (name1, crm_ref) SELECT 'Trip', unnest(%s::uuid[])", [keys])
    return keys


def block(live: Pipeline, keys: list[str], blocked: bool) -> None:
    with live.connect("ERP") as erp:
        erp.execute(
            "UPDATE erp.cust SET blocked = %s WHERE crm_ref = ANY(%s::uuid[])", ["X" if blocked else None, keys]
        )


def says(hub: psycopg.Connection[Any], keys: list[str]) -> dict[str, tuple[bool, bool]]:
    """Of each customer, what the hub knows that the CRM says: (credit_blocked, whether people said it)."""
    rows = hub.execute(
        "SELECT id::text, coalesce(said->7, record)->>'credit_blocked' = 'true', (said->>9)::boolean"
        " FROM (SELECT id, record, contributions->id::text AS said FROM entity WHERE id = ANY(%s::uuid[])) one",
        [[source_id("demo-crm", "customer", key) for key in keys]],
    ).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def intents(hub: psycopg.Connection[Any], keys: list[str]) -> Counter[tuple[str, str]]:
    """(rule, state) → how many, of these customers."""
    rows = hub.execute(
        "SELECT rule, state, count(*) FROM intent WHERE subject_id = ANY(%s::uuid[]) GROUP BY 1, 2",
        [[source_id("demo-crm", "customer", key) for key in keys]],
    ).fetchall()
    return Counter({(row[0], row[1]): row[2] for row in rows})


def echoes(live: Pipeline) -> int:
    return sum(
        one["lanes"].get("assemble", {}).get("counts", {}).get("echoes", 0) for one in worker_stats(live.settings)
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("customers", "rounds"), [(20, 4), pytest.param(1000, 10, marks=pytest.mark.slow)])
def test_no_round_trip_gives_rise_to_another_and_a_persons_edit_is_kept(
    live: Pipeline, hub: psycopg.Connection[Any], customers: int, rounds: int
) -> None:
    before = echoes(live)
    keys = both(live, customers)
    ids = [source_id("demo-crm", "customer", key) for key in keys]
    wait_for(lambda: intents(hub, keys) == {(RULE, "delivered"): customers})
    edited = keys[: customers // 5]
    with live.connect("CRM") as crm:
        for turn in range(1, rounds + 1):
            blocked = turn % 2 == 1
            block(live, keys, blocked)
            # People save these accounts the moment that the new value is there, with that very value.
            left = set(edited)
            end = time.monotonic() + 90
            while left:
                left -= {
                    str(row[0])
                    for row in crm.execute(
                        "UPDATE account SET credit_blocked = %s WHERE id = ANY(%s::uuid[]) AND credit_blocked = %s RETURNING id",
                        [blocked, list(left), blocked],
                    ).fetchall()
                }
                assert time.monotonic() < end
            told = {one: (blocked, key in edited) for one, key in zip(ids, keys, strict=True)}
            wait_for(lambda: says(hub, keys) == told)  # noqa: B023
            wait_for(lambda: intents(hub, keys) == {(RULE, "delivered"): customers * (turn + 1)})  # noqa: B023
        assert echoes(live) - before >= customers * (rounds + 1)
        # Then people say another word, on what the ERP masters and gives back at once, and on what is theirs.
        crm.execute(
            "UPDATE account SET credit_blocked = NOT credit_blocked, phone = '+49 30 901820' WHERE id = ANY(%s::uuid[])",
            [edited],
        )
        wait_for(lambda: intents(hub, keys) == {(RULE, "delivered"): customers * (rounds + 1) + len(edited)})
        live.drain()
        there = crm.execute(
            "SELECT DISTINCT credit_blocked, phone FROM account WHERE id = ANY(%s::uuid[])", [edited]
        ).fetchall()
    assert there == [(blocked, "+49 30 901820")]
    assert intents(hub, keys) == {(RULE, "delivered"): customers * (rounds + 1) + len(edited)}
    phones = hub.execute(
        "SELECT record->>'phone', count(*) FROM entity WHERE id = ANY(%s::uuid[]) GROUP BY 1", [ids]
    ).fetchall()
    assert dict(phones) == {"+4930901820": len(edited), None: customers - len(edited)}
    # What was on its way is no conflict; what people said against the ERP was one.
    conflicts = hub.execute(
        "SELECT field, outcome, resolved_at IS NULL, count(*) FROM conflict WHERE entity_id = ANY(%s::uuid[]) GROUP BY 1, 2, 3",
        [ids],
    ).fetchall()
    assert conflicts == [("credit_blocked", "over", False, len(edited))]


def first(connection: psycopg.Connection[Any], statement: str, *parameters: Any) -> Any:
    row = connection.execute(statement.encode(), parameters).fetchone()
    return row[0] if row is not None else None


@pytest.mark.timeout(300)
def test_what_a_customer_owes_and_what_there_is_of_a_product_show_in_the_crm(
    live: Pipeline, hub: psycopg.Connection[Any]
) -> None:
    (owing, paid) = both(live, 2)
    sku = f"SUM-{owing[:8]}"
    with live.connect("ERP") as erp, live.connect("CRM") as crm:
        product = str(first(crm, "INSERT INTO product (sku, name) VALUES (%s, 'Bolt') RETURNING id", sku))
        item = first(erp, "INSERT INTO erp.item (item_no, descr) VALUES (%s, 'Bolt') RETURNING id", sku)
        erp.execute(
            "INSERT INTO erp.stock (item_id, whs, qty, rsv) VALUES (%s, 'BER', 12.5, 2), (%s, 'HAM', 7, NULL)",
            [item, item],
        )
        bills = {}
        for key in (owing, paid):
            customer = first(erp, "SELECT id FROM erp.cust WHERE crm_ref = %s", key)
            order = first(erp, "INSERT INTO erp.so_head (cust_id, stat) VALUES (%s, 20) RETURNING id", customer)
            for due, net in (("20200131", 100), ("20990131", 50)):
                bills[key, due] = first(
                    erp, "INSERT INTO erp.inv_head (so_id, cust_id, inv_date, due_date, net, tax, gross)"
                    " VALUES (%s, %s, 20200101, %s::integer, %s, 19, %s) RETURNING id", order, customer, due, net, net + 19,
                )  # fmt: skip

        def owes(key: str) -> Any:
            return crm.execute("SELECT open_amount, overdue_amount FROM account WHERE id = %s", [key]).fetchone()

        def available() -> Any:
            return first(crm, "SELECT stock_available FROM product WHERE id = %s", product)

        live.drain()
        wait_for(lambda: owes(owing) == (188, 119) and owes(paid) == (188, 119) and available() == Decimal("17.5"))
        for due, amount in (("20200131", 119), ("20990131", 69)):
            erp.execute(
                "INSERT INTO erp.pay (inv_id, cust_id, amt) SELECT id, cust_id, %s FROM erp.inv_head WHERE id = %s",
                [amount, bills[paid, due]],
            )
        erp.execute("UPDATE erp.stock SET rsv = 7 WHERE item_id = %s AND whs = 'HAM'", [item])
        live.drain()
        wait_for(lambda: owes(paid) == (0, 0) and owes(owing) == (188, 119) and available() == Decimal("10.5"))
    live.drain()
    told = {
        one.key: one.record
        for one in consume(
            live.settings.kafka, live.settings.registry, "canonical.receivables", start="beginning", follow=False
        )
    }
    newest = {str(record.customer_id): record for record in told.values() if isinstance(record, Receivables)}
    ours = newest[source_id("demo-crm", "customer", owing)]
    assert (ours.open_amount, ours.overdue_amount, ours.currency, ours.open_invoice_count) == (188, 119, "EUR", 2)
    assert ours.sources == ()
    # The echo of what was written back marks nothing anew.
    assert first(hub, "SELECT count(*) FROM due WHERE kind <> 'flow' AND changes > 0") == 0


@pytest.mark.timeout(300)
def test_an_order_of_ten_thousand_lines_is_told_whole_whenever_one_changes(
    live: Pipeline, hub: psycopg.Connection[Any]
) -> None:
    lines = 10_000
    with live.connect("ERP") as erp:
        item = first(erp, "INSERT INTO erp.item (item_no, descr) VALUES ('LONG-1', 'Bolt') RETURNING id")
        customer = first(erp, "INSERT INTO erp.cust (name1) VALUES ('Many Lines') RETURNING id")
        order = first(erp, "INSERT INTO erp.so_head (cust_id, stat) VALUES (%s, 20) RETURNING id", customer)
        erp.execute(
            "INSERT INTO erp.so_line (so_id, pos, item_id, descr, qty, price)"
            " SELECT %s, n, %s, 'Bolt M' || n || ', galvanised', 1, 10 FROM generate_series(1, %s) n",
            [order, item, lines],
        )
        document = source_id("demo-erp", "sales_order", str(order))
        of_flow = "SELECT (record->>'line_count')::int FROM entity WHERE aggregate_id = %s AND entity = 'order_flow'"
        wait_for(lambda: first(hub, of_flow, document) == lines)
        began = datetime.now(UTC)
        for quantity in range(2, 12):
            erp.execute("UPDATE erp.so_line SET qty = %s WHERE so_id = %s AND pos = 7", [quantity, order])
            line = "SELECT count(*) FROM entity WHERE aggregate_id = %s AND record->>'quantity' = %s"
            wait_for(lambda: first(hub, line, document, str(quantity * 1_000_000)) == 1)  # noqa: B023
    live.drain()
    told = [
        one.record
        for one in consume(
            live.settings.kafka, live.settings.registry, "canonical.sales_order", start=began, follow=False
        )
        if one.key == document
    ]
    newest = told[-1]
    assert isinstance(newest, SalesOrder)
    assert len(newest.lines) == lines
    assert [line.quantity for line in newest.lines[5:8]] == [1, 11, 1]
    assert newest.net_amount == 10 * (lines + 10)
    assert first(hub, "SELECT count(*) FROM dead_letter WHERE key = %s", document.encode()) == 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("orders", [1_500, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_customer_with_many_orders_is_linked_and_holds_up_no_other(
    live: Pipeline, hub: psycopg.Connection[Any], orders: int
) -> None:
    with live.connect("ERP") as erp:
        customer = first(erp, "INSERT INTO erp.cust (name1) VALUES ('Many Orders') RETURNING id")
        erp.execute(
            "INSERT INTO erp.so_head (cust_id, stat) SELECT %s, 20 FROM generate_series(1, %s)", [customer, orders]
        )
        known = source_id("demo-erp", "customer", str(customer))
        of = "SELECT count(*) FROM entity WHERE entity = 'order_flow' AND record->>'customer_id' = %s"
        wait_for(lambda: first(hub, of, known) == orders, 400)
        live.drain(300)
        # The CRM has the same customer, under another id that all these orders get now. Others change meanwhile.
        with live.connect("CRM") as crm:
            account = str(first(crm, "INSERT INTO account (name) VALUES ('Many Orders') RETURNING id"))
        erp.execute("UPDATE erp.cust SET crm_ref = %s WHERE id = %s", [account, customer])
        for name in ("Ada", "Grace", "Edsger"):
            other = str(first(erp, "INSERT INTO erp.cust (name1) VALUES (%s) RETURNING id", name))
            wait_for(
                lambda: first(hub, "SELECT 1 FROM entity WHERE id = %s", source_id("demo-erp", "customer", other))  # noqa: B023
            )
    linked = source_id("demo-crm", "customer", account)
    if orders > 10_000:
        assert first(hub, of, linked) < orders, "others did not wait for all of them"
    wait_for(lambda: first(hub, of, linked) == orders, 400)
    assert first(hub, of, known) == 0
    wait_for(lambda: first(hub, "SELECT count(*) FROM refresh_due") == 0)
