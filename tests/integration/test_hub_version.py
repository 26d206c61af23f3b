"""Workers of a rolling upgrade, on a real hub: which one starts, which one waits, and who has a name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import psycopg
import pytest

from streams.agents.own_name import require_own_name
from streams.errors import AccessDenied, ConfigError, EnvironmentFault, ServerAway
from streams.hub.migrate import require_same_version
from streams.hub.session import hub_session
from streams.hub.store import HubStore
from streams.hub.workers import (
    RecentLatency,
    WorkerName,
    register_worker,
    report_worker,
    worker_of_name,
    worker_stopped,
)
from streams.stack.native import NativeStack
from tests.writers import hub_of_its_own


@pytest.fixture(scope="module")
def dsn(hub_server: NativeStack) -> str:
    return hub_of_its_own(hub_server, "hub_version")


@pytest.fixture
def hub(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM worker")
        yield connection


def test_worker_of_the_hubs_version_starts(dsn: str) -> None:
    require_same_version(dsn)


def test_worker_waits_for_apply_while_the_hub_is_older(dsn: str, hub: psycopg.Connection) -> None:
    row = hub.execute("SELECT max(migration_id) FROM _yoyo_migration").fetchone()
    assert row is not None
    hub.execute("CREATE TEMP TABLE kept AS SELECT * FROM _yoyo_migration WHERE migration_id = %s", row)
    hub.execute("DELETE FROM _yoyo_migration WHERE migration_id = %s", row)
    try:
        with pytest.raises(EnvironmentFault, match=f"lacks the migration {row[0]}") as waits:
            require_same_version(dsn)
        assert "opshub apply" in waits.value.remedy
    finally:
        hub.execute("INSERT INTO _yoyo_migration SELECT * FROM kept")


def test_old_worker_waits_for_its_successor_while_the_hub_is_newer(dsn: str, hub: psycopg.Connection) -> None:
    hub.execute("INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('x', '9999.future')")
    try:
        with pytest.raises(EnvironmentFault, match=r"newer than this worker: it has the migration 9999\.future"):
            require_same_version(dsn)
    finally:
        hub.execute("DELETE FROM _yoyo_migration WHERE migration_hash = 'x'")


def test_wrong_password_is_a_refusal_and_a_closed_port_is_not(dsn: str) -> None:
    wrong = psycopg.conninfo.make_conninfo(dsn, password="wrong")
    with pytest.raises(AccessDenied, match="the hub refuses a session of opshub"), hub_session(wrong):
        pass
    with pytest.raises(ServerAway), hub_session(psycopg.conninfo.make_conninfo(dsn, port=1)):
        pass


async def test_name_belongs_to_the_process_that_reports(dsn: str, hub: psycopg.Connection) -> None:
    # Another host: whether a process of this machine lives is seen without a report.
    first = WorkerName("w1", "there", 19100, os.getpid(), "0.1.0", ["ingest"])
    second = WorkerName("w1", "here", 19100, os.getpid(), "0.1.0", ["ingest"])
    store = HubStore(dsn, "test-names")
    try:
        await register_worker(store, first)

        async def keep_reporting() -> None:
            while True:
                await report_worker(store, first, waiting=None, lanes={}, latency=RecentLatency())
                await asyncio.sleep(0.2)

        reports = asyncio.create_task(keep_reporting())
        with pytest.raises(ConfigError, match="a worker named w1 runs already"):
            await asyncio.to_thread(require_own_name, dsn, "w1", "here")
        await asyncio.to_thread(require_own_name, dsn, "w2", "here")
        reports.cancel()

        await worker_stopped(store, first)
        await asyncio.to_thread(require_own_name, dsn, "w1", "here")

        # Both started at the same moment: the first one sees who took its name.
        await register_worker(store, first)
        await register_worker(store, second)
        assert not await report_worker(store, first, waiting=None, lanes={}, latency=RecentLatency())
        other = await worker_of_name(store, first)
        assert other is not None and other.host == "here" and await worker_of_name(store, second) is None
    finally:
        await store.close()
