"""One customer, one truth, on real servers: match keys, merge and split, decisions by hand, deletes that disagree."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from streams.emit.consume import consume
from streams.identity import conflict_inbox, decisions
from streams.identity.masters import find_master
from streams.inbox.sending import send
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.model.names import PEOPLE
from streams.stack.workers import worker_environment
from streams.verify.read_topics import read_canonical
from tests.conftest import Pipeline
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def live(pipeline: Pipeline) -> Iterator[Pipeline]:
    pipeline.start_worker("identity-0")
    pipeline.start_worker("identity-1")
    yield pipeline
    pipeline.stop_workers()


def hub(live: Pipeline) -> psycopg.Connection[Any]:
    return psycopg.connect(live.settings.hub, autocommit=True)


def account(
    live: Pipeline, name: str, *, tax_id: str | None = None, phone: str | None = None, email: str | None = None
) -> str:
    with live.connect("CRM") as crm:
        row = crm.execute(
            "INSERT INTO account (name, legal_name, tax_id, phone, email, billing_country) VALUES (%s, %s, %s, %s, %s, 'Germany') RETURNING id::text",
            [name, name, tax_id, phone, email],
        ).fetchone()
    assert row is not None
    return str(row[0])


def cust(
    live: Pipeline, name: str, *, tax_id: str | None = None, phone: str | None = None, email: str | None = None
) -> str:
    with live.connect("ERP") as erp:
        row = erp.execute(
            "INSERT INTO erp.cust (short_name, name1, vat_no, phone, email, ctry, curr) VALUES (%s, %s, %s, %s, %s, 'DE', 'EUR') RETURNING id::text",
            [name[:10], name, tax_id, phone, email],
        ).fetchone()
    assert row is not None
    return str(row[0])


def crm_id(key: str) -> str:
    return source_id("demo-crm", "customer", key)


def erp_id(key: str) -> str:
    return source_id("demo-erp", "customer", key)


def content(live: Pipeline) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Live hub records and canonical records of every topic, without how many steps it took and when the last one was."""
    with hub(live) as connection:
        rows = connection.execute(
            "SELECT entity, id::text, record::text, parent_id::text, aggregate_id::text,"
            " ARRAY(SELECT jsonb_object_keys(contributions) ORDER BY 1) FROM entity"
            " WHERE NOT deleted AND merged_into IS NULL AND version > 0"
        ).fetchall()
    records = {(row[0], row[1]): (json.loads(row[2]), *row[3:]) for row in rows}
    topics: dict[Any, Any] = {}
    for emitted in read_canonical(live.settings, sorted({one.topic for one in ENTITIES.values() if one.topic})):
        topics[emitted.topic, emitted.key] = emitted.body
    return records, {
        name: None if body is None else body[37 + 2 + 8 :] for name, body in topics.items() if body is not None
    }


def differing(
    now: tuple[dict[Any, Any], dict[Any, Any]], then: tuple[dict[Any, Any], dict[Any, Any]]
) -> dict[Any, Any]:
    return {
        name: (after.get(name), before.get(name))
        for after, before in zip(now, then, strict=True)
        for name in after.keys() | before.keys()
        if after.get(name) != before.get(name)
    }


def test_a_tax_number_links_and_people_decide(live: Pipeline) -> None:
    key = account(live, "Nordwind GmbH", tax_id="DE 136.695.976", phone="+49 30 901820")
    other = cust(live, "Nordwind GmbH", tax_id="DE136695976", phone="+49 30 901899")
    with hub(live) as connection:
        wait_for(
            lambda: connection.execute(
                "SELECT 1 FROM entity WHERE id = %s AND contributions ? %s", [crm_id(key), erp_id(other)]
            ).fetchone()
        )
        live.drain()
        found = [one for one in conflict_inbox.standing(connection) if one.entity_id == crm_id(key)]
        assert [(one.field, one.winner, one.rule) for one in found] == [("phone", "demo-crm", "owner wins")]
        assert {asserted["value"] for asserted in found[0].values.values()} == {"+4930901820", "+4930901899"}
        assert all(asserted["tx"] and asserted["position"] and asserted["us"] for asserted in found[0].values.values())

        send(live.settings, [decisions.decide("customer", crm_id(key), crm_id(key), {"phone": "+4930901899"})])
        phone = "SELECT record->>'phone' FROM entity WHERE id = %s"
        wait_for(lambda: connection.execute(phone, [crm_id(key)]).fetchone() == ("+4930901899",))
        with live.connect("CRM") as crm:
            crm.execute("UPDATE account SET phone = '+49 30 901777' WHERE id = %s", [key])
        live.drain()
        assert connection.execute(phone, [crm_id(key)]).fetchone() == ("+4930901899",)
        decided = [
            one
            for one in conflict_inbox.standing(connection, past=True)
            if one.entity_id == crm_id(key) and one.outcome == "decided"
        ]
        assert decided
        assert decided[0].winner == PEOPLE
    assert live.verify().holds


