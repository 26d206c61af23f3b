"""Tables that Postgres or Debezium does not capture as a whole: `plan`, `apply` and `doctor` refuse each, with a remedy.

Threads: airbyte#45338 and dbz#2020 (generated columns), airbyte#13442 (partitions), debezium DBZ-5014 (column types).
"""

from __future__ import annotations

import json
from pathlib import Path

import psycopg

from streams.monitor.source_preflight import check_source
from streams.paths import connectors_dir
from streams.provision.systems import capture_dsn, load_systems
from streams.simulator.setup import dsn_of, setup_demo
from streams.stack.native import NativeStack

REFUSED = """
CREATE TYPE address AS (street text, no int);
CREATE TABLE filtered (id int PRIMARY KEY, a text);
CREATE TABLE listed (id int PRIMARY KEY, a text, b text);
CREATE TABLE stored (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE virtual (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL);
CREATE TABLE parent (id int PRIMARY KEY, a text);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, a text);
CREATE VIEW viewed AS SELECT * FROM parent;
CREATE MATERIALIZED VIEW materialized AS SELECT * FROM parent;
CREATE TABLE no_key (id int, a text);
CREATE TABLE deferrable_key (id int PRIMARY KEY DEFERRABLE, a text);
CREATE TABLE other_index (id int PRIMARY KEY, a text NOT NULL UNIQUE);
ALTER TABLE other_index REPLICA IDENTITY USING INDEX other_index_a_key;
CREATE TABLE composite (id int PRIMARY KEY, a address);
CREATE TABLE parts (id int, a text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (9);
CREATE TABLE unreadable (id int PRIMARY KEY, a text);
CREATE TABLE secret (id int PRIMARY KEY, a text);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE TABLE identity (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text);
GRANT USAGE ON SCHEMA public TO "ROLE";
GRANT SELECT ON ALL TABLES IN SCHEMA public TO "ROLE";
REVOKE SELECT ON unreadable FROM "ROLE";
GRANT SELECT (id) ON unreadable TO "ROLE";
CREATE PUBLICATION refused FOR TABLE filtered WHERE (id > 1), listed (id, a), stored, virtual, ONLY parent, child, no_key, deferrable_key,
    other_index, composite, parts, unreadable, secret, identity WITH (publish = 'insert, update, delete');
"""


def test_tables_that_cannot_be_captured_are_refused_with_a_remedy(stack: NativeStack, tmp_path: Path) -> None:
    env = stack.env()
    admin = dsn_of(env, "DEMO_CRM", "ADMIN")
    role = env["DEMO_CRM_CAPTURE_USER"]
    setup_demo(env, connectors_dir(stack.settings))  # makes the role
    with psycopg.connect(admin, autocommit=True) as database:
        database.execute("CREATE DATABASE refused")
    with psycopg.connect(psycopg.conninfo.make_conninfo(admin, dbname="refused"), autocommit=True) as database:
        database.execute(REFUSED.replace("ROLE", role).encode())
        names = "filtered listed stored virtual parent child unlogged viewed materialized no_key deferrable_key other_index composite parts unreadable secret identity gone".split()
        lines = ["system: refused", "tables:"]
        for name in names:
            column = "b" if name in ("listed", "stored", "virtual") else "a"
            lines += [f"  public.{name}:", "    key: id", "    to: []", f"    columns: [{column}]"]
        folder = tmp_path / "refused"
        folder.mkdir()
        (folder / "dictionary.yaml").write_text("\n".join(lines))
        source = json.loads((connectors_dir(stack.settings) / "demo-crm/source.json").read_text())
        source["name"] = "refused"
        source["config"] |= {
            "topic.prefix": "raw.refused",
            "database.dbname": "refused",
            "slot.name": "refused",
            "publication.name": "refused",
            "table.include.list": ",".join(f"public.{name}" for name in names),
        }
        (folder / "source.json").write_text(json.dumps(source))
        settings = stack.settings.model_copy(update={"connectors_dir": tmp_path, "systems": ["refused"]})
        (system,) = load_systems(settings)

        def codes() -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            for finding in check_source(system, capture_dsn(system, env)):
                assert finding.what and finding.remedy
                if finding.severe:
                    found.setdefault(finding.where.rpartition(".")[2], []).append(finding.code)
            return found

        assert codes() == {
            "refused": ["publication-partial"],
            "filtered": ["row-filter"],
            "listed": ["column-unsent"],
            "stored": ["column-unsent"],
            "virtual": ["column-unsent"],
            "parent": ["table-inherited"],
            "unlogged": ["table-unlogged"],
            "viewed": ["table-kind"],
            "materialized": ["table-kind"],
            "no_key": ["replica-identity"],
            "deferrable_key": ["replica-identity"],
            "other_index": ["replica-identity"],
            "composite": ["column-unsent"],
            "parts": ["table-unpublished"],
            "unreadable": ["table-right"],
            "secret": ["row-security"],
            "gone": ["table-missing"],
        }
        # The remedies of the findings, as they are printed.
        database.execute("ALTER PUBLICATION refused SET (publish_via_partition_root = true)")
        database.execute("ALTER PUBLICATION refused SET (publish_generated_columns = stored)")
        database.execute("ALTER PUBLICATION refused SET (publish = 'insert, update, delete, truncate')")
        assert not {"parts", "stored", "refused"} & codes().keys()
