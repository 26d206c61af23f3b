"""A fault of the console itself: pages and the API say so with a number, and the log has where it was, under it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from streams.console import api
from streams.console.render import environment
from tests.console_client import NOBODY, console_of

PERSONAL = "anna@example.com"


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError(PERSONAL)


@pytest.fixture
def client(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(api, "run", broken)
    monkeypatch.setattr("streams.console.pages.flows.ask", broken)
    with console_of(NOBODY, state_dir) as made:
        yield made


def logged(caplog: pytest.LogCaptureFixture, number: str) -> logging.LogRecord:
    return next(record for record in caplog.records if getattr(record, "request", "") == number)


def test_the_api_answers_with_a_problem_that_names_the_request(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/api/v1/flows")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    body = answer.json()
    assert body["request"] == answer.headers["x-request-id"] and body["request"] in body["remedy"]
    line = logged(caplog, body["request"])
    assert "/api/v1/flows" in line.getMessage() and "in broken" in line.getMessage()
    assert PERSONAL not in line.getMessage() + answer.text


def test_a_page_says_that_it_failed(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.get(f"/flows?text={PERSONAL}")
    number = answer.headers["x-request-id"]
    assert answer.status_code == 500 and "<main" in answer.text and number in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert PERSONAL not in logged(caplog, number).getMessage()


def test_a_broken_frame_of_all_pages_leaves_a_text(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment(), "get_template", broken)
    answer = client.get("/flows")
    assert answer.status_code == 500 and answer.headers["x-request-id"] in answer.text
