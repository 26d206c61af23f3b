"""The sessions of one application, side by side, without two of them ever touching the same row at once.

A transaction whose rows are in the hands of one session follows in that session, behind what is there; one whose rows
are in the hands of several waits until that is no longer so; any other goes where there is least to do. So each row sees
its transactions in the order in which they were given, and nobody waits for another's lock.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.simulator.session import Session, pump
from streams.simulator.world import Transaction

Row = tuple[str, str]


class Desks:
    """`send` gives a transaction to a session; `answered` must be told when its fate is known."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self.sessions = sessions
        self._held: dict[Row, tuple[int, int]] = {}
        """Rows in work: (session, number of its transactions that are not answered)."""

    def send(self, transaction: Transaction) -> None:
        rows = _rows(transaction)
        held = self._held
        chosen = {held[row][0] for row in rows if row in held}
        while len(chosen) > 1:
            pump(self.sessions, 1.0)
            chosen = {held[row][0] for row in rows if row in held}
        number = (
            chosen.pop()
            if chosen
            else min(range(len(self.sessions)), key=lambda index: self.sessions[index].outstanding)
        )
        for row in rows:
            at = held.get(row)
            held[row] = (number, 1 if at is None else at[1] + 1)
        self.sessions[number].send(transaction.statements, transaction)

    def answered(self, transaction: Transaction) -> None:
        held = self._held
        for row in _rows(transaction):
            number, count = held[row]
            if count == 1:
                del held[row]
            else:
                held[row] = (number, count - 1)


def _rows(transaction: Transaction) -> set[Row]:
    return {touched[:2] for touched in transaction.touched} | set(transaction.after)
