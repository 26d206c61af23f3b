"""Stall detection on a real broker: a lane that reads nothing although there is more is stalled; one at the end, and one at work, are not."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from streams.errors import EnvironmentFault
from streams.provision.topics import create_topics
from streams.runtime import broker_probe, stall
from streams.runtime.batch import Batch
from streams.runtime.fenced_lane import FencedLane
from streams.runtime.health import Health
from streams.runtime.producing import ProducerCalls
from streams.runtime.worker_state import WorkerState
from streams.stack.native import NativeStack
from tests.integration.lane_driver import LaneDriver

PARTITIONS = 4


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred times as often."""
    monkeypatch.setattr(stall, "CHECK_EVERY", 0.15)
    monkeypatch.setattr(stall, "STALLED_AFTER", 0.6)


class Reader(LaneDriver):
    """A lane of its own over a topic of its own; it reads until it is stopped."""

    def __init__(self, stack: NativeStack) -> None:
        self.topic = f"watch-{uuid.uuid4().hex[:8]}"
        settings = stack.settings.model_copy(update={"partitions": PARTITIONS})
        create_topics(settings, {self.topic: {}})
        self.kafka = settings.kafka
        self.lane = FencedLane("ingest", [self.topic], bootstrap=self.kafka, group=self.topic, client_id=self.topic)
        self.health = Health(WorkerState("w", {"ingest": self.lane}))
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


async def test_lane_that_stopped_reading_is_stalled_until_it_reads_on(stack: NativeStack, soon: None) -> None:
    async with Reader(stack) as one:
        one.say(40)
        await one.until(lambda: one.read == 40)
        silenced = [TopicPartition(one.topic, 0)]
        await one.lane._on_thread(one.lane.poller.consumer.pause, silenced)
        one.say(4000)
        # The client's own view of the ends is as old as its last fetch, and the other partitions are read on.
        await one.until(lambda: one.health.problem() is not None)
        problem = one.health.problem()
        assert problem is not None and f"{one.topic}:0: it is read up to 10 and ends at 1,010" in problem
        assert one.health.problem(ready=True) == problem
        assert one.read == 40 + 3000
        await one.lane._on_thread(one.lane.poller.consumer.resume, silenced)
        await one.until(lambda: one.read == 4040 and one.health.problem(ready=True) is None)


async def test_markers_aborted_records_and_steady_work_are_no_stall(stack: NativeStack, soon: None) -> None:
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


async def test_check_for_stalls_is_short_also_when_the_broker_is_silent(stack: NativeStack, soon: None) -> None:
    async with Reader(stack) as one:
        one.say(40)
        await one.until(lambda: one.read == 40)
        taken: list[float] = []

        def look() -> None:
            began = time.monotonic()
            poller, progress = one.lane.poller, one.lane.progress
            poller.stall.check(progress.assigned, progress.read_up_to, poller._ask_ends, began)
            taken.append(time.monotonic() - began)

        for _ in range(20):
            await one.lane._on_thread(look)
        assert sorted(taken)[10] < 0.15, taken  # it waits for the fetch that is under way
        stack.kill("kafka", signal.SIGSTOP)
        try:
            taken.clear()
            await one.lane._on_thread(look)
            assert taken[0] < 1.5
            assert one.health.problem() is None
        finally:
            stack.kill("kafka", signal.SIGCONT)


class DeadClient:
    """A client that lived through an outage and gets no answer any more."""

    def list_topics(self, *_: object, **__: object) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


async def test_lane_with_a_dead_client_leaves_once_the_broker_answers_others(
    stack: NativeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_probe, "DEAD_CLIENT_AFTER", 0.3)

    def never(*_: object) -> None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer", False, True, False))

    async with Reader(stack) as one:

        def wait_for_ever() -> None:
            calls = ProducerCalls(one.lane.broker, DeadClient(), one.lane.stopping)  # type: ignore[arg-type]
            with pytest.raises(EnvironmentFault, match="Kafka answers, and ingest can not end its transaction"):
                calls.repeat(never)

        await one.lane._on_thread(wait_for_ever)
