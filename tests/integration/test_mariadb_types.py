"""Every type of MariaDB by every way in which a row comes: first snapshot, insert, an update of another column, null, a
changed key, a delete, a re-snapshot. All of them give the same canonical value, or the same refusal.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from streams.capture.epoch import begin_epoch
from streams.capture.guard import check_capture
from streams.capture.incremental_snapshot import request_snapshot
from streams.capture.setup_sql import CaptureRights, setup_sql
from streams.dictionary.source_catalog import read_catalog, types_of
from streams.mapping.source_types import Refusal, reading, source_type
from streams.model.ids import source_id
from streams.monitor.source_preflight import check_source
from streams.paths import connectors_dir
from streams.provision import connectors
from streams.provision.differences import apply
from streams.provision.systems import capture_dsn, load_systems
from streams.resolve.ownership import load_ownership
from streams.verify.compare import verify
from tests.conftest import Pipeline
from tests.integration.mariadb_matrix import COLUMNS, GENERATED, SPECIAL, Column
from tests.integration.mariadb_place import run_script, session_of
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(300)

SOURCE = {
    "config": {
        "database.hostname": "${env:DEMO_MARIADB_HOST}",
        "database.port": "${env:DEMO_MARIADB_PORT}",
        "database.user": "${env:DEMO_MARIADB_CAPTURE_USER}",
        "database.password": "${env:DEMO_MARIADB_CAPTURE_PASSWORD}",
        "heartbeat.interval.ms": "1000",
    }
}


class Matrix:
    """The database of the matrix, captured as the system `mtypes`."""

    def __init__(self, env: dict[str, str]) -> None:
        self.db = session_of(env, "ADMIN")
        self.db.execute("CREATE DATABASE mtypes CHARACTER SET utf8mb4")
        ddl = ", ".join(f"{one.name} {one.type}" for one in (*COLUMNS, *GENERATED))
        self.db.execute(f"CREATE TABLE mtypes.t (id int PRIMARY KEY, label varchar(20), {ddl})")
        types = types_of(read_catalog(self.db))["mtypes.t"]
        self.refused = {one.name for one in COLUMNS if self._is_refused(one, types[one.name])}
        self.sent = [one for one in (*COLUMNS, *GENERATED) if one.name not in self.refused]

    @staticmethod
    def _is_refused(column: Column, type_name: str) -> bool:
        source = source_type(type_name)
        if column.path:
            return source.form in ("unsent", "struct")
        return isinstance(reading(column.name, source, "text"), Refusal)

    def insert(self, row_id: int, values: dict[str, str]) -> None:
        values = {"d_not": "'2000-01-01'"} | values
        names = ", ".join(["id", "label", *values])
        literals = ", ".join([str(row_id), "'label'", *values.values()])
        self.db.execute(f"INSERT INTO mtypes.t ({names}) VALUES ({literals})")

    def dictionary(self) -> str:
        attributes = "\n".join(
            f"          {one.name}: " + (f"{{column: {one.name}, path: '{one.path}'}}" if one.path else one.name)
            for one in self.sent
        )
        return f"""system: mtypes
kind: mariadb
timezone: Europe/Berlin
tables:
  mtypes.t:
    key: id
    to:
      - entity: product
        # No product of another test has this SKU: the same one would make them one record.
        fields: {{sku: {{expr: '"mariadb-" + string(id)'}}, name: label, list_price: n, active: yes, created_at: dt6}}
        attributes:
{attributes}
"""


@pytest.fixture(scope="module")
def matrix(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    pipeline.stack.start_mariadb()
    made = Matrix(pipeline.env)
    made.insert(1, {one.name: one.literal for one in COLUMNS})
    made.insert(3, {})
    for number, special in enumerate(SPECIAL):
        made.insert(200 + number, {special.name: special.literal})
    env = pipeline.env
    user, password = env["DEMO_MARIADB_CAPTURE_USER"], env["DEMO_MARIADB_CAPTURE_PASSWORD"]
    rights = CaptureRights(user, "", ["mtypes.t"], [], "mtypes.opshub_heartbeat", "mtypes.opshub_signal", "mariadb")
    run_script(made.db, setup_sql(rights))
    made.db.execute(f"ALTER USER '{user}'@'%' IDENTIFIED BY '{password}'")
    folder = tmp_path_factory.mktemp("mtypes") / "connectors"
    shutil.copytree(connectors_dir(pipeline.settings), folder)
    (folder / "mtypes").mkdir()
    (folder / "mtypes/dictionary.yaml").write_text(made.dictionary(), encoding="utf-8")
    (folder / "mtypes/source.json").write_text(json.dumps(SOURCE), encoding="utf-8")
    usual = pipeline.settings
    systems = [*usual.systems, "mtypes"]
    pipeline.settings = usual.model_copy(update={"connectors_dir": folder, "systems": systems})
    try:
        apply(pipeline.settings)
        pipeline.start_worker("mtypes-0")
        yield made
    finally:
        pipeline.stop_workers()
        pipeline.settings = usual
        made.db.connection.close()


@pytest.fixture
def hub(pipeline: Pipeline) -> Iterator[Hub]:
    with psycopg.connect(pipeline.settings.hub, autocommit=True) as db:
        yield Hub(db)


class Hub:
    """What the hub has of the matrix."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self.db = db

    def record(self, key: int) -> dict[str, Any] | None:
        row = self.db.execute(
            "SELECT record FROM entity WHERE id = %s AND NOT deleted AND version > 0",
            [source_id("mtypes", "product", str(key))],
        ).fetchone()
        return row[0] if row else None

    def attributes(self, key: int) -> dict[str, str] | None:
        record = self.record(key)
        return None if record is None else record["attributes"]

    def dead(self) -> dict[int, str]:
        """Key → reason."""
        rows = self.db.execute(
            "SELECT convert_from(key, 'UTF8'), reason FROM dead_letter WHERE topic = 'raw.mtypes.mtypes.t' AND state = 'dead'"
        )
        return {json.loads(key)["id"]: reason for key, reason in rows}


