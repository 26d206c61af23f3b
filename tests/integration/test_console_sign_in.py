"""Sign-in, sessions, tokens and rights of the console, on a real hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import psycopg
import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from streams.console import passwords
from streams.console.operation import OPERATIONS
from streams.console.people import ROLES, Grant, Permission, permissions_of, stored
from streams.console.sign_in import SignIn
from streams.hub import people as hub_people
from streams.stack.native import NativeStack
from tests.console_client import NOBODY, another_browser, console_of, form_token, sign_in
from tests.writers import hub_of_its_own

PASSWORD = "correct horse battery"


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
    return hub_of_its_own(hub_server, "console_sign_in")


@pytest.fixture
def hub(dsn: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM person")
        yield connection


@pytest.fixture(scope="module")
def hashed(cheap_passwords: None) -> str:
    return passwords.hash_password(PASSWORD)


@pytest.fixture
def people(hub: psycopg.Connection[tuple[object, ...]], hashed: str) -> None:
    """One person for each role, named as it."""
    for role in ROLES:
        hub_people.add_person(hub, role, password=hashed, grants=stored([Grant(role)]))


@pytest.fixture
def client(dsn: str, state_dir: Path) -> Iterator[TestClient]:
    with console_of(dsn, state_dir) as made:
        yield made


def test_without_people_whoever_is_here_may_do_everything(hub: object, client: TestClient) -> None:
    me = client.get("/api/v1/me").json()
    assert me["is_local"] and set(me["permissions"]) == set(get_args(Permission))
    assert "Set up sign-in" in client.get("/me").text


def test_with_people_nobody_gets_in_without_signing_in(people: None, client: TestClient) -> None:
    page = client.get("/flows", params={"stage": "won"})
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?to=/flows%3Fstage%3Dwon")
    assert client.get("/api/v1/flows").status_code == 401
    assert client.get("/inbox/count", headers={"hx-request": "true"}).headers["hx-redirect"] == "/sign-in"
    assert client.get("/sign-in").status_code == 200


def test_signing_in_leads_to_the_page_that_was_asked_for(people: None, client: TestClient) -> None:
    answer = sign_in(client, " Viewer ", PASSWORD, to="/flows?stage=won")
    assert (answer.status_code, answer.headers["location"]) == (303, "/flows?stage=won")
    assert client.get("/flows").status_code == 200
    assert client.get("/api/v1/me").json()["name"] == "viewer"


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "/sign-in"])
def test_signing_in_leads_to_no_other_site(people: None, client: TestClient, to: str) -> None:
    assert sign_in(client, "viewer", PASSWORD, to=to).headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_name_look_the_same(people: None, client: TestClient) -> None:
    wrong = sign_in(client, "viewer", "not the password")
    unknown = sign_in(client, "nobody", "not the password")
    assert wrong.status_code == unknown.status_code == 403
    assert "the name or the password is wrong" in wrong.text and "the name or the password is wrong" in unknown.text


def test_guessing_is_stopped_and_the_right_password_with_it(people: None, client: TestClient) -> None:
    answers = [sign_in(client, "viewer", f"guess number {number}").status_code for number in range(6)]
    assert answers == [403] * 5 + [429]
    assert sign_in(client, "viewer", PASSWORD).status_code == 429
    assert sign_in(client, "operator", PASSWORD).status_code == 303


def test_a_session_that_was_there_before_is_not_used(people: None, client: TestClient) -> None:
    client.cookies.set("session", "chosen-by-somebody-else", domain="127.0.0.1", path="/")
    sign_in(client, "viewer", PASSWORD)
    first = client.cookies["session"]
    assert first != "chosen-by-somebody-else"
    client.cookies.clear()
    client.cookies.set("session", first, domain="127.0.0.1", path="/")
    sign_in(client, "viewer", PASSWORD)
    assert client.cookies["session"] != first
    thief = another_browser(client)
    thief.cookies.set("session", first)
    assert thief.get("/api/v1/me").status_code == 401


def test_cookies_are_for_the_server_only(people: None, client: TestClient) -> None:
    cookie = sign_in(client, "viewer", PASSWORD).headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie


def test_by_https_cookies_are_bound_to_the_host(people: None, dsn: str, state_dir: Path) -> None:
    settings = {"console_url": "https://ops.example.com", "console_proxy": "yes", "console_host": "0.0.0.0"}
    with console_of(dsn, state_dir, **settings) as client:
        answer = sign_in(client, "viewer", PASSWORD)
        assert answer.headers["set-cookie"].startswith("__Host-session=")
        assert "; secure" in answer.headers["set-cookie"].lower()
        assert "strict-transport-security" in answer.headers
        assert client.get("http://ops.example.com/flows").status_code == 403


def test_other_machines_always_sign_in(hub: object, dsn: str, state_dir: Path) -> None:
    settings = {"console_url": "https://ops.example.com", "console_proxy": "yes", "console_host": "0.0.0.0"}
    with console_of(dsn, state_dir, **settings) as client:
        assert client.get("/api/v1/me").status_code == 401


def test_a_session_ends_when_it_is_not_used_or_old(
    people: None, hub: psycopg.Connection[tuple[object, ...]], client: TestClient
) -> None:
    sign_in(client, "viewer", PASSWORD)
    hub.execute("UPDATE sign_in_session SET seen_at = now() - interval '9 hours'")
    assert client.get("/api/v1/me").status_code == 401
    sign_in(client, "viewer", PASSWORD)
    hub.execute("UPDATE sign_in_session SET expires_at = now() - interval '1 second'")
    assert client.get("/api/v1/me").status_code == 401


def test_signing_out_ends_the_session(people: None, client: TestClient) -> None:
    sign_in(client, "viewer", PASSWORD)
    session = client.cookies["session"]
    assert client.post("/sign-out", data={"csrf": form_token(client, "/me")}).status_code == 303
    client.cookies.set("session", session)
    assert client.get("/api/v1/me").status_code == 401


def test_an_open_stream_stands_only_while_its_session_and_rights_do(
    people: None, hub: psycopg.Connection[tuple[object, ...]], client: TestClient
) -> None:
    guard = SignIn(client.app.state.place, is_local=True)  # type: ignore[attr-defined]
    sign_in(client, "viewer", PASSWORD)
    person = guard.person(session=client.cookies["session"], token=None)
    assert person is not None and guard.stands(person)
    hub.execute("UPDATE sign_in_session SET seen_at = now() - interval '5 minutes'")
    assert guard.stands(person)
    assert hub.execute("SELECT seen_at < now() - interval '4 minutes' FROM sign_in_session").fetchone() == (True,)
    hub.execute("UPDATE person SET grants = '[]' WHERE name = 'viewer'")
    assert not guard.stands(person), "a right was taken"
    other = guard.person(session=client.cookies["session"], token=None)
    assert other is not None and guard.stands(other)
    hub.execute("DELETE FROM sign_in_session")
    assert not guard.stands(other)


def test_a_stream_without_a_session_is_401_and_no_page(people: None, client: TestClient) -> None:
    assert client.get("/overview/events", headers={"accept": "text/event-stream"}).status_code == 401


def test_signing_out_everywhere_ends_all(people: None, client: TestClient) -> None:
    other = another_browser(client)
    sign_in(client, "viewer", PASSWORD)
    sign_in(other, "viewer", PASSWORD)
    assert len(client.get("/api/v1/me").json()["sessions"]) == 2
    client.post("/me/sign-out-everywhere", data={"csrf": form_token(client, "/me")})
    assert other.get("/api/v1/me").status_code == client.get("/api/v1/me").status_code == 401


def test_a_new_password_ends_other_sessions_and_the_old_password(people: None, client: TestClient) -> None:
    other = another_browser(client)
    sign_in(client, "viewer", PASSWORD)
    sign_in(other, "viewer", PASSWORD)
    form = {"csrf": form_token(client, "/me"), "old": PASSWORD, "new": "quite another sentence"}
    assert client.post("/me/password", data={**form, "old": "wrong"}).status_code == 403
    assert client.post("/me/password", data={**form, "new": "short"}).status_code == 422
    assert client.post("/me/password", data=form).status_code == 303
    assert client.get("/api/v1/me").status_code == 200
    assert other.get("/api/v1/me").status_code == 401
    assert sign_in(other, "viewer", PASSWORD).status_code == 403
    assert sign_in(other, "viewer", "quite another sentence").status_code == 303


def test_a_form_of_another_session_is_refused(people: None, client: TestClient) -> None:
    other = another_browser(client)
    sign_in(client, "viewer", PASSWORD)
    sign_in(other, "operator", PASSWORD)
    for token in ("", "x", form_token(other, "/me")):
        assert client.post("/me/sign-out-everywhere", data={"csrf": token}).status_code == 403
    assert client.get("/api/v1/me").status_code == 200


def test_a_role_that_was_taken_ends_at_once(
    people: None, hub: psycopg.Connection[tuple[object, ...]], client: TestClient
) -> None:
    sign_in(client, "admin", PASSWORD)
    assert client.get("/api/v1/people").status_code == 200
    (row,) = hub_people.list_people(hub, "admin")
    hub_people.change_grants(hub, "admin", row.grants, stored([Grant("viewer")]))
    assert client.get("/api/v1/people").status_code == 403


def body_of(wanted: type[msgspec.Struct]) -> dict[str, object]:
    """A value for each field that must be given, of its type."""
    schemas, parts = msgspec.json.schema_components([wanted], ref_template="{name}")
    schema = parts[schemas[0]["$ref"]]
    return {name: sample(schema["properties"][name], parts) for name in schema.get("required", [])}


def sample(schema: dict[str, object], parts: dict[str, object]) -> object:
    if "$ref" in schema:
        return sample(parts[str(schema["$ref"])], parts)  # type: ignore[arg-type]
    if "enum" in schema:
        return schema["enum"][0]  # type: ignore[index]
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], parts)  # type: ignore[index]
    values = {
        "string": "00000000-0000-0000-0000-000000000000",
        "integer": 1,
        "number": 1.0,
        "boolean": True,
        "array": [1],
    }
    if schema.get("type") == "object":
        inside: dict[str, dict[str, object]] = schema.get("properties", {})  # type: ignore[assignment]
        return {name: sample(inside[name], parts) for name in schema.get("required", [])}  # type: ignore[attr-defined]
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return [sample(schema["items"], parts)]  # type: ignore[arg-type]
    return values.get(str(schema.get("type")), "x")


def test_each_role_may_do_what_the_table_says_and_nothing_else(
    people: None, hub: psycopg.Connection[tuple[object, ...]], client: TestClient
) -> None:
    """Every operation that changes something, asked for by a token of each role: 403 exactly where the role lacks the
    right. The thing that it names does not exist, so nothing is changed by those who have it."""
    tokens = {}
    for role in ROLES:
        browser = another_browser(client)
        sign_in(browser, role, PASSWORD)
        form = {"csrf": form_token(browser, "/me"), "token": "test", "role": role, "days": "1"}
        page = browser.post("/me/tokens", data=form)
        tokens[role] = page.text.split('class="secret"><code>')[1].split("<")[0]
    wrong = []
    writes = [one for one in OPERATIONS.values() if one.writes and not one.path.startswith("/me/")]
    assert len(writes) > 5
    for one in writes:
        values = body_of(one.wanted)
        path = one.path
        for name in [step[1:-1] for step in path.split("/") if step.startswith("{")]:
            path = path.replace(f"{{{name}}}", str(values.pop(name, "x")))
        for role in ROLES:
            if one.permission in permissions_of(role):
                continue
            headers = {"authorization": f"Bearer {tokens[role]}"}
            answer = client.request(one.method, f"/api/v1{path}", json=values, headers=headers)
            if answer.status_code != 403:
                wrong.append((one.name, role, answer.status_code, answer.text[:200]))
    assert wrong == []


def test_a_grant_for_one_system_gives_nothing_elsewhere(
    hub: psycopg.Connection[tuple[object, ...]], hashed: str, client: TestClient
) -> None:
    grants = [Grant("admin", system="demo-erp"), Grant("viewer")]
    hub_people.add_person(hub, "erp-admin", password=hashed, grants=stored(grants))
    hub_people.add_person(hub, "vera", password=hashed, grants=stored([Grant("viewer")]))
    sign_in(client, "erp-admin", PASSWORD)
    path = "/api/v1/people/vera/grants"
    assert client.post(path, json={"role": "approver", "system": "demo-crm"}).status_code == 403
    assert client.post(path, json={"role": "approver"}).status_code == 403
    assert client.post(path, json={"role": "approver", "system": "demo-erp"}).status_code == 200
    assert client.post("/api/v1/people/vera/password", json={"password": PASSWORD * 2}).status_code == 403


class TestTokens:
    def make(self, client: TestClient, **body: object) -> str:
        answer = client.post("/api/v1/me/tokens", json={"token": "report", **body})
        assert answer.status_code == 200, answer.text
        secret: str = answer.json()["secret"]
        return secret

    def test_a_token_has_its_own_rights(self, people: None, client: TestClient) -> None:
        sign_in(client, "admin", PASSWORD)
        secret = self.make(client, grants=[{"role": "viewer"}])
        program = another_browser(client)
        program.headers["authorization"] = f"Bearer {secret}"
        me = program.get("/api/v1/me").json()
        assert (me["name"], me["token"], me["permissions"]) == ("admin", "report", ["see"])
        assert program.get("/api/v1/people").status_code == 403
        assert program.get("/flows").status_code == 303  # pages are for people

    def test_a_token_never_has_more_than_its_person(
        self, people: None, hub: psycopg.Connection[tuple[object, ...]], client: TestClient
    ) -> None:
        sign_in(client, "operator", PASSWORD)
        assert client.post("/api/v1/me/tokens", json={"token": "x", "grants": [{"role": "admin"}]}).status_code == 403
        secret = self.make(client, grants=[{"role": "operator"}])
        (row,) = hub_people.list_people(hub, "operator")
        hub_people.change_grants(hub, "operator", row.grants, stored([Grant("viewer")]))
        me = another_browser(client).get("/api/v1/me", headers={"authorization": f"Bearer {secret}"})
        assert me.status_code == 403 and "needs the right to see" in me.json()["detail"]

    def test_a_token_that_is_over_or_ended_is_refused(
        self, people: None, hub: psycopg.Connection[tuple[object, ...]], client: TestClient
    ) -> None:
        sign_in(client, "viewer", PASSWORD)
        headers = {"authorization": f"Bearer {self.make(client)}"}
        program = another_browser(client)
        assert program.get("/api/v1/me", headers=headers).status_code == 200
        hub.execute("UPDATE api_token SET expires_at = now() - interval '1 second'")
        assert program.get("/api/v1/me", headers=headers).status_code == 401
        hub.execute("UPDATE api_token SET expires_at = now() + interval '1 day'")
        (token,) = client.get("/api/v1/me").json()["tokens"]
        assert client.request("DELETE", f"/api/v1/me/tokens/{token['id']}", json={}).status_code == 200
        assert program.get("/api/v1/me", headers=headers).status_code == 401

    def test_a_token_makes_no_token_and_changes_no_password(self, people: None, client: TestClient) -> None:
        sign_in(client, "admin", PASSWORD)
        headers = {"authorization": f"Bearer {self.make(client, grants=[{'role': 'admin'}])}"}
        program = another_browser(client)
        for path, body in (
            ("/me/tokens", {"token": "y"}), ("/people/admin/tokens", {"token": "y"}),
            ("/me/password", {"old": PASSWORD, "new": PASSWORD * 2}),
        ):  # fmt: skip
            assert program.post(f"/api/v1{path}", json=body, headers=headers).status_code == 403

    def test_neither_secret_nor_password_is_kept(
        self, people: None, hub: psycopg.Connection[tuple[object, ...]], client: TestClient
    ) -> None:
        sign_in(client, "admin", PASSWORD)
        secret = self.make(client)
        client.post("/api/v1/people", json={"name": "neu", "password": "a very new password"})
        kept = "".join(str(row) for table in ("audit", "person", "api_token", "sign_in_session")
                       for row in hub.execute(f"SELECT * FROM {table}").fetchall())  # fmt: skip
        assert secret not in kept and "a very new password" not in kept and client.cookies["session"] not in kept


class TestPeople:
    def test_the_first_person_is_an_admin(self, hub: object, client: TestClient) -> None:
        body = {"name": "anna", "password": PASSWORD}
        assert client.post("/api/v1/people", json=body).status_code == 422
        assert client.post("/api/v1/people", json={**body, "grants": [{"role": "admin"}]}).status_code == 200

    def test_the_last_admin_stays(self, people: None, client: TestClient) -> None:
        sign_in(client, "admin", PASSWORD)
        assert client.post("/api/v1/people/admin/revoke", json={"role": "admin"}).status_code == 409
        assert client.request("DELETE", "/api/v1/people/admin", json={}).status_code == 409

    def test_an_admin_adds_and_removes_people_by_page(self, people: None, client: TestClient) -> None:
        sign_in(client, "admin", PASSWORD)
        form = {"csrf": form_token(client, "/people"), "name": "Neu", "role": "approver", "password": PASSWORD}
        assert client.post("/people", data=form).headers["location"] == "/people"
        token = form_token(client, "/people/neu")
        grant = {"csrf": token, "role": "steward", "entity": "customer"}
        assert client.post("/people/neu/grants", data=grant).status_code == 303
        assert "steward · customer" in " ".join(client.get("/people/neu").text.split())
        assert sign_in(another_browser(client), "neu", PASSWORD).status_code == 303
        assert client.post("/people/neu/remove", data={"csrf": token}).status_code == 303
        assert sign_in(another_browser(client), "neu", PASSWORD).status_code == 403

    def test_nobody_else_adds_people(self, people: None, client: TestClient) -> None:
        sign_in(client, "steward", PASSWORD)
        assert client.get("/people").status_code == 403
        assert client.post("/people", data={"csrf": form_token(client, "/me"), "name": "neu"}).status_code == 403

    @pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaa", "my-name-is-anna-1", "opshub-opshub-1"])
    def test_an_easy_password_is_refused(self, people: None, client: TestClient, password: str) -> None:
        sign_in(client, "admin", PASSWORD)
        answer = client.post("/api/v1/people", json={"name": "anna", "password": password})
        assert answer.status_code == 422 and password not in answer.text


def test_nobody_is_let_in_while_the_hub_is_away_if_people_are_known(people: None, dsn: str, state_dir: Path) -> None:
    with console_of(dsn, state_dir) as client:
        assert client.get("/api/v1/me").status_code == 401
    with console_of(NOBODY, state_dir) as client:
        assert client.get("/api/v1/me").status_code == 503
