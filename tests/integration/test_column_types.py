"""The types of source columns on real servers: what Debezium sends for each, what the hub holds, and that verify agrees."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

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

COLUMNS = {
    "d": ("date", "'1990-01-01'", "1990-01-01"), "ts": ("timestamp", "'2024-05-01 10:00:00.5'", "2024-05-01T10:00:00.5"),
    "tz": ("timestamptz", "'2024-05-01 10:00:00+02'", "2024-05-01T08:00:00Z"), "t": ("time", "'15:40:00'", "15:40:00"),
    "ttz": ("timetz", "'15:40:00+02'", "13:40:00Z"), "iv": ("interval", "'1 day 2 hours'", "P1DT2H"), "n": ("numeric(12,2)", "7", "7.00"),
    "f": ("double precision", "7", "7"), "r": ("real", "0.1", "0.1"), "b": ("boolean", "true", "true"), "bt": ("bit", "B'1'", "true"),
    "i": ("integer", "42", "42"), "u": ("uuid", "'7c9e6679-7425-40de-944b-e07fc1f90ae7'", "7c9e6679-7425-40de-944b-e07fc1f90ae7"),
    "ip": ("inet", "'10.0.0.1'", "10.0.0.1"), "rg": ("int4range", "'[1,5)'", "[1,5)"), "e": ("mood", "'won'", "won"), "dom": ("day_of_birth", "'1990-01-01'", "1990-01-01"),
    "inf": ("date", "'infinity'", "infinity"),
    "ninf": ("date", "'-infinity'", "-infinity"), "tinf": ("timestamp", "'infinity'", "infinity"), "tninf": ("timestamp", "'-infinity'", "-infinity"),
    "zinf": ("timestamptz", "'infinity'", "infinity"),
}  # fmt: skip
"""Column → its type, a value, and what the entry of `attributes` holds."""

TABLES = ["public.thing"]
SCHEMA = """
CREATE TYPE mood AS ENUM ('open', 'won');
CREATE DOMAIN day_of_birth AS date;
CREATE TABLE thing (id integer PRIMARY KEY, left_on date, bal numeric, lim numeric, wide int[], many date[], {columns});
ALTER TABLE thing ALTER wide SET STORAGE EXTERNAL;
CREATE TABLE opshub_heartbeat (id integer PRIMARY KEY, beat_at timestamptz);
CREATE TABLE opshub_signal (id text PRIMARY KEY, type text, data text);
CREATE PUBLICATION opshub_typed FOR TABLE thing, opshub_heartbeat, opshub_signal;
"""
DICTIONARY = """
system: typed
timezone: Europe/Berlin
tables:
  public.thing:
    key: id
    to:
      - entity: customer
        when: bal <= lim
        fields: {{name: id, tags: wide}}
        attributes: {{days: {{column: many, path: '[0]'}}, {attributes}}}
      - entity: shipment
        fields: {{shipped_at: left_on}}
