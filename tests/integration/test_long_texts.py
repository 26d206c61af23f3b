"""A text of a million Chinese characters goes from the source's row to the canonical topic whole; topics that take less are widened."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource

from streams.model import limits
from streams.model.ids import source_id
from streams.provision.differences import ProvisionStep, apply, plan
from streams.stack.workers import worker_environment
from tests.conftest import Pipeline
from tests.waiting import came_true


def test_a_million_characters_arrive_whole(pipeline: Pipeline) -> None:
    text = "客户备注" * (limits.TEXT // 4)
    key = str(uuid.uuid4())
    with pipeline.connect("CRM") as crm:
        crm.execute("INSERT INTO account (id, name, notes) VALUES (%s, 'Long', %s)", [key, text])
    pipeline.start_worker("long-w")
    try:

        def held() -> Any:
            with psycopg.connect(pipeline.settings.hub) as hub:
                return hub.execute(
                    "SELECT record->>'notes' FROM entity WHERE id = %s", [source_id("demo-crm", "customer", key)]
                ).fetchone()

        assert came_true(lambda: held() is not None, 90), "it did not come"
        assert held() == (text,)
        pipeline.drain()
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", "consume", "customer", "--from", "beginning", "--json", "--no-follow"],
            env=worker_environment(pipeline.settings), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        notes = [(json.loads(line)["record"] or {}).get("notes") for line in done.stdout.splitlines() if key in line]
        assert text in notes, done.stderr[-500:]
    finally:
        pipeline.stop_workers()


@pytest.mark.parametrize(
    ("setting", "least", "record"),
    [
        ("max.message.bytes", "1000000", {"value": b"x" * 2_000_000}),
        ("message.timestamp.after.max.ms", "3600000", {"value": b"x", "timestamp": int(time.time() + 7200) * 1000}),
    ],
    ids=["large records", "records of a clock that is ahead"],
)
def test_a_topic_that_takes_less_is_widened(
    pipeline: Pipeline, setting: str, least: str, record: dict[str, Any]
) -> None:
    settings = pipeline.settings
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    narrow = ConfigEntry(setting, least, incremental_operation=AlterConfigOpType.SET)
    asked = ConfigResource(ConfigResource.Type.TOPIC, "changes.customer", incremental_configs=[narrow])
    for done in admin.incremental_alter_configs([asked]).values():
        done.result(20)
    step = ProvisionStep("topic", "changes.customer", "widen")
    assert came_true(lambda: step in plan(settings, pipeline.systems), 20)
    assert refused(settings.kafka, record)
    assert step in apply(settings, pipeline.systems)
    assert came_true(lambda: step not in plan(settings, pipeline.systems), 20)
    assert refused(settings.kafka, record) is None


def refused(kafka: str, record: dict[str, Any]) -> str | None:
    """What the broker says against this record, of a transaction that is aborted in any case."""
    producer = Producer(
        {"bootstrap.servers": kafka, "transactional.id": "test-refused", "message.max.bytes": 8_000_000, "log_level": 0}
    )
    told: list[str | None] = []
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce("changes.customer", on_delivery=lambda error, _: told.append(error and error.name()), **record)
    producer.flush(20)
    producer.abort_transaction(20)
    return told[0]
