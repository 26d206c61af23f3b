"""Dead letters and conflicts through the console, with Kafka and a worker: what people decide arrives in the hub."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

from streams.model.ids import source_id
from tests.conftest import Pipeline
from tests.console_client import console_with_people as console_of
from tests.console_client import submit
from tests.waiting import wait_for as until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def live(pipeline: Pipeline) -> Iterator[Pipeline]:
    pipeline.start_worker("inbox-w")
    yield pipeline
    # Other tests of the stack compare everything: rows that are refused for ever must not be there.
    with pipeline.connect("CRM") as crm:
        crm.execute("DELETE FROM account WHERE currency_iso_code = 'QQQ'")
    pipeline.drain()
    pipeline.stop_workers()


@pytest.fixture
def client(live: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    with console_of(live.settings, monkeypatch) as made:
        yield made


def account(live: Pipeline, name: str, **values: Any) -> str:
    """A customer of the CRM; its key."""
    columns = {"name": name, "currency_iso_code": "EUR"} | values
    places = ", ".join(["%s"] * len(columns))
    with live.connect("CRM") as crm:
        statement = f"INSERT INTO account ({', '.join(columns)}) VALUES ({places}) RETURNING id::text"
        row = crm.execute(statement.encode(), list(columns.values())).fetchone()
    assert row is not None
    return str(row[0])


def golden(live: Pipeline, key: str) -> dict[str, Any]:
    """The hub's record of a customer of the CRM; empty while there is none."""
    with psycopg.connect(live.settings.hub) as hub:
        row = hub.execute(
            "SELECT record FROM entity WHERE id = %s AND version > 0", [source_id("demo-crm", "customer", key)]
        ).fetchone()
    return dict(row[0]) if row else {}


def number_of(live: Pipeline, key: str) -> int | None:
    with psycopg.connect(live.settings.hub) as hub:
        row = hub.execute(
            "SELECT id FROM dead_letter WHERE position(%s IN convert_from(key, 'UTF8')) > 0 AND state = 'dead'", [key]
        ).fetchone()
    return int(row[0]) if row else None


def test_a_dead_letter_is_edited_previewed_and_retried(live: Pipeline, client: TestClient) -> None:
    name = f"Nordwind {uuid.uuid4().hex[:6]}"
    key = account(live, name, currency_iso_code="QQQ")
    until(lambda: number_of(live, key))
    page = f"/inbox/dead-letters/{number_of(live, key)}"
    groups = client.get("/inbox/dead-letters").text
    assert "QQQ" in groups and "customer" in groups
    shown = client.get(page).text
    assert name in shown and re.search(r'class="failing">currency_iso_code', shown)
    before = submit(client, page, page, do="preview")
    assert "it would fail again" in before.text
    edit = {"column.currency_iso_code": "CHF"}
    preview = submit(client, page, page, do="preview", **edit)
    assert preview.status_code == 200 and "it would pass" in preview.text and "<ins>CHF</ins>" in preview.text
    assert golden(live, key) == {}, "a preview writes nothing"
    assert submit(client, page, page, who="vera/viewer", do="retry", **edit).status_code == 403
    assert submit(client, page, page, do="retry", **edit).status_code == 303
    until(lambda: golden(live, key).get("currency") == "CHF")
    until(lambda: "It passed" in client.get(page).text)
    twice = submit(client, page, page, who="bob/operator", do="retry")
    assert twice.status_code == 409 and "was faster" in twice.text


def test_a_conflict_is_resolved_on_its_page_and_taken_back(live: Pipeline, client: TestClient) -> None:
    name = f"Kontor {uuid.uuid4().hex[:6]}"
    key = account(live, name, phone="+49 30 901820")
    with live.connect("ERP") as erp:
        erp.execute(
            "INSERT INTO erp.cust (short_name, name1, crm_ref, phone) VALUES (%s, %s, %s, '+49 40 428280')",
            [name[:12].upper(), name, key],
        )
    record = source_id("demo-crm", "customer", key)

    def conflict() -> str | None:
        with psycopg.connect(live.settings.hub) as hub:
            row = hub.execute(
                "SELECT id::text FROM conflict WHERE entity_id = %s AND field = 'phone' AND resolved_at IS NULL",
                [record],
            ).fetchone()
        return str(row[0]) if row else None

    until(conflict)
    page = f"/inbox/conflicts/{conflict()}"
    stands = golden(live, key)["phone"]
    other = {"+4930901820": "+4940428280", "+4940428280": "+4930901820"}[stands]
    system = "demo-erp" if other == "+4940428280" else "demo-crm"
    assert submit(client, page, page, who="vera/viewer", system=system).status_code == 403
    stale = client.get(page).text
    assert submit(client, page, page, who="ada/steward", system=system).status_code == 303
    until(lambda: golden(live, key)["phone"] == other)
    until(lambda: "It is done" in client.get(page).text)
    hidden = dict(re.findall(r'<input type="hidden" name="(csrf|seen)" value="([^"]*)"', stale))
    second = client.post(page, data=hidden | {"value": "+49 89 2180"}, headers={"x-person": "bob/steward"})
    assert second.status_code == 409 and "ada was faster" in second.text
    assert golden(live, key)["phone"] == other
    assert submit(client, page, page, who="ada/steward", release="true").status_code == 303
    until(lambda: golden(live, key)["phone"] == stands)


def test_a_pair_is_merged_and_split_and_kept_separate(live: Pipeline, client: TestClient) -> None:
    name = f"Sternwerk {uuid.uuid4().hex[:6]} Maschinen"
    where = {
        "billing_city": "Berlin",
        "billing_postal_code": f"1{uuid.uuid4().int % 9000 + 1000}",
        "billing_street": "Hauptstr. 1",
    }
    keys = [account(live, f"{name}{end}", **where) for end in ("", " GmbH")]
    until(lambda: all(golden(live, key) for key in keys))
    assert submit(client, "/inbox/matches", "/inbox/matches/search").status_code == 303
    ids = {source_id("demo-crm", "customer", key) for key in keys}

    def pair() -> str | None:
        matches = client.get("/api/v1/inbox/matches", params={"limit": 500}).json()["matches"]
        return next((f"{m['loser']}:{m['winner']}" for m in matches if {m["loser"], m["winner"]} == ids), None)

    until(pair)
    page = f"/inbox/matches/{pair()}"
    assert submit(client, page, page, who="ada/steward", what="merge").status_code == 303
    until(lambda: "they are one" in client.get(page).text)
    until(lambda: "It is done" in client.get(page).text)
    again = client.post(f"/api/v1{page}", json={"what": "separate"}, headers={"x-person": "bob/steward"})
    assert again.status_code == 409 and "ada was faster" in again.json()["detail"]
    assert submit(client, page, page, who="ada/steward", what="undo").status_code == 303
    until(lambda: "they are one</span>" not in client.get(page).text)
    assert pair() is None, "what people decided never comes back"
