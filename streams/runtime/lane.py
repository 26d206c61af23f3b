"""One agent's own path through Kafka: a consumer group, and producers whose transactions are fenced by it.

In: topics. Out: batches in offset order, one in flight at a time, each followed by one transaction that holds
everything the batch gave rise to together with the offsets it consumed.

Promises. A batch is delivered again until its transaction commits. Kafka gives partitions away only
between two batches, since rebalances are served by the same thread that polls. A worker that lost its partitions without knowing
(it stood still for longer than the session) is refused by the group coordinator when it sends its offsets
(KIP-447: member and generation travel with the transaction), so nothing that it emits late is ever read.
Readers need `isolation.level=read_committed`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from mode.utils.logging import get_logger

from streams.errors import EnvironmentFault, Fenced, RetryLater
from streams.runtime.fault_points import fault_point

logger = get_logger(__name__)

TP = tuple[str, int]

_GONE = {
    KafkaError._FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._ASSIGNMENT_LOST,
}


PRODUCERS = 3
"""They take turns: after a commit the broker still marks the partitions of that transaction, and lets the same producer not begin
another before it is done, which takes longer than a small batch does.
"""


class Output(NamedTuple):
    """One record to produce; `value` None is a tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


class Batch:
    """What one poll returned, over all partitions of the lane; each partition's records in offset order."""

    __slots__ = ("consumed", "done", "lane", "records")

    def __init__(self, lane: Lane, records: list[Any], consumed: dict[TP, int], done: asyncio.Future[None]) -> None:
        self.lane = lane
        self.records = records
        self.consumed = consumed
        """The next offset to read of each partition, once this batch is done."""
        self.done = done

    async def commit(self, outputs: Iterable[Output]) -> None:
        """Produce `outputs`, wait for every ack and commit the offsets, in one transaction.

        Raises Fenced when another worker owns these partitions by now: drop the batch, nothing of it was emitted.
        """
        await self.lane.commit(outputs, self.consumed)

    def finish(self, error: BaseException | None = None) -> None:
        """Say that the work on this batch ended: the lane polls again, or stops with `error`."""
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)


Deliver = Callable[[Batch], Awaitable[None]]
Rebalanced = Callable[[set[TP]], Awaitable[None]]


