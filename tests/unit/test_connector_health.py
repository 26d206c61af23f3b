"""What the state of a connector in Kafka Connect means."""

from __future__ import annotations

import pytest

from streams.capture.connector_health import judge_connector


@pytest.mark.parametrize(
    ("state", "is_slot_unused", "codes"),
    [
        ("RUNNING", False, []),
        ("RUNNING", True, ["connector-silent"]),
        ("STARTING", False, []),
        ("UNASSIGNED", True, ["connector-silent"]),
        ("STOPPED", True, ["connector-stopped"]),  # where opshub stopped it for a reason, `guard.py` leaves it out
        ("PAUSED", False, ["connector-stopped"]),
        ("FAILED", True, ["connector-failed"]),
        ("MISSING", True, ["connector-missing"]),
    ],
)
def test_state_of_a_connector_gives_findings(state: str, is_slot_unused: bool, codes: list[str]) -> None:
    findings = judge_connector("crm", state, "the cause", is_slot_unused=is_slot_unused)
    assert [finding.code for finding in findings] == codes
    assert all(finding.what and finding.remedy for finding in findings)


def test_a_failed_connector_shows_its_cause() -> None:
    (finding,) = judge_connector("crm", "FAILED", "the slot is gone", is_slot_unused=False)
    assert "the slot is gone" in finding.what
