"""A lane that emits what a batch gave rise to at once, and commits offsets later, those of several batches together.

For steps whose readers know what they have read before, and put what comes late in its place by positions: nothing is fenced. Two promises
beside those of every lane. Offsets are committed only past what is acknowledged, and only by `checkpoint`, so that whoever works on the
batches can store what must not be lost first. A batch may come again after it was emitted: what was read within `CHECKPOINT_EVERY` before
a crash or a rebalance does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from mode.utils.logging import get_logger

from streams.errors import EnvironmentFault, Fenced, RetryLater
from streams.model.partition import Partition
from streams.runtime.fault_points import fault_point
from streams.runtime.lane import ASKS_FOR, GONE, PRODUCER, Lane, Output

logger = get_logger(__name__)

CHECKPOINT_EVERY = 0.1
"""Seconds after the first batch that is not settled at which a checkpoint is due."""


class AckedLane(Lane):
    """An idempotent producer; `checkpoint` when `due`, or sooner."""

    def __init__(self, name: str, topics: list[str], *, bootstrap: str, client_id: str, **options: Any) -> None:
        super().__init__(name, topics, bootstrap=bootstrap, client_id=client_id, **options)
        self._acked: dict[Partition, int] = {}
        """By partition, up to where all that was read is acknowledged, and not committed."""
        self._due_at = 0.0
        self._gone: KafkaError | None = None
        """What the coordinator said to a worker that owns these partitions no more."""
        self._refused: KafkaError | None = None
        self._producer = Producer(
            PRODUCER
            | {
                "bootstrap.servers": bootstrap,
                "client.id": client_id,
                "enable.idempotence": True,
                "linger.ms": 5,  # `flush` does not wait for it
                "message.timeout.ms": 0,
                "delivery.report.only.error": True,
                "on_delivery": self._delivered,
            },
            logger=logger,
        )

    # -- the asyncio side

    @property
    def due(self) -> bool:
        return bool(self._acked) and time.monotonic() >= self._due_at

    async def checkpoint(self) -> None:
        """Commit the offsets of all batches that were emitted; what else is to be kept of them is stored by now."""
        if self._acked:
            acked, self._acked = self._acked, {}
            await self._call(self._commit_offsets, acked)
            self.consumed.update(acked)

    def lag(self) -> dict[Partition, int]:
        lags = super().lag()
        return lags | {tp: max(1, lags.get(tp, 0)) for tp in self._acked}

    def _unsettled(self) -> bool:
        return bool(self._acked)

    def _worked(self, consumed: dict[Partition, int]) -> None:
        """`checkpoint` tells how far it is."""

    # -- the thread's side

    def _patience(self) -> float:
        return max(0.0, min(0.25, self._due_at - time.monotonic())) if self._acked else 0.25

    def _poll(self) -> list[Any]:
        records = super()._poll()
        if self._gone is not None:
            gone, self._gone = self._gone, None
            raise Fenced(gone.str())
        return records

    def _commit(self, outputs: Iterable[Output], consumed: dict[Partition, int]) -> None:
        self._refused = None
        emitted = list(outputs)
        try:
            self._produce(self._producer, emitted)
        except KafkaException as raised:
            self._refused = raised.args[0]
        self._flush()
        refused = self._refused
        if refused is not None:
            if refused.fatal():
                raise EnvironmentFault(
                    f"{self.name} can not emit any more: {refused.str()}",
                    remedy="nothing, the supervisor starts this worker again",
                )
            raise RetryLater(f"Kafka refused what {self.name} emits: {refused.str()}")
        fault_point(self._produced)
        self.records_out += len(emitted)
        if not self._acked:
            self._due_at = time.monotonic() + CHECKPOINT_EVERY
        self._acked |= consumed

    def _flush(self) -> None:
        """Wait until everything is acknowledged or refused."""
        back: float | None = None
        while True:
            self.asking_since = time.monotonic()
            left = self._producer.flush(ASKS_FOR)
            self.asking_since = None
            if not left:
                self.waiting = None
                return
            if self._stopping:
                raise Fenced("it leaves")
            back = self._is_not_taken("have it acknowledged", f"{left} records wait", back)

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._refused = error

    def _commit_offsets(self, acked: dict[Partition, int]) -> None:
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in acked.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as raised:
            self._committed(raised.args[0], offsets)

    def _committed(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """The coordinator's answer, which a later poll brings. Offsets that it did not take are committed with the next, or read again."""
        if error is None:
            return
        if error.code() in GONE:
            self._gone = error
        else:
            logger.warning("%s: offsets are not committed: %s", self.name, error.str())

    def _set_assigned(self, partitions: set[Partition]) -> None:
        self._acked = {}
        super()._set_assigned(partitions)