def test_merge_then_split_leaves_everything_as_it_was(live: Pipeline) -> None:
    key = account(live, "Alpha Bau GmbH", email="info@alpha-bau.example")
    other = cust(live, "Alfa Bau", email="office@alfa.example")
    with live.connect("CRM") as crm:
        crm.execute("INSERT INTO contact (account_id, last_name) VALUES (%s, 'Weber')", [key])
    with live.connect("ERP") as erp:
        erp.execute("INSERT INTO erp.so_head (cust_id, curr) VALUES (%s, 'EUR')", [other])
        number = erp.execute("SELECT cust_no FROM erp.cust WHERE id = %s", [other]).fetchone()
    assert number is not None
    with live.connect("CRM") as crm:
        # The CRM has the ERP's number already, so that write-back has nothing to teach it when the two become one.
        crm.execute("UPDATE account SET erp_customer_no = %s WHERE id = %s", [number[0], key])
    live.drain()
    before = content(live)
    with hub(live) as connection:
        flow = connection.execute(
            "SELECT aggregate_id::text FROM entity WHERE entity = 'sales_order' AND record->>'customer_id' = %s",
            [erp_id(other)],
        ).fetchone()
        assert flow is not None
        send(
            live.settings,
            [decisions.merge(find_master(connection, erp_id(other)), find_master(connection, crm_id(key)))],
        )
        of_flow = "SELECT record->>'customer_id' FROM entity WHERE entity = 'order_flow' AND aggregate_id = %s"
        wait_for(lambda: connection.execute(of_flow, [flow[0]]).fetchone() == (crm_id(key),))
        live.drain()
        merged = content(live)
        assert ("customer", erp_id(other)) not in merged[0]
        assert ("canonical.customer", erp_id(other)) not in merged[1]
    assert live.verify().holds
    with hub(live) as connection:
        send(live.settings, [decisions.unmerge(find_master(connection, erp_id(other)))])
        wait_for(lambda: connection.execute(of_flow, [flow[0]]).fetchone() == (erp_id(other),))
        live.drain()
    verdict = live.verify()
    assert verdict.holds, verdict.examples
    assert differing(content(live), before) == {}
    # What is said later of the record that was taken out stays with it.
    with live.connect("ERP") as erp:
        erp.execute("UPDATE erp.cust SET crm_ref = %s, memo = 'hello' WHERE id = %s", [key, other])
    live.drain()
    with hub(live) as connection:
        assert connection.execute("SELECT record->>'notes' FROM entity WHERE id = %s", [erp_id(other)]).fetchone() == (
            "hello",
        )
        assert connection.execute(
            "SELECT contributions ? %s FROM entity WHERE id = %s", [erp_id(other), crm_id(key)]
        ).fetchone() == (False,)
    verdict = live.verify()
    assert verdict.holds, verdict.examples


