"""Sign-in at a real OpenID Connect server, which runs in a process of its own: oidc-provider-mock, made by Authlib's server,
with Authlib's check of PKCE.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from starlette.testclient import TestClient

from streams.console.people import Grant, stored
from streams.hub import people as hub_people
from streams.stack.native import NativeStack
from streams.stack.server import port_is_free
from tests.console_client import another_browser, console_of
from tests.waiting import wait_for
from tests.writers import hub_of_its_own

Hub = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    port = next(number for number in range(31_200, 31_400) if port_is_free("127.0.0.1", number))
    # The server warns of parts of Authlib that it should not use any more.
    command = [sys.executable, "-W", "ignore", "-m", "tests.integration.pkce_provider", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        url = f"http://localhost:{port}"

        def answers() -> bool:
            assert process.poll() is None, "the provider has ended"
            try:
                return httpx.get(f"{url}/.well-known/openid-configuration").is_success
            except httpx.HTTPError:
                return False

        wait_for(answers)
        yield url
        process.terminate()


@pytest.fixture(scope="module")
def dsn(hub_server: NativeStack) -> str:
    return hub_of_its_own(hub_server, "console_provider")


@pytest.fixture
def hub(dsn: str) -> Iterator[Hub]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM person")
        yield connection


@pytest.fixture
def client(dsn: str, hub: Hub, issuer: str, state_dir: Path) -> Iterator[TestClient]:
    with console_of(
        dsn, state_dir, oidc_issuer=issuer, oidc_client_id="opshub", oidc_client_secret="very secret",
        oidc_roles={"sales": "approver system=demo-erp", "admins": "admin"},
    ) as made:  # fmt: skip
        yield made


def known(issuer: str, subject: str, **claims: object) -> None:
    """Let the server know somebody."""
    httpx.put(f"{issuer}/users/{subject}", json=claims).raise_for_status()


def to_server(client: TestClient, to: str = "/") -> str:
    """Begin at the console; the address at the server."""
    answer = client.get("/sign-in/provider", params={"to": to})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def at_server(address: str, subject: str) -> str:
    """Sign in at the server; the callback's path and query."""
    answer = httpx.post(address, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    target = urlsplit(answer.headers["location"])
    return f"{target.path}?{target.query}"


def test_somebody_signs_in_with_the_roles_of_the_groups(client: TestClient, issuer: str) -> None:
    known(issuer, "s1", preferred_username="Anna.Berg", name="Anna Berg", groups=["sales", "other"])
    answer = client.get(at_server(to_server(client, "/flows?stuck=true"), "s1"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/flows?stuck=true"), answer.text
    me = client.get("/api/v1/me").json()
    assert (me["name"], me["grants"], me["has_password"]) == (
        "anna.berg", [{"role": "approver", "system": "demo-erp"}], False,
    )  # fmt: skip


def test_the_request_has_state_nonce_and_pkce(client: TestClient) -> None:
    query = parse_qs(urlsplit(to_server(client)).query)
    assert query["code_challenge_method"] == ["S256"] and len(query["code_challenge"][0]) == 43
    assert query["state"] and query["nonce"] and query["response_type"] == ["code"]
    assert query["redirect_uri"] == ["http://127.0.0.1/sign-in/callback"]


def test_the_server_gives_a_code_out_for_the_right_verifier_alone(client: TestClient, issuer: str) -> None:
    known(issuer, "s9", preferred_username="cy", groups=["sales"])
    address = to_server(client)
    stolen = parse_qs(urlsplit(at_server(address, "s9")).query)["code"][0]
    form = {
        "grant_type": "authorization_code", "code": stolen, "client_id": "opshub", "client_secret": "very secret",
        "redirect_uri": "http://127.0.0.1/sign-in/callback",
    }  # fmt: skip
    for verifier in ({}, {"code_verifier": "a" * 43}):
        answer = httpx.post(f"{issuer}/oauth2/token", data=form | verifier)
        assert answer.status_code == 400, "the thief of a code has no verifier"
    assert client.get(at_server(to_server(client), "s9")).status_code == 303, "the console has"


def test_groups_of_today_count(client: TestClient, issuer: str) -> None:
    known(issuer, "s2", preferred_username="bo", groups=["admins"])
    client.get(at_server(to_server(client), "s2"))
    assert client.get("/api/v1/people").status_code == 200
    known(issuer, "s2", preferred_username="bo", groups=["sales"])
    client.get(at_server(to_server(client), "s2"))
    assert client.get("/api/v1/people").status_code == 403


def test_without_a_role_nobody_gets_in(client: TestClient, issuer: str, hub: Hub) -> None:
    known(issuer, "s3", preferred_username="eve", groups=["visitors"])
    answer = client.get(at_server(to_server(client), "s3"))
    assert answer.status_code == 403 and "eve has no role here (groups: visitors)" in answer.text
    assert client.get("/api/v1/me").status_code == 401
    assert hub.execute("SELECT count(*) FROM person").fetchone() == (0,)


def test_nobody_takes_the_name_of_a_local_person(client: TestClient, issuer: str, hub: Hub) -> None:
    hub_people.add_person(hub, "root", password="x", grants=stored([Grant("admin")]))
    known(issuer, "s4", preferred_username="root", groups=["sales"])
    answer = client.get(at_server(to_server(client), "s4"))
    assert answer.status_code == 403 and "belongs to somebody else" in answer.text


def test_another_browser_cannot_finish_the_sign_in(client: TestClient, issuer: str) -> None:
    known(issuer, "s5", preferred_username="mallory", groups=["sales"])
    callback = at_server(to_server(client), "s5")
    victim = another_browser(client)
    answer = victim.get(callback)
    assert answer.status_code == 403 and "not begun in this browser" in answer.text
    assert victim.get("/api/v1/me").status_code == 401


def test_an_answer_counts_once_and_not_for_ever(client: TestClient, issuer: str, hub: Hub) -> None:
    known(issuer, "s6", preferred_username="cy", groups=["sales"])
    callback = at_server(to_server(client), "s6")
    state = client.cookies["provider-state"]
    assert client.get(callback).status_code == 303
    client.cookies.set("provider-state", state, domain="127.0.0.1", path="/")
    assert client.get(callback).status_code == 403
    callback = at_server(to_server(client), "s6")
    hub.execute("UPDATE provider_sign_in SET expires_at = now() - interval '1 second'")
    assert client.get(callback).status_code == 403


def test_a_token_for_another_sign_in_is_refused(client: TestClient, issuer: str, hub: Hub) -> None:
    known(issuer, "s7", preferred_username="di", groups=["sales"])
    callback = at_server(to_server(client), "s7")
    hub.execute("""UPDATE provider_sign_in SET data = jsonb_set(data, '{nonce}', '"another"')""")
    answer = client.get(callback)
    assert answer.status_code == 403 and "cannot be trusted" in answer.text


def test_a_refusal_at_the_provider_is_said(client: TestClient) -> None:
    answer = client.get("/sign-in/callback", params={"error": "access_denied", "error_description": "not today"})
    assert answer.status_code == 403 and "not today" in answer.text


def test_a_provider_that_is_away_is_said(dsn: str, hub: Hub, state_dir: Path) -> None:
    with console_of(dsn, state_dir, oidc_issuer="http://127.0.0.1:1", oidc_client_id="opshub") as client:
        answer = client.get("/sign-in/provider")
        assert answer.status_code == 503 and "does not answer" in answer.text
        # Whoever sits at this machine signs in, too.
        assert client.get("/api/v1/me").status_code == 401
