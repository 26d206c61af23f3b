"""A lane: a step's own way through Kafka, with a consumer group, producers and one thread.

In: topics. Out: batches in offset order, one in flight at a time. The kind of lane decides how outputs are produced and
when offsets are committed: `FencedLane` does both in one transaction, `AckedLane` produces at once and commits offsets
later.

Promises. A batch is delivered again until it is done. Kafka takes partitions away only between two batches, since the
thread that polls also serves rebalances. Readers of the outputs need `isolation.level=read_committed`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from confluent_kafka import KafkaError, TopicPartition
from mode.utils.logging import get_logger

from streams.errors import Fenced
from streams.model.kafka_record import KafkaRecord
from streams.model.partition import Partition
from streams.runtime.batch import Batch, Deliver, Offsets, OnRebalance, Output
from streams.runtime.broker_probe import BrokerProbe
from streams.runtime.poller import Poller, consumer_config
from streams.runtime.producing import ProducerCalls
from streams.runtime.timings import Timings

logger = get_logger(__name__)

LINGER_FROM = 0.04
"""Seconds that a small batch takes where the cores are crowded: with cores to spare it takes a third of them."""
LINGER_MOST = 0.25
"""Seconds that a batch lingers at most: people wait for what is in it."""
POLL_SECONDS = 0.25
"""Seconds that a poll waits for a first record. Short, so that the lane sees in time that it is stopping."""
NOTIFY_SECONDS = 30
"""Seconds that a rebalance waits for the event loop to take note of it."""

Params = ParamSpec("Params")
Result = TypeVar("Result")


class Linger:
    """How long the next poll waits for a fuller batch.

    A batch costs the same for one record as for a thousand. Where the cores are crowded, fuller batches leave more of
    them to others. `factor` times what a small batch took is how long the next one lingers; 0 never lingers.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self.seconds = 0.0

    def after_batch(self, took: float, records: int, batch_size: int) -> None:
        crowded = took > LINGER_FROM and records <= batch_size // 2
        self.seconds = min(took * self._factor, LINGER_MOST) if crowded else 0.0

    def reset(self) -> None:
        self.seconds = 0.0


@dataclass
class LaneFigures:
    """Counters of one lane since it started."""

    records_in: int = 0
    records_out: int = 0
    batches: int = 0
    busy_s: float = 0.0
    """Seconds that batches were worked on, their commits included."""
    commit_s: float = 0.0
    """Seconds of those that were spent on commits."""
    last_progress: float = field(default_factory=time.monotonic)
    """When the lane last returned from a poll."""
    committing_since: float | None = None
    """Since when a commit is under way."""
    batch: Timings = field(default_factory=Timings)
    """What batches took, their commits included."""
    stage: Timings = field(default_factory=Timings)
    """From a record's arrival in its topic to the end of its batch, of the first record of each batch."""


