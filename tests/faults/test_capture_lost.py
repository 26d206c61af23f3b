"""Capture that may have lost changes is seen on real servers, stops that system alone, and is mended by `resync`.

Each way of losing them: the slot is dropped while Connect is away; WAL passes the cap while nobody reads the slot; an
old backup is put back.A slot that is made again between two looks of the guard is found, too.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from streams.provision import connectors
from streams.stack.native import NativeStack
from tests.faults.field import Field
from tests.faults.rows import ROWS
from tests.waiting import came_true

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def field(own_stack: NativeStack) -> Iterator[Field]:
    with Field(own_stack) as found:
        found.work("w0")
        assert came_true(found.working, 90)
        found.load()
        assert came_true(lambda: found.commits() > 100, 30)
        # The guard has seen each source once.
        assert came_true(
            lambda: found.hub_value("SELECT count(*) FROM source_state WHERE slot_lsn IS NOT NULL") == 2, 60
        )
        yield found


def is_told_and_stopped(field: Field, what: str) -> None:
    """An alarm that says what happened; the connector stands still, the worker is not ready, the other system flows
    on.
    """
    assert came_true(lambda: field.alarm("demo-crm") is not None, 90), "no alarm"
    print(f"\nalarm: {field.alarm('demo-crm')}")
    assert what in str(field.alarm("demo-crm"))
    assert came_true(lambda: connectors.status(field.settings, "demo-crm")[0] == "STOPPED", 60)
    assert field.alarm("demo-erp") is None and connectors.status(field.settings, "demo-erp")[0] == "RUNNING"
    ready = f"http://127.0.0.1:{field.settings.metrics_port}/readyz"
    assert came_true(lambda: httpx.get(ready).status_code == 503, 40)
    assert "demo-crm is stopped" in httpx.get(ready).text
    before = field.records_in()
    assert came_true(lambda: field.records_in() > before, 30), "the other system stands still too"


def is_mended(field: Field, since: float) -> None:
    """`since`: when capture may have begun to lose changes, of which the snapshot then tells what they left."""
    began = time.monotonic()
    field.resync("demo-crm", sweep_after=15.0)
    field.uncaptured(since - 10, time.monotonic())
    findings = field.settle(180)
    print(f"mended {time.monotonic() - began:.0f} s after `resync` began: {findings}")
    assert findings.hold, str(findings)
    ready = f"http://127.0.0.1:{field.settings.metrics_port}/readyz"
    assert came_true(lambda: httpx.get(ready).status_code == 200, 40)


def test_the_slot_is_dropped_while_connect_is_away(field: Field) -> None:
    since = time.monotonic()
    field.stack.kill("connect")
    field.drop_slot("demo-crm")
    time.sleep(5)  # commits, deletes among them, that nobody will ever capture
    field.stack.start("connect")
    is_told_and_stopped(field, "slot")
    is_mended(field, since)


def test_the_slot_is_made_again_between_two_looks(field: Field) -> None:
    """No guard sees it gone: the workers are away meanwhile. Debezium's own comparison of offset and slot finds it."""
    since = time.monotonic()
    field.kill("w0")
    field.stack.kill("connect")
    field.drop_slot("demo-crm")
    time.sleep(5)
    field.stack.start("connect")
    slot = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'opshub_demo_crm'"
    with field.admin("demo-crm") as source:
        came_true(lambda: source.execute(slot).fetchone() == (1,), 20)
    field.work("w0")
    is_told_and_stopped(field, "slot")
    is_mended(field, since)


def test_wal_passes_the_cap(field: Field) -> None:
    since = time.monotonic()
    with field.admin("demo-crm") as source:
        for statement in ("ALTER SYSTEM SET max_slot_wal_keep_size = '64MB'", "ALTER SYSTEM SET max_wal_size = '64MB'"):
            source.execute(statement.encode())
        source.execute("SELECT pg_reload_conf()")
        field.stack.kill("connect")
        source.execute("CREATE TABLE noise (id bigint, text text)")
        lost = "SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = 'opshub_demo_crm'"

        def is_lost() -> bool:
            source.execute(
                "INSERT INTO noise SELECT n, gen_random_uuid()::text || repeat('x', 900) FROM generate_series(1, 40000) n"
            )
            source.execute("SELECT pg_switch_wal()")
            source.execute("CHECKPOINT")
            return source.execute(lost).fetchone() == (True,)

        assert came_true(is_lost, 120), "the cap was not reached"
        source.execute("DROP TABLE noise")
        source.execute("ALTER SYSTEM RESET ALL")
        source.execute("SELECT pg_reload_conf()")
    field.stack.start("connect")
    is_told_and_stopped(field, "slot")
    is_mended(field, since)


def test_an_old_backup_is_put_back(field: Field) -> None:
    data = field.settings.state_dir / "data" / "crm"
    backup = data.with_name("crm-backup")
    since = time.monotonic()
    field.stack.kill("crm")
    subprocess.run(["cp", "-a", str(data), str(backup)], check=True)
    field.stack.start("crm")
    field.revive_capture()
    commits = field.commits()
    assert came_true(lambda: field.commits() > commits + 200, 60)
    time.sleep(20)  # one look at least, behind what the backup has
    field.stack.kill("crm")
    shutil.rmtree(data)
    backup.rename(data)
    field.stack.start("crm")
    for clerk in field.clerks:
        clerk.forget(*(table for system, table, *_ in ROWS if system == "demo-crm"))
    is_told_and_stopped(field, "went back")
    is_mended(field, since)
