"""One agent's own path through Kafka: a consumer group, and producers.

In: topics. Out: batches in offset order, one in flight at a time. How what a batch gave rise to is emitted, and when its offsets are
committed, is the kind of lane: `FencedLane` does both in one transaction, `AckedLane` emits at once and commits offsets later.

Promises. A batch is delivered again until it is done. Kafka gives partitions away only between two batches, since rebalances are served by
the same thread that polls. Readers need `isolation.level=read_committed`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from operator import methodcaller
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from mode.utils.logging import get_logger

from streams.errors import EnvironmentFault, Fenced
from streams.kafka.clients import PARTITIONER, admin_client
from streams.model.partition import Partition
from streams.runtime import stall as standstill

logger = get_logger(__name__)

GONE = {
    KafkaError._FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._ASSIGNMENT_LOST,
}


PRODUCER: dict[str, Any] = {
    "compression.type": "lz4",
    "batch.num.messages": 10_000,
    "queue.buffering.max.messages": 500_000,
    "message.max.bytes": 8_000_000,
    "partitioner": PARTITIONER,
    "log_level": 4,
}
"""What the producers of every lane have in common."""


_error_of = methodcaller("error")


def _comes_from(message: Any) -> bool:
    """Whether it says that its partition can be read."""
    error = message.error()
    return error is None or error.code() == KafkaError._PARTITION_EOF


def _answers(client: Consumer | AdminClient, topic: str) -> bool:
    """Whether a broker tells this client of the topic."""
    try:
        client.list_topics(topic, timeout=1.0)
    except KafkaException:
        return False
    return True


GATHERS_FROM = 0.04
"""Seconds that a small batch takes where the cores are crowded: with cores to spare it takes a third of them."""
GATHERS_MOST = 0.25
"""Seconds that a batch gathers at most."""

SLEEPS_AFTER = 10.0
"""Seconds from which on what Kafka was asked to take, and does not answer though it answers others, is not going to be taken."""
ASKS_FOR = 5
"""Seconds that a producer is asked for something at a time."""


class Output(NamedTuple):
    """One record to produce; `value` None is a tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


class Batch:
    """What one poll returned, over all partitions of the lane; each partition's records in offset order."""

    __slots__ = ("consumed", "done", "emitted", "lane", "records")

    def __init__(
        self, lane: Lane, records: list[Any], consumed: dict[Partition, int], done: asyncio.Future[None]
    ) -> None:
        self.lane = lane
        self.records = records
        self.consumed = consumed
        """The next offset to read of each partition, once this batch is done."""
        self.done = done
        self.emitted = False
        """Whether all that it gave rise to is acknowledged."""

    async def commit(self, outputs: Iterable[Output]) -> None:
        """Produce `outputs` and wait for every ack; what becomes of the offsets is the lane's.

        Raises Fenced when another worker owns these partitions by now: drop the batch.
        """
        await self.lane.commit(outputs, self.consumed)
        self.emitted = True

    def finish(self, error: BaseException | None = None) -> None:
        """Say that the work on this batch ended: the lane polls again, or stops with `error`."""
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)


Deliver = Callable[[Batch], Awaitable[None]]
Rebalanced = Callable[[set[Partition]], Awaitable[None]]


