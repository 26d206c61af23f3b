"""Whatever an HTTP target answers, in each phase: at the end there is exactly one order, or a person is asked.

The answers are those of public reports, among them sourcegraph#46346, hubspot-api-php#59, airbyte#74774 and #8690.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from streams.writeback.forms import duration
from streams.writeback.jobs import AlreadyDone
from tests.integration.odd_delivery import ORDER, Clock, holds, intent
from tests.integration.odd_server import GOOD, ODD, OddServer

ALWAYS = ORDER | {"look_up": ORDER["look_up"] | {"always": True}}
BLIND = {name: part for name, part in ORDER.items() if name != "look_up"}
ROUNDS = 5
"""Attempts at a target that is never well again."""
REFUSED = ("307 to the log-in", "308 to the log-in")
SLOW = ("hangs", "hangs in the middle", "drips")


def timeout_for(name: str) -> dict[str, Any]:
    """Shorter for a server that hangs: the test waits for it."""
    return {"timeout": duration("300 ms")} if name in SLOW else {}


@pytest.mark.parametrize(
    ("times", "works"), [(1, True), (1, False), (1000, False)], ids=["once, done", "once, not done", "always"]
)
@pytest.mark.parametrize("name", ODD)
async def test_odd_answer_to_the_request(server: OddServer, clock: Clock, name: str, times: int, works: bool) -> None:
    server.odd["send"] = ODD[name], times, works
    one = intent(server, clock, **timeout_for(name))
    end = await one.run(ROUNDS if times > 1 else 30)
    holds(server, end)
    if times == 1 and name not in ("202 queued", "202 empty"):
        assert end.how == "delivered", "once the target is well again, it is done"
    if times > 1 and not works:
        assert end.how != "delivered"


@pytest.mark.parametrize("name", ODD)
async def test_odd_answer_to_a_rule_without_a_look_up(server: OddServer, clock: Clock, name: str) -> None:
    # A status that says no is believed here: without a look-up nothing else can be.
    says_no = name.startswith("4") or name in REFUSED
    server.odd["send"] = ODD[name], 1, not says_no
    one = intent(server, clock, BLIND, **timeout_for(name))
    end = await one.run()
    holds(server, end)
    assert end.how == ("delivered" if says_no and name != "408" and name != "409 with the id" else "asked"), end


@pytest.mark.parametrize(
    ("times", "there"), [(1, True), (1, False), (1000, False)], ids=["once, there", "once, not there", "always"]
)
@pytest.mark.parametrize("name", ODD)
async def test_odd_answer_to_a_look_up(server: OddServer, clock: Clock, name: str, times: int, there: bool) -> None:
    if there:
        server.orders.append({"id": 1, "ref": "k1", "amount": 12.5})
    server.odd["look_up"] = ODD[name], times, True
    one = intent(server, clock, **timeout_for(name))
    one.in_doubt_since(100)
    end = await one.run(ROUNDS if times > 1 else 30)
    holds(server, end)
    if times == 1:
        assert end.how == "delivered"
    elif name not in ("another order", "drips"):
        assert end.how != "delivered", "nothing proved that it is not there"


@pytest.mark.parametrize("name", ODD)
async def test_odd_answer_to_the_look_for_what_people_made(server: OddServer, clock: Clock, name: str) -> None:
    server.orders.append({"id": 1, "ref": "k1", "amount": 12.5})
    server.odd["look_up"] = ODD[name], 3, True
    one = intent(server, clock, ALWAYS, **timeout_for(name))
    end = await one.run()
    holds(server, end)
    assert not [request for request in server.seen if request.method == "POST"], "it was there"


@pytest.mark.parametrize("times", [1, 1000], ids=["once", "always"])
@pytest.mark.parametrize("name", ODD)
async def test_odd_answer_to_the_read_back(server: OddServer, clock: Clock, name: str, times: int) -> None:
    server.odd["read_back"] = ODD[name], times, True
    one = intent(server, clock, **timeout_for(name))
    end = await one.run(ROUNDS if times > 1 else 30)
    holds(server, end)
    assert len(server.orders) == 1
    if times == 1:
        assert end.how == "delivered"


@pytest.mark.parametrize("phase", ["send", "look_up", "read_back"])
@pytest.mark.parametrize("name", GOOD)
async def test_unusual_answer_that_is_right_is_understood(
    server: OddServer, clock: Clock, name: str, phase: str
) -> None:
    server.odd[phase] = GOOD[name], 1000, True
    one = intent(server, clock)
    if phase == "look_up":
        server.orders.append({"id": 1, "ref": "k1", "amount": 12.5})
        one.in_doubt_since(100)
    end = await one.run()
    holds(server, end)
    assert (end.how, end.attempts) == ("delivered", 1)


async def test_absence_is_believed_only_after_the_lag_of_the_index(server: OddServer, clock: Clock) -> None:
    server.odd["send"] = ODD["reset"], 1, True
    server.index_lag_s = 20
    one = intent(server, clock)
    end = await one.run()
    holds(server, end)
    assert end.how == "delivered" and isinstance(end.answer, AlreadyDone)


async def test_queued_request_is_not_repeated_and_a_person_is_asked_in_the_end(server: OddServer, clock: Clock) -> None:
    server.odd["send"] = ODD["202 queued"], 1000, False
    one = intent(server, clock)
    end = await one.run(60)
    assert end.how == "asked" and "the target took it at 2026-11-30 12:00:00 UTC, and it is not there" in end.problem
    assert sum(request.method == "POST" for request in server.seen) == 1
    assert clock() >= 3600


async def test_refusal_of_everybody_uses_up_no_attempts_and_pauses_are_as_long_as_asked_for(
    server: OddServer, clock: Clock
) -> None:
    for name, pause_s in (
        ("403 with Retry-After", 30),
        ("503 with Retry-After", 60),
        ("200 with Retry-After", 5),
        ("429", 7),
    ):
        server.odd["send"] = ODD[name], 20, False
        one = intent(server, clock)
        end = await one.run(60)
        assert (end.how, end.failures) == ("delivered", 0)
        # After the last one the look-up waits for its lag.
        assert min(one.pauses[:-1]) >= pause_s
        server.orders.clear()
    server.odd["send"] = ODD["401"], 20, False
    later = intent(server, clock)
    end = await later.run()
    assert (end.how, end.failures) == ("delivered", 0)
    assert max(later.pauses) > 600


async def test_large_answers_take_little_memory(server: OddServer, clock: Clock) -> None:
    tracemalloc.start()
    try:
        for name in ("gzip bomb", "100 MB", "deep"):
            server.odd["look_up"] = ODD[name], 1, True
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            one = intent(server, clock)
            one.in_doubt_since(100)
            await one.run(1)
            if name == "gzip bomb":  # The server of the test makes the 100 MB in this process.
                assert tracemalloc.get_traced_memory()[1] - before < 20_000_000
    finally:
        tracemalloc.stop()
