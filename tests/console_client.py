"""A console in this process, as a browser, a program or people at it see it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from streams.console import guard
from streams.console.app import create_app
from streams.console.people import Grant, Person
from streams.settings import Settings

BASE = "http://127.0.0.1"
NOBODY = "postgresql://nobody@127.0.0.1:1/none"
"""A hub that is away."""


@contextmanager
def console_of(hub: str, state_dir: Path, **values: Any) -> Iterator[TestClient]:
    """A console; `values` are settings. The client is a browser without cookies."""
    settings = Settings(_env_file=None, hub_dsn=hub, state_dir=state_dir, **values)  # type: ignore[call-arg]
    base = values.get("console_url", BASE)
    wait = {"wait_for_hub": 0.05} if hub == NOBODY else {}
    with TestClient(create_app(settings, **wait), base_url=base, follow_redirects=False) as client:
        yield client


@contextmanager
def console_with_people(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The console on this hub. The header `x-person: name/role` says who is at the page; without it the local user."""

    async def recognise(_: object, request: Request, session: str) -> None:
        name, __, role = request.headers.get("x-person", "local/admin").partition("/")
        request.state.person = Person(name, (Grant(role),))  # type: ignore[arg-type]

    monkeypatch.setattr(guard.Guard, "_recognise", recognise)
    with TestClient(create_app(settings), base_url=BASE, follow_redirects=False) as client:
        yield client


def submit(client: TestClient, page: str, address: str, *, who: str = "local/admin", **fields: Any) -> Any:
    """Open a page, and send a form of it with its hidden fields; the answer."""
    headers = {"x-person": who}
    shown = client.get(page, headers=headers)
    assert shown.status_code == 200, shown.text[-500:]
    hidden = dict(re.findall(r'<input type="hidden" name="(csrf|seen)" value="([^"]*)"', shown.text))
    return client.post(address, data=hidden | fields, headers=headers)


def another_browser(client: TestClient) -> TestClient:
    """At the same console, with cookies of its own."""
    return TestClient(client.app, base_url=str(client.base_url), follow_redirects=False)


def form_token(client: TestClient, path: str) -> str:
    """What the forms of this page carry."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found, f"{path} has no form"
    return found[1]


def sign_in(client: TestClient, name: str, password: str, *, to: str = "/me") -> Any:
    """Sign in by the form; the answer."""
    token = form_token(client, "/sign-in?to=/")
    return client.post("/sign-in", data={"name": name, "password": password, "to": to, "csrf": token})
