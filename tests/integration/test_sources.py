"""A third system that has an interface, webhooks and files and no database, from its folder alone, on real servers."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from streams.capture.epoch import begin_whole
from streams.capture.pauses import queues
from streams.capture.progress import capture_progress
from streams.dead_letters.store import drop, find
from streams.hub.dead_letters import Filter
from streams.hub.sources import sync_batches, want_read
from streams.hub.systems import capture_pauses
from streams.model.ids import source_id
from streams.monitor.feeds import feed_findings
from streams.monitor.schedules import schedule_rows
from streams.paths import connectors_dir
from streams.provision.column_types import with_types
from streams.provision.differences import apply, plan
from streams.provision.systems import load_systems
from streams.sources.batches import SCHEDULE
from streams.sources.reader import hub_connection
from streams.verify.compare import _load_hub
from streams.verify.compare_sources import compare_system
from streams.verify.comparison import Comparison
from streams.verify.feed_rows import SCHEME
from tests.conftest import Pipeline
from tests.integration.feed_place import FIXTURE, WEBHOOK_SECRET
from tests.integration.helpdesk import SECRET, Helpdesk, open_helpdesk
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def desk() -> Iterator[Helpdesk]:
    with open_helpdesk() as made:
        yield made


@pytest.fixture
def files(pipeline: Pipeline, desk: Helpdesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The helpdesk beside the demo's two systems; the folder of its files."""
    folder, files = tmp_path / "connectors", tmp_path / "files"
    files.mkdir()
    shutil.copytree(connectors_dir(pipeline.settings), folder)
    shutil.copytree(FIXTURE, folder / "helpdesk")
    values = {
        "HELPDESK_URL": desk.url, "HELPDESK_CLIENT_SECRET": SECRET, "HELPDESK_FILES": str(files),
        "HELPDESK_WEBHOOK_SECRET": WEBHOOK_SECRET,
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    usual = pipeline.settings
    pipeline.settings = usual.model_copy(update={"connectors_dir": folder, "systems": [*usual.systems, "helpdesk"]})
    try:
        apply(pipeline.settings)
        # As after `opshub resync`: what an earlier test read comes once more.
        begin_whole(pipeline.settings, load_systems(pipeline.settings)[-1])
        pipeline.start_worker("feeds-0")
        yield files
    finally:
        pipeline.stop_workers()
        pipeline.settings = usual


def record(hub: psycopg.Connection[Any], entity: str, key: str) -> dict[str, Any]:
    query = "SELECT record FROM entity WHERE id = %s AND NOT deleted AND version > 0"
    row = hub.execute(query, [source_id("helpdesk", entity, key)]).fetchone()
    return row[0] if row else {}


def test_a_helpdesk_without_a_database_from_its_folder_alone(pipeline: Pipeline, desk: Helpdesk, files: Path) -> None:
    desk.put(
        "requesters",
        "17",
        "2026-11-30T09:00:00Z",
        company="Nordlicht  Optik GmbH",
        vat="DE129274202",
        email="info@nordlicht.example",
    )
    for number in range(1, 8):
        desk.put(
            "tickets",
            number,
            f"2026-11-30T10:0{number}:00Z",
            number=f"T-{number}",
            subject="No picture",
            state="open",
            opened_at="2026-11-30T10:00:00+01:00",
            requester={"id": 17},
        )
    desk.put("tickets", None, "2026-11-30T11:00:00Z", number=f"T-{uuid.uuid4()}")
    (files / "contracts-1.csv").write_bytes(
        "number;requester;title;ends_on;value\nC-1;17;Wartung 服务;2027-01-31;1200.50\n".encode("gb18030")
    )
    with psycopg.connect(pipeline.settings.hub, autocommit=True) as hub:

        def seen() -> list[Any]:
            letters = hub.execute(
                "SELECT topic, state, reason FROM dead_letter WHERE topic LIKE 'raw.helpdesk%'"
            ).fetchall()
            return [record(hub, "service_request", "7"), capture_progress(pipeline.settings)[-1], letters]

        wait_for(lambda: record(hub, "service_request", "7").get("customer_id"), seen=seen)
        wait_for(lambda: record(hub, "customer", "17"), seen=seen)
        customer = record(hub, "customer", "17")
        assert (customer["name"], customer["tax_id"]) == ("Nordlicht Optik GmbH", "DE129274202")
        assert record(hub, "service_request", "7")["customer_id"] == source_id("helpdesk", "customer", "17")
        wait_for(lambda: record(hub, "contract", "C-1"), seen=seen)
        contract = record(hub, "contract", "C-1")
        assert (contract["coverage"], contract["net_amount"]) == ("Wartung 服务", 12005000)
        # The row without a key is a dead letter, and holds nothing up.
        tickets = "raw.helpdesk.helpdesk.tickets"
        wait_for(lambda: find(pipeline.settings, Filter(topic=tickets)), seen=seen)
        desk.put(
            "tickets", 3, "2026-11-30T12:00:00Z", number="T-3", subject="It works", state="closed", requester={"id": 17}
        )
        wait_for(lambda: record(hub, "service_request", "3").get("status") == "closed", seen=seen)
        assert capture_progress(pipeline.settings)[-1].connector == "RUNNING"
        assert [step for step in plan(pipeline.settings) if "helpdesk" in step.name] == []
        (files / "contracts-2.csv").write_bytes(b"number;requester;title;ends_on;value\nC-1;17\n")
        wait_for(
            lambda: any(
                "contracts-2.csv: line 2" in one.what
                for one in feed_findings(pipeline.settings, load_systems(pipeline.settings))
            )
        )
        assert capture_progress(pipeline.settings)[-1].connector == "FAILED"
        assert record(hub, "contract", "C-1") == contract
        (files / "contracts-2.csv").unlink()
        wait_for(lambda: capture_progress(pipeline.settings)[-1].connector == "RUNNING")
        scopes = {row.scope: row for row in schedule_rows(pipeline.settings, load_systems(pipeline.settings))}
        assert scopes["helpdesk/helpdesk.tickets"].sync == "every 1 s"
        assert scopes["helpdesk/helpdesk.notes"].sync == "on request"
        drop(pipeline.settings, Filter(topic=tickets), "a test made it", "a test")
        (system,) = (
            one for one in with_types(pipeline.settings, load_systems(pipeline.settings))[0] if one.name == "helpdesk"
        )
        comparison = Comparison()
        compare_system(system, SCHEME + pipeline.settings.hub, _load_hub(pipeline.settings.hub)[0], comparison)
        # Seven tickets, a requester, a contract; and those without a key.
        assert comparison.source_rows - comparison.rejected == 9, comparison.examples
        assert (comparison.lost, comparison.doubled, comparison.differing) == (0, 0, 0), comparison.examples


def test_a_captured_table_with_a_schedule_is_read_in_batches(pipeline: Pipeline, files: Path) -> None:
    folder = connectors_dir(pipeline.settings)
    source = (folder / "demo-crm/source.json").read_text("utf-8")
    rule = ', "sync": {"public.account": {"on": "request"}}}'
    (folder / "demo-crm/source.json").write_text(source.rstrip()[:-1].rstrip() + rule, "utf-8")
    pipeline.stop_workers()
    pipeline.start_worker("feeds-1")
    scope = "demo-crm/public.account"
    with hub_connection(pipeline.settings.hub) as hub, pipeline.connect("CRM") as crm:
        wait_for(lambda: {(pause.scope, pause.who) for pause in capture_pauses(hub)} == {(scope, SCHEDULE)})
        waiting: list[str] = []

        def waits() -> bool:
            # Workers ask every two seconds what is paused: what came before that is taken.
            row = crm.execute("INSERT INTO account (name) VALUES ('Batch AG') RETURNING id::text").fetchone()
            assert row is not None
            waiting.append(str(row[0]))
            # One may wait for a moment only, until offsets are committed.
            return (queues(pipeline.settings, hub)[0].waiting or 0) >= 3

        wait_for(waits, pause=1.0)
        customer = source_id("demo-crm", "customer", waiting[-1])
        is_there = "SELECT count(*) FROM entity WHERE id = %s AND version > 0"
        assert hub.execute(is_there, [customer]).fetchone() == (0,)
        want_read(hub, "demo-crm", "public.account")
        wait_for(lambda: hub.execute(is_there, [customer]).fetchone() == (1,))
        wait_for(lambda: scope in sync_batches(hub) and sync_batches(hub)[scope].ended_at is not None)
        wait_for(lambda: {pause.scope for pause in capture_pauses(hub)} == {scope})
        (folder / "demo-crm/source.json").write_text(source, "utf-8")
        pipeline.stop_workers()
        pipeline.start_worker("feeds-2")
        wait_for(lambda: not capture_pauses(hub))
