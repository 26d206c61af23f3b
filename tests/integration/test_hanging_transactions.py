"""A transaction that nobody is going to end holds readers back: it is seen, and committed."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streams.maintenance.hanging_transactions import HangingTransactions
from streams.provision.topics import create_topics
from streams.stack.native import NativeStack

TOPIC = "changes.product"


@pytest.fixture
def left_open(stack: NativeStack) -> Iterator[bytes]:
    """A record of a transaction that its producer left, and that the coordinator is not going to end for a while; it ends with the test."""
    create_topics(stack.settings, {TOPIC: {}})
    name = f"hanging-{uuid.uuid4().hex[:8]}"
    given = {"bootstrap.servers": stack.settings.kafka, "transactional.id": name, "transaction.timeout.ms": 600_000}
    producer = Producer(given)
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(TOPIC, value=b"not for workers", key=name.encode(), partition=1)
    producer.flush(10)
    yield name.encode()
    Producer(given).init_transactions(20)  # whoever comes next under this name ends what is open


def read_committed(stack: NativeStack, key: bytes) -> bool:
    """Whether readers of what is committed see a record of this key."""
    consumer = Consumer({"bootstrap.servers": stack.settings.kafka, "group.id": f"reader-{uuid.uuid4().hex}", "isolation.level": "read_committed",
                         "enable.auto.commit": False})  # fmt: skip
    try:
        consumer.assign([TopicPartition(TOPIC, 1, 0)])
        return any(message.key() == key for message in consumer.consume(10_000, 2.0))
    finally:
        consumer.close()


def test_one_that_holds_readers_back_for_too_long_is_committed(stack: NativeStack, left_open: bytes) -> None:
    now = 100.0
    hanging = HangingTransactions(stack.settings.kafka, after=30.0, clock=lambda: now)
    assert asyncio.run(hanging.check()) == []
    now += 5
    assert asyncio.run(hanging.check()) == [], "it does not check that often"
    now += 10
    assert asyncio.run(hanging.check()) == [], "a lane may still be about to end it"
    assert not read_committed(stack, left_open)
    now += 20
    assert asyncio.run(hanging.check()) == [(TOPIC, 1)]
    assert read_committed(stack, left_open)
    now += 100
    time.sleep(0.2)
    assert asyncio.run(hanging.check()) == []


def test_a_broker_that_was_away_gives_it_its_time_again(stack: NativeStack, left_open: bytes) -> None:
    now = 100.0
    hanging = HangingTransactions(stack.settings.kafka, after=30.0, clock=lambda: now)
    hanging.find()
    here, hanging._admin = hanging._admin, HangingTransactions("127.0.0.1:1")._admin
    now += 20
    assert hanging.find() == {}
    hanging._admin = here
    now += 20
    assert hanging.find() == {}
    now += 30
    assert (TOPIC, 1) in hanging.find()
