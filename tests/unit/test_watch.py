"""The watcher goes on whatever happens to it, and what it finds is in the log though nobody set an address for alerts."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from streams.capture.finding import Finding
from streams.errors import EnvironmentFault
from streams.monitor import watcher as watch
from streams.monitor.alerts import Alerts, Problem
from streams.monitor.watcher import Watch
from streams.settings import Settings


def made(**values: object) -> Watch:
    settings: dict[str, object] = {"hub_dsn": "postgresql://opshub@127.0.0.1:9/opshub", **values}
    return Watch(Settings(_env_file=None, **settings), [], {})  # type: ignore[call-arg, arg-type]


def test_one_look_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def look(self: Watch) -> list[Problem]:
        looks.append(1)
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(Watch, "look", look)

    async def run() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(made().run(), 0.5)

    asyncio.run(run())
    assert len(looks) > 2


def test_problems_are_logged_once_and_so_is_an_address_that_takes_none(caplog: pytest.LogCaptureFixture) -> None:
    one = made(alert_webhook_url="http://[nonsense")
    one.look()
    one.look()
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sum("firing: watch: capture can not be watched" in line for line in told) == 1, told
    assert sum("webhook is not told of problems" in line for line in told) == 1, told


def test_a_connector_that_only_says_that_it_runs_is_restarted_when_that_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(watch, "restart_failed", lambda *_, all_of_it: asked.append(all_of_it))
    one = made()
    system: Any = SimpleNamespace(name="crm", source={"name": "crm"})
    one._systems = [system]
    silent = Finding("connector-silent", "crm", "", "", severe=False)
    for findings in ([silent], [silent], [], [silent], [silent]):
        one._restart(findings)
    assert asked == []
    one._restart([silent])
    assert asked == [True]
    one._restart([silent])
    assert asked == [True], "it has 15 s to come up"
    one._restart([Finding("connector-failed", "crm", "", "")])
    assert asked == [True]


def test_a_connect_that_takes_no_orders_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, all_of_it: bool) -> bool:
        raise EnvironmentFault("it can not restart crm (500)", remedy="restart Kafka Connect")

    monkeypatch.setattr(watch, "restart_failed", refuse)
    one = made()
    system: Any = SimpleNamespace(name="crm", source={"name": "crm"})
    one._systems = [system]
    findings = [Finding("connector-failed", "crm", "", "")]
    one._restart(findings)
    assert [(one.code, one.severe, one.remedy) for one in findings[1:]] == [
        ("connect-deaf", True, "restart Kafka Connect")
    ]


def test_a_hub_that_is_away_ends_no_problem_and_is_told_of_by_the_worker_that_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[str, str]] = []

    def worker(is_watching: bool | None) -> Watch:
        one = made()
        one._alerts = Alerts({"x": lambda notices: sent.extend((each.state, each.problem.name) for each in notices)})
        one._watching = is_watching
        return one

    watcher = worker(True)
    watcher._alerts.look([Problem("capture-lost/crm", "the slot is gone")])
    assert [one.name for one in watcher.look()] == ["watch"]
    watcher.look()
    assert sent == [("firing", "capture-lost/crm"), ("firing", "watch")]
    assert worker(False).look() == []
    assert len(sent) == 2
    # Another one watches when the hub is back: what was told of the hub alone is over here.
    monkeypatch.setattr(Watch, "_note_stopped", lambda _: None)
    monkeypatch.setattr(Watch, "_mine", lambda _: False)
    assert (watcher.look(), watcher.firing) == ([], None)
    assert sent[2:] == [("resolved", "watch")]
