"""What this worker marked as due in the hub, so that not every change of the same thing marks it again.

In: (kind, id) of what a batch changed, and when. Out: what that batch has to mark. A mark is acted upon `WITHIN` seconds after it
was made and not before, so it stands for every change that is committed by then: one that takes longer to commit is marked once more,
after its commit. Pure; times are of time.monotonic.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

WITHIN = {"flow": 90.0, "customer": 3.0, "product": 3.0}
"""Seconds after which what changed is due: a flow that its own worker has not looked at by then, a sum."""
MARK_AGAIN = {"flow": 30.0, "customer": 2.0, "product": 2.0}
"""Seconds for which a mark stands for batches that begin meanwhile: less than `WITHIN`, by what most of them take to commit."""

Marked = tuple[str, str]
"""(kind, id)"""


class Marks:
    """Marks by the time before which they were made in the hub."""

    def __init__(self) -> None:
        self._made: dict[Marked, float] = {}
        """The oldest first."""

    def clear(self) -> None:
        """Trust no mark: another worker may have acted upon it."""
        self._made.clear()

    def done(self, one: Marked) -> None:
        """What the mark asked for was done."""
        self._made.pop(one, None)

    def missing(self, wanted: Iterable[Marked], now: float) -> list[Marked]:
        """Those for which no mark stands."""
        made = self._made
        return [one for one in wanted if now - made.get(one, now - MARK_AGAIN[one[0]]) >= MARK_AGAIN[one[0]]]

    def note(self, marked: Iterable[Marked], begun: float) -> None:
        """These were marked, by a transaction that began at `begun`."""
        for one in marked:
            self._made.pop(one, None)
            self._made[one] = begun
        longest = begun - max(MARK_AGAIN.values())
        for one in list(takewhile(lambda one: self._made[one] < longest, self._made)):
            del self._made[one]

    def outlived(self, wanted: Iterable[Marked], now: float) -> list[Marked]:
        """Of what is committed by now, that which the mark that stood for it may not have waited for."""
        return [one for one in wanted if now - self._made.get(one, now) >= WITHIN[one[0]]]


def due_rows(marks: Iterable[Marked]) -> list[tuple[str, str, float]]:
    """(kind, id, seconds) for the statement `mark_due`."""
    return [(kind, key, WITHIN[kind]) for kind, key in marks]
