"""What dictionaries mend or forgive reaches the hub with the account of the records, and people by the command."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid

import psycopg
import pytest

from streams.hub.accounts import Account, MappingNoteTally
from streams.hub.ingest_checkpoint import CheckpointData, CountedElsewhere, PendingCheckpoint, write_checkpoint
from streams.hub.store import HubStore
from streams.stack.native import NativeStack
from streams.stack.worker_stats import worker_stats
from streams.stack.workers import worker_environment
from tests.conftest import Pipeline
from tests.waiting import came_true
from tests.writers import hub_of_its_own


def pending_of(accounts: list[Account], notes: list[MappingNoteTally]) -> PendingCheckpoint:
    """As many batches as there are accounts, each with a note."""
    pending = PendingCheckpoint()
    for account, note in zip(accounts, notes, strict=True):
        pending.add(CheckpointData(accounts=[account], notes=[note]))
    assert not pending.is_urgent
    return pending


async def test_notes_are_counted_with_the_account_or_not_at_all(stack: NativeStack) -> None:
    hub = hub_of_its_own(stack, f"notes_{uuid.uuid4().hex[:8]}")
    store = HubStore(hub, "test")

    def note(key: str, count: int) -> MappingNoteTally:
        return MappingNoteTally("crm", "public.firm", "customer.tax_id", "taken as null", "wrong", key, count)

    def kept() -> list[tuple[object, ...]]:
        with psycopg.connect(hub) as connection:
            return connection.execute("SELECT field, kind, count, example FROM mapping_note").fetchall()

    try:
        await write_checkpoint(
            store, pending_of([Account("t", 0, 0, 3, 3), Account("t", 0, 3, 5, 2)], [note("6", 1), note("7", 1)])
        )
        with pytest.raises(CountedElsewhere):
            await write_checkpoint(store, pending_of([Account("t", 0, 3, 8, 5)], [note("8", 3)]))
        assert kept() == [("customer.tax_id", "taken as null", 2, "7")]
        await write_checkpoint(store, pending_of([Account("t", 0, 5, 8, 3)], [note("9", 3)]))
        assert kept() == [("customer.tax_id", "taken as null", 5, "9")]
    finally:
        await store.close()


def opshub(pipeline: Pipeline, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", *words], env=worker_environment(pipeline.settings),
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_tax_number_that_was_nulled_is_told_everywhere(pipeline: Pipeline) -> None:
    with pipeline.connect("CRM") as crm:
        row = crm.execute(
            "INSERT INTO account (name, tax_id, billing_country) VALUES ('Noted', 'DE136695977', 'Germany') RETURNING id::text"
        ).fetchone()
    assert row is not None
    pipeline.start_worker("notes-w")
    try:

        def told() -> bool:
            found = json.loads(opshub(pipeline, "map", "explain", "customer.tax_id", "--no-live", "--json"))["notes"]
            return any(
                (one["system"], one["table"], one["kind"], one["reason"], one["example"])
                == (
                    "demo-crm",
                    "public.account",
                    "taken as null",
                    "a tax number of DE with a wrong check digit",
                    row[0],
                )
                for one in found
            )

        assert came_true(told, 60), "the hub has no note of it"
        assert "Values that dictionaries changed or accepted as null" in opshub(pipeline, "status")
        assert any(
            one["field"] == "customer.tax_id"
            for one in json.loads(opshub(pipeline, "status", "--json"))["mapping_notes"]
        )
        (stats,) = worker_stats(pipeline.settings)
        assert ("demo-crm", "customer.tax_id") in {(one["system"], one["field"]) for one in stats["mapping_notes"]}
        assert "customer.tax_id: taken as null" in opshub(pipeline, "map", "explain", "customer.tax_id")
    finally:
        pipeline.stop_workers()
