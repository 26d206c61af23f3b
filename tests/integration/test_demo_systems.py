"""The demo CRM and ERP on real servers: they can be set up again, each role may do its own work only, and the company lives in them."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from psycopg import errors

from streams.cli.plan import plan
from streams.errors import ConfigError, EnvironmentFault, OpshubError
from streams.provision.systems import load_systems
from streams.simulator.company import Company
from streams.simulator.setup import dsn_of, setup_demo
from streams.simulator.world import USUAL, Habits
from streams.stack.native import NativeStack

CONNECTORS = Path(__file__).parents[2] / "connectors"


@pytest.fixture(scope="module")
def env(stack: NativeStack) -> dict[str, str]:
    values = stack.env()
    setup_demo(values, CONNECTORS)
    return values


@contextmanager
def role(env: dict[str, str], prefix: str, name: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(dsn_of(env, prefix, name), autocommit=True) as connection:
        yield connection


def a_company(env: dict[str, str], seed: int, **options: Any) -> Company:
    return Company(seed, dsn_of(env, "DEMO_CRM", "APP"), dsn_of(env, "DEMO_ERP", "APP"), **options)


# -- set-up


def test_set_up_may_be_done_again(env: dict[str, str]) -> None:
    setup_demo(env, CONNECTORS)
    for prefix, publication, tables in (("DEMO_CRM", "opshub_demo_crm", 8), ("DEMO_ERP", "opshub_demo_erp", 29)):
        with role(env, prefix, "ADMIN") as connection:
            found = connection.execute("SELECT count(*) FROM pg_publication_tables WHERE pubname = %s", [publication])
            assert found.fetchone() == (tables,)


def test_a_connector_reads_only_what_is_published(stack: NativeStack, env: dict[str, str]) -> None:
    for system, prefix in zip(load_systems(stack.settings), ("DEMO_CRM", "DEMO_ERP"), strict=True):
        config = system.config
        included = set(config["table.include.list"].split(","))
        with role(env, prefix, "CAPTURE") as connection:
            rows = connection.execute(
                "SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = %s",
                [config["publication.name"]],
            )
            published = {name for (name,) in rows.fetchall()}
            assert included == {name for name in published if ".opshub_" not in name}
            assert config["signal.data.collection"] in published
            connection.execute(config["heartbeat.action.query"].encode())
            for table in included:
                connection.execute(f"SELECT 1 FROM {table} LIMIT 1".encode())


def test_a_variable_that_is_missing_is_named(env: dict[str, str]) -> None:
    less = {name: value for name, value in env.items() if name != "DEMO_ERP_WRITEBACK_PASSWORD"}
    with pytest.raises(ConfigError, match="DEMO_ERP_WRITEBACK_PASSWORD"):
        setup_demo(less, CONNECTORS)


def test_passwords_may_hold_quotes(env: dict[str, str], tmp_path: Path) -> None:
    odd = env | {"DEMO_CRM_APP_PASSWORD": 'it\'s "quoted" $$ and \\ more'}
    try:
        setup_demo(odd, CONNECTORS)
        with role(odd, "DEMO_CRM", "APP") as connection:
            connection.execute("SELECT 1")
    finally:
        setup_demo(env, CONNECTORS)


def test_sql_that_is_wrong_names_its_file(env: dict[str, str], tmp_path: Path) -> None:
    for system in ("demo-crm", "demo-erp"):
        folder = tmp_path / system
        folder.mkdir()
        (folder / "schema.sql").write_text("CREATE TABLE never_made (id int);\nSELECT nonsense FROM nowhere;")
        (folder / "roles.sql").write_text("")
    with pytest.raises(ConfigError, match=r"demo-crm/schema\.sql.*nowhere"):
        setup_demo(env, tmp_path)
    with role(env, "DEMO_CRM", "ADMIN") as connection:
        assert connection.execute("SELECT to_regclass('never_made')").fetchone() == (None,)


def test_a_database_that_is_away_is_said_to_be_away(env: dict[str, str]) -> None:
    with pytest.raises(EnvironmentFault, match="127.0.0.1:1 "):
        setup_demo(env | {"DEMO_CRM_PORT": "1", "DEMO_CRM_HOST": "127.0.0.1"}, CONNECTORS)
    with pytest.raises(EnvironmentFault, match="refuses a session"):
        a_company(env | {"DEMO_ERP_APP_PASSWORD": "wrong"}, 1)


# -- rights


FORBIDDEN = {
    ("DEMO_CRM", "CAPTURE"): (
        "INSERT INTO account (name) VALUES ('x')",
        "UPDATE account SET name = 'x'",
        "DELETE FROM account",
        "TRUNCATE account",
        'SELECT * FROM "Account-Tag"',
        "CREATE TABLE mine (id int)",
        "CREATE PUBLICATION mine FOR TABLE account",
        "SELECT pg_replication_origin_session_setup('opshub')",
        "DELETE FROM opshub_heartbeat",
    ),
    ("DEMO_ERP", "CAPTURE"): (
        "INSERT INTO erp.cust (name1) VALUES ('x')",
        "UPDATE erp.so_head SET stat = 90",
        "SELECT * FROM erp.pterm",
        "SELECT nextval('erp.so_no')",
    ),
    ("DEMO_CRM", "WRITEBACK"): (
        "DELETE FROM account",
        "DELETE FROM product",
        "INSERT INTO account (name) VALUES ('x')",
        "UPDATE account SET name = 'x'",
        "UPDATE opportunity SET amount = 1",
        "UPDATE opportunity SET stage = 'Closed Won'",
        "UPDATE product SET sku = 'x'",
        "SELECT * FROM service_case",
        "INSERT INTO opshub_signal VALUES ('x', 'y')",
        "SELECT pg_replication_origin_create('mine')",
        "SELECT pg_replication_origin_drop('opshub')",
    ),
    ("DEMO_ERP", "WRITEBACK"): (
        "DELETE FROM erp.so_head",
        "DELETE FROM erp.cust",
        "UPDATE erp.so_head SET stat = 90",
        "UPDATE erp.cust SET cred_lim = 1",
        "INSERT INTO erp.so_head (cust_id, so_no) VALUES (1, 'SO1')",
        "INSERT INTO erp.so_head (cust_id, net) VALUES (1, 1)",
        "INSERT INTO erp.pay (inv_id, cust_id, amt) VALUES (1, 1, 1)",
        "INSERT INTO erp.inv_head (so_id, cust_id, net, tax, gross) VALUES (1, 1, 1, 1, 1)",
        "TRUNCATE erp.so_line",
    ),
    ("DEMO_CRM", "APP"): (
        "SELECT pg_replication_origin_session_setup('opshub')",
        "INSERT INTO opshub_signal VALUES ('x', 'y')",
        "TRUNCATE account",
        "DROP TABLE account",
        "ALTER TABLE account ADD COLUMN mine int",
    ),
    ("DEMO_ERP", "APP"): ("INSERT INTO public.opshub_heartbeat VALUES (2, now())", "DROP TABLE erp.cust"),
}


@pytest.mark.parametrize(("prefix", "name"), FORBIDDEN)
def test_a_role_may_not_do_what_is_not_its_work(env: dict[str, str], prefix: str, name: str) -> None:
    with role(env, prefix, name) as connection:
        for statement in FORBIDDEN[prefix, name]:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_no_role_of_ours_has_more_power_than_it_needs(env: dict[str, str]) -> None:
    for prefix in ("DEMO_CRM", "DEMO_ERP"):
        names = [env[f"{prefix}_{name}_USER"] for name in ("APP", "CAPTURE", "WRITEBACK")]
        with role(env, prefix, "ADMIN") as connection:
            rows = connection.execute(
                "SELECT rolname, rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls, rolreplication FROM pg_roles"
                " WHERE rolname = ANY(%s) ORDER BY rolname = %s DESC",
                [names, env[f"{prefix}_CAPTURE_USER"]],
            ).fetchall()
        assert [(power, replication) for _, power, replication in rows] == [
            (False, True),
            (False, False),
            (False, False),
        ]


def test_write_back_adds_an_order_under_its_origin_and_the_company_delivers_it(env: dict[str, str]) -> None:
    with a_company(env, 31, slow_every=None) as company:
        company.load_history(20, 20, products=40)
        key = f"test:{time.time_ns()}"
        with role(env, "DEMO_ERP", "WRITEBACK") as connection, connection.transaction():
            connection.execute("SELECT pg_replication_origin_session_setup('opshub')")
            connection.execute("SELECT pg_replication_origin_xact_setup('0/2A', clock_timestamp())")
            customer = connection.execute(
                "INSERT INTO erp.cust (name1, crm_ref) VALUES ('Neu GmbH', gen_random_uuid()) RETURNING id, cust_no"
            ).fetchone()
            assert customer is not None and customer[1].startswith("C")
            made = connection.execute(
                "INSERT INTO erp.so_head (cust_id, ext_ref, stat) VALUES (%s, %s, 20) ON CONFLICT (ext_ref) DO NOTHING RETURNING id, so_no",
                [customer[0], key],
            ).fetchone()
            assert made is not None and made[1].startswith("SO")
            connection.execute(
                "INSERT INTO erp.so_line (so_id, pos, item_id, qty, price, disc) SELECT %s, 10, id, 3, 1.23456, 10 FROM erp.item ORDER BY id LIMIT 1",
                [made[0]],
            )
            assert (
                connection.execute("SELECT net, tax, gross FROM erp.so_head WHERE id = %s", [made[0]]).fetchone()
                is not None
            )
        deadline = time.monotonic() + 30
        status = 20
        while status < 50 and time.monotonic() < deadline:
            company.run(rate=400, seconds=1.5)
            with role(env, "DEMO_ERP", "APP") as connection:
                (status,) = connection.execute("SELECT stat FROM erp.so_head WHERE id = %s", [made[0]]).fetchone() or (
                    0,
                )
        assert status >= 50, "the company has not shipped the order"


# -- the company


@pytest.mark.parametrize(
    "habits", [USUAL, Habits((("dunning_run", 5.0),), 0.99, (1, 20), (1, 60))], ids=["usual", "of a load test"]
)
def test_a_short_run_leaves_both_databases_consistent(env: dict[str, str], tmp_path: Path, habits: Habits) -> None:
    journal = tmp_path / "journal.jsonl"
    with a_company(
        env,
        32,
        orders_by_hand=True,
        shared=0.3,
        conflicting=0.1,
        probe_every=0.1,
        slow_every=0.5,
        journal=journal,
        habits=habits,
    ) as company:
        company.load_history(60, 80, products=40)
        stats = company.run(rate=800, seconds=4)
        facts = list(company.journal.facts)
    assert stats["failed"] == 0, stats["errors"]
    assert stats["row_changes"] == pytest.approx(3_200, rel=0.1)
    assert stats["operations"]["slow_transaction"] >= 4
    entries = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    commits = [entry for entry in entries if "rows" in entry]
    assert len(commits) == stats["transactions"]
    assert sum(len(entry["rows"]) for entry in commits) == stats["row_changes"]
    assert [entry for entry in entries if "fact" in entry] == facts

    with role(env, "DEMO_ERP", "APP") as erp, role(env, "DEMO_CRM", "APP") as crm:
        wrong = erp.execute(
            "SELECT h.id, h.net, s.net FROM erp.so_head h JOIN (SELECT so_id, sum(net) AS net FROM erp.so_line GROUP BY so_id) s ON s.so_id = h.id"
            " WHERE h.net IS DISTINCT FROM s.net - coalesce(h.disc_amt, 0) + coalesce(h.freight, 0) OR h.gross IS DISTINCT FROM h.net + h.tax"
            " OR coalesce(h.disc_amt, 0) <> round(s.net * coalesce(h.disc, 0) / 100, 2)"
        ).fetchall()
        assert wrong == []
        wrong = erp.execute(
            "SELECT h.id, h.net, s.net FROM erp.inv_head h LEFT JOIN (SELECT inv_id, sum(net) AS net FROM erp.inv_line GROUP BY inv_id) s ON s.inv_id = h.id"
            " WHERE h.net IS DISTINCT FROM s.net - coalesce(h.disc_amt, 0) + coalesce(h.freight, 0) OR h.gross IS DISTINCT FROM h.net + h.tax"
        ).fetchall()
        assert wrong == []
        told = erp.execute(
            "SELECT count(*) FILTER (WHERE freight > 0 AND disc_amt > 0) > 0, count(shp_street) > 0, bool_and((end_ts IS NULL) = (stat < 80))"
            " FROM erp.so_head"
        ).fetchone()
        assert told == (True, True, True)
        wrong = erp.execute(
            "SELECT h.id FROM erp.inv_head h LEFT JOIN (SELECT inv_id, sum(amt) AS paid FROM erp.pay WHERE stat <> 'R' GROUP BY inv_id) p ON p.inv_id = h.id"
            " WHERE h.open_amt IS DISTINCT FROM h.gross - coalesce(p.paid, 0)"
        ).fetchall()
        assert wrong == []
        # All invoices of an order that is closed add up to the order, but for corrections.
        wrong = erp.execute(
            "SELECT h.id, h.net, i.net FROM erp.so_head h JOIN (SELECT so_id, sum(net) AS net, max(last_upd) FROM erp.inv_head WHERE kind = 'RE' GROUP BY so_id) i"
            " ON i.so_id = h.id WHERE h.stat IN (60, 80) AND i.net > h.net"
        ).fetchall()
        assert wrong == []
        counts = Counter(fact["fact"] for fact in facts)
        assert counts["shared"] > 5 and counts["order_for"] > 5
        for fact in facts:
            if fact["fact"] == "shared":
                (reference,) = erp.execute(
                    "SELECT crm_ref::text FROM erp.cust WHERE id = %s", [fact["erp"]]
                ).fetchone() or (0,)
                assert reference == (fact["crm"] if fact["by"] == "reference" else None)
            elif fact["fact"] == "order_for":
                row = erp.execute("SELECT crm_opp::text FROM erp.so_head WHERE id = %s", [fact["order"]]).fetchone()
                assert row is None or row[0] == fact["opportunity"]  # none: a draft that was deleted
                stage = crm.execute("SELECT stage FROM opportunity WHERE id = %s", [fact["opportunity"]]).fetchone()
                assert stage == ("Closed Won",)
        assert len(stats["probes"]) > 20
        assert {entity for entity, *_ in stats["probes"]} == {"customer", "sales_order"}
        assert all(intended < committed for *_, intended, committed in stats["probes"])
        _, key, intended, _ = [probe for probe in stats["probes"] if probe[0] == "customer"][-1]
        assert crm.execute("SELECT industry FROM account WHERE id = %s", [key]).fetchone() == (f"probe:{intended}",)


def test_times_are_berlin_wall_clock_and_days_are_numbers(env: dict[str, str]) -> None:
    day = dt.date(2026, 2, 3)
    with role(env, "DEMO_ERP", "APP") as erp:
        (before,) = erp.execute("SELECT coalesce(max(id), 0) FROM erp.so_head").fetchone() or (0,)
    with a_company(env, 33, today=day, slow_every=None) as company:
        company.load_history(20, 20, products=40)
        company.step(200)
    with role(env, "DEMO_ERP", "APP") as erp:
        row = erp.execute(
            "SELECT abs(extract(epoch FROM max(last_upd) - (now() AT TIME ZONE 'Europe/Berlin'))) < 60, max(ord_date) FROM erp.so_head WHERE id > %s",
            [before],
        ).fetchone()
    assert row == (True, 20260203)


def test_a_second_company_with_the_same_seed_can_follow_the_first(env: dict[str, str]) -> None:
    for _ in range(2):
        with a_company(env, 34, slow_every=None) as company:
            company.load_history(20, 20, products=40)
            assert company.step(300)["failed"] == 0


def test_a_database_that_goes_away_ends_the_run_with_its_reason(env: dict[str, str]) -> None:
    with a_company(env, 35, slow_every=None) as company:
        company.load_history(20, 20, products=40)
        company.step(20)
        with role(env, "DEMO_ERP", "ADMIN") as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'erp'")
        with pytest.raises(EnvironmentFault, match="went away"):
            company.run(rate=500, seconds=3)


# -- what plan and apply say of a source before they touch anything


def planned(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of `opshub plan`, and what it said."""
    with pytest.raises((typer.Exit, SystemExit, OpshubError)) as end:
        plan()
    code = end.value.exit_code if isinstance(end.value, typer.Exit | OpshubError) else end.value.code
    return int(code or 0), capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DEMO_CRM_PORT", "1", "does not answer"),
        ("DEMO_ERP_CAPTURE_PASSWORD", "wrong", "password authentication failed"),
    ],
)
def test_plan_names_a_source_that_cannot_be_reached(
    env: dict[str, str],
    stack: NativeStack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    says: str,
) -> None:
    monkeypatch.setenv("OPSHUB_STATE_DIR", str(stack.settings.state_dir))
    monkeypatch.setenv(name, value)
    code, said = planned(capsys)
    assert code == 3
    assert says in said and name[:8].lower().replace("_", "-") in said and "remedy: " in said


