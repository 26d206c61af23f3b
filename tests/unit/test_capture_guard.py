"""What two looks at a source say of changes that may be missing."""

from __future__ import annotations

import pytest

from streams.repair.capture_guard import Seen, judge, missed

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
