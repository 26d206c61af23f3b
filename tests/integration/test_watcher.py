"""The watcher on a real hub, broker and Connect: what it finds; one alert when a problem starts and one when it ends, whoever watches."""

from __future__ import annotations

import json
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import psycopg
import pytest
from confluent_kafka import Producer

from streams.capture.guard import check_capture
from streams.hub.figures import measure_now
from streams.monitor.alerts import Problem
from streams.monitor.thresholds import stuck_limits
from streams.monitor.watcher import Watcher
from streams.provision.systems import capture_dsn
from streams.provision.topics import create_topics, missing_topics
from streams.settings import Settings
from streams.stack.native import NativeStack
from tests.conftest import Pipeline
from tests.faults.link import Link
from tests.waiting import came_true
from tests.writers import hub_of_its_own

OUTSIDE = 10**9
"""A threshold that nothing is past."""


@pytest.fixture
def posted() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The address of a webhook, and what it was told: (state, problem)."""
    taken: list[tuple[str, str]] = []

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            taken.extend((one["state"], one["problem"]["name"]) for one in body["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", taken
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def link(stack: NativeStack) -> Iterator[Link]:
    """What the hub is reached through; the server itself is the registry's, too."""
    with Link(stack.settings.host, stack.settings.hub_port) as made:
        yield made


@pytest.fixture
def settings(stack: NativeStack, posted: tuple[str, Any], link: Link) -> Settings:
    """A hub and groups of its own."""
    name = f"watch_{uuid.uuid4().hex[:8]}"
    hub = hub_of_its_own(stack, name).replace(f":{stack.settings.hub_port}/", f":{link.port}/")
    told: dict[str, Any] = {"hub_dsn": hub, "app_id": name, "alert_webhook_url": posted[0]}
    return stack.settings.model_copy(update=told | {"alert_lag_records": OUTSIDE, "alert_disk_left_gb": 0})


@pytest.fixture
def workers(settings: Settings) -> Iterator[list[Watcher]]:
    """Three that could watch; each holds the lock from its first check on if nobody else does."""
    made = [Watcher(settings, [], {}) for _ in range(3)]
    yield made
    for one in made:
        leave(one)


def leave(one: Watcher) -> None:
    """Its lock is free when the server has seen that it went: its heir may have to ask again."""
    one.close()


def taken_over(heir: Watcher) -> list[Problem]:
    """What the next one finds at its first check as the watcher."""
    found: list[Problem] = []

    def is_watching() -> bool:
        found[:] = heir.check()
        return heir.is_watching is True

    assert came_true(is_watching, 20)
    return found


def say(settings: Settings, statement: str, *values: Any) -> None:
    with psycopg.connect(settings.hub) as hub:
        hub.execute(statement.encode(), values)


LETTER = (
    "INSERT INTO dead_letter (topic, partition, position, key, stage, class, reason) "
    "SELECT 'changes.customer', 0, n, n::text::bytea, 'mapping', 'X', 'x' FROM generate_series(1, %s) n"
)


def test_the_next_watcher_repeats_no_alert_and_sends_the_end(
    settings: Settings, workers: list[Watcher], posted: tuple[str, list[tuple[str, str]]]
) -> None:
    first, second, third = workers
    told = posted[1]
    say(settings, LETTER, 3)
    assert [one.name for one in first.check()] == ["parked-keys"]
    assert (second.check(), second.firing, first.firing) == (
        [],
        None,
        {"parked-keys": "3 keys are parked behind a dead letter"},
    )
    leave(first)
    assert [one.name for one in taken_over(second)] == ["parked-keys"]
    assert told == [("firing", "parked-keys")]
    leave(second)
    say(settings, "UPDATE dead_letter SET state = 'dropped'")
    assert taken_over(third) == []
    assert told == [("firing", "parked-keys"), ("resolved", "parked-keys")]
    third.check()
    assert len(told) == 2


