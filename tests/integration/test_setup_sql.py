"""The SQL that `opshub plan --sql` prints makes a database fit for capture, also when it is run again for more tables."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from streams.capture.setup_sql import rights_of, setup_sql
from streams.monitor.source_preflight import check_source
from streams.provision.systems import System, capture_dsn, load_systems
from streams.simulator.setup import dsn_of
from streams.stack.native import NativeStack

TABLES = """
CREATE SCHEMA "Sales";
CREATE TABLE "Sales"."Sales Order" (id integer PRIMARY KEY, ref text);
CREATE TABLE public.part (id integer PRIMARY KEY, day date) PARTITION BY RANGE (id);
CREATE TABLE public.part_1 PARTITION OF public.part FOR VALUES FROM (0) TO (100);
CREATE TABLE public.later (id integer PRIMARY KEY);
"""
FIRST = """
system: shop-2
tables:
  "Sales.Sales Order": {key: id, before: full, to: [], columns: [ref]}
  public.part: {key: id, to: []}
"""


def load(stack: NativeStack, folder: Path) -> System:
    settings = stack.settings.model_copy(update={"connectors_dir": folder.parent, "systems": ["shop-2"]})
    (system,) = load_systems(settings)
    return system


def test_printed_sql_makes_a_database_fit_for_capture(stack: NativeStack, tmp_path: Path) -> None:
    env = stack.env() | {"SHOP_USER": "shop \"o'reader"}
    admin = make_conninfo(dsn_of(env, "DEMO_CRM", "ADMIN"), dbname="postgres")
    folder = tmp_path / "shop-2"
    folder.mkdir()
    (folder / "dictionary.yaml").write_text(FIRST)
    (folder / "source.json").write_text(
        '{"config": {"database.hostname": "${env:DEMO_CRM_HOST}", "database.port": "${env:DEMO_CRM_PORT}",'
        '"database.dbname": "setup_sql", "database.user": "${env:SHOP_USER}", "database.password": "x"}}'
    )
    with psycopg.connect(admin, autocommit=True) as server:
        server.execute("CREATE DATABASE setup_sql")
    try:
        with psycopg.connect(make_conninfo(admin, dbname="setup_sql"), autocommit=True) as database:
            database.execute(TABLES)
            for text in (FIRST, FIRST, FIRST + "  public.later: {key: id, to: []}\n"):
                (folder / "dictionary.yaml").write_text(text)
                system = load(stack, folder)
                database.execute(setup_sql(rights_of(system, env)).encode())
                database.execute('ALTER ROLE "shop ""o\'reader" PASSWORD \'x\'')
                findings = [finding for finding in check_source(system, capture_dsn(system, env)) if finding.severe]
                assert findings == []
            published = database.execute("SELECT count(*) FROM pg_publication_tables WHERE pubname = 'opshub_shop_2'")
            assert published.fetchone() == (5,)
    finally:
        with psycopg.connect(admin, autocommit=True) as server:
            server.execute("DROP DATABASE setup_sql WITH (FORCE)")
            server.execute('DROP ROLE IF EXISTS "shop ""o\'reader"')