class Lane:
    """A consumer group, driven by one thread; the kinds of lane add the producers. `client_id` is unique to the lane and its worker.

    `gather` is how long a batch may gather after its first record when a small one before took long: a multiple of that time.
    A batch costs the same for one record as for a thousand; where the cores are crowded, fuller batches leave more of them to others.
    """

    def __init__(
        self,
        name: str,
        topics: list[str],
        *,
        bootstrap: str,
        group: str,
        client_id: str,
        batch_size: int = 10_000,
        gather: float = 0.0,
        session_timeout_ms: int = 6000,
    ) -> None:
        self.name = name
        self._bootstrap = bootstrap
        self._produced = f"{name}.produced"
        self.topics = topics
        self.group = group
        self.batch_size = batch_size
        self._gather = gather
        self._pause = 0.0
        """Seconds that the next poll waits for a fuller batch after its first record."""
        self.assigned: set[Partition] = set()
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
        self.consumed: dict[Partition, int] = {}
        """Next offset to read, by partition, of what is committed."""
        self.ends: dict[Partition, int] = {}
        """Where a poll last found a partition's end."""
        self._reached: set[Partition] = set()
        """Partitions of which a record, or the end, was seen since they were assigned."""
        self._missed_since: float | None = None
        """Since when nothing comes although there are partitions that were not reached."""
        self.committing_since: float | None = None
        """Since when a commit is under way."""
        self.asking_since: float | None = None
        """Since when a producer was asked for something that it answers, or not, within five seconds."""
        self.waiting: str | None = None
        """Why no broker can be read from, while that is so."""
        self._next_probe = 0.0
        self._watermarks: dict[Partition, tuple[int, int]] = {}
        self._next_watermarks = 0.0
        self._still: dict[Partition, standstill.Still] = {}
        self._read_then: dict[Partition, int] = {}
        """Up to where each partition was read at the last look."""
        self._next_look = 0.0
        self._ran_dry = False
        """Whether a poll since the last look left nothing waiting in the client."""
        self._stopping = False
        self._idle = True
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"lane-{name}")
        self._on_rebalance: Rebalanced | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "client.id": client_id,
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
                "queued.min.messages": 10_000,
                "queued.max.messages.kbytes": 4_096,
                "fetch.max.bytes": 2_000_000,  # compressed, and eight times as much unpacked
                "topic.metadata.refresh.interval.ms": 30_000,
                "log_level": 4,
                "error_cb": self._broker_error,
                "on_commit": self._committed,
            },
            logger=logger,
        )

    # -- the asyncio side

    async def run(self, deliver: Deliver, on_rebalance: Rebalanced) -> None:
        """Poll, deliver, wait until the batch is done; for ever. Raises what a batch was finished with, but for Fenced."""
        self._loop = asyncio.get_running_loop()
        self._on_rebalance = on_rebalance
        await self._call(self._open)
        await self._call(self._subscribe)
        while not self._stopping:
            try:
                await self._once(deliver)
            except Fenced as gone:
                if self._stopping:
                    return
                logger.warning("%s: another worker owns these partitions now (%s); rejoining", self.name, gone)
                await self._call(self._rejoin)

    async def _once(self, deliver: Deliver) -> None:
        records = await self._call(self._poll)
        self.last_progress = time.monotonic()
        if not records:
            self._idle = not self._unsettled()
            self._pause = 0.0
            if not self.due:
                return
        else:
            self._idle = False
        consumed: dict[Partition, int] = {}
        for record in records:
            consumed[record.topic(), record.partition()] = record.offset() + 1
        batch = Batch(self, records, consumed, asyncio.get_running_loop().create_future())
        await deliver(batch)
        await batch.done
        took = time.monotonic() - self.last_progress
        crowded = took > GATHERS_FROM and len(records) <= self.batch_size // 2
        self._pause = min(took * self._gather, GATHERS_MOST) if crowded else 0.0
        self.work_s += took
        if records:
            self.batches += 1
            self.records_in += len(records)
        self._worked(consumed)
        self._idle = not self._unsettled()

    @property
    def due(self) -> bool:
        """Whether an empty batch is to be delivered when nothing comes, so that what waits to be settled is."""
        return False

    def _unsettled(self) -> bool:
        """Whether offsets of what was worked on wait to be committed."""
        return False

    def _worked(self, consumed: dict[Partition, int]) -> None:
        """A batch is done."""
        self.consumed.update(consumed)

    async def commit(self, outputs: Iterable[Output], consumed: dict[Partition, int]) -> None:
        """See Batch.commit."""
        self.committing_since = started = time.monotonic()
        try:
            await self._call(self._commit, outputs, consumed)
        finally:
            self.committing_since = None
        self.commit_s += time.monotonic() - started

    async def stop(self) -> None:
        """Leave the group and close; a batch in flight has ended before, or is dropped uncommitted."""
        self._stopping = True
        await self._call(self._close)
        self._thread.shutdown(wait=False)

    def lag(self) -> dict[Partition, int]:
        """Records still to read, by partition, as far as the last fetch told."""
        lags: dict[Partition, int] = {}
        if self._stopping:
            return lags
        for tp in self.assigned:
            low, high = self._watermarks.get(tp, (-1, -1))
            if tp not in self._reached or (high < 0 and not self._idle):
                lags[tp] = 1  # nobody knows how many
            elif high >= 0:
                read = self.consumed.get(tp, max(low, 0))
                end = self.ends.get(tp, 0)
                lags[tp] = max(0, high - (max(read, end) if self._idle else read))
        return lags

    def unreached(self) -> set[Partition]:
        """Partitions that are assigned, and of which nothing has come yet, not even that they are empty."""
        return self.assigned - self._reached

    def deaf_for(self) -> float:
        """Seconds since which nothing comes although there are partitions that were not reached: their offsets are not to be had."""
        return 0.0 if self._missed_since is None else time.monotonic() - self._missed_since

    def standing_still(self) -> dict[Partition, standstill.Still]:
        """Partitions that have more to read, and of which nothing has come for too long."""
        return standstill.stuck(self._still, time.monotonic())

    async def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    # -- the thread's side

    def _open(self) -> None:
        """Get the producers ready."""

    def _commit(self, outputs: Iterable[Output], consumed: dict[Partition, int]) -> None:
        raise NotImplementedError

    def _patience(self) -> float:
        """Seconds that a poll waits for something to come."""
        return 0.25

    def _subscribe(self) -> None:
        self._consumer.subscribe(self.topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _poll(self) -> list[Any]:
        if self._ran_dry and time.monotonic() >= self._next_look:
            self._look_at_ends()
        first = self._consumer.poll(self._patience())
        read_under = self.generation
        self._note_watermarks()
        if self.waiting is not None:
            self._probe()
        if first is None or self._stopping:
            self._ran_dry = True
            if not self.unreached():
                self._missed_since = None
            elif self._missed_since is None:
                self._missed_since = time.monotonic()
            return []
        self._missed_since = None
        if self._pause:
            time.sleep(self._pause)
        messages: list[Any] = self._consumer.consume(self.batch_size - 1, 0)
        self._ran_dry = self._ran_dry or len(messages) < self.batch_size - 1
        if self.generation == read_under:
            messages.insert(0, first)  # else its partition went, or comes again from what is committed
        if self.unreached():
            self._reached.update((message.topic(), message.partition()) for message in messages if _comes_from(message))
        if not any(map(_error_of, messages)):
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

    def _look_at_ends(self) -> None:
        """Note which partitions have more and stand still: of those that did not move since the last look, the brokers are asked where they
        end for readers of what is committed.

        What the client keeps of their ends it has from its fetches: one that fetches nothing more knows of nothing more. The question waits
        behind the fetch that is under way, some 50 ms; a lane whose partitions all move asks nothing.
        """
        self._next_look = time.monotonic() + standstill.LOOK_EVERY
        self._ran_dry = False
        before = self._read_then
        self._read_then = read = {tp: max(self.consumed.get(tp, -1), self.ends.get(tp, -1)) for tp in self.assigned}
        asked = [TopicPartition(*tp, OFFSET_END) for tp, at in read.items() if before.get(tp) == at]
        try:
            answers = self._consumer.offsets_for_times(asked, timeout=1.0) if asked else []
        except KafkaException:
            return  # whoever is away says so elsewhere; a look that was not taken counts for nothing
        ends = {(one.topic, one.partition): one.offset for one in answers if one.error is None}
        self._still = standstill.look(self._still, read, ends, time.monotonic())

    def _broker_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self.waiting is None:
            self.waiting = f"{self.name} waits: no broker of Kafka answers"
            logger.warning("%s", self.waiting)

    def _probe(self) -> None:
        """See whether the brokers are back: what says that they are away comes once, and nothing says that they are back."""
        if time.monotonic() < self._next_probe:
            return
        self._next_probe = time.monotonic() + 1.0
        if self._broker_answers():
            self.waiting = None

    def _broker_answers(self) -> bool:
        """Told by this lane's consumer, or by a client that was made for it: one that lived through an outage may hear nothing any more."""
        return _answers(self._consumer, self.topics[0]) or _answers(admin_client(self._bootstrap), self.topics[0])

    def _committed(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """The coordinator's answer to offsets that were committed without waiting for it."""

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

    def _is_not_taken(self, what: str, why: str, back: float | None) -> float | None:
        """Say that Kafka does not take what is emitted. In and out: since when a broker answers all the same. Raises EnvironmentFault when
        that is long: a producer that slept through an outage may never wake; a new one does.
        """
        if self.waiting is None:
            logger.warning("%s: Kafka does not take what it emits (%s)", self.name, why)
        self.waiting = f"{self.name} waits: Kafka does not take what it emits ({why})"
        back = (back or time.monotonic()) if self._broker_answers() else None
        if back is not None and time.monotonic() - back > SLEEPS_AFTER:
            raise EnvironmentFault(
                f"Kafka answers, and {self.name} can not {what}: {why}",
                remedy="nothing, the supervisor starts this worker again",
            )
        return back

    def _rejoin(self) -> None:
        self._consumer.unsubscribe()
        self._set_assigned(set())
        self._subscribe()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._reached, self.ends = set(), {}
        self._set_assigned({(tp.topic, tp.partition) for tp in partitions})

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._set_assigned(self.assigned - {(tp.topic, tp.partition) for tp in partitions})

    def _set_assigned(self, partitions: set[Partition]) -> None:
        self.assigned = partitions
        self.generation += 1
        self._next_watermarks = 0.0
        self._still, self._read_then = {}, {}
        self.consumed = {tp: offset for tp, offset in self.consumed.items() if tp in partitions}
        if self._loop is not None and self._on_rebalance is not None and not self._stopping:
            asyncio.run_coroutine_threadsafe(self._tell(partitions), self._loop).result(30)

    async def _tell(self, partitions: set[Partition]) -> None:
        if self._on_rebalance is not None:
            await self._on_rebalance(partitions)

    def _close(self) -> None:
        self._consumer.close()
