"""The flows that this worker settled and whose invariants it has not checked since."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice, takewhile


class QuietFlows:
    """Flow id → the time of `time.monotonic` at which it was settled last, the oldest first."""

    def __init__(self) -> None:
        self._settled: dict[str, float] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._settled

    def clear(self) -> None:
        self._settled.clear()

    def settled(self, keys: Iterable[str], now: float) -> None:
        """These were settled at `now`."""
        for key in keys:
            self._settled.pop(key, None)
            self._settled[key] = now

    def take(self, before: float, limit: int, busy: Collection[str]) -> list[str]:
        """Take at most `limit` flows that were settled at `before` or earlier, and are not `busy`."""
        old = takewhile(lambda key: self._settled[key] <= before, self._settled)
        taken = list(islice((key for key in old if key not in busy), limit))
        for key in taken:
            del self._settled[key]
        return taken
