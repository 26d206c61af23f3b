"""The console without a hub: pages say what is away, the API answers with problems, answers carry security headers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.console_client import NOBODY, console_of


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with console_of(NOBODY, tmp_path_factory.mktemp("state")) as made:
        yield made


def test_a_page_says_what_is_away(client: TestClient) -> None:
    answer = client.get("/flows")
    assert answer.status_code == 503
    assert "the hub does not answer" in answer.text


def test_the_api_answers_with_a_problem(client: TestClient) -> None:
    answer = client.get("/api/v1/flows")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.json()["detail"] == "the hub does not answer"


def test_an_unknown_parameter_is_named(client: TestClient) -> None:
    answer = client.get("/api/v1/flows", params={"colour": "red"})
    assert answer.status_code == 422
    assert "colour" in answer.json()["detail"]


def test_answers_carry_a_strict_policy(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy


def test_pages_come_in_the_language_that_was_chosen(client: TestClient) -> None:
    assert 'lang="zh-CN"' in client.get("/", headers={"accept-language": "zh-CN,zh;q=0.9"}).text
    assert 'lang="en"' in client.get("/", headers={"accept-language": "fr"}).text


def test_the_overview_stands_while_all_servers_are_away(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "hub is away" in answer.text
    assert "What flows, now" in answer.text


def test_every_operation_can_be_described(client: TestClient) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert "/api/v1/figures" in answer.json()["paths"]


def test_a_probe_needs_no_name_and_no_account(client: TestClient) -> None:
    by_address = {"host": "10.0.0.7:18080"}
    alive, ready = (client.get(path, headers=by_address) for path in ("/healthz", "/readyz"))
    assert (alive.status_code, alive.text) == (200, "ok\n")
    assert ready.status_code == 503 and "the hub does not answer" in ready.text
