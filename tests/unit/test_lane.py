"""What a lane says of itself, without any broker: partitions that nothing came of, and calls that ran out of time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from prometheus_client import generate_latest

from streams.runtime import stall as standstill
from streams.runtime.fenced_lane import FencedLane
from streams.runtime.health import Health
from streams.runtime.lane import Lane


@pytest.fixture
def lane() -> Iterator[FencedLane]:
    made = FencedLane("ingest", ["t"], bootstrap="", group="g", client_id="x")
    made.assigned = {("t", 0), ("t", 1)}
    yield made
    made._thread.shutdown(wait=False)


def health(lane: FencedLane) -> Health:
    app: Any = SimpleNamespace(lanes={"ingest": lane}, waiting={}, stopped={})
    return Health(app, {}, [], lambda _: (0, ""))


def test_a_partition_of_which_nothing_comes_is_neither_read_nor_ready(lane: FencedLane) -> None:
    lane._reached, lane._watermarks = {("t", 0)}, {("t", 0): (0, 7), ("t", 1): (-1001, -1001)}
    lane.consumed = {("t", 0): 7}
    assert lane.lag() == {("t", 0): 0, ("t", 1): 1}
    assert health(lane).problem(ready=True) is None, "it was asked at once"
    lane._missed_since = lane.last_progress - 11
    assert "can not read 1 of its partitions: t:1" in (health(lane).problem(ready=True) or "")
    assert health(lane).problem() is None
    lane._missed_since = lane.last_progress - 200
    assert "can not read 1 of its partitions" in (health(lane).problem() or "")
    lane._reached.add(("t", 1))
    silence: Any = SimpleNamespace(poll=lambda _: None, get_watermark_offsets=lambda *_, **__: (0, 7))
    lane._consumer = silence
    lane._poll()
    assert health(lane).problem(ready=True) is None


def test_a_commit_that_says_nothing_is_stuck(lane: FencedLane) -> None:
    lane._reached = set(lane.assigned)
    lane.committing_since = lane.last_progress - 50
    assert "waited for the end of a transaction" in (health(lane).problem() or "")
    lane.waiting = "ingest waits"
    assert health(lane).problem() is None


def test_a_call_that_never_comes_back_is_stuck_though_the_lane_waits(lane: FencedLane) -> None:
    """librdkafka #5456, after the broker was away for longer than one call."""
    lane._reached, lane.waiting = set(lane.assigned), "ingest waits"
    problems: list[str | None] = []

    def asleep(seconds: float) -> None:
        assert lane.asking_since is not None
        problems.append(health(lane).problem())
        lane.asking_since -= 30
        problems.append(health(lane).problem())

    lane._patiently(asleep)
    assert problems[0] is None and "waited for the end of a transaction for 30 s" in (problems[1] or "")
    assert health(lane).problem() is None


