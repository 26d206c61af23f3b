"""A MariaDB target on a real server: the promises of write-back by SQL that `test_writeback_sql_silence.py` holds Postgres to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest

from streams.capture.mariadb_setup import marker_sql
from streams.mariadb_session import MARK, MariadbSession
from streams.stack.native import NativeStack
from streams.writeback.failures import AmountDiffers, Refused, TargetBusy, TargetChanged, TargetDown
from streams.writeback.jobs import AlreadyDone, Answer, Job, Unchanged, Written
from streams.writeback.rules import SqlTarget, WritebackRule
from streams.writeback.sql import SqlAdapter
from tests.integration.mariadb_place import run_script, session_of
from tests.integration.test_writeback_http import all_leased

SCHEMA = [
    "CREATE OR REPLACE DATABASE target CHARACTER SET utf8mb4",
    "CREATE TABLE target.orders (id int AUTO_INCREMENT PRIMARY KEY, ref varchar(40) UNIQUE, net decimal(12,2), note varchar(5))",
    "CREATE TABLE target.items (id varchar(20) PRIMARY KEY, list_price decimal(12,2))",
    "CREATE TRIGGER target.dear BEFORE INSERT ON target.orders FOR EACH ROW "
    "SET NEW.net = IF(NEW.ref LIKE 'dear%', NEW.net + 5, NEW.net)",
    "CREATE TRIGGER target.capped BEFORE UPDATE ON target.items FOR EACH ROW "
    "SET NEW.list_price = IF(NEW.id = 'capped', least(NEW.list_price, 5), NEW.list_price)",
]
LOOK_UP = "SELECT id AS `order.id` FROM target.orders WHERE ref = %(key)s"
INSERT = "INSERT INTO target.orders (ref, net) VALUES (%(key)s, %(net)s) RETURNING id"


@pytest.fixture(scope="module")
def db(stack: NativeStack) -> Iterator[MariadbSession]:
    stack.start_mariadb()
    env = stack.env()
    session = session_of(env, "ADMIN")
    user, password = env["DEMO_MARIADB_WRITEBACK_USER"], env["DEMO_MARIADB_WRITEBACK_PASSWORD"]
    for statement in [*SCHEMA, f"CREATE OR REPLACE USER {user}@'%' IDENTIFIED BY '{password}'"]:
        session.execute(statement)
    for table in ("orders", "items"):
        session.execute(f"GRANT SELECT, INSERT, UPDATE ON target.{table} TO {user}@'%'")
    run_script(session, marker_sql("target", user))
    yield session
    session.connection.close()


@pytest.fixture
def target(stack: NativeStack, db: MariadbSession) -> SqlTarget:
    db.execute("DELETE FROM target.orders")
    db.execute("DELETE FROM target.items")
    env = stack.env()
    login = {name.lower(): env[f"DEMO_MARIADB_WRITEBACK_{name}"] for name in ("USER", "PASSWORD")}
    return SqlTarget(
        adapter="sql",
        engine="mariadb",
        host=env["DEMO_MARIADB_HOST"],
        port=env["DEMO_MARIADB_PORT"],
        dbname="target",
        **login,
    )


@pytest.fixture
async def adapter(target: SqlTarget) -> AsyncIterator[SqlAdapter]:
    made = SqlAdapter(target, "odd")
    yield made
    await made.close()


def order(key: str, sql: str = INSERT, net: int = 100, **sql_words: Any) -> Job:
    rule = WritebackRule.model_validate(
        {
            "entity": "opportunity", "becomes": {"stage": "won"}, "params": {"net": {"from": "record.amount", "as": "money"}},
            "sql": {"lock": "key", "look_up": LOOK_UP, "steps": [{"name": "order", "sql": sql}]} | sql_words,
        }
    )  # fmt: skip
    return Job(key=key, rule=rule, params={"net": Decimal(net), "key": key}, currency="EUR")


def price(key: str, wanted: int, expected: int) -> Job:
    rule = WritebackRule.model_validate(
        {
            "entity": "product", "values": {"list_price": "record.list_price"},
            "sql": {"update": {"table": "target.items", "key": "id", "columns": {"list_price": "list_price"}}},
        }
    )  # fmt: skip
    return Job(
        key=f"p{key}", rule=rule, params={}, subject_key=key,
        wanted={"list_price": wanted * 10_000}, expected=[{"list_price": expected * 10_000}],
    )  # fmt: skip


async def deliver(adapter: SqlAdapter, *jobs: Job) -> dict[str, Answer | Exception]:
    return {job.key: answer async for portion in adapter.deliver(jobs, all_leased) for job, answer in portion}


def refs(db: MariadbSession) -> list[str]:
    return [row["ref"] for row in db.rows("SELECT ref FROM target.orders ORDER BY id")]


async def test_an_order_is_written_once_under_its_key_and_marked(adapter: SqlAdapter, db: MariadbSession) -> None:
    before = int(db.rows("SHOW MASTER STATUS")[0]["Position"])
    assert await adapter.open() is True
    first = (await deliver(adapter, order("k1"), order("k2")))["k1"]
    assert isinstance(first, Written) and first.result["order"]["id"]
    again = (await deliver(adapter, order("k1")))["k1"]
    assert isinstance(again, AlreadyDone)
    assert refs(db) == ["k1", "k2"]
    log = db.rows("SHOW MASTER STATUS")[0]["File"]
    events = db.rows(f"SHOW BINLOG EVENTS IN '{log}' FROM {before}")
    written = {event["Server_id"] for event in events if event["Event_type"].startswith("Write_rows")}
    assert written == {MARK}, "what write-back writes has the mark, by which capture knows it"


async def test_one_session_writes_at_a_time(target: SqlTarget, adapter: SqlAdapter) -> None:
    await adapter.open()
    other = SqlAdapter(target, "other")
    with pytest.raises(TargetBusy):
        await other.open()
    await adapter.close()
    await other.open()
    await other.close()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("INSERT INTO target.orders (ref) SELECT %(key)s FROM dual WHERE false RETURNING id", "step order returned no row"),
        ("UPDATE target.orders SET net = 1 WHERE ref = %(key)s", "step order changed no row"),
        ("INSERT INTO target.orders (ref, note) VALUES (%(key)s, 'too long')", "Data too long"),
        ("INSERT INTO target.orders (ref, net) VALUES (%(key)s, 'x')", "Incorrect decimal value"),
        ("INSERT INTO target.nowhere (ref) VALUES (%(key)s)", "denied"),
    ],
)  # fmt: skip
async def test_a_step_that_does_nothing_or_cannot_be_done_is_refused(
    adapter: SqlAdapter, db: MariadbSession, sql: str, message: str
) -> None:
    answer = (await deliver(adapter, order("k", sql)))["k"]
    assert isinstance(answer, Refused) and message in str(answer)
    assert refs(db) == []


async def test_an_amount_that_a_trigger_changes_is_asked_and_rolled_back(
    adapter: SqlAdapter, db: MariadbSession
) -> None:
    read_back = {"sql": "SELECT net FROM target.orders WHERE ref = %(key)s", "compare": ["net"]}
    answers = await deliver(adapter, order("dear", read_back=read_back), order("fair", read_back=read_back))
    assert isinstance(answers["dear"], AmountDiffers)
    assert isinstance(answers["fair"], Written)
    assert refs(db) == ["fair"]


async def test_rows_get_their_values_only_over_what_was_expected(adapter: SqlAdapter, db: MariadbSession) -> None:
    for key, now in (("same", 9), ("mine", 3), ("theirs", 4), ("capped", 3)):
        db.execute("INSERT INTO target.items VALUES (%s, %s)", [key, now])
    jobs = [price("same", 9, 3), price("mine", 9, 3), price("theirs", 9, 3), price("gone", 9, 3)]
    answers = await deliver(adapter, *jobs)
    assert isinstance(answers["psame"], Unchanged)
    assert isinstance(answers["pmine"], Written)
    assert isinstance(answers["ptheirs"], TargetChanged)
    assert isinstance(answers["pgone"], Refused)
    capped = (await deliver(adapter, price("capped", 9, 3)))["pcapped"]
    assert isinstance(capped, Refused) and "has list_price 5.00 after the update to list_price 9.00" in str(capped)
    prices = {row["id"]: row["list_price"] for row in db.rows("SELECT id, list_price FROM target.items")}
    assert prices == {"same": 9, "mine": 9, "theirs": 4, "capped": 3}


async def test_a_row_that_somebody_holds_is_waited_for_and_then_tried_later(
    adapter: SqlAdapter, db: MariadbSession, stack: NativeStack
) -> None:
    db.execute("INSERT INTO target.items VALUES ('held', 3)")
    holding = session_of(stack.env(), "ADMIN")
    holding.execute("START TRANSACTION")
    holding.execute("UPDATE target.items SET list_price = 4 WHERE id = 'held'")
    answer = (await deliver(adapter, price("held", 9, 3)))["pheld"]
    assert isinstance(answer, TargetDown)
    holding.connection.close()
    assert isinstance((await deliver(adapter, price("held", 9, 3)))["pheld"], Written)


async def test_a_session_that_the_server_ended_is_opened_again(adapter: SqlAdapter, db: MariadbSession) -> None:
    await deliver(adapter, order("before"))
    for row in db.rows("SHOW PROCESSLIST"):
        if row["User"] == "opshub_writeback":
            db.execute(f"KILL {row['Id']}")
    answer = (await deliver(adapter, order("after")))["after"]
    assert isinstance(answer, TargetDown) and answer.in_doubt
    assert isinstance((await deliver(adapter, order("after")))["after"], Written | AlreadyDone)
    assert refs(db) == ["before", "after"]
