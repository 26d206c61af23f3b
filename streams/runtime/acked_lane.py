"""A lane that produces the outputs of a batch at once, and commits offsets later, those of several batches together.

It is for steps whose readers drop what they have read before, by its position: nothing is fenced. Two promises beside
those of every lane. Offsets are committed only past what is acknowledged. They are committed only by `checkpoint`, so
that the step can first store what must not be lost. A batch may come again after it was emitted: what was read within
`CHECKPOINT_EVERY` before a crash or a rebalance does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from mode.utils.logging import get_logger

from streams.errors import EnvironmentFault, Fenced, RetryLater
from streams.model.kafka_record import KafkaRecord
from streams.model.partition import Partition
from streams.runtime.batch import Offsets, Output
from streams.runtime.fault_points import fault_point
from streams.runtime.lane import POLL_SECONDS, Lane
from streams.runtime.producing import PARTITIONS_LOST, produce, producer_config

logger = get_logger(__name__)

CHECKPOINT_EVERY = 0.1
"""Seconds after the first uncommitted batch at which a checkpoint is due: a crash repeats at most what was read in that
time.
"""


class AckedLane(Lane):
    """A lane with one idempotent producer. The step calls `checkpoint` when `due`, or sooner."""

    def __init__(self, name: str, topics: list[str], *, bootstrap: str, client_id: str, **options: Any) -> None:
        super().__init__(name, topics, bootstrap=bootstrap, client_id=client_id, **options)
        self._acked: Offsets = {}
        """By partition, up to where everything that was read is acknowledged, and not committed."""
        self._due_at = 0.0
        self._lost: KafkaError | None = None
        """What the coordinator answered a commit with, when this worker does not own its partitions any more."""
        self._refused: KafkaError | None = None
        """What the last record that Kafka refused was refused with."""
        self._producer = Producer(
            {
                **producer_config(bootstrap, client_id),
                "enable.idempotence": True,
                "linger.ms": 5,  # `flush` does not wait for it
                "message.timeout.ms": 0,  # a record is retried for ever: giving up would lose it
                "delivery.report.only.error": True,  # `flush` says that the rest is acknowledged
                "on_delivery": self._on_delivery,
            },
            logger=logger,
        )

    # -- on the event loop

    @property
    def due(self) -> bool:
        return bool(self._acked) and time.monotonic() >= self._due_at

    async def checkpoint(self) -> None:
        """Commit the offsets of all batches that were emitted. The caller has stored before what else must be kept of
        them.
        """
        if self._acked:
            acked, self._acked = self._acked, {}
            await self._on_thread(self._commit_offsets, acked)
            self.progress.consumed.update(acked)

    def lag(self) -> Offsets:
        lags = super().lag()
        return lags | {tp: max(1, lags.get(tp, 0)) for tp in self._acked}

    def _has_uncommitted(self) -> bool:
        return bool(self._acked)

    def _batch_done(self, consumed: Offsets) -> None:
        """Only `checkpoint` moves the committed offsets."""

    # -- on the lane's thread

    def _patience(self) -> float:
        # A poll must not outlast the time at which a checkpoint is due.
        return max(0.0, min(POLL_SECONDS, self._due_at - time.monotonic())) if self._acked else POLL_SECONDS

    def _poll(self) -> Sequence[KafkaRecord]:
        records = super()._poll()
        if self._lost is not None:
            lost, self._lost = self._lost, None
            raise Fenced(lost.str())
        return records

    def _commit(self, outputs: Iterable[Output], consumed: Offsets) -> None:
        self._refused = None
        emitted = list(outputs)
        try:
            produce(self._producer, emitted)
        except KafkaException as raised:
            self._refused = raised.args[0]
        self.calls.flush(self._producer)
        refused = self._refused
        if refused is not None:
            if refused.fatal():
                raise EnvironmentFault(
                    f"{self.name} can not emit any more: {refused.str()}",
                    remedy="nothing, the supervisor starts this worker again",
                )
            # The whole batch is emitted once more. Readers drop what they have by its position.
            raise RetryLater(f"Kafka refused what {self.name} emits: {refused.str()}")
        fault_point(self._produced_point)
        self.figures.records_out += len(emitted)
        if not self._acked:
            self._due_at = time.monotonic() + CHECKPOINT_EVERY
        self._acked |= consumed

    def _on_delivery(self, error: KafkaError | None, message: object) -> None:
        if error is not None:
            self._refused = error

    def _commit_offsets(self, acked: Offsets) -> None:
        try:
            self.poller.commit_offsets(acked)
        except KafkaException as raised:
            self._on_commit(raised.args[0], [])

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Offsets that the coordinator did not take are committed with the next checkpoint, or their records are read
        once more.
        """
        if error is None:
            return
        if error.code() in PARTITIONS_LOST:
            self._lost = error
        else:
            logger.warning("%s: offsets are not committed: %s", self.name, error.str())

    def _on_assigned(self, partitions: set[Partition]) -> None:
        # The new owner begins at what is committed. To commit later than that would skip what it is working on.
        self._acked = {}
        super()._on_assigned(partitions)