def test_plan_names_a_role_that_may_not_replicate(
    env: dict[str, str], stack: NativeStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPSHUB_STATE_DIR", str(stack.settings.state_dir))
    with role(env, "DEMO_CRM", "ADMIN") as admin:
        admin.execute("ALTER ROLE opshub_capture NOREPLICATION")
        try:
            code, said = planned(capsys)
        finally:
            admin.execute("ALTER ROLE opshub_capture REPLICATION")
    assert code == 3
    assert "demo-crm: the role opshub_capture may not replicate" in said and "ALTER ROLE" in said


def test_plan_names_a_column_that_the_table_does_not_have(
    env: dict[str, str],
    stack: NativeStack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("OPSHUB_STATE_DIR", str(stack.settings.state_dir))
    folder = tmp_path / "connectors"
    shutil.copytree(CONNECTORS, folder)
    dictionary = folder / "demo-crm" / "dictionary.yaml"
    dictionary.write_text(dictionary.read_text().replace("name: name\n", "name: nmae\n", 1))
    monkeypatch.setenv("OPSHUB_CONNECTORS_DIR", str(folder))
    code, said = planned(capsys)
    assert code == 2
    assert "demo-crm: public." in said and "columns that it does not have: nmae" in said and "dictionary.yaml" in said
