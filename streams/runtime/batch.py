"""What a lane hands to a step, and what the step hands back.

In: the records of one poll. Out: `Output` records to produce. A batch ends with `finish`; only then does its lane poll
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from streams.model.kafka_record import KafkaRecord
from streams.model.partition import Partition

Headers = list[tuple[str, bytes]]


class Output(NamedTuple):
    """One record to produce; `value` None is a tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None


Offsets = dict[Partition, int]
"""Partition → the next offset to read."""
Commit = Callable[[Iterable[Output], Offsets], Awaitable[None]]


class Batch:
    """What one poll returned, over all partitions of the lane; the records of each partition are in offset order."""

    __slots__ = ("_commit", "consumed", "done", "emitted", "records")

    def __init__(
        self, records: Sequence[KafkaRecord], consumed: Offsets, done: asyncio.Future[None], commit: Commit
    ) -> None:
        self.records = records
        self.consumed = consumed
        """The next offset to read of each partition, once this batch is done."""
        self.done = done
        self.emitted = False
        """Whether every output of this batch is acknowledged. A retry of the batch must not emit them twice."""
        self._commit = commit

    async def commit(self, outputs: Iterable[Output]) -> None:
        """Produce `outputs` and wait for every ack. The kind of lane decides when the offsets are committed.

        Raises Fenced when another worker owns these partitions by now: drop the batch.
        """
        await self._commit(outputs, self.consumed)
        self.emitted = True

    def finish(self, error: BaseException | None = None) -> None:
        """End the work on this batch: the lane polls again, or stops with `error`."""
        # A batch may have been cancelled with its lane before its step is through.
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)


Deliver = Callable[[Batch], Awaitable[None]]
"""Hands a batch to whoever works on it."""
OnRebalance = Callable[[set[Partition]], Awaitable[None]]
"""Called with the partitions that the lane has after each rebalance."""
