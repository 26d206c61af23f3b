"""A source's tables change while they are captured, and rows are read again because a rule of the dictionary changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from streams.model.ids import source_id
from streams.paths import connectors_dir
from streams.simulator.company import Company
from streams.simulator.setup import dsn_of
from streams.stack.workers import worker_environment
from tests.conftest import Pipeline
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(600)


def opshub(pipeline: Pipeline, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streams.cli", *arguments]
    environment = worker_environment(pipeline.settings)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_rows_are_read_again_when_a_rule_has_changed(pipeline: Pipeline, tmp_path: Path) -> None:
    """As after a change of a code table: what was mapped earlier stays until its rows are asked for again."""
    with pipeline.connect("CRM") as crm:
        # The oldest account is touched by `drain`.
        crm.execute("INSERT INTO account (name, created_at) VALUES ('Oldest', '2000-01-01')")
        keys = [
            str(row[0])
            for row in (
                crm.execute("INSERT INTO account (name, tier) VALUES (%s, 'Key') RETURNING id::text", [name]).fetchone()
                for name in ("Read again", "Left alone")
            )
            if row
        ]
    changed = tmp_path / "connectors"
    shutil.copytree(connectors_dir(pipeline.settings), changed)
    dictionary = changed / "demo-crm" / "dictionary.yaml"
    text = dictionary.read_text(encoding="utf-8")
    rule = "segment: {column: tier, steps: [lower]}"
    assert rule in text
    dictionary.write_text(
        text.replace(rule, "segment: {column: tier, values: {Key: strategic}, unknown: pass}"), encoding="utf-8"
    )

    def segments() -> list[str]:
        with psycopg.connect(pipeline.settings.hub) as hub:
            rows = dict(
                hub.execute(
                    "SELECT id::text, record->>'segment' FROM entity WHERE id = ANY(%s::uuid[])",
                    [[source_id("demo-crm", "customer", key) for key in keys]],
                ).fetchall()
            )
        return [rows.get(source_id("demo-crm", "customer", key), "") for key in keys]

    pipeline.start_worker("reread-0")
    try:
        wait_for(lambda: segments() == ["key", "key"])
        pipeline.stop_workers()
        usual, pipeline.settings = pipeline.settings, pipeline.settings.model_copy(update={"connectors_dir": changed})
        try:
            pipeline.start_worker("reread-1")
            pipeline.drain()
            assert segments() == ["key", "key"]
            refused = opshub(pipeline, "resync", "demo-crm", "--table", "public.account", "--where", "no_column = 1")
            assert refused.returncode == 2, refused.stderr
            assert "no_column" in refused.stderr
            done = opshub(pipeline, "resync", "demo-crm", "--table", "public.account", "--where", f"id = '{keys[0]}'")
            assert done.returncode == 0, done.stderr
            assert "1 rows of public.account are read again" in done.stdout
            wait_for(lambda: segments() == ["strategic", "key"])
            pipeline.stop_workers()
        finally:
            pipeline.settings = usual
        # What the usual dictionary says comes back in the same way.
        pipeline.start_worker("reread-2")
        assert opshub(pipeline, "resync", "demo-crm", "--table", "public.account").returncode == 0
        wait_for(lambda: segments() == ["key", "key"])
        pipeline.drain()
        verdict = pipeline.verify()
        assert verdict.holds, verdict.examples
    finally:
        pipeline.stop_workers()


ALTERATIONS = (
    ("CRM", "ALTER TABLE account ADD COLUMN loyalty text DEFAULT 'none'", "public.account", "loyalty text was added"),
    ("ERP", "ALTER TABLE erp.item DROP COLUMN descr2", "erp.item", "descr2 text was dropped"),
    ("ERP", "ALTER TABLE erp.stock RENAME COLUMN min_qty TO reorder_at", "erp.stock", "min_qty is called reorder_at now"),
    ("ERP", "ALTER TABLE erp.item ALTER COLUMN wgt TYPE numeric(12,3)", "erp.item", "wgt was double precision and is numeric(12,3) now"),
)  # fmt: skip
BACK = (
    ("CRM", "ALTER TABLE account DROP COLUMN IF EXISTS loyalty"),
    ("ERP", "ALTER TABLE erp.item ADD COLUMN IF NOT EXISTS descr2 text"),
    ("ERP", "ALTER TABLE erp.stock RENAME COLUMN reorder_at TO min_qty"),
    ("ERP", "ALTER TABLE erp.item ALTER COLUMN wgt TYPE double precision"),
)


def recorded_tables(pipeline: Pipeline) -> set[str]:
    """Tables whose columns the watcher has recorded in the hub."""
    with psycopg.connect(pipeline.settings.hub) as hub:
        return {table for (table,) in hub.execute("SELECT table_name FROM source_columns")}


@pytest.mark.slow
def test_tables_are_altered_while_the_company_lives_at_a_thousand_changes_a_second(pipeline: Pipeline) -> None:
    """Nothing is lost, and `opshub status` says what changed."""
    company = Company(
        seed=7, crm_dsn=dsn_of(pipeline.env, "DEMO_CRM", "APP"), erp_dsn=dsn_of(pipeline.env, "DEMO_ERP", "APP")
    )
    failed: list[BaseException] = []

    def live() -> None:
        try:
            company.run(rate=1000, seconds=75)
        except BaseException as error:
            failed.append(error)

    def admin(system: str) -> psycopg.Connection[Any]:
        return psycopg.connect(dsn_of(pipeline.env, f"DEMO_{system}", "ADMIN"), autocommit=True)

    try:
        company.load_history(customers=300, orders=300)
        pipeline.start_worker("alter-0")
        pipeline.drain()
        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        # What changes is only seen against the shapes that the watcher has recorded.
        wait_for(lambda: {table for _, _, table, _ in ALTERATIONS} <= recorded_tables(pipeline), 90)
        for system, statement, _, _ in ALTERATIONS:
            with admin(system) as database:
                database.execute(statement)  # type: ignore[arg-type]
            time.sleep(2)
        thread.join(120)
        assert not failed, failed
        stats = company.stats()
        assert stats["failed"] == 0, stats["errors"]
        pipeline.drain()

        def told() -> set[tuple[str, str]]:
            shown = json.loads(opshub(pipeline, "status", "--json").stdout)["source_changes"]
            return {(one["table"], one["what"]) for one in shown}

        wait_for(lambda: {(table, what) for _, _, table, what in ALTERATIONS} <= told(), 40)
        text = opshub(pipeline, "status").stdout
        assert "Changed tables of the sources" in text
        print(text, stats["row_changes"], "row changes", flush=True)
        verdict = pipeline.verify()
        assert verdict.holds, verdict.examples
        with psycopg.connect(pipeline.settings.hub) as hub:
            assert hub.execute("SELECT count(*) FROM dead_letter WHERE state = 'dead'").fetchone() == (0,)
    finally:
        company.close()
        pipeline.stop_workers()
        for system, statement in BACK:
            with admin(system) as database:
                database.execute(statement)  # type: ignore[arg-type]
