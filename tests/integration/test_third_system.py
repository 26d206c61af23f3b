"""A third system, from its folder alone, on real servers: SuiteCRM's tables beside the demo's two."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from streams.capture.epoch import begin_epoch
from streams.capture.progress import SystemProgress, capture_progress
from streams.model.ids import source_id
from streams.paths import connectors_dir
from streams.provision.differences import apply
from streams.provision.systems import capture_dsn, load_systems
from streams.resolve.ownership import load_ownership
from streams.simulator.setup import dsn_of
from streams.stack.environment import resolve_placeholders
from streams.verify.compare import verify
from tests.conftest import Pipeline
from tests.waiting import wait_for

FIXTURE = Path(__file__).parents[1] / "fixtures/connectors/suitecrm"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def suitecrm(pipeline: Pipeline, tmp_path: Path) -> Iterator[str]:
    """The administrator's address of a captured SuiteCRM; the pipeline's settings know of it."""
    admin = dsn_of(pipeline.env, "DEMO_CRM", "ADMIN")
    with psycopg.connect(admin, autocommit=True) as database:
        database.execute("CREATE DATABASE suitecrm")
    address = psycopg.conninfo.make_conninfo(admin, dbname="suitecrm")
    with psycopg.connect(address) as database:
        for name in ("schema.sql", "roles.sql", "rows.sql"):
            path = FIXTURE / name
            database.execute(resolve_placeholders(path.read_text("utf-8"), pipeline.env, path).encode())
    folder = tmp_path / "connectors"
    shutil.copytree(connectors_dir(pipeline.settings), folder)
    shutil.copytree(FIXTURE, folder / "suitecrm")
    usual = pipeline.settings
    systems = [*usual.systems, "suitecrm"]
    pipeline.settings = usual.model_copy(update={"connectors_dir": folder, "systems": systems})
    try:
        apply(pipeline.settings)
        told = "no worker takes its records: start the workers with suitecrm among OPSHUB_SYSTEMS"
        wait_for(lambda: capture_progress(pipeline.settings)[-1].problem == told)
        pipeline.start_worker("third-0")
        yield address
    finally:
        pipeline.stop_workers()
        pipeline.settings = usual


def captured_anew(pipeline: Pipeline, suitecrm: str, hub: psycopg.Connection[Any], kept: str) -> None:
    """A row that went unseen: a new epoch finds it, although other tables add to what it made."""
    key, live = "aaaaaaaa-0000-4000-8000-000000000009", "SELECT NOT deleted FROM entity WHERE id = %s"
    lost = source_id("suitecrm", "customer", key)
    with psycopg.connect(suitecrm, autocommit=True) as crm:
        crm.execute("INSERT INTO accounts (id, name, account_type) VALUES (%s, 'Short Lived AG', 'Customer')", [key])
        wait_for(lambda: hub.execute(live, [lost]).fetchone() == (True,))
        crm.execute("ALTER PUBLICATION opshub_suitecrm DROP TABLE accounts")
        crm.execute("DELETE FROM accounts WHERE id = %s", [key])
        crm.execute("ALTER PUBLICATION opshub_suitecrm ADD TABLE accounts")
    (system,) = (one for one in load_systems(pipeline.settings) if one.name == "suitecrm")
    epoch = begin_epoch(pipeline.settings, system, capture_dsn(system, pipeline.env), sweep_after=4)
    wait_for(lambda: hub.execute(live, [lost]).fetchone() == (False,))
    spoke = "SELECT (contributions->%s->>2)::int FROM entity WHERE contributions ? %s AND merged_into IS NULL AND NOT deleted"
    wait_for(lambda: hub.execute(spoke, [kept, kept]).fetchone() == (epoch,))


def test_a_third_system_from_its_folder_alone(pipeline: Pipeline, suitecrm: str) -> None:
    ids = {
        name: source_id("suitecrm", entity, key)
        for name, entity, key in (
            ("account", "customer", "aaaaaaaa-0000-4000-8000-000000000001"), ("contact", "contact", "kkkkkkkk-0000-4000-8000-000000000001"), ("deal", "opportunity", "oooooooo-0000-4000-8000-000000000001"), ("case", "service_request", "ssssssss-0000-4000-8000-000000000001"),
        )
    }  # fmt: skip
    with psycopg.connect(pipeline.settings.hub, autocommit=True) as hub:

        def record(name: str) -> dict[str, Any]:
            row = hub.execute(
                "SELECT record FROM entity WHERE id = %s AND NOT deleted AND version > 0", [ids[name]]
            ).fetchone()
            return row[0] if row else {}

        def seen() -> list[Any]:
            letters = hub.execute(
                "SELECT topic, state, reason FROM dead_letter WHERE topic LIKE 'raw.suitecrm%'"
            ).fetchall()
            return [record("account"), capture_progress(pipeline.settings)[-1], letters]

        wait_for(lambda: record("account").get("tax_id") and record("account").get("email"), seen=seen)
        assert record("account")["name"] == "Müller Metallbau GmbH"
        assert record("account")["email"] == "info@mueller.example"
        wait_for(lambda: record("contact").get("customer_id") == ids["account"])
        wait_for(lambda: record("deal").get("customer_id") == ids["account"])
        wait_for(lambda: record("case").get("customer_id") == ids["account"])
        # A tax number that the ERP has, too, and that no other test gives to anybody: three systems, one customer.
        with pipeline.connect("ERP") as erp:
            row = erp.execute(
                "INSERT INTO erp.cust (name1, vat_no, ctry, curr) VALUES ('Müller Metallbau', 'DE214783109', 'DE', 'EUR') RETURNING id::text"
            ).fetchone()
        assert row is not None
        other = source_id("demo-erp", "customer", str(row[0]))
        both = "SELECT id::text FROM entity WHERE contributions ?& %s::text[] AND merged_into IS NULL"
        wait_for(lambda: hub.execute(both, [[ids["account"], other]]).fetchone())
        # Into the recycle bin; what is only part of it does not bring it back.
        gone = "SELECT (contributions->%s->>6)::boolean FROM entity WHERE id = %s"
        found = hub.execute(both, [[ids["account"], other]]).fetchone()
        assert found is not None
        with psycopg.connect(suitecrm, autocommit=True) as crm:
            crm.execute("UPDATE accounts SET deleted = 1 WHERE id = 'aaaaaaaa-0000-4000-8000-000000000001'")
            wait_for(lambda: hub.execute(gone, [ids["account"], found[0]]).fetchone() == (True,))
            crm.execute(
                "UPDATE accounts_cstm SET vat_number_c = 'DE214783109' WHERE id_c = 'aaaaaaaa-0000-4000-8000-000000000001'"
            )
            crm.execute(
                "UPDATE email_addresses SET email_address = 'neu@mueller.example' WHERE id = 'eeeeeeee-0000-4000-8000-000000000001'"
            )
            crm.execute(
                "UPDATE email_addr_bean_rel SET date_modified = now() WHERE id = 'rrrrrrrr-0000-4000-8000-000000000001'"
            )
            email = "SELECT contributions->%s->7->>'email' FROM entity WHERE id = %s"
            wait_for(lambda: hub.execute(email, [ids["account"], found[0]]).fetchone() == ("neu@mueller.example",))
            assert hub.execute(gone, [ids["account"], found[0]]).fetchone() == (True,)
            crm.execute("UPDATE accounts SET deleted = 0 WHERE id = 'aaaaaaaa-0000-4000-8000-000000000001'")
            wait_for(lambda: hub.execute(gone, [ids["account"], found[0]]).fetchone() == (False,))
        captured_anew(pipeline, suitecrm, hub, ids["account"])
        assert hub.execute(
            "SELECT count(*) FROM dead_letter WHERE topic LIKE 'raw.suitecrm%' AND state = 'dead'"
        ).fetchone() == (0,)
    systems = load_systems(pipeline.settings)
    pipeline.drain()
    dsns = {system.name: capture_dsn(system, pipeline.env) for system in systems}
    ownership = load_ownership(connectors_dir(pipeline.settings) / "ownership.yaml")
    verdict = verify(pipeline.settings, systems, dsns, ownership)
    assert verdict.holds, verdict.examples
    assert verdict.rejected == 0, verdict.examples

    def progress() -> SystemProgress:
        (suite,) = (system for system in capture_progress(pipeline.settings) if system.system == "suitecrm")
        return suite

    # Sweeps of the new epoch are control records on raw topics: they may be sent at this very moment.
    wait_for(lambda: progress().waiting == 0)
    suite = progress()
    assert (suite.connector, suite.waiting, suite.problem) == ("RUNNING", 0, None)
    assert suite.tables["public.email_addresses"].filtered > 0
