"""Commands leave the same traces as the console's operations: entries of the audit, events of the timeline."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from streams.cli import dispatch
from streams.cli.context import who
from streams.hub.audit import AuditEntry, AuditFilter, audit_entries, audit_lines
from streams.hub.figures import keep_pace
from streams.hub.live import live_topics
from streams.hub.systems import pause_capture, resume_capture, topic_freshness
from streams.hub.timeline import events
from streams.stack.native import NativeStack
from tests.writers import hub_of_its_own

Hub = psycopg.Connection[tuple[object, ...]]
RULE = "demo-erp/order_from_opportunity"
INTENT = (
    "INSERT INTO intent (key, rule, target, entity, entity_id, aggregate_id, subject_id, version, cause_us, state, problem)"
    " VALUES (%(key)s, %(rule)s, 'demo-erp', 'opportunity', %(id)s, %(id)s, %(id)s, 1, 0, %(state)s, 'party is locked')"
    " RETURNING id"
)


@pytest.fixture(scope="module")
def dsn(hub_server: NativeStack) -> str:
    return hub_of_its_own(hub_server, "audit_of_commands")


@pytest.fixture
def hub(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("OPSHUB_HUB_DSN", dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def last(hub: Hub) -> AuditEntry:
    return audit_entries(hub, limit=1)[0]


def intent(hub: Hub, state: str) -> int:
    row = hub.execute(INTENT, {"key": uuid.uuid4(), "rule": RULE, "id": uuid.uuid4(), "state": state}).fetchone()
    assert row is not None and isinstance(row[0], int)
    return row[0]


def test_pause_and_resume_of_write_back_are_audited_with_before_and_after(hub: Hub) -> None:
    assert dispatch.run(["writeback", "pause", RULE, "--reason", "stock-taking"]) == 0
    entry = last(hub)
    assert (entry.who, entry.what, entry.via, entry.about, entry.why) == (
        who(), "pause_writeback", "command", RULE, "stock-taking"
    )  # fmt: skip
    assert entry.result == {
        "before": {"paused": False},
        "after": {"paused": True, "reason": "stock-taking", "by": who()},
    }
    assert dispatch.run(["writeback", "resume", RULE]) == 0
    assert last(hub).what == "resume_writeback"
    assert last(hub).result["after"] == {"paused": False}


def test_a_command_that_fails_leaves_its_error(hub: Hub) -> None:
    assert dispatch.run(["writeback", "pause", "demo-erp/no-such-rule"]) == 2
    entry = last(hub)
    assert entry.about == "demo-erp/no-such-rule"
    assert entry.failed and "no-such-rule" in entry.failed
    assert entry.result is None


def test_a_decision_by_command_is_one_line_of_the_audit(hub: Hub) -> None:
    number = intent(hub, "waiting")
    assert dispatch.run(["approvals", "reject", str(number), "--reason", "ordered by mistake"]) == 0
    lines = audit_lines(hub, AuditFilter(about=str(number)))
    assert [(line.kind, line.what, line.via, line.why) for line in lines] == [
        ("deed", "decide_approval", "command", "ordered by mistake")
    ]
    states = [lines[0].result[side]["intents"][0]["state"] for side in ("before", "after")]
    assert states == ["waiting", "rejected"]


def test_a_retry_by_filter_keeps_the_numbers_of_what_it_chose(hub: Hub) -> None:
    number = intent(hub, "dead")
    arguments = ["writeback", "retry", "--rule", RULE, "--reason", "unblocked"]
    assert dispatch.run([*arguments, "--dry-run"]) == 0
    assert number not in last(hub).result.get("ids", [])
    assert dispatch.run(arguments) == 0
    assert last(hub).result["ids"] == [number]
    assert last(hub).why == "unblocked"


def test_a_pause_of_a_table_is_an_event_whoever_began_it(hub: Hub) -> None:
    pause_capture(hub, "demo-erp/erp.invoice", who="ada", reason="upgrade")
    assert resume_capture(hub, "demo-erp/erp.invoice")
    listed = events(hub, kinds=["pause"], limit=2)
    assert [(event.what, event.about, event.text) for event in listed] == [
        ("resumed", "demo-erp/erp.invoice", ""),
        ("paused", "demo-erp/erp.invoice", "ada: upgrade"),
    ]


def test_overview_and_systems_count_the_records_of_today_alike(hub: Hub) -> None:
    def count(topic: str, passed: int) -> None:
        hub.execute(
            "INSERT INTO raw_account (topic, partition, since, upto, passed, filtered, tombstones, dead, parked, control)"
            " VALUES (%s, 0, 0, %s, %s, 0, 0, 0, 0, 0)"
            " ON CONFLICT (topic, partition) DO UPDATE SET upto = excluded.upto, passed = excluded.passed",
            [topic, passed, passed],
        )

    def today() -> dict[str, tuple[int, int]]:
        fresh = topic_freshness(hub)
        return {topic.topic: (topic.today, fresh[topic.topic].today) for topic in live_topics(hub)}

    old, new = "raw.demo-crm.public.account", "raw.demo-erp.erp.invoice"
    count(old, 100)
    hub.execute(
        "INSERT INTO raw_account_day (topic, day, counted) VALUES (%s, (now() AT TIME ZONE 'utc')::date - 1, 40)", [old]
    )
    assert today()[old] == (0, 0), "a day begins with nothing, until it is marked"
    keep_pace(hub)
    count(old, 130)
    count(new, 7)
    keep_pace(hub)  # the mark of the day stays
    count(new, 9)
    assert today() == {old: (30, 30), new: (9, 9)}
