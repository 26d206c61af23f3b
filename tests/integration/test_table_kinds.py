"""Tables of every kind through the whole stack: each gives the canonical value, or the refusal that the guide lists.

Threads: airbyte#13442, pg_partman#502 (partitions); materialize#26281, electric#3322, streambed#5 (a table made again);
airbyte#45338, dbz#2020 (generated columns); Kafka KIP-581 (null becomes the DEFAULT).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from streams.capture.epoch import begin_epoch
from streams.capture.finding import Finding
from streams.capture.guard import check_capture
from streams.model.ids import source_id
from streams.monitor.source_preflight import check_source
from streams.paths import connectors_dir
from streams.provision import connectors
from streams.provision.differences import apply
from streams.provision.systems import capture_dsn, load_systems
from streams.resolve.ownership import load_ownership
from streams.simulator.setup import dsn_of
from streams.verify.compare import verify
from tests.conftest import Pipeline
from tests.integration.test_source_changes import opshub
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(1200)

LONG = "t" * 63
TABLES = [
    "plain",
    "keyless",
    "indexed",
    "computed",
    "parted",
    "Order Lines",
    "kunden-liste",
    "订单",
    "客户",
    LONG,
    "swapped",
    "left",
]
"""Captured; each has rows 1 and 2, and a customer for each row."""
SQL = f"""
CREATE TABLE opshub_heartbeat (id integer PRIMARY KEY, beat_at timestamptz NOT NULL);
CREATE TABLE opshub_signal (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(4096));
CREATE TABLE plain (id int PRIMARY KEY, a text, note text DEFAULT 'the default', rank int NOT NULL DEFAULT 3);
CREATE TABLE keyless (id int, a text, note text);
ALTER TABLE keyless REPLICA IDENTITY FULL;
CREATE TABLE indexed (id int PRIMARY KEY, a text, note text);
CREATE UNIQUE INDEX indexed_id ON indexed (id);
ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_id;
CREATE TABLE computed (id int PRIMARY KEY, a text, note text, net numeric NOT NULL DEFAULT 0, twice numeric GENERATED ALWAYS AS (net * 2) STORED);
CREATE TABLE parted (id int, a text, note text, y int, PRIMARY KEY (id, y)) PARTITION BY LIST (y);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2, 3) PARTITION BY LIST (id);
CREATE TABLE parted_21 PARTITION OF parted_2 DEFAULT;
CREATE TABLE "Order Lines" ("Id" int PRIMARY KEY, "Name of it" text, note text);
CREATE TABLE "kunden-liste" (id int PRIMARY KEY, a text, note text);
CREATE TABLE 订单 (编号 int PRIMARY KEY, 名称 text, note text);
CREATE TABLE 客户 (id int PRIMARY KEY, a text, note text);
CREATE TABLE {LONG} (id int PRIMARY KEY, a text, note text);
CREATE TABLE swapped (id int PRIMARY KEY, a text, note text);
CREATE TABLE "left" (id int PRIMARY KEY, a text, note text);
INSERT INTO plain VALUES (1, 'one', NULL), (2, 'two', 'given');
INSERT INTO computed VALUES (1, 'one', NULL, 100), (2, 'two', NULL, 200);
INSERT INTO parted VALUES (1, 'one', NULL, 1), (2, 'two', NULL, 2);
INSERT INTO keyless VALUES (1, 'one'), (2, 'two');
INSERT INTO indexed SELECT * FROM keyless; INSERT INTO "Order Lines" SELECT * FROM keyless; INSERT INTO "kunden-liste" SELECT * FROM keyless;
INSERT INTO 订单 SELECT * FROM keyless; INSERT INTO 客户 SELECT * FROM keyless; INSERT INTO {LONG} SELECT * FROM keyless; INSERT INTO swapped SELECT * FROM keyless;
INSERT INTO "left" SELECT * FROM keyless;
GRANT USAGE ON SCHEMA public TO "ROLE";
GRANT SELECT ON ALL TABLES IN SCHEMA public TO "ROLE";
GRANT INSERT, UPDATE, DELETE ON opshub_heartbeat, opshub_signal TO "ROLE";
CREATE PUBLICATION opshub_kinds FOR TABLE {", ".join(f'"{table}"' for table in TABLES)}, opshub_heartbeat, opshub_signal
    WITH (publish_via_partition_root = true);
