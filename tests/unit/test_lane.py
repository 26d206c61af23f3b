"""What a lane knows about itself, without any broker: partitions without records, and calls that timed out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.runtime import stall
from streams.runtime.fenced_lane import FencedLane
from streams.runtime.health import Health
from streams.runtime.lane import Lane
from streams.runtime.metrics import WorkerMetrics
from streams.runtime.worker_state import WorkerState


@pytest.fixture
def lane() -> Iterator[FencedLane]:
    made = FencedLane("ingest", ["t"], bootstrap="", group="g", client_id="x")
    made.progress.assigned = {("t", 0), ("t", 1)}
    yield made
    made._thread.shutdown(wait=False)


def health(lane: FencedLane) -> Health:
    return Health(WorkerState("w", {"ingest": lane}))


def test_worker_is_not_ready_while_nothing_comes_of_a_partition(lane: FencedLane) -> None:
    lane.progress.reached, lane.progress.watermarks = {("t", 0)}, {("t", 0): (0, 7), ("t", 1): (-1001, -1001)}
    lane.progress.consumed = {("t", 0): 7}
    assert lane.lag() == {("t", 0): 0, ("t", 1): 1}
    assert health(lane).problem(ready=True) is None, "it was asked at once"
    lane.progress._silent_since = lane.figures.last_progress - 11
    assert "gets nothing of 1 of its partitions, for example t:1" in (health(lane).problem(ready=True) or "")
    assert health(lane).problem() is None
    lane.progress._silent_since = lane.figures.last_progress - 200
    assert "gets nothing of 1 of its partitions" in (health(lane).problem() or "")
    lane.progress.reached.add(("t", 1))
    silence: Any = SimpleNamespace(poll=lambda _: None, get_watermark_offsets=lambda *_, **__: (0, 7))
    lane.poller.consumer = silence
    lane._poll()
    assert health(lane).problem(ready=True) is None


def test_long_commit_is_stuck_unless_the_lane_waits(lane: FencedLane) -> None:
    lane.progress.reached = set(lane.progress.assigned)
    lane.figures.committing_since = lane.figures.last_progress - 50
    assert "waited for the end of a transaction" in (health(lane).problem() or "")
    lane.broker.waiting = "ingest waits"
    assert health(lane).problem() is None


def test_call_that_never_returns_is_stuck_although_the_lane_waits(lane: FencedLane) -> None:
    """librdkafka #5456, after the broker was away for longer than one call."""
    lane.progress.reached, lane.broker.waiting = set(lane.progress.assigned), "ingest waits"
    problems: list[str | None] = []

    def asleep(seconds: float) -> None:
        assert lane.calls.since is not None
        problems.append(health(lane).problem())
        lane.calls.since -= 30
        problems.append(health(lane).problem())

    lane.calls.repeat(asleep)
    assert problems[0] is None and "waited for the end of a transaction for 30 s" in (problems[1] or "")
    assert health(lane).problem() is None