"""


@pytest.fixture
def captured(pipeline: Pipeline, tmp_path: Path) -> Iterator[str]:
    """The address of a captured database with a column of each type."""
    admin = dsn_of(pipeline.env, "DEMO_CRM", "ADMIN")
    with psycopg.connect(admin, autocommit=True) as database:
        database.execute("CREATE DATABASE typed")
    address = psycopg.conninfo.make_conninfo(admin, dbname="typed")
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in COLUMNS.items())
    with psycopg.connect(address, autocommit=True) as database:
        database.execute(SCHEMA.format(columns=columns).encode())
        _insert(database, 1)
    folder = tmp_path / "connectors"
    shutil.copytree(connectors_dir(pipeline.settings), folder)
    here = folder / "typed"
    here.mkdir()
    attributes = ", ".join(f"{name}: {name}" for name in COLUMNS)
    (here / "dictionary.yaml").write_text(DICTIONARY.format(attributes=attributes), "utf-8")
    source = json.loads((folder / "demo-crm" / "source.json").read_text("utf-8"))
    user, password = (psycopg.conninfo.conninfo_to_dict(address).get(key, "") for key in ("user", "password"))
    source["name"] = "typed"
    source["config"] |= {
        "topic.prefix": "raw.typed", "database.dbname": "typed", "database.user": user, "slot.name": "opshub_typed",
        "publication.name": "opshub_typed", "table.include.list": ",".join(TABLES), "database.password": password,
    }  # fmt: skip
    (here / "source.json").write_text(json.dumps(source), "utf-8")
    usual = pipeline.settings
    pipeline.settings = usual.model_copy(update={"connectors_dir": folder, "systems": [*usual.systems, "typed"]})
    try:
        apply(pipeline.settings)
        pipeline.start_worker("typed-0")
        yield address
    finally:
        pipeline.stop_workers()
        pipeline.settings = usual


def _insert(database: psycopg.Connection[Any], key: int) -> None:
    values = ", ".join(value for _, value, _ in COLUMNS.values())
    database.execute(
        f"INSERT INTO thing (id, left_on, bal, lim, wide, many, {', '.join(COLUMNS)})"
        f" SELECT {key}, '2026-11-30', 9.00, 1000.00, array_agg(g), ARRAY['2024-05-01'::date], {values}"
        " FROM generate_series(1, 2000) g".encode()
    )


def test_every_type_is_what_it_was_in_the_source(pipeline: Pipeline, captured: str) -> None:
    """Row 1 comes from the snapshot, row 2 from the stream: Debezium makes their values in two different ways."""
    expected = {name: text for name, (_, _, text) in COLUMNS.items()} | {"days": "2024-05-01"}
    with (
        psycopg.connect(captured, autocommit=True) as database,
        psycopg.connect(pipeline.settings.hub, autocommit=True) as hub,
    ):

        def record(entity: str, key: int) -> dict[str, Any]:
            row = hub.execute(
                "SELECT record FROM entity WHERE id = %s AND NOT deleted AND version > 0",
                [source_id("typed", entity, str(key))],
            ).fetchone()
            return row[0] if row else {}

        def letters() -> Any:
            return hub.execute("SELECT reason FROM dead_letter WHERE topic LIKE 'raw.typed%'").fetchall()

        wait_for(lambda: record("customer", 1), seen=letters)
        _insert(database, 2)
        wait_for(lambda: record("customer", 2) and record("shipment", 2), seen=letters)
        for key in (1, 2):
            assert record("customer", key)["attributes"] == expected, key
            assert record("shipment", key)["shipped_at"] == 1_796_079_600_000_000 - 86_400_000_000, key
            assert len(record("customer", key)["tags"]) == 2000
        # An update that leaves the wide list alone: Debezium sends a placeholder made of numbers.
        database.execute("UPDATE thing SET i = 43 WHERE id = 2")
        wait_for(lambda: record("customer", 2)["attributes"]["i"] == "43", seen=letters)
        assert len(record("customer", 2)["tags"]) == 2000
        database.execute("UPDATE thing SET bal = 1000.01 WHERE id = 2")
        wait_for(lambda: not record("customer", 2), seen=letters)
    pipeline.drain()
    systems = load_systems(pipeline.settings)
    dsns = {system.name: capture_dsn(system, pipeline.env) for system in systems}
    verdict = verify(
        pipeline.settings, systems, dsns, load_ownership(connectors_dir(pipeline.settings) / "ownership.yaml")
    )
    assert not [example for example in verdict.examples if "typed" in example], verdict.examples
    # The watcher tells the hub when a type changes, and each worker asks the hub.
    with (
        psycopg.connect(captured, autocommit=True) as database,
        psycopg.connect(pipeline.settings.hub, autocommit=True) as hub,
    ):
        database.execute("ALTER TABLE thing ALTER left_on TYPE timestamp")
        known = "SELECT columns->>'left_on' FROM column_type WHERE system = 'typed'"
        wait_for(lambda: hub.execute(known).fetchone() == ("timestamp without time zone",))
