"""Values that follow what they were looked up in, on real servers: a renamed template, stock as the sum of moves, the
first address; and a company that is our own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from streams.capture.setup_sql import CaptureRights, setup_sql
from streams.model.ids import source_id
from streams.paths import connectors_dir
from streams.provision.differences import apply
from streams.provision.systems import capture_dsn, load_systems
from streams.resolve.ownership import load_ownership
from streams.simulator.setup import dsn_of
from streams.verify.compare import verify
from tests.conftest import Pipeline
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(400)

SCHEMA = """
CREATE TABLE uom (id integer PRIMARY KEY, name text);
CREATE TABLE template (id integer PRIMARY KEY, name text, uom integer);
CREATE TABLE variant (id integer PRIMARY KEY, code text, template integer);
CREATE TABLE move (id integer PRIMARY KEY, product integer, origin integer, target integer, qty numeric, state text);
CREATE TABLE party (id integer PRIMARY KEY, name text, replaced_by integer);
CREATE TABLE company (id integer PRIMARY KEY, party integer);
CREATE TABLE address (id integer PRIMARY KEY, party integer, sequence integer, city text);
INSERT INTO uom VALUES (1, 'kg');
INSERT INTO template VALUES (5, 'Chair', 1);
INSERT INTO variant VALUES (1, 'C-1', 5), (2, 'C-2', 5), (3, 'T-1', NULL);
INSERT INTO move SELECT g, 1, 2, 7, 1.5, 'done' FROM generate_series(1, 100) g;
INSERT INTO party VALUES (1, 'We'), (2, 'They'), (3, 'Them');
INSERT INTO company VALUES (1, 1);
INSERT INTO address VALUES (1, 2, 20, 'Lyon'), (2, 2, 10, 'Metz');
"""
DICTIONARY = """
system: followed
tables:
  public.uom: {key: id, before: full, to: []}
  public.template: {key: id, before: full, to: []}
  public.move: {key: id, before: full, to: []}
  public.company: {key: id, before: full, to: []}
  public.address: {key: id, before: full, to: []}
  public.variant:
    key: id
    to:
      - entity: product
        fields:
          sku: code
          name: {column: template, lookup: {table: public.template, column: name, follow: true}}
          unit: {column: template, lookup: {table: public.template, column: uom, follow: true, then: {table: public.uom, column: name, steps: [unit_code], follow: true}}}
      - entity: inventory_level
        with:
          came: {column: id, lookup: {table: public.move, by: product, where: {target: {const: 7}, state: {const: done}}, take: sum, column: qty, follow: true}}
          left: {column: id, lookup: {table: public.move, by: product, where: {origin: {const: 7}, state: {const: done}}, take: sum, column: qty, follow: true}}
        fields: {product_id: id, warehouse: {const: main}, on_hand: {expr: came - left}}
  public.party:
    key: id
    to:
      - entity: customer
        with: {own: {column: id, lookup: {table: public.company, by: party, column: id, unknown: "null", follow: true}}}
        when: own == null
        deleted: replaced_by != null
        same_as: {system: followed, column: replaced_by}
        fields:
          name: name
          billing_city: {column: id, lookup: {table: public.address, by: party, take: first, order: sequence, column: city, follow: true}}
