"""A worker that stands still in the middle of a transaction does not hold up its successor for ever, and goes on when it wakes."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest

from streams.errors import EnvironmentFault, RetryLater
from streams.hub import session, store
from streams.hub.migrate import migrate, pending
from streams.hub.store import HubStore
from streams.stack.native import NativeStack
from tests.writers import hub_of_its_own

ASKED = 1_500


def test_locks_of_a_worker_that_stands_still_are_given_up(stack: NativeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    quicker = session.SERVER_SESSION_LIMITS.replace(f"= {session.IDLE_IN_TRANSACTION_MS};", f"= {ASKED};")
    assert quicker != session.SERVER_SESSION_LIMITS
    monkeypatch.setattr(store, "SERVER_SESSION_LIMITS", quicker)

    async def work() -> None:
        still = HubStore(stack.settings.hub, "test-still")
        connection = await still.connection()
        await connection.execute("BEGIN")
        await connection.execute("SELECT pg_advisory_xact_lock(7365710099)")
        began = time.monotonic()
        with psycopg.connect(stack.settings.hub, autocommit=True) as successor:
            await asyncio.wait_for(
                asyncio.to_thread(successor.execute, "SELECT pg_advisory_xact_lock(7365710099)"), ASKED / 1000 + 10
            )
        assert time.monotonic() - began > 0.5, "nobody held the lock"
        with pytest.raises(RetryLater):
            await still.rows("due_sweeps")
        await (await still.connection()).execute("SELECT 1")
        await still.close()

    asyncio.run(work())


def test_a_session_that_broke_in_the_middle_of_a_pipeline_is_given_up(stack: NativeStack) -> None:
    hub = hub_of_its_own(stack, "broken")

    async def tried() -> None:
        store = HubStore(hub, "test-broken")
        connection = await store.connection()
        connection.pgconn.enter_pipeline_mode()  # as one is left when the server ends while the rollback is on its way
        told = await store.failed(
            psycopg.OperationalError("sending query failed: PQsendQuery not allowed in pipeline mode")
        )
        assert isinstance(told, RetryLater)
        assert await store.rows("same_since", 0) == []
        assert await store.connection() is not connection
        await store.close()

    asyncio.run(tried())


def test_a_process_that_was_killed_while_it_migrated_stops_no_other(stack: NativeStack) -> None:
    dsn = stack.settings.hub
    migrate(dsn)
    with psycopg.connect(dsn, autocommit=True) as hub:
        hub.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)")
    assert migrate(dsn) == []


def test_hub_of_another_version_is_refused(stack: NativeStack) -> None:
    dsn = stack.settings.hub
    migrate(dsn)
    with psycopg.connect(dsn, autocommit=True) as hub:
        hub.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc) VALUES ('x', '9999.later', now())"
        )
        try:
            with pytest.raises(EnvironmentFault, match=r"does not know the migration 9999\.later"):
                pending(dsn)
        finally:
            hub.execute("DELETE FROM _yoyo_migration WHERE migration_hash = 'x'")
    assert pending(dsn) == []