def expected(matrix: Matrix) -> dict[str, str]:
    return {one.name: one.text for one in matrix.sent if one.text is not None}


def test_preflight_has_nothing_against_the_server(pipeline: Pipeline, matrix: Matrix) -> None:
    (system,) = (one for one in load_systems(pipeline.settings) if one.name == "mtypes")
    findings = check_source(system, capture_dsn(system, pipeline.env))
    assert [finding for finding in findings if finding.severe] == []
    assert [finding.code for finding in findings if finding.where == "mtypes: mtypes.t"] == []
    matrix.insert(50, {"d_default": "'0000-00-00'"})
    (zero,) = (one for one in check_source(system, capture_dsn(system, pipeline.env)) if one.code == "zero-dates")
    assert zero.what.startswith("d_default has zero dates") and not zero.severe
    matrix.db.execute("DELETE FROM mtypes.t WHERE id = 50")


def test_every_type_by_every_way(matrix: Matrix, hub: Hub) -> None:
    assert matrix.refused == {one.name for one in COLUMNS if one.text is None}
    wait_for(lambda: hub.attributes(1) is not None, seen=hub.dead)
    assert hub.attributes(1) == expected(matrix), "first snapshot"
    assert hub.attributes(3) == {"d_not": "2000-01-01", "d_default": "2000-01-01"}, "null"
    product = hub.record(1)
    assert product is not None
    assert (product["list_price"], product["active"]) == (12_5000, True)
    assert product["created_at"] == 1_714_550_400_250_000

    matrix.insert(2, {one.name: one.literal for one in COLUMNS})
    for number, special in enumerate(SPECIAL):
        matrix.insert(100 + number, {special.name: special.literal})
    wait_for(lambda: hub.attributes(2) is not None, seen=hub.dead)
    assert hub.attributes(2) == expected(matrix), "insert"

    matrix.db.execute("UPDATE mtypes.t SET label = 'other' WHERE id = 1")
    wait_for(lambda: (hub.record(1) or {}).get("name") == "other")
    assert hub.attributes(1) == expected(matrix), "update of another column"

    matrix.db.execute("UPDATE mtypes.t SET d = NULL, v = NULL WHERE id = 1")
    left = {name: text for name, text in expected(matrix).items() if name not in ("d", "v")}
    wait_for(lambda: hub.attributes(1) == left, seen=lambda: hub.attributes(1))

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
            assert row_id in dead, special
        else:
            attributes = hub.attributes(row_id)
            assert attributes is not None, f"{special}: {dead.get(row_id)}"
            assert (attributes.get(special.name) or "") == text, f"{row_id}: {special}"


def test_changes_within_one_transaction_count_in_their_order(matrix: Matrix, hub: Hub) -> None:
    matrix.db.execute("START TRANSACTION")
    matrix.insert(60, {"v": "'first'"})
    matrix.db.execute("UPDATE mtypes.t SET v = 'zzz' WHERE id = 60")
    matrix.db.execute("UPDATE mtypes.t SET v = 'last', n = NULL WHERE id = 60")
    matrix.db.execute("COMMIT")
    wait_for(lambda: (hub.attributes(60) or {}).get("v") == "last", seen=lambda: hub.attributes(60))
    matrix.db.execute("START TRANSACTION")
    matrix.db.execute("DELETE FROM mtypes.t WHERE id = 60")
    matrix.insert(60, {"v": "'again'"})
    matrix.db.execute("UPDATE mtypes.t SET v = NULL WHERE id = 60")
    matrix.db.execute("COMMIT")
    wait_for(lambda: "v" not in (hub.attributes(60) or {"v": ""}), seen=lambda: hub.attributes(60))
    matrix.db.execute("DELETE FROM mtypes.t WHERE id = 60")
    wait_for(lambda: hub.attributes(60) is None)


