"""A pause of a table, and of a source, on real servers: what waits comes after it, in order, and nothing is lost."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from streams.capture.guard import check_capture
from streams.capture.pauses import find_scope, pause, queues, resume
from streams.errors import ConfigError
from streams.model.ids import source_id
from streams.monitor.table_status import systems_status
from streams.provision import connectors
from streams.provision.systems import capture_dsn
from tests.conftest import Pipeline
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def hub(pipeline: Pipeline) -> Iterator[psycopg.Connection[Any]]:
    pipeline.start_worker("pause-0")
    with psycopg.connect(pipeline.settings.hub, autocommit=True) as connection:
        yield connection
    pipeline.stop_workers()


def add_account(pipeline: Pipeline, name: str) -> str:
    key = str(uuid.uuid4())
    with pipeline.connect("CRM") as crm:
        crm.execute("INSERT INTO account (id, name) VALUES (%s, %s)", [key, name])
    return source_id("demo-crm", "customer", key)


def add_product(pipeline: Pipeline, name: str) -> str:
    key = str(uuid.uuid4())
    with pipeline.connect("CRM") as crm:
        crm.execute("INSERT INTO product (id, sku, name) VALUES (%s, %s, %s)", [key, f"{name}-{key[:8]}", name])
    return source_id("demo-crm", "product", key)


def names(hub: psycopg.Connection[Any], record: str) -> list[Any]:
    return hub.execute("SELECT record->>'name' FROM entity WHERE id = %s", [record]).fetchall()


def test_paused_table_waits_and_comes_whole(pipeline: Pipeline, hub: psycopg.Connection[Any]) -> None:
    settings, scope = pipeline.settings, "demo-crm/public.account"
    first = add_account(pipeline, "Before AG")
    wait_for(lambda: names(hub, first) == [("Before AG",)])

    pause(settings, hub, scope, who="ann", reason="stock-taking")
    time.sleep(3)  # a worker asks every two seconds
    meanwhile = f"Meanwhile {uuid.uuid4().hex[:6]} AG"
    held = add_account(pipeline, meanwhile)
    other = add_product(pipeline, "PAUSE-1")
    wait_for(lambda: names(hub, other) == [("PAUSE-1",)])  # other tables go on
    with pipeline.connect("CRM") as crm:
        crm.execute("UPDATE account SET name = 'Later AG' WHERE name = %s", [meanwhile])
    wait_for(lambda: queues(settings, hub)[0].waiting == 2)
    (queue,) = queues(settings, hub)
    assert (queue.who, queue.reason, queue.problem) == ("ann", "stock-taking", None)
    assert queue.oldest_at is not None and queue.safe_until is not None
    assert (queue.safe_until - queue.oldest_at).days == 7
    assert names(hub, held) == []

    # A worker that restarts keeps the pause, and so does one that takes its partitions.
    pipeline.stop_workers()
    pipeline.start_worker("pause-1")
    pipeline.start_worker("pause-2")
    third = add_product(pipeline, "PAUSE-2")
    wait_for(lambda: names(hub, third) == [("PAUSE-2",)])
    assert names(hub, held) == []
    (status,) = (one for one in systems_status(settings, hub, pipeline.systems) if one.name == "demo-crm")
    account = next(table for table in status.tables if table.table == "public.account")
    assert (account.state, account.waiting, account.paused) == ("paused", 2, True)

    assert resume(settings, hub, scope)
    assert not resume(settings, hub, scope)
    wait_for(lambda: names(hub, held) == [("Later AG",)])
    pipeline.drain()
    assert not pipeline.verify().examples


def test_paused_source_keeps_its_changes_in_its_wal(pipeline: Pipeline, hub: psycopg.Connection[Any]) -> None:
    settings = pipeline.settings
    (system,) = (one for one in pipeline.systems if one.name == "demo-crm")
    dsn = capture_dsn(system, pipeline.env)
    pause(settings, hub, "demo-crm", who="ann", reason="upgrade")
    try:
        wait_for(lambda: connectors.status(settings, system.connector_name)[0] == "PAUSED")
        held = add_account(pipeline, "In the WAL AG")
        wait_for(lambda: (queues(settings, hub)[0].grown_bytes or 0) > 0)
        (queue,) = queues(settings, hub)
        assert "Nothing is lost" in queue.sentence and queue.kept_bytes is not None
        codes = {finding.code: finding for finding in check_capture(settings, system, dsn)}
        assert not codes["capture-paused"].severe and "connector-stopped" not in codes
        assert names(hub, held) == []
        (status,) = (one for one in systems_status(settings, hub, pipeline.systems) if one.name == "demo-crm")
        assert (status.state, status.problem) == ("paused", None)
    finally:
        resume(settings, hub, "demo-crm")
    wait_for(lambda: names(hub, held) == [("In the WAL AG",)])
    pipeline.drain()
    assert not pipeline.verify().examples


def test_scope_that_does_not_exist_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(ConfigError, match="there is no system 'crm'"):
        find_scope(pipeline.settings, "crm")
    with pytest.raises(ConfigError, match="has no table 'account'") as refused:
        find_scope(pipeline.settings, "demo-crm/account")
    assert "demo-crm/public.account" in refused.value.remedy
