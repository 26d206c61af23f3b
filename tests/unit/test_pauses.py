"""Pauses: what is said of how long nothing is lost, and the state of a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streams.capture.pauses import PauseQueue, wal_lasts_until
from streams.capture.snapshot_progress import judge_snapshot
from streams.hub.source_state import TableChangeRow
from streams.hub.systems import OpenDeadLetters, TableSnapshot
from streams.monitor.table_status import judge_table_status

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_wal_lasts_as_long_as_it_grows_like_since_the_pause() -> None:
    assert wal_lasts_until(NOW - HOUR, NOW, grown=1_000, left=3_000) == NOW + 3 * HOUR
    assert wal_lasts_until(NOW - HOUR, NOW, grown=0, left=3_000) is None
    assert wal_lasts_until(NOW - HOUR, NOW, grown=1_000, left=None) is None
    assert wal_lasts_until(NOW, NOW, grown=1_000, left=3_000) is None, "a moment says nothing about a rate"


def test_sentence_says_until_when_nothing_is_lost() -> None:
    common = {"who": "ann", "reason": "", "at": NOW}
    table = PauseQueue(scope="erp/public.item", safe_until=NOW, **common)  # type: ignore[arg-type]
    assert table.sentence.startswith("Nothing is lost until 2026-11-30 12:00 UTC")
    limited = PauseQueue(scope="erp", left_bytes=2_500_000_000, limit_bytes=4_000_000_000, **common)  # type: ignore[arg-type]
    assert "2.50 GB more" in limited.sentence and "Past its limit" in limited.sentence
    endless = PauseQueue(scope="erp", limit_bytes=-1, **common)  # type: ignore[arg-type]
    assert "room on its disk" in endless.sentence


def change(kind: str) -> TableChangeRow:
    return TableChangeRow("2026-11-30 11:00:00", "erp", "public.item", kind, "vat was dropped", "its field stays")


@pytest.mark.parametrize(
    ("known", "state", "word"),
    [
        ({"gap": "it was dropped"}, "bad", "may be missing"),
        ({"has_topic": False}, "bad", "no raw topic"),
        ({"dead_letters": OpenDeadLetters("t", 2, 3)}, "warn", "3 are parked"),
        ({"change": change("dropped")}, "warn", "vat was dropped"),
        ({"paused": True}, "paused", "wait in order"),
        ({"paused": True, "dead_letters": OpenDeadLetters("t", 2, 3)}, "warn", "2 records"),
        ({"change": change("added")}, "ok", None),
        ({}, "ok", None),
    ],
)
def test_state_of_a_table_is_the_worst_of_what_is_known(known: dict[str, object], state: str, word: str | None) -> None:
    usual: dict[str, object] = {"gap": None, "dead_letters": None, "change": None, "paused": False, "has_topic": True}
    got, problem, remedy = judge_table_status("erp", "public.item", **(usual | known))  # type: ignore[arg-type]
    assert got == state
    assert (problem is None and remedy is None) if word is None else (problem is not None and word in problem)


def request(**changed: object) -> TableSnapshot:
    usual: dict[str, object] = {
        "id": 1, "system": "erp", "table_name": "public.item", "condition": None, "rows": 100, "ends": 0, "who": "ann",
        "at": NOW - timedelta(seconds=60), "ended_at": None, "outcome": None,
    }  # fmt: skip
    return TableSnapshot(**(usual | changed))  # type: ignore[arg-type]


def test_progress_of_a_snapshot_is_an_estimate_until_debezium_names_the_table_no_more() -> None:
    assert judge_snapshot(request(), 0, None, NOW).state == "waiting"
    half = judge_snapshot(request(), 50, True, NOW)
    assert (half.state, half.share, half.left_s) == ("running", 0.5, 60)
    assert judge_snapshot(request(), 140, True, NOW).share == 0.99, "changes of the table were counted, too"
    over = judge_snapshot(request(), 140, False, NOW)
    assert (over.state, over.share, over.came) == ("done", 1.0, 100)
    assert judge_snapshot(request(), 50, False, NOW).state == "running", "it may not have begun yet"
    assert judge_snapshot(request(at=NOW - timedelta(seconds=300)), 50, False, NOW).state == "done"
    assert judge_snapshot(request(rows=0, at=NOW - HOUR), 0, False, NOW).state == "done"
    assert judge_snapshot(request(outcome="cancelled", ended_at=NOW), 50, None, NOW).state == "cancelled"
