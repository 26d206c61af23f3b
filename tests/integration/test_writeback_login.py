"""Tokens of an HTTP target: fetched, renewed, never shown; and whom a request may be redirected to."""

from __future__ import annotations

from typing import Any

import pytest

from streams.writeback.http import HttpAdapter
from streams.writeback.http_rules import HttpTarget
from streams.writeback.jobs import Job
from streams.writeback.rules import WritebackRule
from tests.integration.odd_delivery import ORDER, Clock, holds, intent
from tests.integration.odd_server import ODD, OddServer, fixed

SECRET = "s3cr3t-of-the-client"


def oauth2(server: OddServer, **more: Any) -> dict[str, Any]:
    url = f"http://127.0.0.1:{server.port}/token"
    return {"oauth2": {"token_url": url, "client_id": "opshub", "client_secret": SECRET, "scope": "orders"} | more}


LOGIN = {"login": {"path": "/session", "json": {"user": "opshub", "password": SECRET}, "token": "access_token"}}


@pytest.mark.parametrize("way", ["oauth2", "oauth2 in the body", "login"])
async def test_token_is_fetched_once_and_again_after_401(server: OddServer, clock: Clock, way: str) -> None:
    server.tokens = iter(["token-one", "token-two"])
    target = LOGIN if way == "login" else oauth2(server, **({"client_auth": "body"} if "body" in way else {}))
    one = intent(server, clock, **target)
    end = await one.run()
    holds(server, end)
    assert (end.how, end.attempts) == ("delivered", 1)
    # The target forgets the token, and the next order must not fail for it.
    server.orders.clear()
    server.valid_token = "none"
    again = intent(server, clock)
    again.adapter = one.adapter
    end = await again.run()
    holds(server, end)
    assert (end.how, end.attempts, end.failures) == ("delivered", 1, 0)
    logins = [request for request in server.seen if request.path in ("/token", "/session")]
    assert len(logins) == 2
    assert way != "oauth2" or logins[0].headers["authorization"].startswith("Basic ")


async def test_login_that_is_refused_stops_the_target_and_no_secret_is_shown(server: OddServer, clock: Clock) -> None:
    server.tokens = iter(())
    server.odd["/token"] = fixed(401, {"error": f"client {SECRET} is unknown"}), 1000, False
    one = intent(server, clock, **oauth2(server))
    end = await one.run()
    assert (end.how, end.failures) == ("paused", 0)
    assert "POST " in end.problem and SECRET not in end.problem and "***" in end.problem
    assert not [request for request in server.seen if request.phase == "send"]


async def test_target_that_repeats_the_credentials_does_not_get_them_into_a_message(
    server: OddServer,
    clock: Clock,
) -> None:
    server.tokens = iter(())
    one = intent(server, clock, headers={"Authorization": f"Bearer {SECRET}"})
    end = await one.run()
    assert end.how == "paused" and "***" in end.problem and SECRET not in end.problem


def test_secret_of_a_body_is_not_kept(server: OddServer) -> None:
    target = HttpTarget(adapter="http", base_url="http://h", secrets={"key": SECRET})
    http = {"send": {"path": "/rpc", "rpc": "call", "json": ["db", "$secret.key", "$key"]}, "result": {"id": "."}}
    job = Job(
        key="k1",
        rule=WritebackRule.model_validate({"entity": "product", "becomes": {"active": True}, "http": http}),
        params={},
    )
    (request,) = HttpAdapter(target).describe(job)
    assert request["json"]["params"] == ["db", "***", "k1"]


@pytest.mark.parametrize(
    ("location", "how"),
    [("/orders?ref=k1", "delivered"), ("http://127.0.0.1:9/orders?ref=k1", "paused"), ("//evil.example/", "paused"), ("http://[", "paused")],
)  # fmt: skip
async def test_look_up_follows_redirects_to_its_own_target_only(
    server: OddServer,
    clock: Clock,
    location: str,
    how: str,
) -> None:
    server.orders.append({"id": 1, "ref": "k1", "amount": 12.5})
    server.odd["look_up"] = fixed(302, Location=location), 1 if how == "delivered" else 1000, True
    one = intent(server, clock)
    one.in_doubt_since(100)
    end = await one.run(6)
    assert end.how == how
    if how == "paused":
        assert location in end.problem and "redirects are not followed here" in end.problem


async def test_next_page_of_another_host_is_not_asked(server: OddServer, clock: Clock) -> None:
    server.odd["look_up"] = fixed(200, {"items": [], "next": "https://evil.example/orders"}), 1000, True
    one = intent(server, clock, ORDER | {"look_up": ORDER["look_up"] | {"next_page": "next"}})
    one.in_doubt_since(100)
    end = await one.run(6)
    assert "nothing is asked there" in end.problem and server.orders == []


@pytest.mark.parametrize("key", ["a/b", "x?y=1", "a b#c", "..%2f", "ä"])
async def test_key_in_a_path_is_one_step_of_it(server: OddServer, clock: Clock, key: str) -> None:
    server.odd["read_back"] = ODD["422"], 1, True
    one = intent(server, clock, ORDER | {"read_back": {"method": "GET", "path": "/orders/$ref/lines"}})
    one.job = {"params": {"amount": 12.5, "ref": key}}
    await one.run(1)
    path = next(request.path for request in server.seen if request.phase == "read_back")
    assert path.count("/") == 3 and path.endswith("/lines")
