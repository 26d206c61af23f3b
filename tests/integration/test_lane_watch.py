"""A lane on a real broker: one that reads nothing more though there is more is stuck; one that read to the end, and one that works, are not."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from streams.errors import EnvironmentFault
from streams.provision.topics import create_topics
from streams.runtime import lane
from streams.runtime import stall as standstill
from streams.runtime.fenced_lane import FencedLane
from streams.runtime.health import Health
from streams.runtime.lane import Batch
from streams.stack.native import NativeStack
from tests.integration.lane_driver import LaneDriver

PARTITIONS = 4


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred times as often."""
    monkeypatch.setattr(standstill, "LOOK_EVERY", 0.15)
    monkeypatch.setattr(standstill, "STILL_AFTER", 0.6)


class Reader(LaneDriver):
    """A lane of its own over a topic of its own; it reads until it is stopped."""

    def __init__(self, stack: NativeStack) -> None:
        self.topic = f"watch-{uuid.uuid4().hex[:8]}"
        settings = stack.settings.model_copy(update={"partitions": PARTITIONS})
        create_topics(settings, {self.topic: {}})
        self.kafka = settings.kafka
        self.lane = FencedLane("ingest", [self.topic], bootstrap=self.kafka, group=self.topic, client_id=self.topic)
        app: Any = SimpleNamespace(lanes={"ingest": self.lane}, waiting={}, stopped={})
        self.health = Health(app, {}, [], lambda _: (0, ""))
        self.read = 0

    async def deliver(self, batch: Batch) -> None:
        await batch.commit([])
        self.read += len(batch.records)
        batch.finish()

    def say(self, count: int, *, transactional: bool = False, abort: bool = False) -> None:
        options: dict[str, Any] = {"transactional.id": uuid.uuid4().hex} if transactional else {}
        producer = Producer({"bootstrap.servers": self.kafka, "log_level": 0, **options})
        if transactional:
            producer.init_transactions(20)
            producer.begin_transaction()
        for number in range(count):
            producer.produce(self.topic, value=b"x", partition=number % PARTITIONS)
        if transactional:
            (producer.abort_transaction if abort else producer.commit_transaction)(20)
        assert producer.flush(20) == 0


async def test_a_lane_that_stopped_reading_is_stuck_until_it_reads_again(stack: NativeStack, soon: None) -> None:
    async with Reader(stack) as one:
        one.say(40)
        await one.until(lambda: one.read == 40)
        silenced = [TopicPartition(one.topic, 0)]
        await one.lane._call(one.lane._consumer.pause, silenced)
        one.say(4000)
        # The client's own view of the ends is as old as its last fetch, and the other partitions are read on.
        await one.until(lambda: one.health.problem() is not None)
        told = one.health.problem()
        assert told is not None and f"{one.topic}:0 for one, of which it read up to 10 and which ends at 1,010" in told
        assert one.health.problem(ready=True) == told
        assert one.read == 40 + 3000
        await one.lane._call(one.lane._consumer.resume, silenced)
        await one.until(lambda: one.read == 4040 and one.health.problem(ready=True) is None)


async def test_markers_aborted_records_and_steady_work_are_no_standstill(stack: NativeStack, soon: None) -> None:
    async with Reader(stack) as one:
        problems: list[str] = []

        async def watch(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                problems.extend(filter(None, [one.health.problem()]))
                await asyncio.sleep(0.02)

        one.say(40, transactional=True)
        await watch(1.5)
        one.say(40, transactional=True, abort=True)
        await watch(1.5)
        open_one = Producer({"bootstrap.servers": one.kafka, "transactional.id": uuid.uuid4().hex, "log_level": 0})
        open_one.init_transactions(20)
        open_one.begin_transaction()
        for number in range(40):
            open_one.produce(one.topic, value=b"x", partition=number % PARTITIONS)
        open_one.flush(20)
        await watch(1.5)  # nobody may read these yet
        open_one.abort_transaction(20)
        for _ in range(10):
            one.say(4)
            await watch(0.2)
        assert problems == []
        assert one.read == 80


async def test_a_look_is_short_also_when_the_broker_is_silent(stack: NativeStack, soon: None) -> None:
    async with Reader(stack) as one:
        one.say(40)
        await one.until(lambda: one.read == 40)
        taken: list[float] = []

        def look() -> None:
            began = time.monotonic()
            one.lane._look_at_ends()
            taken.append(time.monotonic() - began)

        for _ in range(20):
            await one.lane._call(look)
        assert sorted(taken)[10] < 0.15, taken  # it waits for the fetch that is under way
        stack.kill("kafka", signal.SIGSTOP)
        try:
            taken.clear()
            await one.lane._call(look)
            assert taken[0] < 1.5
            assert one.health.problem() is None
        finally:
            stack.kill("kafka", signal.SIGCONT)


class Deaf:
    """A client that lived through an outage and hears nothing any more."""

    def list_topics(self, *_: object, **__: object) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


async def test_a_lane_whose_clients_hear_nothing_any_more_leaves_once_the_broker_answers_others(
    stack: NativeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "SLEEPS_AFTER", 0.3)

    def never(*_: object) -> None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer", False, True, False))

    async with Reader(stack) as one:
        consumer = one.lane._consumer

        def wait_for_ever() -> None:
            one.lane._consumer = Deaf()
            try:
                with pytest.raises(EnvironmentFault, match="Kafka answers, and ingest can not end its transaction"):
                    one.lane._patiently(never)
            finally:
                one.lane._consumer = consumer

        await one.lane._call(wait_for_ever)
