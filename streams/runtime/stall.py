"""Which partitions stand still: they end past what was read of them, and nothing comes.

In: look after look, where each partition was read up to and where it ends. Out: those that have not moved. Pure. A look is one that
followed a poll which left nothing waiting in the client, so that a partition which only waits behind others does not count; and there is
one for each batch at most, so that a long one does not count either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streams.model.partition import Partition

LOOK_EVERY = 15.0
"""Seconds between two looks."""
STILL_AFTER = 60.0
"""Seconds without anything from a partition that has more, after which its lane is stuck."""
LEAST_LOOKS = 4
"""Looks that must have found it where it was, after the first."""


class Still(NamedTuple):
    """A partition that has more than was read of it."""

    read: int
    """The next offset to read; -1 while nothing came of it, not even that it is empty."""
    end: int
    since: float
    """When it was first found there."""
    looks: int
    """Looks since then."""


def look(
    before: Mapping[Partition, Still], read: Mapping[Partition, int], ends: Mapping[Partition, int], now: float
) -> dict[Partition, Still]:
    """What has more than was read. `ends` has the partitions that the brokers answered for; of the others, what was known stays."""
    found: dict[Partition, Still] = {}
    for tp in before.keys() | ends.keys():
        known, at = before.get(tp), read.get(tp, -1)
        if known is not None and known.read != at:
            known = None
        if tp not in ends:
            if known is not None:
                found[tp] = known
        elif ends[tp] > at:
            found[tp] = (
                Still(at, ends[tp], now, 0) if known is None else known._replace(end=ends[tp], looks=known.looks + 1)
            )
    return found


def stuck(found: Mapping[Partition, Still], now: float) -> dict[Partition, Still]:
    """Those of them that stand still for too long."""
    return {tp: one for tp, one in found.items() if one.looks >= LEAST_LOOKS and now - one.since >= STILL_AFTER}