"""
COLUMNS = {"Order Lines": ("Id", "Name of it"), "订单": ("编号", "名称")}


def namespace(table: str) -> str:
    return f"n{TABLES.index(table)}"


def dictionary() -> str:
    lines = ["system: kinds", "timezone: UTC", "tables:"]
    for table in TABLES:
        key, name = COLUMNS.get(table, ("id", "a"))
        lines += [
            f'  "public.{table}":',
            f"    key: {'[id, y]' if table == 'parted' else json.dumps(key, ensure_ascii=False)}",
            *(["    before: full"] if table == "keyless" else []),
            "    to:",
            "      - entity: customer",
            f"        namespace: {namespace(table)}",
            f"        fields: {{name: {json.dumps(name, ensure_ascii=False)}, notes: note}}",
            *(["        attributes: {twice: {expr: 'decimal(net) * 2'}}"] if table == "computed" else []),
        ]
    return "\n".join(lines)


class Refused(Exception):
    """`opshub resync` did not do it, and said why."""


class Kinds:
    """A captured database with a table of each kind."""

    def __init__(self, pipeline: Pipeline, admin: str) -> None:
        self.pipeline = pipeline
        self.source = psycopg.connect(admin, autocommit=True)
        (self.system,) = (system for system in load_systems(pipeline.settings) if system.name == "kinds")
        self.dsn = capture_dsn(self.system, pipeline.env)
        self.hub = psycopg.connect(pipeline.settings.hub, autocommit=True)

    def record(self, table: str, key: str) -> dict[str, Any] | None:
        """The record that a row gives; None without one."""
        of = source_id("kinds", "customer", f"{namespace(table)}:{key}")
        row = self.hub.execute(
            "SELECT record FROM entity WHERE id = %s AND NOT deleted AND version > 0", [of]
        ).fetchone()
        return row[0] if row else None

    def name(self, table: str, key: str) -> str | None:
        return (self.record(table, key) or {}).get("name")

    def do(self, *statements: str) -> None:
        for statement in statements:
            self.source.execute(statement.encode())

    def look(self) -> dict[str, Finding]:
        """Code and table of each finding of one look of the watcher."""
        found = check_capture(self.pipeline.settings, self.system, self.dsn)
        return {f"{one.code} {one.where.removeprefix('kinds: ')}": one for one in found if one.severe}

    def wait_until_right(self) -> None:
        wait_for(lambda: self.look() == {}, seen=self.look)

    def resync(self, *tables: str) -> None:
        named = [word for table in tables for word in ("--table", f"public.{table}")]
        done = opshub(self.pipeline, "resync", "kinds", *named)
        if done.returncode:
            raise Refused(done.stderr)

    def differences(self) -> list[str]:
        settings = self.pipeline.settings
        systems = load_systems(settings)
        dsns = {system.name: capture_dsn(system, self.pipeline.env) for system in systems}
        verdict = verify(settings, systems, dsns, load_ownership(connectors_dir(settings) / "ownership.yaml"))
        return [example for example in verdict.examples if "kinds" in example]


@pytest.fixture(scope="module")
def kinds(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kinds]:
    admin = dsn_of(pipeline.env, "DEMO_CRM", "ADMIN")
    with psycopg.connect(admin, autocommit=True) as database:
        database.execute("CREATE DATABASE kinds")
    admin = psycopg.conninfo.make_conninfo(admin, dbname="kinds")
    with psycopg.connect(admin, autocommit=True) as database:
        database.execute(SQL.replace("ROLE", pipeline.env["DEMO_CRM_CAPTURE_USER"]).encode())
    folder = tmp_path_factory.mktemp("kinds") / "connectors"
    shutil.copytree(connectors_dir(pipeline.settings), folder)
    (folder / "kinds").mkdir()
    (folder / "kinds/dictionary.yaml").write_text(dictionary(), "utf-8")
    source = json.loads((folder / "demo-crm/source.json").read_text("utf-8"))
    source["name"] = "kinds"
    source["config"] |= {
        "topic.prefix": "raw.kinds",
        "database.dbname": "kinds",
        "slot.name": "s" * 63,
        "publication.name": "opshub_kinds",
        "topic.naming.strategy": "io.debezium.schema.SchemaUnicodeTopicNamingStrategy",
        "table.include.list": ",".join(f"public.{table}" for table in TABLES),
        "heartbeat.interval.ms": "1000",
    }
    (folder / "kinds/source.json").write_text(json.dumps(source), "utf-8")
    usual = pipeline.settings
    pipeline.settings = usual.model_copy(update={"connectors_dir": folder, "systems": [*usual.systems, "kinds"]})
    made = Kinds(pipeline, admin)
    try:
        severe = [finding for finding in check_source(made.system, made.dsn) if finding.severe]
        assert severe == []
        apply(pipeline.settings)
        pipeline.start_worker("kinds-0")
        yield made
    finally:
        pipeline.stop_workers()
        made.source.close()
        made.hub.close()
        pipeline.settings = usual


def test_tables_of_every_kind_become_records(kinds: Kinds) -> None:
    for table in TABLES:
        keys = ("1|1", "2|2") if table == "parted" else ("1", "2")
        wait_for(lambda t=table, k=keys: [kinds.name(t, key) for key in k] == ["one", "two"], seen=lambda t=table: t)
    assert kinds.look() == {}
    # While it streams: an insert, an update, a delete of each.
    for table in TABLES:
        key, name = COLUMNS.get(table, ("id", "a"))
        kinds.do(
            f'UPDATE "{table}" SET "{name}" = \'changed\' WHERE "{key}" = 1',
            f'DELETE FROM "{table}" WHERE "{key}" = 2',
            f'INSERT INTO "{table}" ("{key}", "{name}"{", y" if table == "parted" else ""}) VALUES (3, \'three\'{", 3" if table == "parted" else ""})',
        )
    for table in TABLES:
        keys = ("1|1", "2|2", "3|3") if table == "parted" else ("1", "2", "3")
        wait_for(
            lambda t=table, k=keys: [kinds.name(t, key) for key in k] == ["changed", None, "three"],
            seen=lambda t=table: (t, kinds.look()),
        )
    # Tables with namespaces of their own make records of one entity, and TRUNCATE deletes only those of its table.
    kinds.do('TRUNCATE "kunden-liste"', "INSERT INTO \"kunden-liste\" VALUES (5, 'five', NULL)")
    wait_for(lambda: [kinds.name("kunden-liste", key) for key in ("1", "3", "5")] == [None, None, "five"])
    assert kinds.name("plain", "3") == "three"
    # A null in a column with a DEFAULT is a null, from the snapshot and from the stream.
    kinds.do("INSERT INTO plain VALUES (4, 'four', NULL)")
    wait_for(lambda: kinds.record("plain", "4"))
    assert [(kinds.record("plain", key) or {"notes": ""})["notes"] for key in ("1", "4")] == [None, None]
    # Never an old amount beside new ones: it is computed from the columns that come.
    kinds.do("UPDATE computed SET net = 7 WHERE id = 1")
    wait_for(lambda: (kinds.record("computed", "1") or {}).get("attributes", {}).get("twice") in ("14", "14.0"))


def test_a_new_partition_is_captured_and_one_that_goes_or_comes_with_rows_is_reported(kinds: Kinds) -> None:
    kinds.wait_until_right()
    kinds.do(
        "CREATE TABLE parted_4 PARTITION OF parted FOR VALUES IN (4)", "INSERT INTO parted VALUES (4, 'four', NULL, 4)"
    )
    wait_for(lambda: kinds.name("parted", "4|4") == "four")
    assert kinds.look() == {}
    kinds.do(
        "CREATE TABLE parted_5 (LIKE parted INCLUDING ALL)",
        "INSERT INTO parted_5 VALUES (5, 'five', NULL, 5)",
        "ALTER TABLE parted ATTACH PARTITION parted_5 FOR VALUES IN (5)",
        "ALTER TABLE parted DETACH PARTITION parted_4",
    )
    assert set(kinds.look()) == {"table-incomplete public.parted"}
    kinds.resync("parted")
    wait_for(lambda: (kinds.name("parted", "5|5"), kinds.name("parted", "4|4")) == ("five", None))
    assert kinds.look() == {}


def test_a_table_that_is_swapped_by_a_rename_is_reported_and_mended(kinds: Kinds) -> None:
    kinds.wait_until_right()
    kinds.do(
        "ALTER TABLE swapped RENAME TO swapped_old",
        "CREATE TABLE swapped (LIKE swapped_old INCLUDING ALL)",
        "INSERT INTO swapped SELECT * FROM swapped_old",
        "DELETE FROM swapped WHERE id = 3",
        "INSERT INTO swapped VALUES (7, 'seven', NULL)",
    )
    found = kinds.look()
    assert set(found) == {"table-changed public.swapped"}
    remedy = found["table-changed public.swapped"].remedy
    assert "GRANT SELECT" in remedy and "ADD TABLE" in remedy and "opshub resync kinds --table public.swapped" in remedy
    with pytest.raises(Refused, match="may not read it"):
        kinds.resync("swapped")
    role = kinds.pipeline.env["DEMO_CRM_CAPTURE_USER"]
    kinds.do(f'GRANT SELECT ON swapped TO "{role}"', "ALTER PUBLICATION opshub_kinds ADD TABLE swapped")
    assert set(kinds.look()) == {"table-incomplete public.swapped"}
    kinds.resync("swapped")
    wait_for(lambda: [kinds.name("swapped", key) for key in ("1", "3", "7")] == ["changed", None, "seven"])
    assert kinds.look() == {}
    kinds.do("UPDATE swapped SET a = 'again' WHERE id = 7")
    wait_for(lambda: kinds.name("swapped", "7") == "again")


def test_a_table_that_leaves_the_publication_is_reported_and_mended(kinds: Kinds) -> None:
    kinds.wait_until_right()
    kinds.do('ALTER PUBLICATION opshub_kinds DROP TABLE "left"', "INSERT INTO \"left\" VALUES (8, 'eight', NULL)")
    assert set(kinds.look()) == {"table-changed public.left"}
    kinds.do('ALTER PUBLICATION opshub_kinds ADD TABLE "left"')
    assert set(kinds.look()) == {"table-incomplete public.left"}
    kinds.resync("left")
    wait_for(lambda: kinds.name("left", "8") == "eight")
    # Dropped and made again between two looks.
    kinds.do(
        'DROP TABLE "left"',
        'CREATE TABLE "left" (id int PRIMARY KEY, a text, note text)',
        f'GRANT SELECT ON "left" TO "{kinds.pipeline.env["DEMO_CRM_CAPTURE_USER"]}"',
        'ALTER PUBLICATION opshub_kinds ADD TABLE "left"',
        "INSERT INTO \"left\" VALUES (9, 'nine', NULL)",
    )
    assert set(kinds.look()) == {"table-incomplete public.left"}
    kinds.resync("left")
    wait_for(lambda: [kinds.name("left", key) for key in ("1", "8", "9")] == [None, None, "nine"])
    kinds.do("ALTER TABLE keyless REPLICA IDENTITY DEFAULT", "ALTER TABLE indexed REPLICA IDENTITY NOTHING")
    assert set(kinds.look()) == {"table-changed public.keyless", "table-changed public.indexed"}
    kinds.do("ALTER TABLE keyless REPLICA IDENTITY FULL", "ALTER TABLE indexed REPLICA IDENTITY DEFAULT")
    kinds.resync("keyless")
    kinds.wait_until_right()


def test_tables_are_read_again_one_by_one_where_debezium_can(kinds: Kinds) -> None:
    kinds.wait_until_right()
    with pytest.raises(Refused, match="generated columns"):
        kinds.resync("computed")
    again = [table for table in TABLES if table != "computed"]
    for table in again:
        key, name = COLUMNS.get(table, ("id", "a"))
        y = ("", "") if table != "parted" else (", y", ", 3")
        kinds.do(
            f'ALTER PUBLICATION opshub_kinds DROP TABLE "{table}"',
            f'INSERT INTO "{table}" ("{key}", "{name}"{y[0]}) VALUES (11, \'missed\'{y[1]})',
            f'ALTER PUBLICATION opshub_kinds ADD TABLE "{table}"',
        )
    kinds.resync(*again)
    for table in again:
        key = "11|3" if table == "parted" else "11"
        wait_for(lambda t=table, k=key: kinds.name(t, k) == "missed", seen=lambda t=table: t)


def test_hub_and_source_are_equal_in_the_end(kinds: Kinds) -> None:
    # What was read again has been swept by now, or is swept soon.
    wait_for(lambda: kinds.differences() == [], 180, seen=kinds.differences)


def test_a_connector_that_was_left_stopped_is_reported(kinds: Kinds) -> None:
    kinds.wait_until_right()
    settings, name = kinds.pipeline.settings, kinds.system.connector_name
    connectors.stop(settings, name)
    wait_for(lambda: "connector-stopped kinds" in kinds.look())
    kinds.hub.execute("UPDATE source_state SET resync_at = now() WHERE system = 'kinds'")
    assert "connector-stopped kinds" not in kinds.look()
    kinds.hub.execute("UPDATE source_state SET resync_at = now() - interval '1 hour' WHERE system = 'kinds'")
    assert "connector-stopped kinds" in kinds.look()
    begin_epoch(settings, kinds.system, kinds.dsn, sweep_after=1)
    kinds.wait_until_right()
    wait_for(lambda: kinds.differences() == [], 180, seen=kinds.differences)
