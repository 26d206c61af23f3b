"""The consumer of one lane: subscribing, polling, rebalances, committing offsets.

Every method runs on the lane's one thread. librdkafka serves rebalances inside a poll, so Kafka takes partitions away
only between two batches. A call of a client also waits for every other call of it: nobody else may call this consumer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from operator import methodcaller
from typing import Protocol, cast

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from mode.utils.logging import get_logger

from streams.errors import EnvironmentFault
from streams.model.kafka_record import KafkaRecord
from streams.model.partition import Partition
from streams.runtime.batch import Offsets
from streams.runtime.broker_probe import BrokerProbe
from streams.runtime.progress import Progress
from streams.runtime.stall import StallDetector

logger = get_logger(__name__)

WATERMARKS_EVERY = 0.2
"""Seconds between two looks at the client's watermarks, which are for figures only."""

_error_of = methodcaller("error")


class PolledRecord(KafkaRecord, Protocol):
    """What a poll returns: a record, or an event of the consumer, which has an error."""

    def error(self) -> KafkaError | None: ...


OnCommit = Callable[[KafkaError | None, list[TopicPartition]], None]


def consumer_config(bootstrap: str, group: str, client_id: str, session_timeout_ms: int) -> dict[str, object]:
    """The settings of every lane's consumer."""
    return {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "client.id": client_id,
        "auto.offset.reset": "earliest",
        # The lane commits: a client that commits by itself commits what is still being worked on.
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,  # transaction markers take offsets: without it nobody knows that all is read
        # What a killed or fenced worker emitted is in the topic, in a transaction that was aborted.
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "range",
        "session.timeout.ms": session_timeout_ms,
        # Six heartbeats in a session: a single one that is late costs no partitions.
        "heartbeat.interval.ms": max(500, session_timeout_ms // 6),
        # A batch that waits for a server takes long, and is no reason to lose its partitions. Whether the worker is
        # stuck is judged by `Health`.
        "max.poll.interval.ms": max(300_000, session_timeout_ms),
        # Short waits: people wait for a single change. librdkafka's defaults are 500 ms and 1 s.
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": 5,
        # What may wait in the client's memory; a worker needs at most the next batch.
        "queued.min.messages": 10_000,
        "queued.max.messages.kbytes": 4_096,
        "fetch.max.bytes": 2_000_000,  # compressed, and eight times as much unpacked
        "topic.metadata.refresh.interval.ms": 30_000,
        "log_level": 4,
    }


def _shows_partition_is_readable(record: PolledRecord) -> bool:
    error = record.error()
    return error is None or error.code() == KafkaError._PARTITION_EOF


class Poller:
    """`on_assigned` is called on the thread, inside a poll, with the partitions that a rebalance left the lane."""

    def __init__(
        self,
        name: str,
        topics: list[str],
        config: dict[str, object],
        *,
        batch_size: int,
        broker: BrokerProbe,
        on_commit: OnCommit,
        on_assigned: Callable[[set[Partition]], None],
        stopping: threading.Event,
    ) -> None:
        self.progress = Progress()
        self.stall = StallDetector()
        self.batch_size = batch_size
        self._name = name
        self._topics = topics
        self._broker = broker
        self._on_assigned = on_assigned
        self._stopping = stopping
        self._next_watermarks = 0.0
        self.paused_topics: frozenset[str] = frozenset()
        """Topics that are left unread. Another thread may replace the set; the next poll follows it."""
        self._paused: set[Partition] = set()
        self.consumer = Consumer({**config, "error_cb": broker.on_error, "on_commit": on_commit}, logger=logger)

    def subscribe(self) -> None:
        self.consumer.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def rejoin(self) -> None:
        """Leave the group and join it again, with no partitions until it assigns some."""
        self.consumer.unsubscribe()
        self.set_assigned(set())
        self.subscribe()

    def close(self) -> None:
        """Leave the group."""
        self.consumer.close()

    def poll(self, patience: float, linger: float) -> list[PolledRecord]:
        """Up to `batch_size` records. Wait `patience` seconds for the first one, and `linger` seconds more for a fuller
        batch.

        Raises EnvironmentFault when the consumer can not go on.
        """
        progress, stall = self.progress, self.stall
        self._follow_pauses()
        if stall.is_due(time.monotonic()):
            stall.check(progress.assigned - self._paused, progress.read_up_to, self._ask_ends, time.monotonic())
        # `poll` returns as soon as one record is there; `consume` alone would wait until it has `batch_size` of them.
        first = self.consumer.poll(patience)
        polled_under = progress.generation
        self._refresh_watermarks()
        self._broker.probe(self.consumer)
        if first is None or self._stopping.is_set():
            stall.note_poll(drained=True)
            progress.note_poll(empty=True)
            return []
        progress.note_poll(empty=False)
        if linger:
            time.sleep(linger)
        records = cast(list[PolledRecord], self.consumer.consume(self.batch_size - 1, 0))
        stall.note_poll(drained=len(records) < self.batch_size - 1)
        if progress.generation == polled_under:
            # Else a rebalance came in between: the partition of `first` went, or is read once more from its committed
            # offset.
            records.insert(0, cast(PolledRecord, first))
        if progress.unreached():
            for record in records:
                if _shows_partition_is_readable(record):
                    progress.reached.add((record.topic(), record.partition()))
                    progress.began.setdefault((record.topic(), record.partition()), record.offset())
        if not any(map(_error_of, records)):
            return records
        return [record for record in records if self._is_record(record)]

    def commit_offsets(self, offsets: Offsets) -> None:
        """Send offsets to the coordinator. `on_commit` gets its answer during a later poll. Raises KafkaException."""
        partitions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        self.consumer.commit(offsets=partitions, asynchronous=True)

    def set_assigned(self, partitions: set[Partition]) -> None:
        self.progress.assign(partitions)
        self.stall.reset()
        self._next_watermarks = 0.0  # watermarks of the new partitions are needed at once
        self._on_assigned(partitions)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Here, and not by the client after this callback: a partition must be paused before its first record is read.
        consumer.assign(partitions)
        self._paused = set()
        self.progress.forget_reads()
        self.set_assigned({(tp.topic, tp.partition) for tp in partitions})
        self._follow_pauses()

    def _follow_pauses(self) -> None:
        """Pause and resume partitions, as `paused_topics` says. What the client had fetched of a paused partition is
        fetched again when it is resumed: the position is that of the last record that a poll returned.
        """
        wanted = {tp for tp in self.progress.assigned if tp[0] in self.paused_topics}
        if wanted == self._paused:
            return
        pause, resume = wanted - self._paused, (self._paused - wanted) & self.progress.assigned
        if pause:
            self.consumer.pause([TopicPartition(*tp) for tp in sorted(pause)])
        if resume:
            self.consumer.resume([TopicPartition(*tp) for tp in sorted(resume)])
        self._paused = wanted
        self.progress.reached |= wanted  # nothing is expected of them
        self.stall.reset()
        logger.warning("%s: %d partitions are paused now", self._name, len(wanted))

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.set_assigned(self.progress.assigned - {(tp.topic, tp.partition) for tp in partitions})

    def _refresh_watermarks(self) -> None:
        if time.monotonic() < self._next_watermarks:
            return
        self._next_watermarks = time.monotonic() + WATERMARKS_EVERY
        self.progress.watermarks = {
            tp: self.consumer.get_watermark_offsets(TopicPartition(*tp), cached=True) for tp in self.progress.assigned
        }

    def _ask_ends(self, partitions: list[Partition]) -> Offsets | None:
        """Where partitions end for readers of committed records; None when no broker answers within a second."""
        try:
            answers = self.consumer.offsets_for_times(
                [TopicPartition(*tp, OFFSET_END) for tp in partitions], timeout=1.0
            )
        except KafkaException:
            return None
        return {(answer.topic, answer.partition): answer.offset for answer in answers if answer.error is None}

    def _is_record(self, record: PolledRecord) -> bool:
        """Whether this is a record, and not an event of the consumer. Raises EnvironmentFault for a fatal error."""
        error = record.error()
        if error is None:
            return True
        if error.fatal():
            raise EnvironmentFault(f"{self._name}: {error.str()}", remedy="restart this worker")
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            logger.warning("%s: %s; `opshub apply` creates missing topics", self._name, error.str())
        elif error.code() == KafkaError._PARTITION_EOF:
            self.progress.ends[record.topic(), record.partition()] = record.offset()
        else:
            logger.warning("%s: %s", self._name, error.str())
        return False
