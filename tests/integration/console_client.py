"""A console in this process, and people at it: each request says who sends it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from streams.console import guard
from streams.console.app import create_app
from streams.console.people import Grant, Person
from streams.settings import Settings


@contextmanager
def console_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The console on this hub. The header `x-person: name/role` says who is at the page; without it the local user."""

    async def recognise(_: object, request: Request, session: str) -> None:
        name, __, role = request.headers.get("x-person", "local/admin").partition("/")
        request.state.person = Person(name, (Grant(role),))  # type: ignore[arg-type]

    monkeypatch.setattr(guard.Guard, "_recognise", recognise)
    with TestClient(create_app(settings), base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


def submit(client: TestClient, page: str, address: str, *, who: str = "local/admin", **fields: Any) -> Any:
    """Open a page, and send a form of it with its hidden fields; the answer."""
    headers = {"x-person": who}
    shown = client.get(page, headers=headers)
    assert shown.status_code == 200, shown.text[-500:]
    hidden = dict(re.findall(r'<input type="hidden" name="(csrf|seen)" value="([^"]*)"', shown.text))
    return client.post(address, data=hidden | fields, headers=headers)


def until(holds: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the state was not reached in time"
        time.sleep(0.2)
