"""`opshub dlq` and `opshub doctor` as a person uses them when records fail, and when the hub is not what it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer

from streams.dead_letters.retry import MOST_TRIES
from streams.stack.workers import worker_environment
from streams.verify.compare_accounts import compare_accounts
from streams.verify.comparison import Comparison
from tests.conftest import Pipeline
from tests.waiting import came_true

TOPIC = "raw.demo-crm.public.contact"


@pytest.fixture(scope="module")
def live(pipeline: Pipeline) -> Iterator[Pipeline]:
    pipeline.start_worker("dlq-w")
    yield pipeline
    pipeline.stop_workers()


def opshub(live: Pipeline, *words: str, code: int = 0, given: str | None = None) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", *words], env=os.environ | worker_environment(live.settings), input=given,
        capture_output=True, text=True, cwd=live.settings.state_dir,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout + done.stderr


def values(live: Pipeline, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(live.settings.hub) as hub:
        return hub.execute(query.encode()).fetchall()


def poison(live: Pipeline, key: str, records: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": live.settings.kafka, "log_level": 0})
    for record in records:
        producer.produce(TOPIC, key=key.encode(), value=record, partition=0)
    assert producer.flush(20) == 0


def is_there(live: Pipeline, key: str, count: int) -> bool:
    return values(live, f"SELECT count(*) FROM dead_letter WHERE convert_from(key, 'UTF8') = '{key}'") == [(count,)]


def test_a_person_lists_edits_and_drops_dead_letters(live: Pipeline) -> None:
    key = '{"id":"7b2f5c1e-0000-4000-8000-000000000001"}'
    good = b'{"before":null,"after":null,"op":"r"}'
    poison(live, key, [b"not json", b'{"op":"c"}'])
    assert came_true(lambda: is_there(live, key, 2), 60), "no dead letters"
    found = opshub(live, "dlq", "list", "--key", key, "--json")
    dead, parked = found["dead_letters"]
    assert (dead["state"], parked["state"], found["notes"]) == ("dead", "parked", [])
    one = opshub(live, "dlq", "list", "--key", key, "--limit", "1")
    assert "1 of 2" in one
    shown = opshub(live, "dlq", "show", str(dead["id"]), "--json")
    assert shown["waiting_behind"] == 1 and shown["value"] == "not json" and shown["advice"]
    assert f"record {parked['id']} is parked behind another of its key" in opshub(
        live, "dlq", "retry", str(parked["id"])
    )
    assert "there is no dead letter 999999" in opshub(live, "dlq", "retry", "999999")
    # Tests of other files may have left dead letters in the stack that a session shares.
    (failed,), (parked_count,) = (
        values(live, f"SELECT count(*) FROM dead_letter WHERE state = '{state}'")[0] for state in ("dead", "parked")
    )
    assert failed >= 1 and parked_count >= 1
    doctor = opshub(live, "doctor", "--json")["findings"]
    assert f"{failed} records failed, and {parked_count} are parked behind them" in {
        one["what"] for one in doctor if one["code"] == "dead-letters"
    }
    with psycopg.connect(live.settings.hub) as hub:
        hub.execute("UPDATE dead_letter SET tried = %s WHERE id = %s", [MOST_TRIES, dead["id"]])
    assert f"failed {MOST_TRIES} times" in opshub(live, "dlq", "retry", str(dead["id"]))
    assert "1 more match" in opshub(live, "dlq", "retry", "--key", key)
    opshub(live, "dlq", "edit", str(dead["id"]), "-", given=good.decode())
    opshub(live, "dlq", "drop", "--key", key, "--reason", "a test made it")
    state = f"SELECT DISTINCT state FROM dead_letter WHERE convert_from(key, 'UTF8') = '{key}'"
    assert came_true(lambda: values(live, state) == [("dropped",)], 30)
    assert opshub(live, "dlq", "list", "--key", key, "--json")["dead_letters"] == []
    verbs = [line["verb"] for line in opshub(live, "dlq", "show", str(dead["id"]), "--json")["audit"]]
    assert verbs == ["edit", "drop"]


def test_doctor_tells_of_a_hub_that_went_back_and_of_records_that_nobody_reads(live: Pipeline) -> None:
    def codes() -> set[str]:
        told = subprocess.run(
            [sys.executable, "-m", "streams.cli", "doctor", "--json"], env=os.environ | worker_environment(live.settings),
            capture_output=True, text=True, cwd=live.settings.state_dir,
        )  # fmt: skip
        return {one["code"] for one in json.loads(told.stdout)["findings"] if one["severe"]}

    key = '{"id":"7b2f5c1e-0000-4000-8000-000000000002"}'
    poison(live, key, [b"not json"])
    assert came_true(lambda: is_there(live, key, 1), 60)
    assert came_true(lambda: not codes(), 20), codes()
    live.stop_workers()
    move = "UPDATE raw_account SET upto = upto + %s, passed = passed + %s WHERE topic = %s AND partition = 0"
    with psycopg.connect(live.settings.hub, autocommit=True) as hub:
        # What was read and is not known; what was passed over since; what no topic has.
        for upto, passed, unaccounted in ((-1, -1, 1), (0, -3, 3), (3, 0, 3)):
            hub.execute(move, [upto, passed, TOPIC])
            try:
                assert codes() - {"no-worker"} == {"hub-went-back", "accounts"}  # the workers were stopped above
                told = opshub(live, "status", "--json")["records"]
                assert (told["unaccounted"], told["balances"]) == (unaccounted, False)
                assert not balanced(live)
            finally:
                hub.execute(move, [-upto, -passed, TOPIC])
        assert codes() - {"no-worker"} == set()
        assert opshub(live, "status", "--json")["records"]["balances"]
    poison(live, key, [b"not json"] * 5)
    assert codes() == {"no-worker"}
    live.start_worker("dlq-w2")
    assert came_true(lambda: is_there(live, key, 6), 60)
    opshub(live, "dlq", "drop", "--key", key, "--reason", "a test made them")
    assert opshub(live, "dlq", "list", "--key", key, "--json")["dead_letters"] == []


def balanced(live: Pipeline) -> bool:
    comparison = Comparison()
    compare_accounts(live.settings, live.systems, comparison)
    return comparison.accounts_balance


def tombstone(live: Pipeline, *, transaction: bool) -> int:
    """Write one to partition 1; its offset."""
    own = {"transactional.id": "by-hand"} if transaction else {}
    producer = Producer({"bootstrap.servers": live.settings.kafka, "log_level": 0, **own})
    written: list[int] = []
    if transaction:
        producer.init_transactions(20)
        producer.begin_transaction()
    key = b'{"id":"7b2f5c1e-0000-4000-8000-000000000003"}'
    producer.produce(TOPIC, key=key, partition=1, on_delivery=lambda _, record: written.append(record.offset()))
    assert producer.flush(20) == 0
    if transaction:
        producer.commit_transaction(20)
    return written[0]


def uncounted(live: Pipeline, last: int) -> int:
    """How many offsets of partition 1 nobody counted, once the record at `last` is counted."""
    upto = f"SELECT upto FROM raw_account WHERE topic = '{TOPIC}' AND partition = 1"
    assert came_true(lambda: values(live, upto) == [(last + 1,)], 60), (values(live, upto), last)
    gap = "upto - since - (passed + filtered + tombstones + dead + parked + control)"
    return int(values(live, f"SELECT {gap} FROM raw_account WHERE topic = '{TOPIC}' AND partition = 1")[0][0])


@pytest.fixture
def markers(live: Pipeline) -> Iterator[int]:
    """The offset of the second of two records of transactions. Afterwards the account is what a connector without them leaves."""
    live.start_worker("dlq-w3")
    tombstone(live, transaction=True)
    yield tombstone(live, transaction=True)
    left = uncounted(live, tombstone(live, transaction=False))
    with psycopg.connect(live.settings.hub) as hub:
        hub.execute("UPDATE raw_account SET since = since + %s WHERE topic = %s AND partition = 1", [left, TOPIC])


def test_verify_sees_a_gap_and_no_gap_where_a_transaction_ended(live: Pipeline, markers: int) -> None:
    assert uncounted(live, markers) == 1, "a marker has an offset"
    assert came_true(lambda: balanced(live), 30)
    lose = "UPDATE raw_account SET tombstones = tombstones - %s WHERE topic = %s AND partition = 1"
    with psycopg.connect(live.settings.hub, autocommit=True) as hub:
        hub.execute(lose.encode(), [1, TOPIC])
        try:
            assert not balanced(live)
        finally:
            hub.execute(lose.encode(), [-1, TOPIC])