"""


@pytest.fixture
def source(pipeline: Pipeline, tmp_path: Path) -> Iterator[psycopg.Connection[Any]]:
    admin = dsn_of(pipeline.env, "DEMO_CRM", "ADMIN")
    with psycopg.connect(admin, autocommit=True) as server:
        server.execute("CREATE DATABASE followed")
    address = make_conninfo(admin, dbname="followed")
    folder = tmp_path / "connectors"
    shutil.copytree(connectors_dir(pipeline.settings), folder)
    (folder / "followed").mkdir()
    (folder / "followed/dictionary.yaml").write_text(DICTIONARY, "utf-8")
    login = conninfo_to_dict(address)
    config = {
        f"database.{key}": str(login[name]) for key, name in (("hostname", "host"), ("port", "port"), ("user", "user"))
    }
    config |= {"database.dbname": "followed", "database.password": str(login.get("password", ""))}
    (folder / "followed/source.json").write_text(json.dumps({"config": config}), "utf-8")
    usual = pipeline.settings
    pipeline.settings = usual.model_copy(update={"connectors_dir": folder, "systems": [*usual.systems, "followed"]})
    full = [f"public.{name}" for name in ("uom", "template", "move", "company", "address")]
    tables = [*full, "public.variant", "public.party"]
    try:
        with psycopg.connect(address, autocommit=True) as database:
            database.execute(SCHEMA)
            rights = CaptureRights(str(login["user"]), "opshub_followed", tables, full)
            database.execute(setup_sql(rights, with_role=False).encode())
            apply(pipeline.settings)
            for worker in ("followed-0", "followed-1"):
                pipeline.start_worker(worker)
            yield database
    finally:
        pipeline.stop_workers()
        pipeline.settings = usual


def test_values_follow_what_they_were_looked_up_in(pipeline: Pipeline, source: psycopg.Connection[Any]) -> None:
    with psycopg.connect(pipeline.settings.hub, autocommit=True) as hub:

        def record(entity: str, key: int) -> dict[str, Any] | None:
            query = "SELECT record FROM entity WHERE id = %s AND NOT deleted AND version > 0"
            row = hub.execute(query, [source_id("followed", entity, str(key))]).fetchone()
            return row[0] if row else None

        def values(entity: str, key: int, *fields: str) -> tuple[Any, ...]:
            found = record(entity, key) or {}
            return tuple(found.get(field) for field in fields)

        def state() -> Any:
            waiting = hub.execute("SELECT * FROM row_resnapshot").fetchall()
            dead = hub.execute(
                "SELECT reason FROM dead_letter WHERE topic LIKE 'raw.followed%' AND state = 'dead'"
            ).fetchall()
            return waiting, dead, values("inventory_level", 1, "on_hand"), values("product", 1, "name", "unit")

        wait_for(lambda: values("product", 2, "name", "unit") == ("Chair", "KGM"), seen=state)
        wait_for(lambda: values("inventory_level", 1, "on_hand") == (150_000_000,), seen=state)
        wait_for(
            lambda: values("customer", 2, "billing_city") == ("Metz",) and record("customer", 1) is None, seen=state
        )

        source.execute("UPDATE template SET name = 'Armchair' WHERE id = 5")
        source.execute("UPDATE uom SET name = 'g' WHERE id = 1")
        source.execute("UPDATE address SET sequence = 30 WHERE id = 2")
        for product in (1, 2):
            wait_for(lambda p=product: values("product", p, "name", "unit") == ("Armchair", "GRM"), seen=state)  # type: ignore[misc]
        wait_for(lambda: values("customer", 2, "billing_city") == ("Lyon",), seen=state)

        # Every kind of change of a move, in one transaction and in many.
        source.execute("DELETE FROM move WHERE id <= 10")
        source.execute("UPDATE move SET product = 2 WHERE id BETWEEN 11 AND 20")
        source.execute("UPDATE move SET id = id + 1000 WHERE id BETWEEN 21 AND 30")
        source.execute("UPDATE move SET state = 'draft' WHERE id BETWEEN 31 AND 40")
        source.execute("UPDATE move SET qty = 2.25 WHERE id = 41")
        source.execute("INSERT INTO move VALUES (500, 1, 7, 2, 0.75, 'done'), (501, 3, 2, 7, 4, 'done')")
        wait_for(lambda: values("inventory_level", 1, "on_hand") == (105_000_000,), seen=state)
        wait_for(lambda: values("inventory_level", 2, "on_hand") == (15_000_000,), seen=state)
        wait_for(lambda: values("inventory_level", 3, "on_hand") == (4_000_000,), seen=state)

        source.execute("UPDATE party SET replaced_by = 2 WHERE id = 3")
        link = "SELECT target::text FROM identity WHERE source_id = %s"
        loser, winner = (source_id("followed", "customer", key) for key in ("3", "2"))
        wait_for(
            lambda: record("customer", 3) is None and hub.execute(link, [loser]).fetchone() == (winner,), seen=state
        )
        pipeline.drain()
        systems = load_systems(pipeline.settings)
        dsns = {system.name: capture_dsn(system, pipeline.env) for system in systems}
        ownership = load_ownership(connectors_dir(pipeline.settings) / "ownership.yaml")
        verdict = verify(pipeline.settings, systems, dsns, ownership)
        assert not [example for example in verdict.examples if "followed" in example], verdict.examples

        source.execute("INSERT INTO company VALUES (2, 2)")
        wait_for(lambda: record("customer", 2) is None, seen=state)
        wait_for(lambda: not hub.execute("SELECT 1 FROM row_resnapshot").fetchall(), seen=state)
