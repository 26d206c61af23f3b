"""The SQL that `opshub plan --sql` prints makes a database fit for capture, also when it is run again for more tables."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from streams.capture.setup_sql import rights_of, setup_sql
from streams.cli.connector import new
from streams.dictionary.check.all_problems import check_dictionary
from streams.errors import ConfigError
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


ERP = """
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, email text, phone text, city text, is_deleted boolean);
CREATE TABLE products (id serial PRIMARY KEY, sku text NOT NULL, name text, list_price numeric(12,2));
CREATE TABLE sales_orders (id serial PRIMARY KEY, order_no text, customer_id integer REFERENCES customers, order_date date, currency text);
CREATE TABLE sales_order_lines (id serial PRIMARY KEY, order_id integer REFERENCES sales_orders, product_id integer REFERENCES products, quantity numeric(12,3), unit_price numeric(12,2));
CREATE TABLE session_log (id serial PRIMARY KEY, payload text);
INSERT INTO customers (name, email) VALUES ('Ada Ltd', 'ada@example.com');
"""


def test_new_folder_of_a_database_passes_map_check(
    stack: NativeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = make_conninfo(dsn_of(stack.env(), "DEMO_CRM", "ADMIN"), dbname="postgres")
    with psycopg.connect(admin, autocommit=True) as server:
        server.execute("CREATE DATABASE new_folder")
    try:
        address = make_conninfo(admin, dbname="new_folder")
        with psycopg.connect(address, autocommit=True) as database:
            database.execute(ERP)
            monkeypatch.setenv("OPSHUB_CONNECTORS_DIR", str(tmp_path))
            new("my-erp", address)
            assert "4 tables of 5" in capsys.readouterr().out
            folder = tmp_path / "my-erp"
            made = {file.name for file in folder.iterdir()}
            assert made == {"source.json", "dictionary.yaml", "roles.sql", "examples.yaml", "README.md"}
            checked = check_dictionary(folder, {"my-erp"})
            assert checked.problems == []
            assert "Ada" not in "".join(file.read_text() for file in folder.iterdir()), "no data of the database"
            database.execute((folder / "roles.sql").read_bytes())
            with pytest.raises(ConfigError, match="exists"):
                new("my-erp", address)
    finally:
        with psycopg.connect(admin, autocommit=True) as server:
            server.execute("DROP DATABASE new_folder WITH (FORCE)")
            server.execute("DROP ROLE IF EXISTS opshub_capture_my_erp")


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
