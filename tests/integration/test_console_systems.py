"""The console's operations on systems with real servers: status, pauses, a table read again, rows before and after."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from starlette.testclient import TestClient

from streams.console.app import create_app
from streams.maintenance.quality import measure
from tests.conftest import Pipeline
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(500)


@pytest.fixture(scope="module")
def client(pipeline: Pipeline) -> Iterator[TestClient]:
    pipeline.start_worker("console-0")
    with pipeline.connect("CRM") as crm:
        crm.execute(
            "INSERT INTO account (name, email) SELECT 'Firm ' || n, 'a' || n || '@firm.example' FROM generate_series(1, 20) n"
        )
    with pipeline.connect("ERP") as erp:
        erp.execute("INSERT INTO erp.cust (name1) VALUES ('Kunde')")
    pipeline.drain()
    with TestClient(create_app(pipeline.settings), base_url="http://127.0.0.1") as made:
        yield made
    pipeline.stop_workers()


def test_status_of_tables_and_slots(client: TestClient) -> None:
    listed = client.get("/api/v1/systems").json()
    crm = next(system for system in listed["systems"] if system["name"] == "demo-crm")
    assert (crm["connector"], crm["problem"]) == ("RUNNING", None)
    account = next(table for table in crm["tables"] if table["table"] == "public.account")
    assert (account["state"], account["waiting"]) == ("ok", 0) and account["last_at"]
    assert crm["slot"]["active"] and crm["slot"]["kept_bytes"] is not None
    assert [worker["name"] for worker in listed["workers"]] == ["console-0"]
    page = client.get("/systems").text
    assert "tables are healthy" in page and "public.account" in page
    assert client.get("/systems/demo-crm").status_code == 200
    assert client.get("/systems/nothing").status_code == 404


def test_pause_by_the_api_is_in_the_audit(client: TestClient, pipeline: Pipeline) -> None:
    scope = {"scope": "demo-crm/public.contact", "reason": "a try"}
    queue = client.post("/api/v1/systems/pause", json=scope).json()
    assert (queue["waiting"], queue["problem"]) == (0, None)
    assert client.get("/api/v1/systems").json()["paused"][0]["scope"] == scope["scope"]
    assert client.post("/api/v1/systems/resume", json={"scope": scope["scope"]}).json() == {"was_paused": True}
    wrong = client.post("/api/v1/systems/pause", json={"scope": "demo-crm/nothing"})
    assert wrong.status_code == 400 and "public.contact" in wrong.json()["remedy"]
    with psycopg.connect(pipeline.settings.hub) as hub:
        rows = hub.execute("SELECT what, why FROM audit WHERE about = %s ORDER BY id", [scope["scope"]]).fetchall()
    assert rows == [("pause_capture", "a try"), ("resume_capture", "")]


def test_table_is_read_again_with_progress(client: TestClient) -> None:
    asked = client.post("/api/v1/snapshots", json={"system": "demo-crm", "table": "public.account"}).json()
    assert asked["rows"]["public.account"] >= 20
    wait_for(lambda: client.get("/api/v1/snapshots").json()["snapshots"][0]["state"] == "done")
    done = client.get("/api/v1/snapshots").json()["snapshots"][0]
    assert (done["share"], done["table"], done["came"]) == (1.0, "public.account", done["rows"])
    late = client.post(f"/api/v1/snapshots/{done['id']}/cancel", json={})
    assert late.status_code == 400


def test_last_rows_before_and_after_and_with_an_edit(client: TestClient) -> None:
    tried = client.get("/api/v1/dictionary/demo-crm/rows?table=public.account&limit=3").json()
    assert len(tried["rows"]) == 3 and tried["rows"][0]["records"][0]["entity"] == "customer"
    text = client.get("/api/v1/dictionary/demo-crm").json()["text"]
    same = client.post("/api/v1/dictionary/demo-crm/compare", json={"text": text, "table": "public.account"}).json()
    assert same["compared"] and same["rows"] == []


def test_live_records_are_filtered(client: TestClient) -> None:
    tail = client.get("/api/v1/live?topic=raw&system=demo-crm&where=name=Firm 3&back=500").json()
    assert tail["records"] and {record["record"]["after"]["name"] for record in tail["records"]} == {"Firm 3"}
    assert client.get("/api/v1/live?topic=nothing").status_code == 400


def test_new_database_is_checked(client: TestClient, pipeline: Pipeline) -> None:
    env = pipeline.env
    host, port, database, user = (env[f"DEMO_CRM_{name}"] for name in ("HOST", "PORT", "DATABASE", "APP_USER"))
    wanted = {
        "name": "crm-2",
        "dsn": f"postgresql://{user}@{host}:{port}/{database}",
        "password": env["DEMO_CRM_APP_PASSWORD"],
    }
    answer = client.post("/api/v1/systems/check", json=wanted)
    report = answer.json()
    assert {"role-replication"} <= {finding["code"] for finding in report["findings"]}
    assert "public.account" in {table["name"] for table in report["tables"]}
    assert env["DEMO_CRM_APP_PASSWORD"] not in answer.text


def test_quality_is_measured_and_shown(client: TestClient, pipeline: Pipeline) -> None:
    assert "Nothing was measured yet" in client.get("/quality").text
    with psycopg.connect(pipeline.settings.hub, autocommit=True) as hub:
        measure(hub, ["customer"])
    listed = client.get("/api/v1/quality?entity=customer&every=true").json()
    email = next(field for field in listed["fields"] if field["figures"]["field"] == "email")
    assert email["figures"]["records"] >= 20 and len(email["trend"]) == 1
    assert client.get("/quality/customer/email").status_code == 200
    assert client.get("/quality/customer/nothing").status_code == 404
