"""What people see of intents: amounts as they write them; and `map check` of writeback.yaml."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streams.cli.approvals import _as_json, _decision_text, _question_text
from streams.cli.map_findings import writeback_problems
from streams.hub.intent_review import IntentSubject, IntentView, TargetAway
from streams.hub.intents import Approval, Question
from streams.monitor.targets import refusing
from streams.settings import Settings

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LARGE = Question("a large order", people=2, amount=9540300000, currency="EUR", discount=125000)


def test_amounts_are_shown_with_their_point_and_currency() -> None:
    assert _question_text(LARGE) == "a large order, 954,030.00 EUR, 12.5 %, 2 people"
    text = _decision_text(Approval("ada", "approve", [LARGE], account="root", why="called", at="2026-11-30T12:00"))
    assert (
        text
        == "2026-11-30T12:00  ada (account root) approve: called  [a large order, 954,030.00 EUR, 12.5 %, 2 people]"
    )


def test_json_has_amounts_as_decimal_text_and_the_request_as_it_is() -> None:
    columns: dict[str, Any] = dict.fromkeys(("expires_at", "done_at", "problem", "result"))
    intent = IntentView(
        id=1, key="k", rule="r", target="t", entity="opportunity", entity_id="e", aggregate_id="a", subject_id="s", state="waiting",
        reasons=[LARGE], people=2, decisions=[Approval("ada", "approve", [LARGE])], attempts=0, created_at=NOW,
        request=[{"json": {"amount": 5}}], about=IntentSubject("opportunity", amount=9540300000, currency="EUR"), **columns,
    )  # fmt: skip
    view = _as_json(intent)
    assert view["about"]["amount"] == view["reasons"][0]["amount"] == "954030"
    assert view["decisions"][0]["reasons"][0]["discount"] == "12.5"
    assert view["request"] == [{"json": {"amount": 5}}]


def test_check_of_one_folder_reports_its_own_mistakes_only(tmp_path: Path) -> None:
    for system in ("one", "two"):
        (tmp_path / system).mkdir()
        text = f"system: {system}\ntarget: {{adapter: sql, host: h, dbname: d}}\nrules: {{}}\n"
        (tmp_path / system / "writeback.yaml").write_text(text, encoding="utf-8")
    settings = Settings(_env_file=None, systems=["one", "two"])  # type: ignore[call-arg]
    (problem,) = writeback_problems(settings, [tmp_path / "two"])
    assert str(problem).startswith(f"{tmp_path}/two/writeback.yaml:2: target: 'user' is missing")
    assert len(writeback_problems(settings, [tmp_path / "one", tmp_path / "two"])) == 2


@pytest.mark.parametrize(
    ("refuses", "since_s", "until_s", "reported"), [(True, 40, 1, True), (True, 1, 3600, True), (True, 1, 2, False), (False, 900, 1, False)]
)  # fmt: skip
def test_refusing_target_is_a_problem_once_it_lasts(refuses: bool, since_s: int, until_s: int, reported: bool) -> None:
    since, until = NOW - timedelta(seconds=since_s), NOW + timedelta(seconds=until_s)
    problems = refusing([TargetAway("erp", refuses, "POST /o: 401: expired", since, until)], NOW)
    assert bool(problems) == reported
    if problems:
        assert problems[0].name == "target-refuses/erp" and "writeback resume erp" in problems[0].remedy
