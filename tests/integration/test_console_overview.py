"""Overview and timeline on a real hub, and what the installation's triggers write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from starlette.testclient import TestClient

from streams.console.app import create_app
from streams.hub.alerts import OpenAlert, add_open_alerts, remove_open_alerts
from streams.hub.intent_review import pause_scope, resume_scope
from streams.hub.timeline import events
from streams.maintenance.figures import compute_figures
from streams.settings import Settings
from streams.stack.native import NativeStack
from tests.writers import hub_of_its_own


@pytest.fixture(scope="module")
def dsn(stack: NativeStack) -> str:
    return hub_of_its_own(stack, "console_overview")


@pytest.fixture
def hub(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def client(dsn: str, stack: NativeStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("state")
    settings = stack.settings.model_copy(update={"hub_dsn": dsn, "state_dir": folder})
    assert isinstance(settings, Settings)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as made:
        yield made


def test_overview_shows_figures_problems_and_tables(client: TestClient, hub: psycopg.Connection) -> None:
    hub.execute(
        "INSERT INTO flow_figure (id, stage, since_us, won_us, ordered_us, shipped_us, invoiced_us, currency, invoiced, open)"
        " SELECT gen_random_uuid(), 'invoiced', us, us - 7200000000, us - 3600000000, us, us, currency, 10000000, 10000000"
        " FROM (SELECT (extract(epoch FROM now()) * 1e6)::bigint AS us) t, unnest(ARRAY['EUR', 'EUR', 'CNY']) AS currency"
    )
    hub.execute(
        "INSERT INTO figure_due SELECT date_trunc('week', now() AT TIME ZONE 'UTC')::date ON CONFLICT DO NOTHING"
    )
    hub.execute(
        "INSERT INTO raw_account (topic, partition, since, upto, passed, filtered, tombstones, dead, parked, control)"
        " VALUES ('raw.demo-crm.public.account', 0, 0, 1234, 1234, 0, 0, 0, 0, 0)"
    )
    add_open_alerts(hub, [OpenAlert("log", "wal-kept/demo-crm", "5 GB of WAL are kept", "start its connector", 1.8e9)])
    week = "date_trunc('week', now() AT TIME ZONE 'UTC')::date"
    compute_figures(hub, {})
    hub.execute(
        "INSERT INTO figure_week (week, figure, currency, count, median_s, p90_s, good) SELECT "
        + week
        + ", v.* FROM (VALUES"  # type: ignore[arg-type]
        " ('ordered_to_ready', '', 5, 172800.0, 259200.0, NULL), ('returned', '', 40, NULL, NULL, 3), ('first_contact', '', 8, NULL, NULL, 6))"
        " v (figure, currency, count, median_s, p90_s, good) ON CONFLICT (figure, week, currency) DO UPDATE SET count = excluded.count,"
        " median_s = excluded.median_s, good = excluded.good"
    )
    hub.execute("UPDATE figure_now SET value = 3 WHERE figure = 'late_purchases'")
    text = client.get("/").text
    for part in (
        "2 d",
        "7.5 %",
        "75 %",
        "of 40 shipped",
        "of 8 cases",
        'href="/supply?late=true"',
        'href="/service?kind=return"',
    ):
        assert part in text, part
    assert '<b class="warn">3</b>' in text
    for part in (
        "1 h",
        "One thing needs you",
        "5 GB of WAL are kept",
        "start its connector",
        "public.account",
        "1,234",
    ):
        assert part in text, part
    assert "2,000.00 EUR" in text
    assert "and other currencies" in text
    for section in ("health", "figures", "needs", "tables"):
        assert client.get(f"/overview/{section}").status_code == 200
    assert client.get("/overview/nothing").status_code == 404


def test_api_gives_the_figures_of_the_command(client: TestClient) -> None:
    body = client.get("/api/v1/figures", params={"weeks": 2}).json()
    assert len(body["weeks"]) == 2
    assert body["durations"]["won_to_ordered"][-1]["median_s"] == 3600
    assert client.get("/api/v1/live/now").json()["hub"] is True


def test_timeline_has_each_alert_once_and_pauses_with_their_reason(client: TestClient, hub: psycopg.Connection) -> None:
    sent = [OpenAlert(sink, "lag/ingest", "ingest is behind", "", 1.79e9) for sink in ("log", "webhook")]
    add_open_alerts(hub, sent)
    remove_open_alerts(hub, [("log", "lag/ingest"), ("webhook", "lag/ingest")])
    pause_scope(hub, "demo-erp", who="ann", reason="stock-taking")
    resume_scope(hub, "demo-erp")
    listed = [(event.kind, event.what, event.about) for event in events(hub) if event.about != "wal-kept/demo-crm"]
    assert sorted(listed) == [
        ("alert", "closed", "lag/ingest"),
        ("alert", "opened", "lag/ingest"),
        ("pause", "paused", "demo-erp"),
        ("pause", "resumed", "demo-erp"),
    ]
    text = client.get("/timeline", params={"kind": "pause", "span": "hour"}).text
    assert "ann: stock-taking" in text
    assert "lag/ingest" not in text
    first = client.get("/api/v1/timeline", params={"limit": 2}).json()
    second = client.get("/api/v1/timeline", params={"limit": 2, "after": first["after"]}).json()
    assert first["events"][-1]["id"] > second["events"][0]["id"]
