"""A worker looks into code tables: it has read them whole before it maps, and follows them while it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.agents.ingest import route_of
from streams.errors import RetryLater
from streams.mapping.row_errors import LookupMissing
from streams.provision.systems import System
from streams.runtime.code_tables import CodeTables
from streams.stack.native import NativeStack
from tests.factories import compiled
from tests.waiting import wait_for

DICTIONARY = """
system: {name}
tables:
  public.stage:
    key: id
    to: []
  public.deal:
    key: id
    to:
      - entity: opportunity
        fields:
          name: name
          stage: {{column: stage, lookup: {{table: public.stage, column: code}}}}
"""


def event(row: dict[str, Any] | None, before: dict[str, Any] | None = None, op: str = "c") -> bytes:
    source = {"ts_us": 1, "sequence": '["1","2"]', "lsn": 2, "txId": 1, "snapshot": "false"}
    return json.dumps({"op": op, "before": before, "after": row, "source": source}).encode()


@pytest.fixture
def system(stack: NativeStack) -> System:
    """A system of its own on the session's Kafka, its topics made, three partitions each."""
    name = f"codes-{uuid4().hex[:8]}"
    made = System(
        name,
        Path(name),
        {"name": name, "config": {"topic.prefix": f"raw.{name}"}},
        compiled(DICTIONARY.format(name=name)),
    )
    make_topics(stack, list(made.topics))
    return made


def make_topics(stack: NativeStack, topics: list[str]) -> None:
    admin = AdminClient({"bootstrap.servers": stack.settings.kafka})
    for done in admin.create_topics([NewTopic(topic, 3, 1) for topic in topics]).values():
        done.result()


def produce(stack: NativeStack, topic: str, *rows: tuple[int, bytes | None]) -> None:
    producer = Producer({"bootstrap.servers": stack.settings.kafka, "linger.ms": 0})
    for key, value in rows:
        producer.produce(topic, value, json.dumps({"id": key}).encode())
    assert producer.flush(20) == 0


def test_codes_are_learned_before_the_first_row_and_followed(stack: NativeStack, system: System) -> None:
    topic = f"raw.{system.name}.public.stage"
    produce(stack, topic, *((n, event({"id": n, "code": "won" if n % 2 else "lost"})) for n in range(200)))
    route = route_of(system, stack.settings.kafka)

    def stage(number: int) -> Any:
        change = route.decode(
            f"raw.{system.name}.public.deal", b'{"id":1}', event({"id": 1, "name": "x", "stage": number})
        )
        assert change is not None
        return route.map(change)[0].fields["stage"]

    assert [stage(n) for n in (0, 1, 199)] == ["lost", "won", "won"]
    with pytest.raises(LookupMissing):
        stage(777)
    produce(
        stack,
        topic,
        (777, event({"id": 777, "code": "qualified"})),
        (1, event({"id": 1, "code": "lost"}, op="u")),
        (3, event(None, {"id": 3}, "d")),
    )

    def is_learned() -> bool:
        try:
            return (stage(777), stage(1)) == ("qualified", "lost")
        except LookupMissing:
            return False

    wait_for(is_learned)
    with pytest.raises(LookupMissing):
        stage(3)


def test_missing_topics_are_empty_until_they_are_created(stack: NativeStack) -> None:
    topic = f"late-{uuid4().hex[:8]}"
    learned: list[bytes | None] = []
    codes = CodeTables(stack.settings.kafka, [topic], lambda _, key, value: learned.append(value))
    codes.catch_up()
    codes.follow(at_once=True)
    make_topics(stack, [topic])
    produce(stack, topic, (1, b"x"))

    def follow() -> bool:
        codes.follow(at_once=True)
        return bool(learned)

    wait_for(follow, pause=0)
    assert learned == [b"x"]
    codes.close()


def test_unreachable_kafka_is_retried_later() -> None:
    codes = CodeTables("127.0.0.1:1", ["x"], lambda topic, key, value: None)
    with pytest.raises(RetryLater, match="cannot be read"):
        codes.catch_up(seconds=1)
