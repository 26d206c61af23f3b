"""A SQL target that does nothing, or something else, without an error: it is refused, asked or in doubt, never taken for done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from streams.simulator.setup import dsn_of
from streams.writeback.failures import AmountDiffers, Refused, TargetDown
from streams.writeback.jobs import AlreadyDone, Answer, Job, Written
from streams.writeback.rules import SqlTarget, WritebackRule
from streams.writeback.sql import SqlAdapter
from tests.integration.place import Place
from tests.integration.test_writeback_http import all_leased

SCHEMA = """
DROP SCHEMA IF EXISTS odd CASCADE; CREATE SCHEMA odd;
CREATE TABLE odd.orders (id serial PRIMARY KEY, ref text, net numeric);
CREATE TABLE odd.items (id text PRIMARY KEY, list_price numeric);
CREATE FUNCTION odd.make(ref text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN false; END $$;
CREATE FUNCTION odd.warn(ref text) RETURNS integer LANGUAGE plpgsql AS $$
    BEGIN RAISE WARNING 'customer is blocked'; RETURN NULL; END $$;
CREATE FUNCTION odd.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.ref LIKE 'bad%' THEN RAISE EXCEPTION 'no budget for %', NEW.ref; END IF;
    IF NEW.ref LIKE 'gone%' THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); END IF;
    RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON odd.orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION odd.late();
CREATE FUNCTION odd.round() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.ref LIKE 'dear%' THEN NEW.net := NEW.net + 5; END IF; RETURN NEW; END $$;
CREATE TRIGGER round BEFORE INSERT ON odd.orders FOR EACH ROW EXECUTE FUNCTION odd.round();
CREATE FUNCTION odd.capped() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE odd.items SET list_price = 5 WHERE id = NEW.id AND list_price > 5; RETURN NULL; END $$;
CREATE TRIGGER capped AFTER UPDATE ON odd.items FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION odd.capped();
GRANT USAGE ON SCHEMA odd TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA odd TO PUBLIC; GRANT ALL ON ALL SEQUENCES IN SCHEMA odd TO PUBLIC;
"""
LOOK_UP = 'SELECT id AS "order.id" FROM odd.orders WHERE ref = %(key)s'
INSERT = "INSERT INTO odd.orders (ref, net) VALUES (%(key)s, %(net)s) RETURNING id"


@pytest.fixture
def erp(place: Place) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn_of(place.env, "DEMO_ERP", "ADMIN"), autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
        yield connection
        connection.execute("DROP SCHEMA odd CASCADE")


@pytest.fixture
async def adapter(place: Place, erp: psycopg.Connection) -> AsyncIterator[SqlAdapter]:
    target = place.rules["demo-erp"].target
    assert isinstance(target, SqlTarget)
    made = SqlAdapter(target, "odd")
    yield made
    await made.close()


def order(key: str, sql: str = INSERT, **sql_words: Any) -> Job:
    rule = WritebackRule.model_validate(
        {
            "entity": "opportunity", "becomes": {"stage": "won"}, "params": {"net": {"from": "record.amount", "as": "money"}},
            "sql": {"lock": "key", "look_up": LOOK_UP, "steps": [{"name": "order", "sql": sql}]} | sql_words,
        }
    )  # fmt: skip
    return Job(key=key, rule=rule, params={"net": Decimal(100), "key": key}, currency="EUR")


async def deliver(adapter: SqlAdapter, *jobs: Job) -> dict[str, Answer | Exception]:
    return {job.key: answer async for portion in adapter.deliver(jobs, all_leased) for job, answer in portion}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("INSERT INTO odd.orders (ref) SELECT %(key)s WHERE false RETURNING id", "step order returned no row"),
        ("INSERT INTO odd.orders (ref) SELECT %(key)s WHERE false", "step order changed no row"),
        ("UPDATE odd.orders SET net = 1 WHERE ref = %(key)s", "step order changed no row"),
        ("SELECT odd.make(%(key)s) AS made", "step order returned made False"),
        ("SELECT odd.warn(%(key)s) AS id", "returned id nothing; the target warns: customer is blocked"),
    ],
)  # fmt: skip
async def test_step_that_does_nothing_is_refused(adapter: SqlAdapter, sql: str, message: str) -> None:
    answer = (await deliver(adapter, order("k", sql)))["k"]
    assert isinstance(answer, Refused) and message in str(answer)
    allowed = order("k", sql, steps=[{"name": "order", "sql": sql, "required": False}])
    assert isinstance((await deliver(adapter, allowed))["k"], Written)


async def test_amount_that_a_trigger_changes_is_asked_and_rolled_back(
    adapter: SqlAdapter, erp: psycopg.Connection
) -> None:
    read_back = {"sql": "SELECT net FROM odd.orders WHERE ref = %(key)s", "compare": ["net"]}
    jobs = [order("dear", read_back=read_back), order("fair", read_back=read_back)]
    answers = await deliver(adapter, *jobs)
    assert isinstance(answers["dear"], AmountDiffers) and "net is 105.00 EUR there and 100.00 EUR here" in str(
        answers["dear"]
    )
    assert isinstance(answers["fair"], Written)
    assert erp.execute("SELECT ref FROM odd.orders").fetchall() == [("fair",)]


async def test_constraint_of_the_commit_is_refused_alone(adapter: SqlAdapter, erp: psycopg.Connection) -> None:
    answers = await deliver(adapter, order("good"), order("bad"))
    assert isinstance(answers["good"], Written)
    assert isinstance(answers["bad"], Refused) and "no budget for bad" in str(answers["bad"])
    assert erp.execute("SELECT ref FROM odd.orders").fetchall() == [("good",)]


async def test_connection_that_ends_at_the_commit_leaves_it_in_doubt(
    adapter: SqlAdapter, erp: psycopg.Connection
) -> None:
    answer = (await deliver(adapter, order("gone")))["gone"]
    assert isinstance(answer, TargetDown) and answer.in_doubt
    await adapter.close()
    erp.execute("INSERT INTO odd.orders (ref, net) VALUES ('here', 100)")
    assert isinstance((await deliver(adapter, order("here")))["here"], AlreadyDone)


async def test_update_that_a_later_trigger_changes_is_refused(adapter: SqlAdapter, erp: psycopg.Connection) -> None:
    erp.execute("INSERT INTO odd.items VALUES ('7', 3)")
    rule = WritebackRule.model_validate(
        {
            "entity": "product", "values": {"list_price": "record.list_price"},
            "sql": {"update": {"table": "odd.items", "key": "id", "columns": {"list_price": "list_price"}}},
        }
    )  # fmt: skip
    job = Job(
        key="p", rule=rule, params={}, subject_key="7", wanted={"list_price": 9_0000}, expected=[{"list_price": 3_0000}]
    )
    answer = (await deliver(adapter, job))["p"]
    assert isinstance(answer, Refused) and "has list_price 5.00 after the update to list_price 9.00" in str(answer)
    assert erp.execute("SELECT list_price FROM odd.items").fetchone() == (3,)
