"""How far a lane has read each of its partitions.

Written by the lane's thread (polls, rebalances) and by the event loop (batches that are done); read by the worker's
health page.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from streams.model.partition import Partition
from streams.runtime.batch import Offsets

UNKNOWN = (-1, -1)
"""(first, next) offset while the client has not fetched from the partition."""


class Progress:
    """Partitions that the lane owns, and offsets of each."""

    def __init__(self) -> None:
        self.assigned: set[Partition] = set()
        self.generation = 0
        """Grows with each assignment: what was polled under an older one may belong to another worker now."""
        self.consumed: Offsets = {}
        """Next offset to read, of what is committed."""
        self.ends: Offsets = {}
        """Where a poll last saw a partition's end. Markers of transactions take offsets too, so only this shows that
        nothing is left.
        """
        self.watermarks: dict[Partition, tuple[int, int]] = {}
        """(first, next) offset of each partition, as the client's last fetch reported them."""
        self.reached: set[Partition] = set()
        """Partitions whose records, or end, were seen since they were assigned."""
        self.began: Offsets = {}
        """Offset of the first record, or of the end, that was seen since the partition was assigned."""
        self._silent_since: float | None = None

    def assign(self, partitions: Iterable[Partition]) -> None:
        """Own exactly these from now on; what is known of the others is dropped."""
        self.assigned = set(partitions)
        self.generation += 1
        self.consumed = {tp: offset for tp, offset in self.consumed.items() if tp in self.assigned}

    def forget_reads(self) -> None:
        """Nothing was read since the new assignment."""
        self.reached, self.ends, self.began = set(), {}, {}

    def unreached(self) -> set[Partition]:
        """Partitions that are assigned, and of which nothing has come yet, not even that they are empty."""
        return self.assigned - self.reached

    def note_poll(self, *, empty: bool) -> None:
        """Measure how long polls stay empty although partitions were not reached."""
        if not empty or not self.unreached():
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = time.monotonic()

    def unreached_for(self) -> float:
        """Seconds for which nothing has come although partitions were not reached: their offsets can not be fetched."""
        return 0.0 if self._silent_since is None else time.monotonic() - self._silent_since

    def read_up_to(self, tp: Partition) -> int:
        """The next offset to read; -1 while nothing came."""
        return max(self.consumed.get(tp, -1), self.ends.get(tp, -1))

    def lag(self, *, idle: bool) -> Offsets:
        """Records still to read, by partition, as far as the client knows. `idle`: no batch is being worked on."""
        lags: Offsets = {}
        for tp in self.assigned:
            low, high = self.watermarks.get(tp, UNKNOWN)
            if tp not in self.reached or (high < 0 and not idle):
                lags[tp] = 1  # the number is not known, and 0 would claim that all is read
            elif high >= 0:
                # Before the first commit: not from the start of the partition, which would count all that others read.
                read = self.consumed.get(tp, self.began.get(tp, max(low, 0)))
                end = self.ends.get(tp, 0)
                # While a batch is worked on, the end that a poll saw lies behind records of that batch.
                lags[tp] = max(0, high - (max(read, end) if idle else read))
        return lags