class Lane:
    """A consumer group and transactional producers, driven by one thread.

    `transaction_timeout_ms` is how long a transaction that a killed worker left open holds up whoever takes over.
    `linger` is how long, in seconds, a poll waits for a fuller batch after its first record.
    """

    def __init__(
        self,
        name: str,
        topics: list[str],
        *,
        bootstrap: str,
        group: str,
        transactional_id: str,
        batch_size: int = 4000,
        linger: float = 0.0,
        session_timeout_ms: int = 6000,
        transaction_timeout_ms: int = 8_000,
    ) -> None:
        self.name = name
        self._produced = f"{name}.produced"
        self.topics = topics
        self.group = group
        self.batch_size = batch_size
        self.linger = linger
        self.assigned: set[TP] = set()
        self.generation = 0
        """Grows with each assignment: what was cached under an older one may be stale."""
        self.last_progress = time.monotonic()
        self.records_in = 0
        self.records_out = 0
        self.batches = 0
        self.work_s = 0.0
        """Seconds that batches were worked on, their commits included."""
        self.commit_s = 0.0
        """Seconds of those that were spent on commits."""
        self.consumed: dict[TP, int] = {}
        """Next offset to read, by partition, of what is committed."""
        self.ends: dict[TP, int] = {}
        """Where a poll last found a partition's end."""
        self.waiting: str | None = None
        """Why no broker can be read from, while that is so."""
        self._next_probe = 0.0
        self._watermarks: dict[TP, tuple[int, int]] = {}
        self._next_watermarks = 0.0
        self._stopping = False
        self._idle = True
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"lane-{name}")
        self._on_rebalance: Rebalanced | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "client.id": transactional_id,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "partition.assignment.strategy": "range",
                "session.timeout.ms": session_timeout_ms,
                "heartbeat.interval.ms": max(500, session_timeout_ms // 6),
                "max.poll.interval.ms": max(300_000, session_timeout_ms),
                "fetch.wait.max.ms": 100,
                "fetch.queue.backoff.ms": 5,
                "queued.min.messages": 20_000,
                "queued.max.messages.kbytes": 32_768,
                "topic.metadata.refresh.interval.ms": 30_000,
                "log_level": 4,
                "error_cb": self._broker_error,
            },
            logger=logger,
        )
        self._producers = [
            Producer(
                {
                    "bootstrap.servers": bootstrap,
                    "client.id": transactional_id,
                    "transactional.id": f"{transactional_id}-{turn}",
                    "transaction.timeout.ms": transaction_timeout_ms,
                    "compression.type": "lz4",
                    "linger.ms": 0.5,
                    # A transaction that begins while this producer's last one is still being marked is told to wait.
                    "retry.backoff.ms": 5,
                    "retry.backoff.max.ms": 50,
                    "batch.num.messages": 10_000,
                    "queue.buffering.max.messages": 500_000,
                    "message.max.bytes": 8_000_000,
                    "partitioner": "murmur2_random",
                    "log_level": 4,
                },
                logger=logger,
            )
            for turn in range(PRODUCERS)
        ]
        self._turn = 0

    # -- the asyncio side

    async def run(self, deliver: Deliver, on_rebalance: Rebalanced) -> None:
        """Poll, deliver, wait until the batch is done; for ever. Raises what a batch was finished with, but for Fenced."""
        self._loop = asyncio.get_running_loop()
        self._on_rebalance = on_rebalance
        await self._call(self._open)
        while not self._stopping:
            records = await self._call(self._poll)
            self.last_progress = time.monotonic()
            if not records:
                self._idle = True
                continue
            self._idle = False
            consumed: dict[TP, int] = {}
            for record in records:
                consumed[record.topic(), record.partition()] = record.offset() + 1
            batch = Batch(self, records, consumed, self._loop.create_future())
            try:
                await deliver(batch)
                await batch.done
                self.work_s += time.monotonic() - self.last_progress
                self.batches += 1
                self.records_in += len(records)
                self.consumed.update(consumed)
                self._idle = True
            except Fenced as gone:
                logger.warning("%s: another worker owns these partitions now (%s); rejoining", self.name, gone)
                await self._call(self._rejoin)

    async def commit(self, outputs: Iterable[Output], consumed: dict[TP, int]) -> None:
        """See Batch.commit."""
        started = time.monotonic()
        await self._call(self._commit, outputs, consumed)
        self.commit_s += time.monotonic() - started

    async def stop(self) -> None:
        """Leave the group and close; a batch in flight has ended before, or is dropped uncommitted."""
        self._stopping = True
        await self._call(self._close)
        self._thread.shutdown(wait=False)

    def lag(self) -> dict[TP, int]:
        """Records still to read, by partition, as far as the last fetch told."""
        lags: dict[TP, int] = {}
        if self._stopping:
            return lags
        for tp, (low, high) in self._watermarks.items():
            if high >= 0 and tp in self.assigned:
                read = self.consumed.get(tp, max(low, 0))
                end = self.ends.get(tp, 0)
                lags[tp] = max(0, high - (max(read, end) if self._idle else read))
        return lags

    async def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    # -- the thread's side

    def _open(self) -> None:
        granted = 0
        while not self._stopping and granted < len(self._producers):
            try:
                self._producers[granted].init_transactions(10)
                granted += 1
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                if not error.retriable():
                    raise EnvironmentFault(
                        f"Kafka did not grant the transactional id of {self.name}: {error.str()}",
                        remedy="check that transactions are allowed to this user",
                    ) from raised
                self.waiting = f"{self.name} waits: Kafka does not answer ({error.str()})"
                logger.warning("%s", self.waiting)
        self.waiting = None
        self._consumer.subscribe(self.topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _poll(self) -> list[Any]:
        first = self._consumer.poll(0.25)
        self._note_watermarks()
        if self.waiting is not None:
            self._probe()
        if first is None or self._stopping:
            return []
        if self.linger:
            time.sleep(self.linger)
        messages = [first, *self._consumer.consume(self.batch_size - 1, 0)]
        if all(message.error() is None for message in messages):
            return messages
        return [message for message in messages if self._usable(message)]

    def _note_watermarks(self) -> None:
        """For `lag`. A call of a client waits for every other call of it, a poll in another thread too, so only this thread may ask."""
        if time.monotonic() < self._next_watermarks:
            return
        self._next_watermarks = time.monotonic() + 0.2
        self._watermarks = {
            tp: self._consumer.get_watermark_offsets(TopicPartition(*tp), cached=True) for tp in self.assigned
        }

    def _broker_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self.waiting is None:
            self.waiting = f"{self.name} waits: no broker of Kafka answers"
            logger.warning("%s", self.waiting)

    def _probe(self) -> None:
        """See whether the brokers are back: what says that they are away comes once, and nothing says that they are back."""
        if time.monotonic() < self._next_probe:
            return
        self._next_probe = time.monotonic() + 1.0
        try:
            self._consumer.list_topics(self.topics[0], timeout=1.0)
        except KafkaException:
            return
        self.waiting = None

    def _usable(self, message: Any) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.fatal():
            raise EnvironmentFault(f"{self.name}: {error.str()}", remedy="restart this worker")
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            logger.warning("%s: %s; `opshub apply` creates missing topics", self.name, error.str())
        elif error.code() == KafkaError._PARTITION_EOF:
            # Transaction markers take offsets too: only this tells that nothing is left to read.
            self.ends[message.topic(), message.partition()] = message.offset()
        else:
            logger.warning("%s: %s", self.name, error.str())
        return False

    def _commit(self, outputs: Iterable[Output], consumed: dict[TP, int]) -> None:
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in consumed.items()]
        pause = 0.05
        outputs = list(outputs)
        producer = self._producers[self._turn]
        self._turn = (self._turn + 1) % len(self._producers)
        while True:
            try:
                producer.begin_transaction()
                self._produce(producer, outputs)
                fault_point(self._produced)
                producer.send_offsets_to_transaction(offsets, self._consumer.consumer_group_metadata(), 30)
                producer.commit_transaction(30)
                self.records_out += len(outputs)
                self.waiting = None
                return
            except RetryLater:
                self._abort(producer)
                raise
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                if error.code() in _GONE or error.fatal():
                    if error.fatal() or error.code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED):
                        raise EnvironmentFault(
                            f"another worker uses the transactional id of {self.name}: {error.str()}",
                            remedy="give each worker a name of its own (--worker-name, OPSHUB_WORKER_NAME)",
                        ) from raised
                    self._abort(producer)
                    raise Fenced(error.str()) from raised
                self._abort(producer)
                if not (error.retriable() or error.txn_requires_abort()):
                    raise RetryLater(f"Kafka refused what {self.name} emits: {error.str()}") from raised
                if pause > 0.3:
                    self.waiting = f"{self.name} waits: Kafka does not take what it emits ({error.str()})"
                logger.warning("%s: transaction aborted (%s), again in %.2f s", self.name, error.str(), pause)
                time.sleep(pause)
                pause = min(pause * 2, 2.0)

    def _produce(self, producer: Producer, outputs: list[Output]) -> None:
        plain: dict[str, list[dict[str, Any]]] = {}
        for topic, key, value, headers in outputs:
            if headers is None:
                plain.setdefault(topic, []).append({"key": key, "value": value})
            else:
                self._produce_one(producer, topic, key, value, headers)
        for topic, messages in plain.items():
            if producer.produce_batch(topic, messages) != len(messages):
                for message in messages:
                    if "_error" in message:
                        self._produce_one(producer, topic, message["key"], message["value"], None)

    def _produce_one(
        self, producer: Producer, topic: str, key: bytes | None, value: bytes | None, headers: Any
    ) -> None:
        while True:
            try:
                producer.produce(topic, value=value, key=key, headers=headers)
                return
            except BufferError:
                producer.poll(0.05)

    def _abort(self, producer: Producer) -> None:
        try:
            producer.abort_transaction(30)
        except KafkaException as raised:
            error: KafkaError = raised.args[0]
            if error.fatal():
                raise EnvironmentFault(f"{self.name}: {error.str()}", remedy="restart this worker") from raised
            logger.warning("%s: abort: %s", self.name, error.str())

    def _rejoin(self) -> None:
        self._consumer.unsubscribe()
        self._set_assigned(set())
        self._consumer.subscribe(self.topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._set_assigned({(tp.topic, tp.partition) for tp in partitions})

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._set_assigned(self.assigned - {(tp.topic, tp.partition) for tp in partitions})

    def _set_assigned(self, partitions: set[TP]) -> None:
        self.assigned = partitions
        self.generation += 1
        self._next_watermarks = 0.0
        self.consumed = {tp: offset for tp, offset in self.consumed.items() if tp in partitions}
        if self._loop is not None and self._on_rebalance is not None and not self._stopping:
            asyncio.run_coroutine_threadsafe(self._tell(partitions), self._loop).result(30)

    async def _tell(self, partitions: set[TP]) -> None:
        if self._on_rebalance is not None:
            await self._on_rebalance(partitions)

    def _close(self) -> None:
        self._consumer.close()