def deal(live: Pipeline, key: str) -> dict[str, str]:
    """Two people of an account, an opportunity with a line and one of them, and a case; their keys."""
    made = {}
    with live.connect("CRM") as crm:

        def insert(table: str, **values: Any) -> None:
            columns = ", ".join(values)
            row = crm.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({', '.join(['%s'] * len(values))}) RETURNING id::text",
                list(values.values()),
            ).fetchone()
            assert row is not None
            made[table if table not in made else f"second {table}"] = str(row[0])

        insert("contact", account_id=key, first_name="Ute", last_name="Weber", is_primary=True)
        insert("contact", account_id=key, first_name="Max", last_name="Kern")
        insert(
            "opportunity",
            name="Deal",
            account_id=key,
            primary_contact_id=made["contact"],
            stage="Negotiation/Review",
            amount=12,
        )
        insert("product", sku=f"SKU-{key}", name="Hinge")
        line = {"line_no": 1, "quantity": 1, "unit_price": 12, "net_amount": 12}
        insert("opportunity_item", opportunity_id=made["opportunity"], product_id=made["product"], **line)
        insert("service_case", account_id=key, contact_id=made["contact"], subject="It squeaks", status="New")
    return made


def test_two_accounts_of_one_system_with_people_deals_and_orders_merge_and_split(live: Pipeline) -> None:
    first, second = account(live, "Gamma Werke GmbH"), account(live, "Gamma-Werke")
    hers, his = deal(live, first), deal(live, second)
    with live.connect("ERP") as erp:
        # The order of the second's deal, and the customer in the ERP that refers to the second.
        cust = erp.execute(
            "INSERT INTO erp.cust (short_name, name1, ctry, curr, crm_ref) VALUES ('GAMMA', 'Gamma-Werke', 'DE', 'EUR', %s)"
            " RETURNING id::text, cust_no", [second],
        ).fetchone()  # fmt: skip
        assert cust is not None
        erp.execute(
            "INSERT INTO erp.so_head (cust_id, crm_opp, curr) VALUES (%s, %s, 'EUR')", [cust[0], his["opportunity"]]
        )
    with live.connect("CRM") as crm:
        # The one that stays is older: a split must give it back its own time, too.
        for key in (first, second):
            crm.execute("UPDATE account SET erp_customer_no = %s WHERE id = %s", [cust[1], key])
    live.drain()
    with live.connect("CRM") as crm:
        shown = "SELECT erp_order_no FROM opportunity WHERE id = %s"
        wait_for(lambda: crm.execute(shown, [his["opportunity"]]).fetchone() != (None,))  # write-back has said its part
    live.drain()
    before = content(live)
    assert set(before[0]["customer", crm_id(second)][-1]) == {erp_id(str(cust[0])), crm_id(second)}
    flow = source_id("demo-crm", "opportunity", his["opportunity"])
    of_flow = "SELECT record->>'customer_id' FROM entity WHERE entity = 'order_flow' AND aggregate_id = %s"
    with hub(live) as connection:
        send(
            live.settings,
            [decisions.merge(find_master(connection, crm_id(second)), find_master(connection, crm_id(first)))],
        )
        wait_for(lambda: connection.execute(of_flow, [flow]).fetchone() == (crm_id(first),))
        live.drain()
        merged = content(live)
        assert ("canonical.customer", crm_id(second)) not in merged[1]
        for people_of in (hers, his):
            for name in ("contact", "second contact"):
                record, _parent, aggregate, _ = merged[0]["contact", source_id("demo-crm", "contact", people_of[name])]
                assert (record["customer_id"], aggregate) == (crm_id(first), crm_id(first))
        case = merged[0]["service_request", source_id("demo-crm", "service_request", his["service_case"])]
        assert case[0]["customer_id"] == crm_id(first)
        verdict = live.verify()
        assert verdict.holds, verdict.examples
        send(live.settings, [decisions.unmerge(find_master(connection, crm_id(second)))])
        wait_for(lambda: connection.execute(of_flow, [flow]).fetchone() == (crm_id(second),))
        live.drain()
    verdict = live.verify()
    assert verdict.holds, verdict.examples
    assert differing(content(live), before) == {}
    # And once more: what was split can be merged again.
    with hub(live) as connection:
        send(
            live.settings,
            [decisions.merge(find_master(connection, crm_id(second)), find_master(connection, crm_id(first)))],
        )
        wait_for(lambda: connection.execute(of_flow, [flow]).fetchone() == (crm_id(first),))
        live.drain()
        assert differing(content(live), merged) == {}
        send(live.settings, [decisions.unmerge(find_master(connection, crm_id(second)))])
        wait_for(lambda: connection.execute(of_flow, [flow]).fetchone() == (crm_id(second),))
        live.drain()
    assert differing(content(live), before) == {}
    assert live.verify().holds


