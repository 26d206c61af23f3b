"""A worker's name belongs to one process: who still reports keeps it, who died leaves it at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from streams.agents.own_name import refuse_taken
from streams.errors import ConfigError
from streams.hub.workers import RecentLatency, WorkerReport

AT = datetime(2026, 1, 1, tzinfo=UTC)


def report(pid: int = 7, host: str = "there", seen: float = 0.0, silent: float = 0.0) -> WorkerReport:
    return WorkerReport(
        "w1", host, 19100, pid, "0.1.0", ["ingest"], started_at=AT, seen_at=AT + timedelta(seconds=seen),
        silent_s=silent, waiting=None, lanes={}, latency=RecentLatency(),
    )  # fmt: skip


def reads(*reports: WorkerReport | None) -> Callable[[], WorkerReport | None]:
    """What the hub answers, one after the other."""
    answers: Iterator[WorkerReport | None] = iter(reports)
    return lambda: next(answers)


def no_pause(_: float) -> None:
    return


def test_name_that_nobody_has_is_free() -> None:
    refuse_taken(reads(None), "here", pause=no_pause)


def test_name_of_a_process_that_reports_again_is_refused() -> None:
    with pytest.raises(ConfigError, match="a worker named w1 runs already: process 7 on there") as raised:
        refuse_taken(reads(report(), report(silent=0.5), report(seen=2)), "here", pause=no_pause)
    assert "--worker-name" in raised.value.remedy


def test_name_of_a_process_that_died_here_is_free_at_once() -> None:
    refuse_taken(reads(report(host="here")), "here", is_alive=lambda _: False, pause=no_pause)


def test_name_of_a_process_elsewhere_is_free_once_it_is_silent() -> None:
    refuse_taken(reads(report(), report(silent=3), report(silent=6)), "here", pause=no_pause)


def test_name_of_a_process_that_stops_meanwhile_is_free() -> None:
    refuse_taken(reads(report(), None), "here", pause=no_pause)


def test_container_that_is_started_again_waits_for_no_report_of_its_own_past() -> None:
    past = [report(pid=os.getpid(), host="here", silent=silent) for silent in (1, 3, 6.5)]
    refuse_taken(reads(*past), "here", pause=no_pause)
