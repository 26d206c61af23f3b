"""Several workers over one hub in memory: each keeps its caches, reads batches of several aggregates from its partitions, and emits what a batch led
to some time after the hub committed it, or never.

`MemoryPipeline` serves one aggregate at a time, and commits and emits at once. Here a writer works on while another one has committed and not emitted.
"""

from __future__ import annotations

import copy
from typing import Any
from zlib import crc32

from streams.model.change import Change
from streams.model.dead_letter import DeadLetter
from streams.model.names import aggregate_of_topic
from streams.pipeline.aggregate_cache import AggregateCache
from streams.pipeline.commit import BatchCommitter, Committed, Incoming
from streams.pipeline.refreshes import refreshes
from streams.pipeline.settle import Group
from streams.pipeline.settle.emitted import records_to_emit
from streams.testing import MemoryPipeline, MemoryRecord, run_now

PARTITIONS = 4
CACHED_ENTITIES = 50_000


class Unemitted:
    """A batch that the hub committed: how much of each partition it took, and what it leads to."""

    def __init__(self, taken: dict[int, int], results: list[Committed | DeadLetter]) -> None:
        self.taken = taken
        self.messages: list[tuple[str, str, Change]] = []
        self.records: list[Any] = []
        self.dead_letters: list[DeadLetter] = []
        for result in results:
            if isinstance(result, DeadLetter):
                self.dead_letters.append(result)
                continue
            self.dead_letters += result.dead_letters
            self.messages += [*result.sent_on, *refreshes(result.saved.referring)]
            # A copy: the next batch changes the cached states in place.
            self.records += copy.deepcopy([record[:4] for record in records_to_emit(result.settled)])


class Workers(MemoryPipeline):
    """Partitions instead of one queue for each aggregate; partition `n` belongs to worker `n % count`.

    `newly_assigned`: whether each message may be a repetition, as it is for a worker that has just been assigned its partitions.
    """

    def __init__(self, count: int = 2, *, newly_assigned: bool = True) -> None:
        super().__init__()
        self.logs: list[list[tuple[str, str, Change]]] = [[] for _ in range(PARTITIONS)]
        self.count = count
        self.newly_assigned = newly_assigned
        self._workers = [
            BatchCommitter(self.hub, self._ownership, self._planner, AggregateCache(CACHED_ENTITIES))
            for _ in range(count)
        ]
        self.unemitted: list[Unemitted | None] = [None] * count
        self._repeats = [False] * count

    def send(self, topic: str, aggregate: str, change: Change) -> None:
        self.logs[crc32(aggregate.encode()) % PARTITIONS].append((aggregate_of_topic(topic), aggregate, change))

    def waiting(self, worker: int) -> list[int]:
        """The partitions of a worker that hold messages."""
        return [number for number in range(worker, PARTITIONS, self.count) if self.logs[number]]

    def commit(self, worker: int, counts: dict[int, int]) -> None:
        """Let a worker commit a batch: so many messages of each of these partitions."""
        groups: dict[str, Group] = {}
        in_doubt = set()
        taken = {partition: self.logs[partition][:count] for partition, count in counts.items()}
        for messages in taken.values():
            for kind, aggregate, change in messages:
                groups.setdefault(aggregate, (kind, []))[1].append((change, MemoryRecord(kind, aggregate, change)))
                if change.kind != "change" and (self.newly_assigned or self._repeats[worker]):
                    in_doubt.add(aggregate)
        results = run_now(self._workers[worker].commit(Incoming(groups, in_doubt)))
        self.unemitted[worker] = Unemitted({partition: len(messages) for partition, messages in taken.items()}, results)

    def emit(self, worker: int) -> None:
        """Let a worker emit what its last batch led to."""
        unemitted = self.unemitted[worker]
        assert unemitted is not None
        self.unemitted[worker] = None
        self._repeats[worker] = False
        for partition, count in unemitted.taken.items():
            del self.logs[partition][:count]
        self.dead_letters += unemitted.dead_letters
        for message in unemitted.messages:
            self.send(*message)
        for record in unemitted.records:
            self._emit(*record)

    def die(self, worker: int) -> None:
        """A worker dies before it emits; another one with empty caches reads the messages again."""
        self.unemitted[worker] = None
        self._repeats[worker] = True
        self._workers[worker].forget()
