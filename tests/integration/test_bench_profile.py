"""`opshub bench run --profile` as a person uses it: on systems and workers that are there already, and stay as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from streams.simulator.company import Company
from streams.simulator.setup import dsn_of
from streams.stack.worker_stats import worker_stats
from streams.stack.workers import worker_environment
from tests.conftest import Pipeline
from tests.waiting import came_true

DEMO = Path(__file__).parents[2] / "benchmarks/profiles/demo.yaml"
WORKLOAD = """
name: short
phases:
  - {name: warm, rate: 50, seconds: 2, counted: false}
  - {name: ramp, rate: [50, 300], seconds: 4}
  - {name: steady, rate: 300, seconds: 4}
"""
ASKED = 50 * 2 + 175 * 4 + 300 * 4
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def dsns(pipeline: Pipeline) -> Iterator[dict[str, str]]:
    """The variables of the profile; both systems have something to be changed."""
    made = {f"DEMO_{name}_DSN": dsn_of(pipeline.env, f"DEMO_{name}", "APP") for name in ("CRM", "ERP")}
    with Company(1, made["DEMO_CRM_DSN"], made["DEMO_ERP_DSN"]) as company:
        company.load_history(customers=20, orders=20, products=20)
    yield made
    pipeline.stop_workers()


@pytest.fixture
def worker(pipeline: Pipeline) -> int:
    """The pid of one that answers."""
    pid = pipeline.start_worker("profile-w")
    assert came_true(lambda: worker_stats(pipeline.settings), 60), "the worker does not answer"
    return pid


def bench(
    pipeline: Pipeline, dsns: dict[str, str], folder: Path, profile: Path, code: int = 0
) -> subprocess.CompletedProcess[str]:
    workload = folder / "short.yaml"
    workload.write_text(WORKLOAD)
    command = ["bench", "run", str(workload), "--profile", str(profile), "--out", str(folder / "told.json")]
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", *command], env=os.environ | worker_environment(pipeline.settings) | dsns,
        capture_output=True, text=True, cwd=folder, timeout=200,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_without_workers_nothing_is_written(pipeline: Pipeline, dsns: dict[str, str], tmp_path: Path) -> None:
    pipeline.stop_workers()
    told = bench(pipeline, dsns, tmp_path, DEMO, code=3).stderr
    assert "no worker" in told and "opshub run" in told
    with psycopg.connect(dsns["DEMO_CRM_DSN"]) as crm:
        assert crm.execute("SELECT count(*) FROM account WHERE notes LIKE 'probe:%'").fetchone() == (0,)


def test_own_systems_are_loaded_and_left_as_they_are(
    pipeline: Pipeline, dsns: dict[str, str], worker: int, tmp_path: Path
) -> None:
    bench(pipeline, dsns, tmp_path, DEMO)
    told: dict[str, Any] = json.loads((tmp_path / "told.json").read_text())
    assert (told["workload"], told["failed"], told["notes"]) == ("short-demo", 0, [])
    # The last transaction of each of the six pieces may go beyond what was asked for.
    assert ASKED * 0.9 < told["written"] <= ASKED + 6 * 4
    assert told["rows"] >= told["written"]  # what write-back adds comes besides
    assert told["latency_ms"]["hub"]["count"] > 0 and told["latency_ms"]["hub"]["p50"] > 0
    for place in ("raw topic", "canonical topic"):
        assert told["latency_ms"][place]["count"] > 100, place
    assert told["behind_ms_max"] < 5000
    assert "kafka" not in told["versions"], "that would be a guess"
    assert told["cpu_us_per_row"]["profile-w"] > 0 and told["memory_mb"]["profile-w"] > 20
    assert {"warm", "ramp", "steady"} <= {sample["phase"] for sample in told["samples"]}
    assert "<svg" in (tmp_path / "told.html").read_text()
    assert [worker["pid"] for worker in worker_stats(pipeline.settings)] == [worker]
    pipeline.drain()
    verdict = pipeline.verify()
    assert verdict.holds, verdict.examples


def test_sql_that_the_database_refuses_is_told_before_anything_is_written(
    pipeline: Pipeline, dsns: dict[str, str], worker: int, tmp_path: Path
) -> None:
    profile = tmp_path / "wrong.yaml"
    profile.write_text(
        "systems: [{name: demo-crm, dsn_env: DEMO_CRM_DSN, operations: [{name: a, sql: DELETE FROM nobody}]}]"
    )
    told = bench(pipeline, dsns, tmp_path, profile, code=2).stderr
    assert "systems[0]" in told and "operations[0].sql[0]" in told and 'relation "nobody" does not exist' in told


def test_transactions_that_fail_and_rows_that_do_not_come_are_told(
    pipeline: Pipeline, dsns: dict[str, str], worker: int, tmp_path: Path
) -> None:
    profile = tmp_path / "some.yaml"
    profile.write_text(
        "systems: [{name: demo-crm, dsn_env: DEMO_CRM_DSN, operations: ["
        "{name: nothing, rows: 1, sql: DELETE FROM account WHERE name = %(marker)s},"
        "{name: half, sql: UPDATE account SET name = CASE WHEN %(random)s < 2 THEN null END}]}]"
    )
    out = bench(pipeline, dsns, tmp_path, profile).stdout
    assert "transactions were not committed; the last: half: 23502" in out
    assert "row changes were written as the profile counts them, and" in out