def test_a_lane_that_polls_nothing_though_there_is_more_is_stuck(
    lane: FencedLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust #175, aiokafka #1154: alive, and every partition was reached once."""
    monkeypatch.setattr(standstill, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(standstill, "STILL_AFTER", 0.0)
    lane._reached, lane.consumed = set(lane.assigned), {("t", 0): 7, ("t", 1): 7}
    ends = {0: 1_000_000, 1: 7}

    def asked(partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        assert timeout <= 1
        return [TopicPartition(one.topic, one.partition, ends[one.partition]) for one in partitions]

    lane._consumer = SimpleNamespace(
        poll=lambda _: None, get_watermark_offsets=lambda *_, **__: (0, 7), offsets_for_times=asked
    )
    for _ in range(standstill.LEAST_LOOKS + 3):  # the first poll runs dry, the first look asks nothing
        assert health(lane).problem() is None
        lane._poll()
    told = health(lane).problem() or ""
    assert "reads nothing more of 1 of its partitions: t:0" in told and "1,000,000" in told
    assert health(lane).problem(ready=True) == told
    lane.waiting = "ingest waits"
    assert health(lane).problem() is None
    lane.waiting = None
    lane._set_assigned({("t", 1)})
    assert health(lane).problem() is None


def test_a_backlog_in_the_client_and_a_partition_that_moves_are_not_asked_about(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "LOOK_EVERY", 0.0)
    record: Any = SimpleNamespace(error=lambda: None, topic=lambda: "t", partition=lambda: 0, offset=lambda: 5)
    looks: list[list[int]] = []
    lane.batch_size, lane._reached, lane.consumed = 3, set(lane.assigned), {("t", 0): 5, ("t", 1): 5}
    lane._consumer = SimpleNamespace(
        poll=lambda _: record, get_watermark_offsets=lambda *_, **__: (0, 7), consume=lambda most, _: [record] * most,
        offsets_for_times=lambda asked, timeout: looks.append([one.partition for one in asked]) or [],
    )  # fmt: skip
    for _ in range(5):
        lane._poll()
    assert looks == []
    lane._consumer.consume = lambda *_: []
    for offset in range(6, 10):
        lane._poll()
        lane.consumed["t", 0] = offset
    assert looks == [[1], [1]]


def test_a_deliverer_that_does_not_come_back_is_stuck() -> None:
    deliverer: Any = SimpleNamespace(progress={"erp": time.monotonic()}, waiting={})
    app: Any = SimpleNamespace(lanes={}, waiting={}, stopped={})
    alone = Health(app, {}, [], lambda _: (0, ""), deliverer=deliverer)
    assert alone.problem(ready=True) is None
    deliverer.waiting["erp"] = "deliver waits: the hub does not answer"
    assert (alone.problem(), alone.problem(ready=True)) == (None, deliverer.waiting["erp"])
    deliverer.progress["erp"] -= 301
    assert "the deliverer of erp has made no progress" in (alone.problem() or "")


async def test_a_partition_that_went_has_no_lag_any_more(lane: FencedLane) -> None:
    lane._reached, lane._watermarks = set(lane.assigned), {("t", 0): (0, 50_000), ("t", 1): (0, 0)}
    one = health(lane)
    one._app.settings = SimpleNamespace(worker_name="w")  # type: ignore[assignment]
    await one.stats()
    assert 'opshub_lag_records{lane="ingest",partition="0",topic="t"} 50000.0' in generate_latest(one.registry).decode()
    lane.assigned = {("t", 1)}
    await one.stats()
    assert 'partition="0"' not in generate_latest(one.registry).decode()


def test_a_call_that_ran_out_of_time_is_asked_for_its_outcome(lane: FencedLane) -> None:
    told: list[tuple[Any, ...]] = []

    def commit(*arguments: Any) -> None:
        told.append(arguments)
        if len(told) < 3:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "retry call to resume", False, True))

    lane._consumer = SimpleNamespace(list_topics=lambda *_, **__: None)
    lane._patiently(commit, "offsets")
    assert told == [("offsets", 5)] * 3
    assert "waits" in str(lane.waiting)

    def refuse(*arguments: Any) -> None:
        raise KafkaException(KafkaError(KafkaError.INVALID_TXN_STATE, "no", False, False, True))

    with pytest.raises(KafkaException):
        lane._patiently(refuse)


def test_a_record_that_was_read_before_partitions_went_is_not_worked_on(lane: FencedLane) -> None:
    """A rebalance is served by any call of the consumer, so also between the two that make one batch."""

    def record(partition: int) -> Any:
        return SimpleNamespace(error=lambda: None, topic=lambda: "t", partition=lambda: partition, offset=lambda: 5)

    before, after = record(1), record(0)

    def consume(*_: Any) -> list[Any]:
        lane._set_assigned({("t", 0)})
        return [after]

    consumer: Any = SimpleNamespace(
        poll=lambda _: before, get_watermark_offsets=lambda *_, **__: (0, 7), consume=consume
    )
    lane._consumer = consumer
    assert lane._poll() == [after]
    consumer.consume = lambda *_: [after]
    assert lane._poll() == [before, after]
