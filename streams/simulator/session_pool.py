"""The sessions of one application, used side by side so that no two of them change the same row at the same time.

A session that works on a row of a transaction also gets that transaction, so both follow each other in the session.
When several sessions work on its rows, the pool waits until only one does. Any other transaction goes to the session
with the fewest transactions in flight. So transactions of a row are committed in the order in which they were sent, and
no session waits for a lock of another.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.simulator.session import Session, pump
from streams.simulator.world import Transaction

RowKey = tuple[str, str]
"""(table, key as text)"""


class SessionPool:
    """`send` gives a transaction to a session; call `answered` when its outcome is known."""

    def __init__(self, sessions: Sequence[Session[Transaction]]) -> None:
        self.sessions = sessions
        self._in_work: dict[RowKey, tuple[int, int]] = {}
        """Row → (session, number of its transactions that are not answered)."""

    @property
    def outstanding(self) -> int:
        """Number of transactions that were sent and not answered yet."""
        return sum(session.outstanding for session in self.sessions)

    def send(self, transaction: Transaction) -> None:
        """Send a transaction; waits while several sessions work on its rows."""
        rows = _rows(transaction)
        in_work = self._in_work
        chosen = {in_work[row][0] for row in rows if row in in_work}
        while len(chosen) > 1:
            pump(self.sessions, 1.0)
            chosen = {in_work[row][0] for row in rows if row in in_work}
        number = (
            chosen.pop()
            if chosen
            else min(range(len(self.sessions)), key=lambda index: self.sessions[index].outstanding)
        )
        for row in rows:
            before = in_work.get(row)
            in_work[row] = (number, 1 if before is None else before[1] + 1)
        self.sessions[number].send(transaction.statements, transaction)

    def answered(self, transaction: Transaction) -> None:
        """Release the rows of a transaction whose outcome is known."""
        in_work = self._in_work
        for row in _rows(transaction):
            number, count = in_work[row]
            if count == 1:
                del in_work[row]
            else:
                in_work[row] = (number, count - 1)


def _rows(transaction: Transaction) -> set[RowKey]:
    return {touched[:2] for touched in transaction.touched} | set(transaction.after)