def test_lane_that_polls_nothing_although_there_is_more_is_stalled(
    lane: FencedLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust #175, aiokafka #1154: alive, and every partition was reached once."""
    monkeypatch.setattr(stall, "CHECK_EVERY", 0.0)
    monkeypatch.setattr(stall, "STALLED_AFTER", 0.0)
    lane.progress.reached, lane.progress.consumed = set(lane.progress.assigned), {("t", 0): 7, ("t", 1): 7}
    ends = {0: 1_000_000, 1: 7}

    def asked(partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        assert timeout <= 1
        return [TopicPartition(one.topic, one.partition, ends[one.partition]) for one in partitions]

    lane.poller.consumer = SimpleNamespace(
        poll=lambda _: None, get_watermark_offsets=lambda *_, **__: (0, 7), offsets_for_times=asked
    )
    for _ in range(stall.MIN_CHECKS + 3):  # the first poll runs dry, the first look asks nothing
        assert health(lane).problem() is None
        lane._poll()
    problem = health(lane).problem() or ""
    assert "is stalled on 1 of its partitions, for example t:0" in problem and "1,000,000" in problem
    assert health(lane).problem(ready=True) == problem
    lane.broker.waiting = "ingest waits"
    assert health(lane).problem() is None
    lane.broker.waiting = None
    lane.poller.set_assigned({("t", 1)})
    assert health(lane).problem() is None


def test_ends_of_partitions_that_move_or_have_a_backlog_are_not_requested(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stall, "CHECK_EVERY", 0.0)
    record: Any = SimpleNamespace(error=lambda: None, topic=lambda: "t", partition=lambda: 0, offset=lambda: 5)
    looks: list[list[int]] = []
    lane.poller.batch_size, lane.progress.reached, lane.progress.consumed = (
        3,
        set(lane.progress.assigned),
        {("t", 0): 5, ("t", 1): 5},
    )
    lane.poller.consumer = SimpleNamespace(
        poll=lambda _: record, get_watermark_offsets=lambda *_, **__: (0, 7), consume=lambda most, _: [record] * most,
        offsets_for_times=lambda asked, timeout: looks.append([one.partition for one in asked]) or [],
    )  # fmt: skip
    for _ in range(5):
        lane._poll()
    assert looks == []
    lane.poller.consumer.consume = lambda *_: []
    for offset in range(6, 10):
        lane._poll()
        lane.progress.consumed["t", 0] = offset
    assert looks == [[1], [1]]


def test_deliverer_without_progress_is_stuck() -> None:
    deliverer: Any = SimpleNamespace(progress={"erp": time.monotonic()}, waiting={})
    alone = Health(WorkerState("w", {}, deliverer=deliverer))
    assert alone.problem(ready=True) is None
    deliverer.waiting["erp"] = "deliver waits: the hub does not answer"
    assert (alone.problem(), alone.problem(ready=True)) == (None, deliverer.waiting["erp"])
    deliverer.progress["erp"] -= 301
    assert "the deliverer of erp has made no progress" in (alone.problem() or "")


def test_lag_of_a_revoked_partition_is_not_exported(lane: FencedLane) -> None:
    lane.progress.reached = set(lane.progress.assigned)
    lane.progress.watermarks = {("t", 0): (0, 50_000), ("t", 1): (0, 0)}
    metrics = WorkerMetrics(WorkerState("w", {"ingest": lane}), {}, [], lambda _: (0, ""))
    exported = metrics.prometheus(ready=True).decode()
    assert 'opshub_lag_records{lane="ingest",partition="0",topic="t"} 50000.0' in exported
    lane.progress.assigned = {("t", 1)}
    assert 'partition="0"' not in metrics.prometheus(ready=True).decode()


def test_call_that_timed_out_is_repeated_for_its_outcome(lane: FencedLane) -> None:
    calls: list[tuple[Any, ...]] = []

    def commit(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) < 3:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "retry call to resume", False, True))

    lane.calls._consumer = SimpleNamespace(list_topics=lambda *_, **__: None)
    lane.calls.repeat(commit, "offsets")
    assert calls == [("offsets", 5)] * 3
    assert "waits" in str(lane.broker.waiting)

    def refuse(*arguments: Any) -> None:
        raise KafkaException(KafkaError(KafkaError.INVALID_TXN_STATE, "no", False, False, True))

    with pytest.raises(KafkaException):
        lane.calls.repeat(refuse)


def test_record_polled_before_a_rebalance_is_dropped(lane: FencedLane) -> None:
    """A rebalance is served by any call of the consumer, so also between the two that make one batch."""

    def record(partition: int) -> Any:
        return SimpleNamespace(error=lambda: None, topic=lambda: "t", partition=lambda: partition, offset=lambda: 5)

    before, after = record(1), record(0)

    def consume(*_: Any) -> list[Any]:
        lane.poller.set_assigned({("t", 0)})
        return [after]

    consumer: Any = SimpleNamespace(
        poll=lambda _: before, get_watermark_offsets=lambda *_, **__: (0, 7), consume=consume
    )
    lane.poller.consumer = consumer
    assert lane._poll() == [after]
    consumer.consume = lambda *_: [after]
    assert lane._poll() == [before, after]


def test_what_others_read_before_is_no_lag(lane: FencedLane) -> None:
    """A worker that was assigned a partition that was read before, and works on its first batch."""
    lane.progress.reached, lane.progress.watermarks = {("t", 0), ("t", 1)}, {("t", 0): (0, 61_322), ("t", 1): (0, 0)}
    lane.progress.began = {("t", 0): 61_300, ("t", 1): 0}
    assert lane.progress.lag(idle=False) == {("t", 0): 22, ("t", 1): 0}
