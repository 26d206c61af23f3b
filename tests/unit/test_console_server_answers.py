"""Questions to slow servers: nobody waits for one longer than a moment, and what was known before is shown meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from streams.console.server_answers import ServerAnswers
from streams.errors import EnvironmentFault


@pytest.fixture
def servers() -> Iterator[ServerAnswers]:
    made = ServerAnswers()
    yield made
    made.close()


def test_an_answer_is_given_again_while_it_is_fresh(servers: ServerAnswers) -> None:
    asked: list[int] = []

    def question() -> int:
        asked.append(1)
        return len(asked)

    assert [servers.ask({"a": question})["a"].value for _ in range(3)] == [1, 1, 1]
    servers.forget()
    assert servers.ask({"a": question})["a"].value == 2
    assert servers.ask({"a": question}, fresh=0)["a"].value == 3


def test_a_server_that_hangs_is_late_and_the_answer_before_is_shown(servers: ServerAnswers) -> None:
    assert servers.ask({"a": lambda: "old"})["a"].value == "old"
    goes_on = threading.Event()
    begun = time.monotonic()
    answers = servers.ask({"a": lambda: goes_on.wait(30) and "new", "b": lambda: "quick"}, within=0.1, fresh=0)
    assert time.monotonic() - begun < 5
    assert (answers["a"].value, answers["a"].is_late, answers["a"].problem) == ("old", True, None)
    assert (answers["b"].value, answers["b"].is_late) == ("quick", False)
    goes_on.set()
    assert servers.ask({"a": lambda: "new"}, within=10, fresh=0)["a"].value == "new"


def test_what_was_never_answered_is_a_problem(servers: ServerAnswers) -> None:
    goes_on = threading.Event()
    answer = servers.ask({"a": lambda: goes_on.wait(30)}, within=0.05)["a"]
    with pytest.raises(EnvironmentFault, match="no answer within"):
        answer.needed()
    goes_on.set()


def test_an_answer_from_before_a_change_is_not_kept(servers: ServerAnswers) -> None:
    goes_on = threading.Event()
    servers.ask({"a": lambda: goes_on.wait(30) and "before"}, within=0.05)
    servers.forget()
    goes_on.set()
    assert servers.ask({"a": lambda: "after"}, within=10)["a"].value == "after"


def test_a_server_that_is_away_is_not_asked_again_at_once(servers: ServerAnswers) -> None:
    def away() -> None:
        raise EnvironmentFault("it is away")

    first = servers.ask({"a": away})["a"]
    second = servers.ask({"a": lambda: "here"})["a"]
    assert first.problem is second.problem and not second.is_late