class Lane(ABC):
    """A consumer group, driven by one thread; the kinds of lane add the producers. `client_id` is unique to the lane
    and its worker.

    `linger` is the factor of `Linger`.
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
        linger: float = 0.0,
        session_timeout_ms: int = 6000,
    ) -> None:
        self.name = name
        self.topics = topics
        self.group = group
        self.figures = LaneFigures()
        self.broker = BrokerProbe(name, bootstrap, topics[0])
        self.stopping = threading.Event()
        self.poller = Poller(
            name,
            topics,
            consumer_config(bootstrap, group, client_id, session_timeout_ms),
            batch_size=batch_size,
            broker=self.broker,
            on_commit=self._on_commit,
            on_assigned=self._on_assigned,
            stopping=self.stopping,
        )
        self.progress = self.poller.progress
        self.calls = ProducerCalls(self.broker, self.poller.consumer, self.stopping)
        self._linger = Linger(linger)
        self._idle = True
        self._produced_point = f"{name}.produced"
        # One thread: clients of librdkafka block, and a consumer must be polled by whoever serves its rebalances.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"lane-{name}")
        self._on_rebalance: OnRebalance | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- on the event loop

    async def run(self, deliver: Deliver, on_rebalance: OnRebalance) -> None:
        """Poll, deliver, wait until the batch is done; until `stop`. Raises what a batch was finished with, except
        Fenced.
        """
        self._loop = asyncio.get_running_loop()
        self._on_rebalance = on_rebalance
        await self._on_thread(self._open)
        await self._on_thread(self.poller.subscribe)
        while not self.stopping.is_set():
            try:
                await self._poll_and_deliver(deliver)
            except Fenced as fenced:
                if self.stopping.is_set():
                    return
                logger.warning("%s: another worker owns these partitions now (%s); rejoining", self.name, fenced)
                await self._on_thread(self.poller.rejoin)

    async def _poll_and_deliver(self, deliver: Deliver) -> None:
        figures = self.figures
        records = await self._on_thread(self._poll)
        figures.last_progress = time.monotonic()
        if not records:
            self._idle = not self._has_uncommitted()
            self._linger.reset()  # an empty poll: the lane is not behind, and the next record should not wait
            if not self.due:
                return
        else:
            self._idle = False
        batch = self._make_batch(records)
        await deliver(batch)
        await batch.done  # the next poll comes only now: one batch in flight, so acks and offsets stay in order
        took = time.monotonic() - figures.last_progress
        self._linger.after_batch(took, len(records), self.poller.batch_size)
        figures.busy_s += took
        if records:
            figures.batches += 1
            figures.records_in += len(records)
            figures.batch.observe(took)
            arrived_ms = records[0].timestamp()[1]
            if arrived_ms > 0:  # a topic may keep no times
                figures.stage.observe(time.time() - arrived_ms / 1000)
        self._batch_done(batch.consumed)
        self._idle = not self._has_uncommitted()

    def _make_batch(self, records: Sequence[KafkaRecord]) -> Batch:
        consumed: Offsets = {}
        for record in records:
            consumed[record.topic(), record.partition()] = record.offset() + 1
        return Batch(records, consumed, asyncio.get_running_loop().create_future(), self.commit)

    @property
    def due(self) -> bool:
        """Whether an empty batch is to be delivered when nothing comes, so that finished batches are checkpointed."""
        return False

    def _has_uncommitted(self) -> bool:
        """Whether offsets of finished batches wait to be committed."""
        return False

    def _batch_done(self, consumed: Offsets) -> None:
        self.progress.consumed.update(consumed)

    async def commit(self, outputs: Iterable[Output], consumed: Offsets) -> None:
        """See Batch.commit."""
        self.figures.committing_since = started = time.monotonic()
        try:
            await self._on_thread(self._commit, outputs, consumed)
        finally:
            self.figures.committing_since = None
        self.figures.commit_s += time.monotonic() - started

    async def stop(self) -> None:
        """Leave the group and close. A batch in flight has ended before, or is dropped uncommitted."""
        self.stopping.set()
        await self._on_thread(self.poller.close)
        self._thread.shutdown(wait=False)  # a call of librdkafka that never returns must not hold the worker

    def pause_topics(self, topics: Iterable[str]) -> None:
        """Leave exactly these topics unread from the next poll on; their offsets stay where they are."""
        self.poller.paused_topics = frozenset(topics)

    def lag(self) -> Offsets:
        """Records still to read, by partition, as far as the last fetch showed."""
        return {} if self.stopping.is_set() else self.progress.lag(idle=self._idle)

    async def _on_thread(
        self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **kwargs))

    # -- on the lane's thread

    def _open(self) -> None:  # noqa: B027 - a kind of lane may have nothing to open
        """Make the producers ready."""

    @abstractmethod
    def _commit(self, outputs: Iterable[Output], consumed: Offsets) -> None:
        """Produce `outputs` and wait for every ack; see Batch.commit."""

    def _patience(self) -> float:
        """Seconds that a poll waits for a first record."""
        return POLL_SECONDS

    def _poll(self) -> Sequence[KafkaRecord]:
        return self.poller.poll(self._patience(), self._linger.seconds)

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:  # noqa: B027
        """The coordinator's answer to offsets that were committed without waiting for it."""

    def _on_assigned(self, partitions: set[Partition]) -> None:
        """Report a rebalance to the event loop, and wait: caches must be dropped before the next batch comes."""
        if self._loop is not None and self._on_rebalance is not None and not self.stopping.is_set():
            report = self._on_rebalance
            asyncio.run_coroutine_threadsafe(_report(report, partitions), self._loop).result(NOTIFY_SECONDS)


async def _report(on_rebalance: OnRebalance, partitions: set[Partition]) -> None:
    await on_rebalance(partitions)
