"""The audit of the console on a real hub: what is kept, who sees it, its export; and that nobody can change it."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from streams.console import passwords
from streams.console.passwords import hash_password
from streams.console.people import Grant, stored
from streams.hub import people as hub_people
from streams.hub.audit import begin_audit, end_audit
from streams.hub.store import HubStore
from streams.maintenance.periodic import AuditRetention
from streams.stack.native import NativeStack
from tests.console_client import another_browser, console_of, form_token, sign_in
from tests.writers import hub_of_its_own

PASSWORD = "correct horse battery"
RECORD = str(uuid.uuid4())

Hub = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Hashes that take no second: what they are made of is the library's matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        passwords._nobodys.cache_clear()
        yield
    passwords._nobodys.cache_clear()


@pytest.fixture(scope="module")
def dsn(hub_server: NativeStack) -> str:
    """Three deeds of the audit, and one of each older log; the first of them is in both."""
    dsn = hub_of_its_own(hub_server, "console_audit")
    with psycopg.connect(dsn, autocommit=True) as hub:
        hub.execute(
            "INSERT INTO entity (id, entity, aggregate_id, version, revision, deleted, updated_us, record, contributions)"
            " VALUES (%s, 'customer', %s, 1, 1, false, 0, %s, '{}')",
            [RECORD, RECORD, msgspec.json.encode({"name": "Acme", "email": "anna@acme.example"}).decode()],
        )
        for number in range(3):
            wanted = {"id": number + 1, "value": "anna@acme.example"}
            entry = begin_audit(
                hub, who="olga", what="edit_dead_letter", via="page", wanted=wanted, about=str(number + 1), why="typo"
            )
            if number < 2:
                end_audit(hub, entry, **({"result": {"value": "Anna"}} if number == 0 else {"failed": "it is gone"}))
        hub.execute(
            "INSERT INTO dead_letter_audit (who, verb, dead_letter_id) VALUES ('olga', 'edit', 1), ('otto', 'drop', 9)"
        )
        hub.execute(
            "INSERT INTO identity_log (who, what, loser, winner, reason) VALUES ('stefan', 'merge', %s, %s, 'same')",
            [RECORD, RECORD],
        )
    return dsn


@pytest.fixture
def hub(dsn: str) -> Iterator[Hub]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def client(dsn: str, state_dir: Path, hub: Hub) -> Iterator[TestClient]:
    hub.execute("DELETE FROM person")
    with console_of(dsn, state_dir) as made:
        yield made


@pytest.fixture
def people(hub: Hub, client: TestClient) -> None:
    hashed = hash_password(PASSWORD)
    for role in ("viewer", "steward", "admin"):
        hub_people.add_person(hub, role, password=hashed, grants=stored([Grant(role)]))


def test_all_logs_are_one_list_and_nothing_is_in_it_twice(client: TestClient) -> None:
    entries = client.get("/api/v1/audit").json()["entries"]
    assert [(one["kind"], one["who"]) for one in entries] == [
        ("identity", "stefan"), ("dead_letter", "otto"), *[("deed", "olga")] * 3,
    ]  # fmt: skip


def test_pages_of_the_list_join_without_gap(client: TestClient) -> None:
    whole = [(one["kind"], one["id"]) for one in client.get("/api/v1/audit").json()["entries"]]
    steps, after = [], ""
    while after is not None:
        page = client.get("/api/v1/audit", params={"limit": 1, **({"after": after} if after else {})}).json()
        steps += [(one["kind"], one["id"]) for one in page["entries"]]
        after = page["after"]
    assert steps == whole


@pytest.mark.parametrize(
    ("given", "count"),
    [({"who": "olga"}, 3), ({"what": "edit_dead_letter"}, 3), ({"about": "2"}, 1), ({"via": "api"}, 0),
     ({"via": "page"}, 3), ({"about": RECORD}, 1), ({"until": "2020-01-01T00:00:00Z"}, 0), ({"since": "2020-01-01T00:00:00Z"}, 5)],
)  # fmt: skip
def test_the_list_is_filtered(client: TestClient, given: dict[str, str], count: int) -> None:
    assert len(client.get("/api/v1/audit", params=given).json()["entries"]) == count


def test_the_page_says_what_came_of_each_deed(client: TestClient) -> None:
    text = client.get("/audit").text
    assert all(word in text for word in ("it is gone", "end unknown", "typo", "Export as CSV"))
    assert "otto" not in client.get("/audit", params={"who": "olga", "since": "2020-01-01"}).text


def test_the_export_has_every_line(client: TestClient) -> None:
    answer = client.get("/audit/export.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["who"] for row in rows] == ["stefan", "otto", "olga", "olga", "olga"]
    assert "attachment" in answer.headers["content-disposition"]
    lines = client.get("/audit/export.jsonl", params={"who": "olga"}).text.splitlines()
    assert [msgspec.json.decode(line)["about"] for line in lines] == ["3", "2", "1"]
    assert client.get("/audit/export.xlsx").status_code == 404


def test_values_are_masked_for_whoever_may_not_see_them(people: None, client: TestClient) -> None:
    sign_in(client, "viewer", PASSWORD)
    text = client.get("/api/v1/audit").text + client.get("/audit/export.jsonl").text + client.get("/audit").text
    assert "anna@acme.example" not in text and "a…@…" in text
    admin = another_browser(client)
    sign_in(admin, "admin", PASSWORD)
    assert "anna@acme.example" in admin.get("/api/v1/audit").text


def test_sign_ins_of_others_are_for_admins(people: None, client: TestClient) -> None:
    sign_in(client, "viewer", PASSWORD)
    admin = another_browser(client)
    sign_in(admin, "admin", PASSWORD)
    sign_ins = {"what": "sign_in", "limit": 500}
    assert client.get("/api/v1/audit", params=sign_ins).json()["entries"] == []
    own = client.get("/api/v1/audit", params={**sign_ins, "who": "viewer"}).json()["entries"]
    assert own and {one["who"] for one in own} == {"viewer"}
    assert {one["who"] for one in admin.get("/api/v1/audit", params=sign_ins).json()["entries"]} >= {"viewer", "admin"}


def test_unmasking_needs_the_right_and_is_kept_with_its_reason(people: None, hub: Hub, client: TestClient) -> None:
    sign_in(client, "viewer", PASSWORD)
    form = {"csrf": form_token(client, f"/unmask/{RECORD}"), "reason": "she called about her order"}
    assert client.post(f"/unmask/{RECORD}", data=form).status_code == 403
    steward = another_browser(client)
    sign_in(steward, "steward", PASSWORD)
    form["csrf"] = form_token(steward, f"/unmask/{RECORD}")
    assert "anna@acme.example" in steward.post(f"/unmask/{RECORD}", data=form).text
    assert steward.post(f"/unmask/{RECORD}", data={**form, "reason": ""}).status_code == 422
    kept = hub.execute(
        "SELECT who, about, why, result::text, failed LIKE '%needs the right%' FROM audit WHERE what = 'unmask_record'"
        " AND why <> '' ORDER BY id"
    ).fetchall()
    assert kept == [
        ("viewer", RECORD, form["reason"], None, True),
        ("steward", RECORD, form["reason"], "{}", None),
    ]


def test_refusals_are_kept_but_a_scan_does_not_fill_the_audit(people: None, hub: Hub, client: TestClient) -> None:
    sign_in(client, "viewer", PASSWORD)
    refused = [client.get("/api/v1/people").status_code for _ in range(30)]
    assert refused == [403] * 30
    (kept,) = hub.execute("SELECT count(*) FROM audit WHERE who = 'viewer' AND what = 'people_list'").fetchall()
    assert kept == (10,)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit",
        "TRUNCATE audit",
        "UPDATE audit SET who = 'nobody'",
        "UPDATE audit SET failed = NULL WHERE failed IS NOT NULL",
    ],
)
def test_nobody_changes_the_audit(hub: Hub, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        hub.execute(statement)


async def test_only_retention_deletes(hub_server: NativeStack) -> None:
    dsn = hub_of_its_own(hub_server, "console_audit_old")
    store = HubStore(dsn, "test")
    try:
        with psycopg.connect(dsn, autocommit=True) as hub:
            for days in (400, 1):
                hub.execute(
                    "INSERT INTO audit (at, who, what, via) VALUES (now() - make_interval(days => %s), 'x', 'y', 'page')",
                    [days],
                )
            assert await AuditRetention(store, None).trim() == 0
            assert await AuditRetention(store, 365).trim() == 1
            assert hub.execute("SELECT count(*) FROM audit").fetchone() == (1,)
    finally:
        await store.close()
