"""One customer, one truth, on real servers: match keys, merge and split, decisions by hand, deletes that disagree."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from streams.cli.send import send
from streams.identity import inbox, people
from streams.model.ids import source_id
from streams.repair.verify import read_canonical
from tests.conftest import Pipeline

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def live(pipeline: Pipeline) -> Iterator[Pipeline]:
    pipeline.start_worker("identity-0")
    pipeline.start_worker("identity-1")
    yield pipeline
    pipeline.stop_workers()


def hub(live: Pipeline) -> psycopg.Connection[Any]:
    return psycopg.connect(live.settings.hub, autocommit=True)


def wait_for(what: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)


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
    """Live hub records and canonical records, without how many steps it took."""
    with hub(live) as connection:
        rows = connection.execute(
            "SELECT entity, id::text, record::text, parent_id::text, aggregate_id::text FROM entity"
            " WHERE NOT deleted AND merged_into IS NULL AND version > 0"
        ).fetchall()
    records = {(row[0], row[1]): (json.loads(row[2]), row[3], row[4]) for row in rows}
    topics: dict[Any, Any] = {}
    for topic, key, _, body in read_canonical(
        live.settings, ["canonical.customer", "canonical.contact", "canonical.order_flow", "canonical.sales_order"]
    ):
        topics[topic, key] = body
    return records, {
        name: None if body is None else body[37 + 2 :] for name, body in topics.items() if body is not None
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
        found = [one for one in inbox.conflicts(connection) if one.entity_id == crm_id(key)]
        assert [(one.field, one.winner, one.rule) for one in found] == [("phone", "demo-crm", "owner wins")]
        assert {said["value"] for said in found[0].said.values()} == {"+4930901820", "+4930901899"}
        assert all(said["tx"] and said["position"] and said["us"] for said in found[0].said.values())

        send(live.settings, [people.decide("customer", crm_id(key), crm_id(key), {"phone": "+4930901899"})])
        phone = "SELECT record->>'phone' FROM entity WHERE id = %s"
        wait_for(lambda: connection.execute(phone, [crm_id(key)]).fetchone() == ("+4930901899",))
        with live.connect("CRM") as crm:
            crm.execute("UPDATE account SET phone = '+49 30 901777' WHERE id = %s", [key])
        live.drain()
        assert connection.execute(phone, [crm_id(key)]).fetchone() == ("+4930901899",)
        decided = [
            one
            for one in inbox.conflicts(connection, past=True)
            if one.entity_id == crm_id(key) and one.outcome == "decided"
        ]
        assert decided
        assert decided[0].winner == people.PEOPLE
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
            live.settings, [people.merge(people.find(connection, erp_id(other)), people.find(connection, crm_id(key)))]
        )
        of_flow = "SELECT record->>'customer_id' FROM entity WHERE entity = 'order_flow' AND aggregate_id = %s"
        wait_for(lambda: connection.execute(of_flow, [flow[0]]).fetchone() == (crm_id(key),))
        live.drain()
        merged = content(live)
        assert ("customer", erp_id(other)) not in merged[0]
        assert ("canonical.customer", erp_id(other)) not in merged[1]
    assert live.verify().holds
    with hub(live) as connection:
        send(live.settings, [people.split(people.find(connection, erp_id(other)))])
        wait_for(lambda: connection.execute(of_flow, [flow[0]]).fetchone() == (erp_id(other),))
        live.drain()
    verdict = live.verify()
    assert verdict.holds, verdict.examples
    after = content(live)
    for now, then in zip(after, before, strict=True):
        assert {
            name: (now.get(name), then.get(name))
            for name in now.keys() | then.keys()
            if now.get(name) != then.get(name)
        } == {}
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
            assert {one.kind for one in inbox.conflicts(connection) if one.entity_id == crm_id(key)} == kinds
    assert live.verify().holds
