"""When changes of a source may be missing, and what the state of a slot and a disk means."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.capture.lost_changes import SourceState, lost_changes, lost_position
from streams.capture.slot import Slot, judge_slot
from streams.hub.source_state import SourceRecord
from streams.monitor.disk import check_disk
from streams.settings import Settings

BEFORE = SourceRecord("7", 1, 1000, None)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (SourceState("7", 1, 1000), None),
        (SourceState("7", 1, 2000), None),
        (SourceState("8", 1, 2000), "another"),
        (SourceState("7", 2, 2000), "timeline"),
        (SourceState("7", 1, None), "gone"),
        (SourceState("7", 1, 999), "went back"),
        (SourceState("7", 1, 1000, is_invalid=True), "is lost"),
    ],
)
def test_another_database_timeline_or_slot_means_that_changes_may_be_missing(
    now: SourceState, words: str | None
) -> None:
    reason = lost_changes(BEFORE, now, "slot")
    assert reason is None if words is None else words in str(reason)


@pytest.mark.parametrize("before", [None, SourceRecord(None, None, None, None)])
def test_at_the_first_check_only_an_invalid_slot_counts(before: SourceRecord | None) -> None:
    assert lost_changes(before, SourceState("7", 1, None), "slot") is None
    assert "is lost" in str(lost_changes(before, SourceState("7", 1, 5, is_invalid=True), "slot"))


@pytest.mark.parametrize(
    ("cause", "is_lost"),
    [
        ("DebeziumException: Saved offset is before replication slot's confirmed lsn. You might lose some change data.", True),
        ("DebeziumException: The connector is trying to read change stream … but this is no longer available on the server.", True),
        ("PSQLException: ERROR: can no longer access replication slot \"opshub_demo_crm\"", True),
        ("PSQLException: ERROR: replication slot \"opshub_demo_crm\" is active for PID 4711", False),
        ("ConnectException: Connection to 127.0.0.1:15432 refused", False),
    ],
)  # fmt: skip
def test_a_connector_that_lost_its_position_means_that_changes_may_be_missing(cause: str, is_lost: bool) -> None:
    assert (lost_position(cause) is not None) is is_lost


GB = 10**9
CRM: Any = SimpleNamespace(
    dictionary=SimpleNamespace(kind="postgres"),
    name="crm",
    slot_name="slot",
    connector_name="crm",
    config={"heartbeat.interval.ms": "10000"},
)
WELL = {
    "active": True, "wal_status": "reserved", "kept_bytes": 1000, "left_bytes": 9 * GB, "limit_bytes": 10 * GB, "streaming_s": 9000.0,
    "heartbeat_age_s": 9.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, []),
        ({"heartbeat_age_s": 121.0}, ["heartbeat-old"]),
        ({"heartbeat_age_s": float("inf")}, ["heartbeat-old"]),
        ({"heartbeat_age_s": None}, []),  # it writes none, or we may not read them
        (
            {"heartbeat_age_s": 9000.0, "streaming_s": 60.0},
            [],
        ),  # it took a snapshot for hours, and began to stream a minute ago
        ({"heartbeat_age_s": 9000.0, "active": False, "streaming_s": None}, ["slot-idle"]),
        ({"kept_bytes": 6 * GB}, ["wal-kept"]),
        ({"kept_bytes": 6 * GB, "left_bytes": 1 * GB}, ["wal-ending"]),
        ({"wal_status": "unreserved", "left_bytes": -5}, ["wal-ending"]),
        ({"left_bytes": None, "limit_bytes": -1048576}, []),
    ],
)
def test_state_of_a_slot_gives_findings(change: dict[str, Any], codes: list[str]) -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    found = judge_slot(settings, CRM, Slot(**(WELL | change)))
    assert [one.code for one in found] == codes
    assert all(one.what and one.remedy for one in found)


def test_a_connector_with_rare_heartbeats_may_miss_four() -> None:
    settings = Settings(_env_file=None, alert_heartbeat_seconds=5)  # type: ignore[call-arg]
    slots = [Slot(**(WELL | {"heartbeat_age_s": age})) for age in (39.0, 41.0)]
    assert [bool(judge_slot(settings, CRM, slot)) for slot in slots] == [False, True]


def test_a_disk_that_fills_is_a_finding(tmp_path: Path) -> None:
    left = shutil.disk_usage(tmp_path).free / GB
    for limit, codes in ((left / 2, []), (left * 2, ["disk-low"])):
        settings = Settings(_env_file=None, state_dir=tmp_path / "not" / "there", alert_disk_left_gb=limit)  # type: ignore[call-arg]
        assert [one.code for one in check_disk(settings)] == codes
