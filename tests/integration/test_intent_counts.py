"""Intents by rule and state: counted where there are few, estimated where counting all would take too long."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from streams.hub.intent_review import RuleCount, intent_counts
from streams.stack.native import NativeStack
from tests.writers import hub_of_its_own

ADD = (
    "INSERT INTO intent (key, rule, target, entity, entity_id, aggregate_id, subject_id, version, cause_us, state)"
    " SELECT %(state)s || n, 'erp/order', 'erp', 'sales_order', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 0, %(state)s"
    " FROM generate_series(1, %(count)s) n"
)


@pytest.fixture(scope="module")
def hub(stack: NativeStack) -> Iterator[psycopg.Connection]:
    with psycopg.connect(hub_of_its_own(stack, "intent_counts"), autocommit=True) as connection:
        for state, count in (("delivered", 900), ("superseded", 100), ("planned", 7), ("waiting", 3), ("dead", 2)):
            connection.execute(ADD, {"state": state, "count": count})
        connection.execute("ANALYZE intent")
        yield connection


def counts(hub: psycopg.Connection, most: int) -> dict[str, RuleCount]:
    return {row.state: row for row in intent_counts(hub, most=most)}


def test_few_are_counted(hub: psycopg.Connection) -> None:
    rows = counts(hub, 2_000)
    assert {state: row.count for state, row in rows.items()} == {
        "dead": 2, "delivered": 900, "planned": 7, "superseded": 100, "waiting": 3,
    }  # fmt: skip
    assert all(row.exact for row in rows.values())


def test_of_many_those_that_are_done_are_estimated(hub: psycopg.Connection) -> None:
    rows = counts(hub, 500)
    assert {state for state, row in rows.items() if not row.exact} == {"delivered", "superseded"}
    assert rows["delivered"].count == pytest.approx(900, rel=0.05)
    assert (rows["planned"].count, rows["waiting"].count, rows["dead"].count) == (7, 3, 2)


def test_a_long_queue_is_estimated(hub: psycopg.Connection) -> None:
    rows = counts(hub, 5)
    assert not rows["planned"].exact
    assert rows["planned"].count >= 5
    assert rows["waiting"].exact
