"""Stall detection: partitions that have more records, and the consumer gets none of them.

In: check after check, the next offset to read of each partition and where it ends. Out: the partitions that did not
move for `STALLED_AFTER` seconds. Clients are known to stop in silence: the process is alive, heartbeats go on, nothing
is read (faust-streaming #175, aiokafka #1154).

Two rules keep busy lanes out of it. A check follows a poll that left nothing waiting in the client, so a partition that
only waits behind others does not count. There is at most one check for each batch, so a long batch does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from streams.model.partition import Partition

CHECK_EVERY = 15.0
"""Seconds between two checks."""
STALLED_AFTER = 60.0
"""Seconds without a record from a partition that has more, after which its lane is stalled."""
MIN_CHECKS = 4
"""Checks, after the first, that must have seen the partition at the same offset."""

AskEnds = Callable[[list[Partition]], Mapping[Partition, int] | None]
"""Asks the brokers where partitions end for readers of committed records; None when nobody answers."""


class Unread(NamedTuple):
    """A partition that has more records than were read."""

    read: int
    """The next offset to read; -1 while nothing came of it, not even that it is empty."""
    end: int
    since: float
    """When it was first seen at this offset."""
    checks: int
    """Checks since then."""


def unread_partitions(
    before: Mapping[Partition, Unread], read: Mapping[Partition, int], ends: Mapping[Partition, int], now: float
) -> dict[Partition, Unread]:
    """The partitions that have more records than were read. `ends` holds the partitions that the brokers answered for;
    for the others the result of the check before stays.
    """
    unread: dict[Partition, Unread] = {}
    for tp in before.keys() | ends.keys():
        known, offset = before.get(tp), read.get(tp, -1)
        if known is not None and known.read != offset:
            known = None  # it moved, so it is not stalled, however slow it is
        if tp not in ends:
            if known is not None:
                unread[tp] = known
        elif ends[tp] > offset:
            unread[tp] = (
                Unread(offset, ends[tp], now, 0)
                if known is None
                else known._replace(end=ends[tp], checks=known.checks + 1)
            )
    return unread


def stalled_partitions(unread: Mapping[Partition, Unread], now: float) -> dict[Partition, Unread]:
    """Those of `unread` that did not move for too long."""
    return {tp: at for tp, at in unread.items() if at.checks >= MIN_CHECKS and now - at.since >= STALLED_AFTER}


class StallDetector:
    """The checks of one lane: when the next is due, and what the last one saw."""

    def __init__(self) -> None:
        self._unread: dict[Partition, Unread] = {}
        self._read_before: dict[Partition, int] = {}
        self._next_check = 0.0
        self._drained = False
        """Whether a poll since the last check left nothing waiting in the client."""

    def reset(self) -> None:
        """Forget what was seen: the partitions changed."""
        self._unread, self._read_before = {}, {}

    def note_poll(self, *, drained: bool) -> None:
        self._drained = self._drained or drained

    def is_due(self, now: float) -> bool:
        return self._drained and now >= self._next_check

    def check(
        self, assigned: Iterable[Partition], read_up_to: Callable[[Partition], int], ask_ends: AskEnds, now: float
    ) -> None:
        """Ask the brokers for the ends of those partitions that did not move since the last check.

        The client's own view of the ends comes from its fetches: a client that fetches nothing more sees no new end.
        The request waits behind the fetch that is under way, some 50 ms; a lane whose partitions all move asks nothing.
        """
        self._next_check = now + CHECK_EVERY
        self._drained = False
        before = self._read_before
        self._read_before = read = {tp: read_up_to(tp) for tp in assigned}
        unmoved = [tp for tp, offset in read.items() if before.get(tp) == offset]
        ends = ask_ends(unmoved) if unmoved else {}
        if ends is not None:  # None: a broker that is away is reported elsewhere, and proves nothing here
            self._unread = unread_partitions(self._unread, read, ends, now)

    def stalled(self, now: float) -> dict[Partition, Unread]:
        """Partitions that have more to read, and from which nothing has come for too long."""
        return stalled_partitions(self._unread, now)
