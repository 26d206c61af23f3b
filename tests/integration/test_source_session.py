"""Checks never hold up the application whose tables they read, and a lock of the application gives one clear line.

Seen live with Tryton 8.2: `map draft` read all tables in one transaction, and deadlocked with the ERP's own migration.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from streams.errors import ConfigError, EnvironmentFault
from streams.provision.source_session import source_fault, source_session
from streams.simulator.setup import dsn_of
from streams.stack.native import NativeStack
from streams.verify.source_rows import source_rows
from tests.factories import compiled

pytestmark = pytest.mark.timeout(900)

ACCOUNTS = compiled(
    """
system: test
tables:
  public.account:
    key: id
    to:
      - {entity: customer, fields: {name: name}}
"""
).tables["public.account"]
DICTIONARY = """
system: shop
tables:
  public.account:
    key: id
    to:
      - {entity: customer, fields: {name: name}}
  public.parts:
    key: id
    before: full
    to:
      - {entity: customer, namespace: p, fields: {name: name, notes: doubled}}
"""


@pytest.fixture(scope="module")
def shop(stack: NativeStack) -> Iterator[str]:
    """The administrator's address of a database with a few tables."""
    admin = dsn_of(stack.env(), "DEMO_CRM", "ADMIN")
    name = f"shop_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(admin, autocommit=True) as database:
        database.execute(f"CREATE DATABASE {name}".encode())
    address = psycopg.conninfo.make_conninfo(admin, dbname=name)
    with psycopg.connect(address, autocommit=True) as database:
        database.execute(
            b"""
            CREATE TABLE account (id int PRIMARY KEY, name text NOT NULL);
            INSERT INTO account SELECT i, 'account ' || i FROM generate_series(1, 20000) i;
            CREATE TABLE invoice (id int PRIMARY KEY, total numeric);
            CREATE TABLE parts (id int PRIMARY KEY, name text, doubled text GENERATED ALWAYS AS (name || name) STORED) PARTITION BY RANGE (id);
            CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (9);
            ALTER TABLE account ENABLE ROW LEVEL SECURITY;
            CREATE ROLE shop_clerk LOGIN PASSWORD 'shop';
            GRANT SELECT ON ALL TABLES IN SCHEMA public TO shop_clerk;
            """
        )
    yield address
    with psycopg.connect(admin, autocommit=True) as database:
        database.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        database.execute(b"DROP ROLE shop_clerk")


def opshub(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streams.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=dict(os.environ))


def test_a_draft_is_made_while_the_application_migrates_a_table(shop: str) -> None:
    with psycopg.connect(shop) as migration:
        migration.execute("LOCK TABLE account IN ACCESS EXCLUSIVE MODE")
        done = opshub("map", "draft", shop)
        assert done.returncode == 0, done.stderr
        assert "no rows of public.account were read (canceling statement due to lock timeout)" in done.stderr
        assert "public.account" in done.stdout and "Traceback" not in done.stderr


def test_a_lock_of_the_application_gives_one_line_with_a_remedy(shop: str) -> None:
    with psycopg.connect(shop) as migration:
        migration.execute("LOCK TABLE account IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(EnvironmentFault, match="lock timeout") as raised:
            list(source_rows(shop, ACCOUNTS))
    assert "\n" not in str(raised.value) and "later" in raised.value.remedy


def test_reading_rows_holds_no_lock_while_they_are_mapped(shop: str) -> None:
    rows = source_rows(shop, ACCOUNTS)
    next(rows)
    with psycopg.connect(shop, autocommit=True) as migration:
        migration.execute("SET lock_timeout = '5s'")
        migration.execute("ALTER TABLE account ADD COLUMN IF NOT EXISTS added int")
        held = migration.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'opshub-check' AND state = 'idle in transaction'"
        ).fetchone()
        assert held == (0,)
    assert len(list(rows)) == 19_999


def test_a_session_of_a_check_cannot_write(shop: str) -> None:
    with source_session(shop) as source, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        source.execute("DELETE FROM invoice")


@pytest.mark.parametrize("dsn", ["postgresql://nobody@127.0.0.1:9/none", "no connection string"])
def test_an_address_that_is_wrong_gives_one_line_with_a_remedy(dsn: str) -> None:
    with pytest.raises(psycopg.Error) as raised, source_session(dsn):
        pass
    fault = source_fault(raised.value, "the database cannot be read")
    assert isinstance(fault, (ConfigError, EnvironmentFault))
    assert "\n" not in str(fault) and fault.remedy


def test_a_role_under_row_level_security_hears_that_rows_are_hidden(shop: str, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/dictionary.yaml").write_text(DICTIONARY)
    clerk = psycopg.conninfo.make_conninfo(shop, user="shop_clerk", password="shop")
    tried = opshub("map", "try", str(tmp_path / "shop"), "--dsn", clerk, "--json")
    assert "row-level security may hide rows" in json.loads(tried.stdout)["hidden"][0], tried.stderr
    assert (
        "warning: public.account: row-level security"
        in opshub("map", "try", str(tmp_path / "shop"), "--dsn", clerk).stderr
    )
    checked = json.loads(opshub("map", "check", str(tmp_path / "shop"), "--live", "--dsn", clerk, "--json").stdout)
    found = {(one["level"], one["line"], one["what"].split(":")[0]) for one in checked["findings"]}
    assert ("warning", 4, "row-level security may hide rows from the capturing role") in found
    # The generated column is named at the field that reads it, and the partitions' replica identity counts.
    assert ("error", 12, "the dictionary reads doubled, and no change brings it") in found
    assert ("error", 10, "the replica identity is default") in found
    with psycopg.connect(shop, autocommit=True) as database:
        database.execute("ALTER TABLE parts_1 REPLICA IDENTITY FULL")
    checked = json.loads(opshub("map", "check", str(tmp_path / "shop"), "--live", "--dsn", shop, "--json").stdout)
    assert [one["what"].split(":")[0] for one in checked["findings"]] == [
        "the dictionary reads doubled, and no change brings it"
    ]
