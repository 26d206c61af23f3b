"""Every type of Postgres by every way in which a row comes: first snapshot, insert, an update of another column, null, a
changed key, a delete, a re-snapshot. All of them give the same canonical value, or the same refusal.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from streams.capture.incremental_snapshot import request_snapshot
from streams.dictionary.source_catalog import read_catalog, types_of
from streams.mapping.source_types import Refusal, reading, source_type
from streams.model.ids import source_id
from streams.paths import connectors_dir
from streams.provision.differences import apply
from streams.provision.systems import capture_dsn, load_systems
from streams.resolve.ownership import load_ownership
from streams.simulator.setup import dsn_of
from streams.verify.compare import verify
from tests.conftest import Pipeline
from tests.integration.type_matrix import COLUMNS, SPECIAL, WIDE, Column
from tests.waiting import wait_for

FIXTURE = Path(__file__).parents[1] / "fixtures/connectors/suitecrm"
pytestmark = pytest.mark.timeout(300)

KEYS = """
CREATE TABLE matrix.line (id int PRIMARY KEY, so_id int, pos int, name text, UNIQUE (so_id, pos) DEFERRABLE);
ALTER TABLE matrix.line REPLICA IDENTITY FULL;
CREATE TABLE matrix.place (code int PRIMARY KEY DEFERRABLE, name text);
ALTER TABLE matrix.place REPLICA IDENTITY FULL;
CREATE TABLE matrix.so (id int PRIMARY KEY);
INSERT INTO matrix.so VALUES (9);
INSERT INTO matrix.line VALUES (1, 9, 2, 'a'), (2, 9, 3, 'b');
INSERT INTO matrix.place VALUES (1, 'one'), (2, 'two'), (3, 'three');
"""
"""Tables whose rows hand their keys to each other (materialize#6553)."""


class Matrix:
    """The database of the matrix, captured as the system `matrix`."""

    def __init__(self, address: str) -> None:
        self.db = psycopg.connect(address, autocommit=True)
        available = {row[0] for row in self.db.execute("SELECT name FROM pg_available_extensions")}
        with contextlib.suppress(psycopg.errors.FeatureNotSupported):
            self.db.execute("SELECT '<a/>'::xml")
            available.add("libxml")
        self.absent = sorted({one.extension for one in COLUMNS if one.extension} - available)
        self.columns = [one for one in COLUMNS if one.extension in ("", *available)]
        for extension in sorted({one.extension for one in self.columns if one.extension} - {"libxml"}):
            self.db.execute(f'CREATE EXTENSION "{extension}"'.encode())
        self.db.execute(
            "CREATE SCHEMA matrix; CREATE TYPE matrix.mood AS ENUM ('sad', 'happy');"
            "CREATE DOMAIN matrix.price AS numeric(10,2); CREATE DOMAIN matrix.code AS text;"
            "CREATE TYPE matrix.pair AS (a int, b text);"
        )
        ddl = ", ".join(f"{one.name} {one.type}" for one in (*self.columns, *WIDE))
        self.db.execute(f"CREATE TABLE matrix.t (id int PRIMARY KEY, label text, {ddl})".encode())
        for one in WIDE:
            self.db.execute(f"ALTER TABLE matrix.t ALTER {one.name} SET STORAGE EXTERNAL".encode())
        self.db.execute(KEYS.encode())
        types = types_of(read_catalog(self.db))["matrix.t"]
        self.refused = {one.name for one in self.columns if self._is_refused(one, types[one.name])}
        self.sent = [one for one in (*self.columns, *WIDE) if one.name not in self.refused]

    @staticmethod
    def _is_refused(column: Column, type_name: str) -> bool:
        source = source_type(type_name)
        if column.path:
            return source.form in ("unsent", "struct")
        return isinstance(reading(column.name, source, "text"), Refusal)

    def insert(self, row_id: int, values: dict[str, str]) -> None:
        names = ", ".join(["id", "label", *values])
        literals = ", ".join([str(row_id), "'label'", *values.values()])
        self.db.execute(f"INSERT INTO matrix.t ({names}) VALUES ({literals})".encode())

    def dictionary(self) -> str:
        attributes = "\n".join(
            f"          {one.name}: " + (f"{{column: {one.name}, path: '{one.path}'}}" if one.path else one.name)
            for one in self.sent
        )
        return f"""system: matrix
timezone: Europe/Berlin
tables:
  matrix.t:
    key: id
    to:
      - entity: product
        fields: {{sku: {{expr: '"matrix-" + string(id)'}}, name: label, list_price: n_scale, active: yes, tags: a_text, created_at: ts}}
        attributes:
{attributes}
      - entity: sales_order
        namespace: oftypes
        fields:
          number: i4
          status: {{const: confirmed}}
          order_date: d
          created_at: ts_zone
          confirmed_at: d
          net_amount: price
          gross_amount: cash
          payment_terms_days: i2
          exchange_rate: {{column: f8, round: half_even}}
  matrix.so: {{key: id, to: [{{entity: sales_order, fields: {{number: id, status: {{const: confirmed}}}}}}]}}
  matrix.line:
    key: [so_id, pos]
    before: full
    to: [{{entity: sales_order_line, parent: so_id, fields: {{line_no: pos, description: name}}}}]
  matrix.place:
    key: code
    before: full
    to: [{{entity: product, namespace: place, fields: {{sku: code, name: name}}}}]
"""


@pytest.fixture(scope="module")
def matrix(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    admin = dsn_of(pipeline.env, "DEMO_CRM", "ADMIN")
    with psycopg.connect(admin, autocommit=True) as database:
        database.execute("CREATE DATABASE matrix")
    made = Matrix(psycopg.conninfo.make_conninfo(admin, dbname="matrix"))
    made.insert(1, {one.name: one.literal for one in (*made.columns, *WIDE)})
    made.insert(3, {})
    for number, special in enumerate(SPECIAL):
        made.insert(200 + number, {special.name: special.literal})
    user = pipeline.env["DEMO_CRM_CAPTURE_USER"]
    made.db.execute(
        f"""
        CREATE TABLE opshub_heartbeat (id integer PRIMARY KEY, beat_at timestamptz NOT NULL);
        CREATE TABLE opshub_signal (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(4096));
        GRANT CONNECT ON DATABASE matrix TO "{user}"; GRANT USAGE ON SCHEMA public, matrix TO "{user}";
        GRANT SELECT ON ALL TABLES IN SCHEMA matrix TO "{user}";
        GRANT SELECT, INSERT, UPDATE ON opshub_heartbeat TO "{user}";
        GRANT SELECT, INSERT, DELETE ON opshub_signal TO "{user}";
        CREATE PUBLICATION opshub_matrix FOR TABLE matrix.t, matrix.so, matrix.line, matrix.place,
            opshub_heartbeat, opshub_signal;
        """.encode()
    )
    folder = tmp_path_factory.mktemp("matrix") / "connectors"
    shutil.copytree(connectors_dir(pipeline.settings), folder)
    (folder / "matrix").mkdir()
    (folder / "matrix/dictionary.yaml").write_text(made.dictionary(), encoding="utf-8")
    path = FIXTURE / "source.json"
    source = json.loads(path.read_text("utf-8").replace("suitecrm", "matrix"))
    source["config"]["table.include.list"] = "matrix.t,matrix.so,matrix.line,matrix.place"
    (folder / "matrix/source.json").write_text(json.dumps(source), encoding="utf-8")
    usual = pipeline.settings
    systems = [*usual.systems, "matrix"]
    pipeline.settings = usual.model_copy(update={"connectors_dir": folder, "systems": systems})
    try:
        apply(pipeline.settings)
        pipeline.start_worker("matrix-0")
        yield made
    finally:
        pipeline.stop_workers()
        pipeline.settings = usual
        made.db.close()


@pytest.fixture
def hub(pipeline: Pipeline) -> Iterator[Hub]:
    with psycopg.connect(pipeline.settings.hub, autocommit=True) as db:
        yield Hub(db)


class Hub:
    """What the hub has of the matrix."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self.db = db

    def record(self, entity: str, key: str) -> dict[str, Any] | None:
        row = self.db.execute(
            "SELECT record FROM entity WHERE id = %s AND NOT deleted AND version > 0",
            [source_id("matrix", entity, key)],
        ).fetchone()
        return row[0] if row else None

    def attributes(self, key: int) -> dict[str, str] | None:
        record = self.record("product", str(key))
        return None if record is None else record["attributes"]

    def dead(self) -> dict[int, str]:
        """Key → reason."""
        rows = self.db.execute(
            "SELECT convert_from(key, 'UTF8'), reason FROM dead_letter WHERE topic = 'raw.matrix.matrix.t' AND state = 'dead'"
        )
        return {json.loads(key)["id"]: reason for key, reason in rows}


def expected(matrix: Matrix) -> dict[str, str]:
    return {one.name: one.text for one in matrix.sent if one.text is not None}


def test_every_type_by_every_way(matrix: Matrix, hub: Hub) -> None:
    assert matrix.refused == {one.name for one in matrix.columns if one.text is None}
    wait_for(lambda: hub.attributes(1) is not None, seen=hub.dead)
    assert hub.attributes(1) == expected(matrix), "first snapshot"
    assert hub.attributes(3) == {"number": "1"}, "null; an identity has a value of its own"
    order = hub.record("sales_order", "oftypes:1")
    assert order is not None
    assert {name: order[name] for name in ("order_date", "created_at", "confirmed_at", "net_amount", "gross_amount", "payment_terms_days", "exchange_rate")} == {
        "order_date": 19782, "created_at": 1_714_550_400_000_000, "confirmed_at": 1_709_161_200_000_000, "net_amount": 7_2500,
        "gross_amount": 12_5000, "payment_terms_days": -5, "exchange_rate": 10_000_000,
    }  # fmt: skip
    product = hub.record("product", "1")
    assert product is not None
    assert (product["list_price"], product["active"], product["tags"]) == (12_5000, True, ["red", "blue"])
    assert product["created_at"] == 1_714_550_400_250_000

    matrix.insert(2, {one.name: one.literal for one in (*matrix.columns, *WIDE)})
    for number, special in enumerate(SPECIAL):
        matrix.insert(100 + number, {special.name: special.literal})
    wait_for(lambda: hub.attributes(2) is not None, seen=hub.dead)
    assert hub.attributes(2) == expected(matrix), "insert"

    # What is wide and did not change is not sent.
    matrix.db.execute("UPDATE matrix.t SET label = 'other' WHERE id = 1")
    wait_for(lambda: (hub.record("product", "1") or {}).get("name") == "other")
    assert hub.attributes(1) == expected(matrix), "update of another column"

    matrix.db.execute("UPDATE matrix.t SET d = NULL, i4 = NULL, a_text = NULL WHERE id = 1")
    left = {name: text for name, text in expected(matrix).items() if name not in ("d", "i4", "a_text")}
    wait_for(lambda: hub.attributes(1) == left, seen=lambda: hub.attributes(1))
    assert (hub.record("product", "1") or {})["tags"] is None

    outcomes = {
        first + number: (special, special.in_snapshot if first == 200 and special.in_snapshot else special.text)
        for number, special in enumerate(SPECIAL)
        for first in (100, 200)
    }
    rejected = {row_id for row_id, (_, text) in outcomes.items() if text is None}
    wait_for(
        lambda: rejected <= hub.dead().keys(),
        seen=lambda: [(outcomes[row_id], hub.attributes(row_id)) for row_id in sorted(rejected - hub.dead().keys())],
    )
    dead = hub.dead()
    for row_id, (special, text) in outcomes.items():
        if text is None:
            assert f"matrix.t {row_id}: " in dead[row_id], dead[row_id]
        else:
            attributes = hub.attributes(row_id)
            assert attributes is not None, f"{special}: {dead.get(row_id)}"
            assert (attributes.get(special.name) or "") == text, f"{row_id}: {special}"


def test_keys_that_move(matrix: Matrix, hub: Hub) -> None:
    """Positions that shift, and deferrable primary keys that turn, in one statement."""

    def lines() -> list[str | None]:
        keys = ("9|2", "9|3", "9|4", "9|5")
        return [(hub.record("sales_order_line", key) or {}).get("description") for key in keys]

    def places() -> list[str | None]:
        return [(hub.record("product", f"place:{code}") or {}).get("name") for code in (1, 2, 3)]

    wait_for(lambda: lines() == ["a", "b", None, None] and places() == ["one", "two", "three"], seen=lines)
    matrix.db.execute("UPDATE matrix.line SET pos = pos + 1 WHERE so_id = 9 AND pos >= 2")
    wait_for(lambda: lines() == [None, "a", "b", None], seen=lines)
    with matrix.db.transaction():
        matrix.db.execute("UPDATE matrix.line SET pos = pos + 1")
        matrix.db.execute("INSERT INTO matrix.line VALUES (3, 9, 3, 'c')")
        matrix.db.execute("DELETE FROM matrix.line WHERE id = 2")
        matrix.db.execute("INSERT INTO matrix.line VALUES (4, 9, 5, 'd')")
    wait_for(lambda: lines() == [None, "c", "a", "d"], seen=lines)
    matrix.db.execute("UPDATE matrix.place SET code = code % 3 + 1")
    wait_for(lambda: places() == ["three", "one", "two"], seen=places)
    with matrix.db.transaction():
        matrix.db.execute("SET CONSTRAINTS ALL DEFERRED")
        matrix.db.execute("UPDATE matrix.place SET code = 2 WHERE name = 'three'")
        matrix.db.execute("UPDATE matrix.place SET code = 1 WHERE name = 'one'")
    wait_for(lambda: places() == ["one", "three", "two"], seen=places)


def test_all_of_it_once_more(pipeline: Pipeline, matrix: Matrix, hub: Hub) -> None:
    """A re-snapshot says the same; then a row leaves. In the end `verify` finds no difference."""
    before = hub.attributes(2)
    matrix.db.execute("ALTER TABLE matrix.t REPLICA IDENTITY FULL")
    matrix.db.execute("UPDATE matrix.t SET id = 20 WHERE id = 2")
    wait_for(
        lambda: hub.attributes(2) is None and hub.attributes(20) == before,
        seen=lambda: (hub.attributes(20), hub.dead()),
    )
    systems = load_systems(pipeline.settings)
    (system,) = (one for one in systems if one.name == "matrix")
    dsn = capture_dsn(system, pipeline.env)
    position = "SELECT contributions->%s->>3 FROM entity WHERE id = %s"
    one = source_id("matrix", "product", "20")
    was = hub.db.execute(position, [one, one]).fetchone()
    request_snapshot(pipeline.settings, system, dsn, ["matrix.t", "matrix.line", "matrix.place"])
    wait_for(lambda: hub.db.execute(position, [one, one]).fetchone() != was, seen=hub.dead)
    assert hub.attributes(20) == before, "re-snapshot"
    matrix.db.execute("DELETE FROM matrix.t WHERE id = 3")
    wait_for(lambda: hub.attributes(3) is None)
    pipeline.drain()
    dsns = {each.name: capture_dsn(each, pipeline.env) for each in systems}
    ownership = load_ownership(connectors_dir(pipeline.settings) / "ownership.yaml")
    verdict = verify(pipeline.settings, systems, dsns, ownership)
    wrong = [line for line in verdict.examples if "matrix" in line and not line.startswith("rejected")]
    assert wrong == [], "\n".join(wrong)
    assert verdict.rejected >= 2 * sum(special.text is None for special in SPECIAL), verdict.examples
