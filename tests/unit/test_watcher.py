"""The watcher survives every error, restarts connectors with pauses, and logs problems though no address is set for alerts."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from streams.capture.finding import Finding
from streams.errors import EnvironmentFault
from streams.monitor import connector_restarts, watcher
from streams.monitor.alerts import AlertSender, Problem
from streams.monitor.connector_restarts import FIRST_PAUSE_S, ConnectorRestarts
from streams.monitor.watcher import Watcher
from streams.settings import Settings

CRM: Any = SimpleNamespace(name="crm", connector_name="crm")
SILENT = Finding("connector-silent", "crm", "", "", severe=False)
FAILED = Finding("connector-failed", "crm", "", "")


def settings_with(**values: object) -> Settings:
    given: dict[str, object] = {"hub_dsn": "postgresql://opshub@127.0.0.1:9/opshub", **values}
    return Settings(_env_file=None, **given)  # type: ignore[call-arg, arg-type]


def watcher_with(**values: object) -> Watcher:
    return Watcher(settings_with(**values), [], {})


def test_a_check_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[int] = []

    def check(self: Watcher) -> list[Problem]:
        checks.append(1)
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(watcher, "CHECK_INTERVAL_S", 0.01)
    monkeypatch.setattr(Watcher, "check", check)

    async def run() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watcher_with().run(), 0.5)

    asyncio.run(run())
    assert len(checks) > 2


def test_a_problem_and_a_sink_that_fails_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    one = watcher_with(alert_webhook_url="http://[nonsense")
    one.check()
    one.check()
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sum("firing: checks-failed: nothing can be checked" in line for line in lines) == 1, lines
    assert sum("alerts cannot be sent to webhook" in line for line in lines) == 1, lines


def test_a_silent_connector_is_restarted_when_that_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [100.0], list[bool]()
    monkeypatch.setattr(connector_restarts, "restart_failed", lambda *_, include_running: asked.append(include_running))
    restarts = ConnectorRestarts(settings_with(), [CRM], clock=lambda: now[0])
    for findings in ([SILENT], [SILENT], [], [SILENT], [SILENT]):
        restarts.restart_due(findings)
    assert asked == []
    restarts.restart_due([SILENT])
    assert asked == [True]
    restarts.restart_due([SILENT])
    assert asked == [True], "it has 15 s to start"
    restarts.restart_due([FAILED])
    assert asked == [True]
    now[0] += FIRST_PAUSE_S
    restarts.restart_due([FAILED])
    assert asked == [True, False]
    now[0] += FIRST_PAUSE_S
    restarts.restart_due([FAILED])
    assert asked == [True, False], "each pause is twice as long as the one before"


def test_a_connect_that_refuses_a_restart_is_a_finding_until_it_takes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, include_running: bool) -> bool:
        raise EnvironmentFault("it cannot restart crm (500)", remedy="restart Kafka Connect")

    monkeypatch.setattr(connector_restarts, "restart_failed", refuse)
    restarts = ConnectorRestarts(settings_with(), [CRM], clock=lambda: 100.0)
    refused = restarts.restart_due([FAILED])
    assert [(one.code, one.severe, one.remedy) for one in refused] == [
        ("connect-refuses", True, "restart Kafka Connect")
    ]
    assert restarts.restart_due([FAILED]) == refused, "it was not asked again yet"
    assert restarts.restart_due([]) == []


def test_a_hub_that_is_away_ends_no_alert_and_is_reported_by_the_worker_that_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[str, str]] = []

    def worker(is_watching: bool | None) -> Watcher:
        one = watcher_with()
        one._sender = AlertSender({"x": lambda alerts: sent.extend((each.state, each.problem.name) for each in alerts)})
        one.is_watching = is_watching
        return one

    first = worker(True)
    first._sender.send([Problem("capture-lost/crm", "the slot is gone")])
    assert [problem.name for problem in first.check()] == ["checks-failed"]
    first.check()
    assert sent == [("firing", "capture-lost/crm"), ("firing", "checks-failed")]
    assert worker(False).check() == []
    assert len(sent) == 2
    # Another worker watches when the hub is back: the end of what only this worker reported is sent from here.
    monkeypatch.setattr(Watcher, "_update_stopped", lambda _: None)
    monkeypatch.setattr(Watcher, "_hold_lock", lambda _: False)
    assert (first.check(), first.firing) == ([], None)
    assert sent[2:] == [("resolved", "checks-failed")]
