"""What two looks at a source say of changes that may be missing."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.capture.guard import Seen, judge, missed
from streams.capture.slot import Slot, judge_slot
from streams.monitor.disk import disk_left
from streams.settings import Settings

BEFORE = Seen("7", 1, 1000)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (Seen("7", 1, 1000), None),
        (Seen("7", 1, 2000), None),
        (Seen("8", 1, 2000), "another"),
        (Seen("7", 2, 2000), "timeline"),
        (Seen("7", 1, None), "gone"),
        (Seen("7", 1, 999), "went back"),
        (Seen("7", 1, 1000, is_invalid=True), "is lost"),
    ],
)
def test_what_is_told(now: Seen, said: str | None) -> None:
    told = judge(BEFORE, now, "slot")
    assert told is None if said is None else said in str(told)


def test_the_first_look_alone_says_little() -> None:
    assert judge(None, Seen("7", 1, None), "slot") is None
    assert "is lost" in str(judge(None, Seen("7", 1, 5, is_invalid=True), "slot"))


@pytest.mark.parametrize(
    ("cause", "is_told"),
    [
        ("DebeziumException: Saved offset is before replication slot's confirmed lsn. You might lose some change data.", True),
        ("DebeziumException: The connector is trying to read change stream … but this is no longer available on the server.", True),
        ("PSQLException: ERROR: can no longer access replication slot \"opshub_demo_crm\"", True),
        ("PSQLException: ERROR: replication slot \"opshub_demo_crm\" is active for PID 4711", False),
        ("ConnectException: Connection to 127.0.0.1:15432 refused", False),
    ],
)  # fmt: skip
def test_what_a_connector_failed_of(cause: str, is_told: bool) -> None:
    assert (missed(cause) is not None) is is_told


GB = 10**9
CRM: Any = SimpleNamespace(name="crm", source={"config": {"heartbeat.interval.ms": "10000"}})
WELL = {
    "active": True, "wal_status": "reserved", "kept": 1000, "left": 9 * GB, "limit": 10 * GB, "streams_for": 9000.0, "beat_age": 9.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, []),
        ({"beat_age": 121.0}, ["heartbeat-old"]),
        ({"beat_age": float("inf")}, ["heartbeat-old"]),
        ({"beat_age": None}, []),  # it is not told to write any, or nobody may read them
        (
            {"beat_age": 9000.0, "streams_for": 60.0},
            [],
        ),  # it took a snapshot for hours, and began to stream a minute ago
        ({"beat_age": 9000.0, "active": False, "streams_for": None}, ["slot-idle"]),
        ({"kept": 6 * GB}, ["wal-kept"]),
        ({"kept": 6 * GB, "left": 1 * GB}, ["wal-ending"]),
        ({"wal_status": "unreserved", "left": -5}, ["wal-ending"]),
        ({"left": None, "limit": -1048576}, []),
    ],
)
def test_how_a_slot_stands(change: dict[str, Any], codes: list[str]) -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    found = judge_slot(settings, CRM, "slot", Slot(**(WELL | change)))
    assert [one.code for one in found] == codes
    assert all(one.what and one.remedy for one in found)


def test_a_connector_that_beats_rarely_is_given_four_beats() -> None:
    settings = Settings(_env_file=None, alert_heartbeat_seconds=5)  # type: ignore[call-arg]
    slots = [Slot(**(WELL | {"beat_age": age})) for age in (39.0, 41.0)]
    assert [bool(judge_slot(settings, CRM, "slot", slot)) for slot in slots] == [False, True]


def test_a_disk_that_fills_is_told_of(tmp_path: Path) -> None:
    left = shutil.disk_usage(tmp_path).free / GB
    for limit, codes in ((left / 2, []), (left * 2, ["disk-low"])):
        settings = Settings(_env_file=None, state_dir=tmp_path / "not" / "there", alert_disk_left_gb=limit)  # type: ignore[call-arg]
        assert [one.code for one in disk_left(settings)] == codes
