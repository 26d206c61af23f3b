"""What is told of the walk, from plain figures; and what a look that could not see everything says nothing of."""

from __future__ import annotations

from typing import Any

import pytest

from streams.capture.finding import Finding
from streams.monitor.alerts import Alerts, Notice, Problem
from streams.monitor.hub_guard import waiting
from streams.monitor.thresholds import Figures, behind_since, is_seen, late, past
from streams.settings import Settings

SETTINGS = Settings(
    _env_file=None, alert_dead_letters=3, alert_stuck_flows=2, alert_broken_invariants=2, alert_lag_records=100, alert_lag_seconds=60
)  # type: ignore[call-arg]  # fmt: skip


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({}, set()),
        ({"dead_a_minute": 2, "stuck": 1, "broken": 1}, set()),
        ({"parked_keys": 1, "balances": False}, {"parked-keys", "accounts"}),
        ({"dead_a_minute": 3, "stuck": 2, "broken": 2}, {"errors", "stuck-flows", "invariants"}),
        ({"intents_dead": 1}, {"intents-dead"}),
        ({"intents_waiting": 1, "intents_undelivered": 1}, {"intents-waiting", "intents-undelivered"}),
    ],
)
def test_what_is_past_a_threshold_is_told_with_a_remedy(figures: dict[str, Any], told: set[str]) -> None:
    found = past(Figures(**figures), SETTINGS)
    assert {one.name for one in found} == told
    assert all(one.what and one.remedy for one in found)


def test_a_lane_is_late_when_it_is_behind_for_long() -> None:
    since: dict[str, float] = {}
    told = []
    for now, lag in ((0.0, 500), (30.0, 90), (45.0, 100), (60.0, 9_000), (104.0, 800), (105.0, 700)):
        lags = {"ingest": lag, "assemble": 0}
        since = behind_since(lags, since, now, SETTINGS)
        told += [(now, one.name, one.what) for one in late(lags, since, now, SETTINGS)]
    assert told == [(105.0, "lag/ingest", "ingest is 700 records behind, for 1 min")]


def test_records_that_wait_are_counted_without_markers_and_from_where_there_are_any() -> None:
    ends = {("t", 0): (0, 12), ("t", 1): (50, 60), ("t", 2): (0, 7), ("t", 3): (90, 100)}
    assert waiting({("t", 0): 10, ("t", 2): 7, ("t", 3): 20}, ends) == 10 + 10


def away(code: str, where: str) -> list[Finding]:
    return [Finding(code, where, "", "")]


@pytest.mark.parametrize(
    ("name", "findings", "seen"),
    [
        ("wal-kept/crm", away("source-away", "crm"), False),
        ("wal-kept/erp", away("source-away", "crm"), True),
        ("capture-lost/crm", away("source-away", "crm"), True),
        ("connector-failed/crm", away("connect-away", "crm"), False),
        ("connect-deaf/crm", away("connector-failed", "crm"), False),
        ("lag/ingest", away("kafka-away", "localhost:9092"), False),
        ("hub-went-back/hub", away("kafka-away", "localhost:9092"), False),
        ("parked-keys", away("kafka-away", "localhost:9092"), True),
        ("lag/ingest", [], True),
    ],
)
def test_what_could_not_be_seen_is_not_told_to_be_over(name: str, findings: list[Finding], seen: bool) -> None:
    assert is_seen(name, findings) is seen


def test_a_problem_keeps_the_time_at_which_it_began_whoever_tells_of_it() -> None:
    sent: list[Notice] = []
    alerts = Alerts({"log": sent.extend, "hook": sent.extend}, clock=lambda: 500.0)
    slot = Problem("wal-kept/crm", "5 GB")
    alerts.told = {"log": {slot.name: Notice("firing", slot, 100.0)}}
    alerts.look([slot])
    assert sent == [Notice("firing", slot, 100.0)], "the log was told by another worker"
    alerts.look([], lambda name: name != slot.name)
    assert len(sent) == 1
    alerts.look([])
    assert sent[1:] == [Notice("resolved", slot, 100.0)] * 2