def test_while_the_hub_is_away_no_alert_ends_and_one_worker_reports_it(
    link: Link, settings: Settings, workers: list[Watcher], posted: tuple[str, list[tuple[str, str]]]
) -> None:
    watcher, other, _ = workers
    told = posted[1]
    say(settings, LETTER, 3)
    watcher.check()
    other.check()
    link.refuses = True
    link.cut()
    assert [one.name for one in watcher.check()] == ["checks-failed"]
    assert other.check() == []
    watcher.check()
    link.refuses = False
    assert told == [("firing", "parked-keys"), ("firing", "checks-failed")]
    # Whoever asks first is the watcher now.
    assert came_true(lambda: other.check(), 20)
    assert watcher.check() == []
    assert told[2:] == [("resolved", "checks-failed")]
    assert other.firing == {"parked-keys": "3 keys are parked behind a dead letter"}


def test_a_hub_that_was_away_between_two_checks_is_no_problem(link: Link, workers: list[Watcher]) -> None:
    watcher = workers[0]
    assert watcher.check() == []
    link.cut()
    assert watcher.check() == []
    assert came_true(lambda: watcher.check() == [] and watcher.is_watching, 20), "its old session's lock is gone soon"


INTENT = (
    "INSERT INTO intent (key, rule, target, entity, entity_id, aggregate_id, subject_id, version, cause_us, state, failures, not_before, "
    "created_at, done_at) SELECT gen_random_uuid(), target || '/r', target, 'opportunity', gen_random_uuid(), gen_random_uuid(), "
    "gen_random_uuid(), 1, 0, state, failures, now() - not_before::interval, now() - made::interval, now() - done::interval "
    "FROM (VALUES (%s, %s, %s::int, %s, %s, %s)) AS new (target, state, failures, not_before, made, done)"
)
FLOW = "INSERT INTO flow_figure (id, stage, since_us) VALUES (gen_random_uuid(), %s, (extract(epoch FROM now() - %s::interval) * 1e6)::bigint)"
NUMBER = (
    "INSERT INTO entity (id, entity, aggregate_id, version, revision, deleted, updated_us, record, contributions) "
    "SELECT id, 'order_flow', id, 1, 1, false, 0, jsonb_build_object('order_number', 'SO-' || stage), '{}' FROM flow_figure"
)
BROKEN = (
    "INSERT INTO conflict (id, aggregate_id, entity, entity_id, field, kind, asserted, rule, outcome) "
    "VALUES (gen_random_uuid(), gen_random_uuid(), 'sales_order', gen_random_uuid(), 'x', 'invariant', '{}', 'a rule', 'open')"
)


def count_flows(settings: Settings) -> None:
    """As a worker does twice a minute."""
    with psycopg.connect(settings.hub, autocommit=True) as hub:
        measure_now(hub, stuck_limits(settings))


def test_the_pipeline_is_compared_with_every_threshold(settings: Settings, workers: list[Watcher]) -> None:
    watcher = workers[0]
    well = [
        ("erp", "waiting", 0, "0", "23 hours", None),
        ("erp", "approved", 0, "1 minute", "3 days", None),  # people said yes a minute ago
        ("erp", "planned", 0, "-6 hours", "18 hours", None),  # it goes by night
        ("erp", "failed", 3, "1 minute", "20 minutes", None),
        ("crm", "approved", 0, "2 hours", "2 hours", None),  # paused
        ("erp", "dead", 5, "0", "9 days", "25 hours"),
    ]
    say(settings, "INSERT INTO writeback_pause (scope, who, reason) VALUES ('crm', 'ada', 'stock-taking')")
    for one in well:
        say(settings, INTENT, *one)
    say(settings, FLOW, "shipped", "13 days")
    say(settings, FLOW, "ordered", "29 days")  # of this stage it may take longer
    say(settings, FLOW, "paid", "400 days")  # nobody is to do anything
    count_flows(settings)
    assert watcher.check() == []
    say(settings, LETTER, 10)
    say(settings, FLOW, "shipped", "15 days")
    say(settings, NUMBER)
    say(settings, BROKEN)
    say(settings, INTENT, "erp", "waiting", 0, "0", "25 hours", None)
    say(settings, INTENT, "erp", "approved", 0, "31 minutes", "31 minutes", None)
    say(settings, INTENT, "erp", "failed", 3, "-1 minute", "40 minutes", None)
    say(settings, INTENT, "erp", "dead", 5, "0", "9 days", "1 hour")
    count_flows(settings)
    told = {one.name: one.what for one in watcher.check()}
    assert told.keys() == {
        "parked-keys", "dead-letter-rate", "stuck-flows", "invariants", "intents-dead", "intents-waiting", "intents-undelivered",
    }  # fmt: skip
    assert told["dead-letter-rate"].startswith("10 records") and told["intents-undelivered"].startswith("2 intents")
    assert (
        told["stuck-flows"].startswith("1 order flows")
        and told["stuck-flows"].endswith("the longest SO-shipped")
        and told["intents-dead"].startswith("1 intents")
    )


