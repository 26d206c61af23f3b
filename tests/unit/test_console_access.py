"""From where the console may be reached: unsafe addresses are refused, foreign hosts and foreign pages, too."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from streams.console.access import access_of
from streams.console.limits import Bucket, SignInLimits
from streams.console.people import Grant, Person, read_grant, stored
from streams.console.problems import TooMany
from streams.console.serve import _transport, listen
from streams.errors import ConfigError
from streams.settings import Settings
from tests.console_client import NOBODY, console_of


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"console_host": "0.0.0.0"}, "without TLS"),
        ({"console_host": "::"}, "without TLS"),
        ({"console_host": "0.0.0.0", "console_url": "http://a.example"}, "without TLS"),
        ({"console_host": "10.0.0.7", "console_proxy": "10.0.0.1"}, "own address"),
        ({"console_host": "10.0.0.7", "console_proxy": "nginx", "console_url": "https://a.example"}, "no address"),
        ({"console_host": "0.0.0.0", "console_proxy": "yes", "console_url": "http://a.example"}, "not HTTPS"),
        ({"console_url": "https://a.example"}, "knows of no proxy"),
        ({"console_tls_cert": "cert.pem"}, "TLS_KEY is missing"),
        ({"console_tls_cert": "no.pem", "console_tls_key": "no.pem"}, "no file"),
    ],
)
def test_an_unsafe_address_is_refused_and_says_what_to_do(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        access_of(settings(**values))
    assert caught.value.remedy


def test_a_safe_address_is_taken(tmp_path: Path) -> None:
    assert access_of(settings()).is_local
    behind = access_of(settings(console_host="0.0.0.0", console_proxy="10.0.0.0/24", console_url="https://a.example"))
    assert (behind.is_local, behind.is_secure, behind.hosts) == (False, True, {"a.example"})
    # A proxy on this machine: requests come from this machine, and are other people's.
    assert not access_of(settings(console_proxy="127.0.0.1", console_url="https://a.example")).is_local


def test_no_header_of_a_proxy_is_believed_unless_it_is_named() -> None:
    plain = settings()
    assert _transport(plain, access_of(plain))["proxy_headers"] is False
    behind = settings(console_proxy="10.0.0.1", console_url="https://a.example")
    assert _transport(behind, access_of(behind))["forwarded_allow_ips"] == "10.0.0.1"


@pytest.fixture
def client(state_dir: Path) -> Iterator[TestClient]:
    with console_of(NOBODY, state_dir) as made:
        yield made


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1"])
def test_a_foreign_host_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:18080", "127.0.0.1:9", "[::1]:18080"])
def test_this_machine_has_several_names(client: TestClient, host: str) -> None:
    assert client.get("/sign-in", headers={"host": host}).status_code != 421


def test_a_proxy_that_is_not_named_is_refused(client: TestClient) -> None:
    assert client.get("/", headers={"x-forwarded-for": "10.1.2.3"}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}, {"origin": "null"},
     {"origin": "http://127.0.0.1:9999"}],
)  # fmt: skip
def test_what_another_sites_page_sends_changes_nothing(client: TestClient, headers: dict[str, str]) -> None:
    for path in ("/sign-in", "/people", "/api/v1/people"):
        answer = client.post(path, headers=headers, json={})
        assert (answer.status_code, answer.text) == (403, "a page of another site sent this\n")


def test_a_form_without_our_token_is_refused(client: TestClient) -> None:
    assert client.post("/people", data={"name": "x"}).status_code == 403
    client.get("/")
    assert client.post("/people", data={"name": "x", "csrf": client.cookies["csrf"]}).status_code == 403


def test_each_page_has_another_form_token(client: TestClient) -> None:
    tokens = {re.search(r'name="csrf" value="([^"]+)"', client.get("/sign-in?to=/").text)[1] for _ in range(3)}  # type: ignore[index]
    assert len(tokens) == 3


def test_a_huge_body_is_refused(client: TestClient) -> None:
    assert client.post("/sign-in", content=b"x" * (3 << 20)).status_code == 413


def test_answers_forbid_frames_sniffing_and_keeping(client: TestClient) -> None:
    headers = client.get("/").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers


class TestLimits:
    def test_a_bucket_fills_up_again(self) -> None:
        now = [0.0]
        bucket = Bucket(2, 0.5, lambda: now[0])
        bucket.take("a")
        bucket.take("a")
        with pytest.raises(TooMany):
            bucket.take("a")
        bucket.take("b")
        now[0] = 2.0
        bucket.take("a")

    def test_guesses_of_one_name_from_many_addresses_are_stopped(self) -> None:
        limits = SignInLimits(lambda: 0.0)
        for number in range(50):
            limits.check("anna", f"10.0.0.{number}")
            limits.failed("anna", f"10.0.0.{number}")
        with pytest.raises(TooMany):
            limits.check("anna", "10.0.0.99")

    def test_guesses_of_many_names_from_one_address_are_stopped(self) -> None:
        limits = SignInLimits(lambda: 0.0)
        for number in range(20):
            limits.failed(f"name{number}", "10.0.0.1")
        with pytest.raises(TooMany):
            limits.check("anna", "10.0.0.1")
        limits.check("anna", "10.0.0.2")


class TestGrants:
    def test_a_grant_is_read_from_its_text(self) -> None:
        assert read_grant("approver system=demo-erp") == Grant("approver", system="demo-erp")
        for text in ("chief", "viewer system", "viewer colour=red", "viewer system="):
            with pytest.raises(ConfigError, match="no grant"):
                read_grant(text)

    def test_a_grant_for_one_system_does_not_reach_what_belongs_to_none(self) -> None:
        person = Person("x", (Grant("operator", system="demo-erp"),))
        assert person.may("operate", system="demo-erp", anywhere=False)
        assert not person.may("operate", system="demo-crm") and not person.may("operate", anywhere=False)
        assert person.may("see")

    def test_nobody_gives_more_than_they_have(self) -> None:
        admin = Person("x", (Grant("admin", entity="customer"),))
        assert admin.holds(Grant("steward", entity="customer")) and not admin.holds(Grant("steward"))

    def test_grants_are_kept_once_and_in_order(self) -> None:
        assert stored([Grant("viewer"), Grant("admin", "a"), Grant("viewer")]) == [
            {"role": "admin", "system": "a"}, {"role": "viewer"},
        ]  # fmt: skip


def test_a_container_may_listen_everywhere_when_its_port_is_published_on_this_machine_only() -> None:
    access = access_of(settings(console_host="0.0.0.0", console_url="http://localhost:18080"))
    assert not access.is_local, "whoever reaches the container must sign in"
    assert not access.is_secure and access.proxies == ""
    assert access.hosts == {"localhost", "127.0.0.1", "::1"}


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
