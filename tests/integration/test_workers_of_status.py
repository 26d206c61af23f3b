"""`opshub status` lists workers wherever they run: those that report themselves into the hub."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from streams.cli import dispatch
from streams.monitor.status import workers
from streams.settings import Settings
from streams.stack.native import NativeStack
from tests.writers import hub_of_its_own

WORKER = (
    "INSERT INTO worker (name, host, port, pid, version, roles, started_at, seen_at, lanes) VALUES (%s, %s, 8080, 7, '0.1.0', "
    '\'{ingest}\', now(), now() - make_interval(secs => %s), \'{"ingest": {"partitions": 12, "lag_records": 340}}\')'
)


@pytest.fixture
def settings(hub_server: NativeStack, state_dir: Path) -> Settings:
    dsn = hub_of_its_own(hub_server, "workers_of_status")
    with psycopg.connect(dsn, autocommit=True) as hub:
        hub.execute(WORKER, ["container-1", "10.1.2.3", 1])
        hub.execute(WORKER, ["container-2", "10.1.2.4", 90])
    return Settings(_env_file=None, hub_dsn=dsn, state_dir=state_dir)  # type: ignore[call-arg]


def test_workers_on_other_machines_are_listed(settings: Settings) -> None:
    running, silent = workers(settings)
    assert (running.name, running.host, running.partition_count, running.lag, running.answers) == (
        "container-1", "10.1.2.3", 12, 340, True
    )  # fmt: skip
    assert (silent.name, silent.host, silent.answers) == ("container-2", "10.1.2.4", False)
    assert silent.silent_s is not None and silent.silent_s >= 90


def test_the_command_says_which_worker_is_silent(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPSHUB_HUB_DSN", settings.hub)
    monkeypatch.setenv("COLUMNS", "200")
    dispatch.run(["status", "--state-dir", str(settings.state_dir)])
    lines = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines() if "container-" in line}
    assert "340" in lines["container-1"] and "10.1.2.3" in lines["container-1"]
    assert "has not reported for" in lines["container-2"]


def test_a_hub_that_is_away_hides_no_local_worker(state_dir: Path) -> None:
    away = Settings(_env_file=None, hub_dsn="postgresql://nobody@127.0.0.1:1/hub", state_dir=state_dir)  # type: ignore[call-arg]
    assert workers(away) == []
