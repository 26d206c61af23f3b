"""A lane that acknowledges at once and commits offsets later, on a real broker: what comes again, what does not, and when."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from streams.errors import Fenced, RetryLater
from streams.provision.topics import create_topics
from streams.runtime.acked_lane import CHECKPOINT_EVERY, AckedLane
from streams.runtime.batch import Batch, Output
from streams.stack.native import NativeStack
from tests.integration.lane_driver import LaneDriver


class Copier(LaneDriver):
    """Copies one topic to another; `settles` says whether it makes checkpoints when they are due."""

    def __init__(self, stack: NativeStack, topic: str) -> None:
        self.source, self.target = f"{topic}-in", f"{topic}-out"
        self.kafka = stack.settings.kafka
        self.settles = True
        self.read: list[bytes] = []
        self.empty = 0
        self.lane = AckedLane("ingest", [self.source], bootstrap=self.kafka, group=topic, client_id=topic)

    async def deliver(self, batch: Batch) -> None:
        if batch.records:
            await batch.commit([Output(self.target, None, record.value()) for record in batch.records])
            self.read += [record.value() for record in batch.records]
        self.empty += not batch.records
        if self.settles and self.lane.due:
            await self.lane.checkpoint()
        batch.finish()

    def say(self, *values: bytes) -> None:
        producer = Producer({"bootstrap.servers": self.kafka, "log_level": 0})
        for value in values:
            producer.produce(self.source, value=value)
        assert producer.flush(20) == 0

    def committed(self) -> int:
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": self.lane.group, "log_level": 0})
        try:
            return int(consumer.committed([TopicPartition(self.source, 0)], timeout=10)[0].offset)
        finally:
            consumer.close()

    def copied(self) -> int:
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "none", "log_level": 0})
        try:
            return int(consumer.get_watermark_offsets(TopicPartition(self.target, 0), timeout=10)[1])
        finally:
            consumer.close()


def topics(stack: NativeStack) -> str:
    name = f"acked-{uuid.uuid4().hex[:8]}"
    settings = stack.settings.model_copy(update={"partitions": 1})
    create_topics(settings, {f"{name}-in": {}, f"{name}-out": {}})
    return name


async def test_offsets_of_acknowledged_records_are_committed_without_further_records(stack: NativeStack) -> None:
    async with Copier(stack, topics(stack)) as one:
        one.say(b"a", b"b")
        await one.until(lambda: len(one.read) == 2)
        assert one.lane.figures.records_out == 2
        assert one.copied() == 2, "it is acknowledged before the batch is done"
        await one.until(lambda: one.empty and not sum(one.lane.lag().values()))
        await one.until(lambda: one.committed() == 2, 5)
        empty = one.empty
        await asyncio.sleep(5 * CHECKPOINT_EVERY)
        assert one.empty == empty, "nothing is due where nothing waits"


async def test_uncommitted_records_are_lag_and_are_read_once_more(stack: NativeStack) -> None:
    name = topics(stack)
    async with Copier(stack, name) as one:
        one.settles = False
        one.say(b"a", b"b", b"c")
        await one.until(lambda: one.empty)
        assert sum(one.lane.lag().values()) > 0
    async with Copier(stack, name) as two:
        await two.until(lambda: len(two.read) == 3)
        await two.until(lambda: two.committed() == 3, 5)
    assert two.copied() == 6


async def test_worker_that_lost_its_session_reads_on_from_committed_offsets(stack: NativeStack) -> None:
    async with Copier(stack, topics(stack)) as one:
        one.say(b"a")
        await one.until(lambda: one.committed() == 1, 10)
        one.settles = False
        one.say(b"b")
        await one.until(lambda: len(one.read) == 2)
        before = one.assignments
        # As the coordinator answers one that was away for longer than its session.
        one.lane._on_commit(KafkaError(KafkaError.ILLEGAL_GENERATION, "gone"), [])
        await one.until(lambda: one.assignments > before)
        one.settles = True
        await one.until(lambda: one.read == [b"a", b"b", b"b"])
        await one.until(lambda: one.committed() == 2, 10)


async def test_refused_record_is_reported_and_its_batch_is_not_committed(stack: NativeStack) -> None:
    async with Copier(stack, topics(stack)) as one:
        with pytest.raises(RetryLater, match="Kafka refused what ingest emits") as refused:
            await one.lane.commit([Output(one.target, None, b"x" * 9_000_000)], {(one.source, 0): 1})
        assert not isinstance(refused.value, Fenced)
        assert not one.lane.due and one.committed() < 0
        one.say(b"a")
        await one.until(lambda: one.committed() == 1, 10)


def test_lane_reports_that_it_waits_for_acks(stack: NativeStack) -> None:
    lane: Any = AckedLane("ingest", ["t"], bootstrap=stack.settings.kafka, group="g", client_id="x")
    left = [2, 2, 0]
    lane._producer = type("P", (), {"flush": lambda self, seconds: left.pop(0)})()
    waiting: list[str | None] = []
    lane.broker.answers = lambda consumer: waiting.append(lane.broker.waiting)
    lane.calls.flush(lane._producer)
    assert waiting == ["ingest waits: Kafka does not accept what it emits (2 records wait)"] * 2
    assert lane.broker.waiting is None
    lane._thread.shutdown(wait=False)