def test_all_of_it_once_more(pipeline: Pipeline, matrix: Matrix, hub: Hub) -> None:
    """A re-snapshot says the same; a row moves to another key, and one leaves. In the end `verify` finds nothing."""
    before = hub.attributes(2)
    matrix.db.execute("UPDATE mtypes.t SET id = 20 WHERE id = 2")
    wait_for(
        lambda: hub.attributes(2) is None and hub.attributes(20) == before,
        seen=lambda: (hub.attributes(20), hub.dead()),
    )
    systems = load_systems(pipeline.settings)
    (system,) = (one for one in systems if one.name == "mtypes")
    dsn = capture_dsn(system, pipeline.env)
    contributed = "SELECT contributions->%s FROM entity WHERE id = %s"  # with its position
    one = source_id("mtypes", "product", "20")
    was = hub.db.execute(contributed, [one, one]).fetchone()
    assert request_snapshot(pipeline.settings, system, dsn, ["mtypes.t"]) == {"mtypes.t": 3 + 2 * len(SPECIAL)}
    wait_for(lambda: hub.db.execute(contributed, [one, one]).fetchone() != was, seen=hub.dead)
    assert hub.attributes(20) == before, "re-snapshot"
    matrix.db.execute("DELETE FROM mtypes.t WHERE id = 3")
    wait_for(lambda: hub.attributes(3) is None)
    pipeline.drain()
    dsns = {each.name: capture_dsn(each, pipeline.env) for each in systems}
    ownership = load_ownership(connectors_dir(pipeline.settings) / "ownership.yaml")
    verdict = verify(pipeline.settings, systems, dsns, ownership)
    wrong = [line for line in verdict.examples if "mtypes" in line and not line.startswith("rejected")]
    # YEAR 0000, which a snapshot makes 2000 of: Debezium's reading, and `verify` says so.
    assert [line for line in wrong if "attributes.y is nothing in the source" not in line] == [], "\n".join(wrong)
    assert len(wrong) == 2, wrong


def test_what_happened_while_the_connector_was_away(pipeline: Pipeline, matrix: Matrix, hub: Hub) -> None:
    """Tables are altered and a new file of the binlog begins: each row is read by the columns that it had then."""
    connectors.stop(pipeline.settings, "mtypes")
    wait_for(lambda: connectors.status(pipeline.settings, "mtypes")[0] == "STOPPED")
    matrix.db.execute("ALTER TABLE mtypes.t ADD COLUMN extra varchar(9) AFTER id")
    matrix.insert(40, {"extra": "'extra'", "v": "'with it'"})
    matrix.db.execute("FLUSH BINARY LOGS")
    matrix.db.execute("ALTER TABLE mtypes.t DROP COLUMN extra, MODIFY v varchar(200)")
    matrix.insert(41, {"v": f"'{'long ' * 30}'"})
    connectors.resume(pipeline.settings, "mtypes")
    wait_for(lambda: hub.attributes(41) is not None, seen=hub.dead)
    assert (hub.attributes(40) or {})["v"] == "with it"
    assert (hub.attributes(41) or {})["v"] == "long " * 30


def test_a_binlog_that_begins_anew_is_an_alarm_until_the_system_is_read_again(
    pipeline: Pipeline, matrix: Matrix, hub: Hub
) -> None:
    (system,) = (one for one in load_systems(pipeline.settings) if one.name == "mtypes")
    dsn = capture_dsn(system, pipeline.env)

    def alarms() -> list[str]:
        findings = check_capture(pipeline.settings, system, dsn)
        return [finding.what for finding in findings if finding.code == "capture-lost"]

    assert alarms() == []
    matrix.db.execute("RESET MASTER")
    matrix.insert(30, {"v": "'after the reset'"})
    assert alarms() == ["the binlog went back: changes may be missing"]
    begin_epoch(pipeline.settings, system, dsn, sweep_after=600)
    assert alarms() == []
    wait_for(lambda: (hub.attributes(30) or {}).get("v") == "after the reset", seen=hub.dead)
    # What is changed from here on is newer than all before, though the binlog counts from 1 again.
    matrix.db.execute("UPDATE mtypes.t SET v = 'newer' WHERE id = 20")
    wait_for(lambda: (hub.attributes(20) or {}).get("v") == "newer", seen=hub.dead)