def test_the_alert_of_a_late_lane_stays_open_while_kafka_is_away(
    settings: Settings, workers: list[Watcher], posted: tuple[str, list[tuple[str, str]]]
) -> None:
    topic = "changes.customer"
    create_topics(settings, {name: one for name, one in missing_topics(settings, []).items() if name == topic})
    producer = Producer({"bootstrap.servers": settings.kafka, "log_level": 0})
    for _ in range(5):  # nobody of this group has read any of this topic
        producer.produce(topic, value=None, key=b"0" * 36, partition=0)
    assert producer.flush(20) == 0
    watcher, heir, _ = workers
    for one in (watcher, heir):
        one._settings = settings.model_copy(update={"alert_lag_records": 5, "alert_lag_seconds": 0.5})
    assert watcher.check() == []
    time.sleep(0.5)
    assert [one.name for one in watcher.check()] == ["lag/assemble"]
    leave(watcher)
    assert [one.name for one in taken_over(heir)] == ["lag/assemble"], "it is as old as it was"
    heir._settings = heir._settings.model_copy(update={"bootstrap_servers": "127.0.0.1:9"})
    assert [one.name for one in heir.check()] == ["kafka-away/127.0.0.1:9"]
    assert posted[1] == [("firing", "lag/assemble"), ("firing", "kafka-away/127.0.0.1:9")]


@pytest.fixture
def running(pipeline: Pipeline) -> Pipeline:
    """Connectors that stream; no worker is needed."""
    return pipeline


def test_a_stalled_connector_and_a_source_that_is_away_are_reported(running: Pipeline) -> None:
    crm = running.systems[0]
    dsn = capture_dsn(crm, running.env)
    settings = running.settings.model_copy(update={"alert_heartbeat_seconds": 14.0})
    often = crm.source | {"config": crm.source["config"] | {"heartbeat.interval.ms": "1000"}}
    system = msgspec.structs.replace(crm, source=often)

    def codes() -> set[str]:
        # Other tests on this stack take tables out of the publication and put them back.
        return {one.code for one in check_capture(settings, system, dsn)} - {"table-incomplete"}

    assert came_true(lambda: not codes(), 60), codes()
    time.sleep(11)
    assert codes() == set(), "it writes a heartbeat every ten seconds"
    running.stack.kill("connect", signal.SIGSTOP)
    try:
        assert came_true(lambda: "heartbeat-old" in codes(), 40), codes()
    finally:
        running.stack.kill("connect", signal.SIGCONT)
    assert came_true(lambda: not codes(), 60), codes()
    say(running.settings, "UPDATE source_state SET alarm = 'the slot is gone' WHERE system = %s", crm.name)
    try:
        away = check_capture(settings, system, dsn.replace(f"port={running.settings.demo_crm_port}", "port=9"))
        assert {one.code for one in away} == {"source-away", "capture-lost"}
    finally:
        say(running.settings, "UPDATE source_state SET alarm = NULL WHERE system = %s", crm.name)