def test_what_the_owner_says_is_restored_until_they_overwrite_each_other(live: Pipeline) -> None:
    key, other = account(live, "Delta SE", tax_id="DE 129.273.398"), cust(live, "Delta SE", tax_id="DE129273398")

    def blocked() -> Any:
        with live.connect("CRM") as crm:
            return crm.execute("SELECT credit_blocked FROM account WHERE id = %s", [key]).fetchone()

    def lift() -> None:
        with live.connect("CRM") as crm:
            crm.execute("UPDATE account SET credit_blocked = false WHERE id = %s", [key])

    def logged(connection: psycopg.Connection[Any]) -> list[tuple[str, int]]:
        found = conflict_inbox.standing(connection, past=True)
        return [
            (one.outcome, one.turns) for one in found if (one.entity_id, one.field) == (crm_id(key), "credit_blocked")
        ]

    with hub(live) as connection:
        linked = "SELECT 1 FROM entity WHERE id = %s AND contributions ? %s"
        wait_for(lambda: connection.execute(linked, [crm_id(key), erp_id(other)]).fetchone())
        # What the owner says to and fro is told, and is nobody's turn.
        for mark in ("X", None, "X", None, "X"):
            with live.connect("ERP") as erp:
                erp.execute("UPDATE erp.cust SET blocked = %s WHERE id = %s", [mark, other])
            wait_for(lambda mark=mark: blocked() == (mark == "X",))  # type: ignore[misc]
        live.drain()
        for turn in (1, 2):
            lift()
            wait_for(lambda: blocked() == (True,))
            live.drain()
            assert ("over", turn) in logged(connection)
        for _ in range(2):
            lift()
            live.drain()
            time.sleep(1)
            assert blocked() == (False,)
        standing = [one for one in conflict_inbox.standing(connection) if one.entity_id == crm_id(key)]
        assert [(one.outcome, one.turns, one.winner) for one in standing] == [("flip_flop", 3, "demo-erp")]
        told = [
            said.record
            for said in consume(
                live.settings.kafka, live.settings.registry, "conflicts", start="beginning", follow=False
            )
            if isinstance(said.record, dict) and str(said.record["entity_id"]) == crm_id(key)
        ]
        assert told[-1]["outcome"] == "flip_flop"
        # A person says whose value stands: it is given to the loser, and the turns are counted anew.
        command = [sys.executable, "-m", "streams.cli", "conflicts", "resolve", standing[0].id, "--system", "demo-erp"]
        done = subprocess.run(
            command, env=worker_environment(live.settings), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        wait_for(lambda: blocked() == (True,))
        live.drain()
        lift()
        wait_for(lambda: blocked() == (True,))
        live.drain()
        assert [one for one in conflict_inbox.standing(connection) if one.entity_id == crm_id(key)] == []
    assert live.verify().holds


def test_one_system_deletes_what_another_keeps_and_it_comes_back(live: Pipeline) -> None:
    key = account(live, "Beta AG", tax_id="DE 811.907.980")
    other = cust(live, "Beta AG", tax_id="DE811907980")
    with hub(live) as connection:
        wait_for(
            lambda: connection.execute(
                "SELECT 1 FROM entity WHERE id = %s AND contributions ? %s", [crm_id(key), erp_id(other)]
            ).fetchone()
        )
        for gone, kinds in ((True, {"delete_update"}), (False, set())):
            with live.connect("CRM") as crm:
                crm.execute("UPDATE account SET is_deleted = %s WHERE id = %s", [gone, key])
            live.drain()
            assert connection.execute("SELECT deleted FROM entity WHERE id = %s", [crm_id(key)]).fetchone() == (False,)
            assert {one.kind for one in conflict_inbox.standing(connection) if one.entity_id == crm_id(key)} == kinds
    assert live.verify().holds
