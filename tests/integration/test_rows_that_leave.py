"""A re-snapshot takes out of the hub what the rows of the source no longer make (sling-cli#333)."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest

from streams.identity.decisions import Message
from streams.inbox.sending import send
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.names import changes_topic
from streams.paths import connectors_dir
from tests.conftest import Pipeline
from tests.integration.test_source_changes import opshub, wait_for

pytestmark = pytest.mark.timeout(600)

NAMES = ("Stays", "Leaves by its rule", "Leaves by its rule too")


def test_rows_that_no_longer_meet_when_leave(pipeline: Pipeline, tmp_path: Path) -> None:
    """`when` is mended, workers restart, the table is read again: with --where, and whole. A record whose row was
    deleted while changes were lost leaves with the whole table.
    """
    with pipeline.connect("CRM") as crm:
        crm.execute("INSERT INTO account (name, created_at) VALUES ('Oldest', '2000-01-01')")  # `drain` touches it
        keys = []
        for name, tier in zip(NAMES, ("Key", "Gone", "Gone"), strict=True):
            row = crm.execute("INSERT INTO account (name, tier) VALUES (%s, %s) RETURNING id::text", [name, tier])
            keys.append(str((row.fetchone() or [""])[0]))
    lost = "00000000-0000-4000-8000-000000000001"
    ids = [source_id("demo-crm", "customer", key) for key in (*keys, lost)]
    changed = tmp_path / "connectors"
    shutil.copytree(connectors_dir(pipeline.settings), changed)
    dictionary = changed / "demo-crm" / "dictionary.yaml"
    text = dictionary.read_text(encoding="utf-8")
    target = "- entity: customer\n"
    assert target in text
    dictionary.write_text(text.replace(target, f"{target}        when: tier != 'Gone'\n", 1), encoding="utf-8")

    def live() -> list[bool]:
        with psycopg.connect(pipeline.settings.hub) as hub:
            rows = hub.execute("SELECT id::text FROM entity WHERE id = ANY(%s::uuid[]) AND NOT deleted", [ids])
            known = {row[0] for row in rows}
        return [each in known for each in ids]

    pipeline.start_worker("leave-0")
    try:
        row_of_nothing = Change(
            "change", "customer", ids[3], "demo-crm", lost, "u", 0, 1, 1, 1, fields={"name": "Deleted unseen"}
        )
        send(pipeline.settings, [Message(changes_topic("customer"), ids[3], row_of_nothing)])
        wait_for(lambda: live() == [True] * 4)
        pipeline.stop_workers()
        usual, pipeline.settings = pipeline.settings, pipeline.settings.model_copy(update={"connectors_dir": changed})
        try:
            pipeline.start_worker("leave-1")
            pipeline.drain()
            assert live() == [True] * 4
            done = opshub(pipeline, "resync", "demo-crm", "--table", "public.account", "--where", f"id = '{keys[1]}'")
            assert done.returncode == 0, done.stderr
            wait_for(lambda: live() == [True, False, True, True])
            done = opshub(pipeline, "resync", "demo-crm", "--table", "public.account")
            assert done.returncode == 0, done.stderr
            assert "records of customer leave the hub" in done.stdout
            wait_for(lambda: live() == [True, False, False, False])
            pipeline.stop_workers()
        finally:
            pipeline.settings = usual
        # By the usual dictionary they come back.
        pipeline.start_worker("leave-2")
        assert opshub(pipeline, "resync", "demo-crm", "--table", "public.account").returncode == 0
        wait_for(lambda: live() == [True, True, True, False])
        pipeline.drain()
        verdict = pipeline.verify()
        assert verdict.holds, verdict.examples
    finally:
        pipeline.stop_workers()
