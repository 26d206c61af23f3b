"""Problems of the pipeline, from plain figures; and which alerts stay open when a check could not see everything."""

from __future__ import annotations

from typing import Any

import pytest

from streams.capture.finding import Finding
from streams.hub.alerts import PipelineCounts
from streams.monitor.alerts import Alert, AlertSender, Problem
from streams.monitor.lag import behind_since, late_lanes, waiting_records
from streams.monitor.thresholds import Figures, exceeded, was_checked
from streams.settings import Settings

SETTINGS = Settings(
    _env_file=None, alert_dead_letters=3, alert_stuck_flows=2, alert_broken_invariants=2, alert_lag_records=100, alert_lag_seconds=60
)  # type: ignore[call-arg]  # fmt: skip


@pytest.mark.parametrize(
    ("figures", "counts", "names"),
    [
        ({}, {}, set()),
        ({"stuck_flows": 1}, {"dead_letters_in_a_minute": 2, "broken_invariants": 1}, set()),
        ({"parked_keys": 1, "balances": False}, {}, {"parked-keys", "accounts"}),
        (
            {"stuck_flows": 2},
            {"dead_letters_in_a_minute": 3, "broken_invariants": 2},
            {"dead-letter-rate", "stuck-flows", "invariants"},
        ),
        ({}, {"intents_dead": 1}, {"intents-dead"}),
        ({}, {"intents_waiting": 1, "intents_undelivered": 1}, {"intents-waiting", "intents-undelivered"}),
    ],
)
def test_figures_past_a_threshold_are_problems_with_a_remedy(
    figures: dict[str, Any], counts: dict[str, int], names: set[str]
) -> None:
    problems = exceeded(Figures(**figures, counts=PipelineCounts(**counts)), SETTINGS)
    assert {problem.name for problem in problems} == names
    assert all(problem.what and problem.remedy for problem in problems)


def test_the_alert_names_the_orders_that_are_stuck_for_the_longest_time() -> None:
    (problem,) = exceeded(Figures(stuck_flows=3, stuck_numbers=("SO-7", "SO-2")), SETTINGS)
    assert problem.what.endswith("longer than they should be, the longest SO-7, SO-2")


def test_a_lane_is_late_when_it_is_behind_for_long() -> None:
    since: dict[str, float] = {}
    told = []
    for now, lag in ((0.0, 500), (30.0, 90), (45.0, 100), (60.0, 9_000), (104.0, 800), (105.0, 700)):
        lags = {"ingest": lag, "assemble": 0}
        since = behind_since(lags, since, now, SETTINGS)
        told += [(now, one.name, one.what) for one in late_lanes(lags, since, now, SETTINGS)]
    assert told == [(105.0, "lag/ingest", "ingest is 700 records behind, for 1 min")]


def test_waiting_records_leave_out_markers_and_deleted_offsets() -> None:
    ends = {("t", 0): (0, 12), ("t", 1): (50, 60), ("t", 2): (0, 7), ("t", 3): (90, 100)}
    assert waiting_records({("t", 0): 10, ("t", 2): 7, ("t", 3): 20}, ends) == 10 + 10


def away(code: str, where: str) -> list[Finding]:
    return [Finding(code, where, "", "")]


@pytest.mark.parametrize(
    ("name", "findings", "seen"),
    [
        ("wal-kept/crm", away("source-away", "crm"), False),
        ("wal-kept/erp", away("source-away", "crm"), True),
        ("capture-lost/crm", away("source-away", "crm"), True),
        ("connector-failed/crm", away("connect-away", "crm"), False),
        ("connect-refuses/crm", away("connector-failed", "crm"), False),
        ("lag/ingest", away("kafka-away", "localhost:9092"), False),
        ("hub-went-back/hub", away("kafka-away", "localhost:9092"), False),
        ("parked-keys", away("kafka-away", "localhost:9092"), True),
        ("lag/ingest", [], True),
    ],
)
def test_a_problem_of_a_server_that_is_away_was_not_checked(name: str, findings: list[Finding], seen: bool) -> None:
    assert was_checked(name, findings) is seen


def test_an_alert_keeps_the_time_at_which_its_problem_started_whichever_worker_sends_it() -> None:
    sent: list[Alert] = []
    alerts = AlertSender({"log": sent.extend, "hook": sent.extend}, clock=lambda: 500.0)
    slot = Problem("wal-kept/crm", "5 GB")
    alerts.sent = {"log": {slot.name: Alert("firing", slot, 100.0)}}
    alerts.send([slot])
    assert sent == [Alert("firing", slot, 100.0)], "another worker sent it to the log already"
    alerts.send([], lambda name: name != slot.name)
    assert len(sent) == 1
    alerts.send([])
    assert sent[1:] == [Alert("resolved", slot, 100.0)] * 2
