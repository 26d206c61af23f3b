"""Which rows this worker wrote to the hub's table `due`, so that not every change of the same thing writes one.

In: (kind, id) of what a batch changed, and when. Out: the rows that the batch must write. A row is acted upon
`DUE_SECONDS` after it was written and not before, so it covers every change that is committed by then. A batch that
takes longer to commit writes its row again after the commit. Pure; times are of `time.monotonic`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from streams.hub.save import DueTime

DUE_SECONDS = {"flow": 90.0, "customer": 3.0, "product": 3.0, "service_case": 3.0}
"""Seconds after a change: a flow that its own worker has not checked by then is checked by another one; a customer or
product is summed, a service case is made.
"""

REPEAT_SECONDS = {"flow": 30.0, "customer": 2.0, "product": 2.0, "service_case": 2.0}
"""Seconds for which a row covers batches that begin later: `DUE_SECONDS`, less the time that most batches take to
commit.
"""

DueKey = tuple[str, str]
"""(kind, id)"""


class WrittenDue:
    """The rows that this worker wrote, and when the transactions began that wrote them."""

    def __init__(self) -> None:
        self._begun: dict[DueKey, float] = {}
        """The oldest first."""

    def clear(self) -> None:
        """Forget all rows: another worker may have acted upon them."""
        self._begun.clear()

    def done(self, key: DueKey) -> None:
        """Forget a row: this worker acted upon it."""
        self._begun.pop(key, None)

    def missing(self, wanted: Iterable[DueKey], now: float) -> list[DueKey]:
        """Those that no row covers."""
        begun = self._begun
        return [key for key in wanted if now - begun.get(key, now - REPEAT_SECONDS[key[0]]) >= REPEAT_SECONDS[key[0]]]

    def record(self, written: Iterable[DueKey], begun: float) -> None:
        """A transaction that began at `begun` wrote these."""
        for key in written:
            self._begun.pop(key, None)
            self._begun[key] = begun
        oldest = begun - max(REPEAT_SECONDS.values())
        for key in list(takewhile(lambda key: self._begun[key] < oldest, self._begun)):
            del self._begun[key]

    def outlived(self, wanted: Iterable[DueKey], now: float) -> list[DueKey]:
        """Of what was just committed, what another worker may have acted upon before the commit."""
        return [key for key in wanted if now - self._begun.get(key, now) >= DUE_SECONDS[key[0]]]


def due_rows(keys: Iterable[DueKey]) -> list[DueTime]:
    """The rows for the statement `mark_due`."""
    return [DueTime(kind, key, DUE_SECONDS[kind]) for kind, key in keys]
