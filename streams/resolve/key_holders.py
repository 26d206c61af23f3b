"""Which source row has a key, where the rows of a table can hand their keys to each other.

`UPDATE line SET pos = pos + 1` gives the key of each row to the row before it: for one key, the row that takes it may
change before the row that leaves it. Debezium's events come in that order, or in any other, since rows are spread over
partitions. So a contribution keeps which row it is of, and which other rows had the key lately. That a row leaves a key
counts for this row only.

A row has a key until it leaves it. Two rows may have one key within a transaction; at its end one row has it. So what
is known of a row from before the transaction in which another row took the key, and kept it, no longer counts.
"""

from __future__ import annotations

from streams.model.change import Change
from streams.model.state import Contribution, KeyHolder

Rows = dict[str, Contribution]
"""By row, what it says of one key; a row that left the key is `deleted`."""

UNKNOWN = ""
"""The row of a contribution of which nobody said which row it is of."""

BY_VALUE = "#"
"""Begins the name of a row that is made of its values: it identifies the row within a transaction only. Alone it names
a row whose values changed since.
"""

NOT_SEEN = (-1, -1)
"""The transaction in which a row took the key, while only its leaving has come."""

MOST_OTHERS = 8
"""Rows that are kept beside the one that has the key: one transaction hardly ever gives a key to more."""


def rows_with_key(known: Contribution) -> Rows:
    """Every row that is known to have, or to have had, the key of a contribution."""
    holder = known.holder
    if holder is None:
        known.holder = KeyHolder(UNKNOWN, _transaction(known))
        return {UNKNOWN: known}
    return {holder.row: known, **(holder.others or {})}


def changed_row(rows: Rows, known: Contribution, change: Change) -> str:
    """The name in `rows` of the row that changed; one that `rows` does not have for a row that is new to the key."""
    assert known.holder is not None
    current, row = known.holder.row, change.row
    if row is None:
        if not change.deleted and (change.epoch, change.major) < known.holder.since:
            return UNKNOWN  # it speaks of whoever had the key before
        if current.startswith(BY_VALUE) and (BY_VALUE not in rows or rows[BY_VALUE].deleted):
            rows[BY_VALUE] = rows.pop(current)
            return BY_VALUE
        return current
    if row in rows:
        return row
    if not row.startswith(BY_VALUE):
        if UNKNOWN in rows:
            rows[row] = rows.pop(UNKNOWN)
        return row
    if change.deleted:
        if _transaction(known) != (change.epoch, change.major):
            return current
        for name in (UNKNOWN, BY_VALUE):
            if name in rows and not rows[name].deleted:
                return name
    return row


def with_holder(merged: Contribution, before: Contribution | None, row: str, change: Change) -> Contribution:
    """`merged`, with the row that it is of. `before` is what was known of this row."""
    holder = before.holder if before is not None else None
    transaction = (change.epoch, change.major)
    since, parent = (NOT_SEEN, change.parent) if holder is None else (holder.since, holder.parent)
    if not change.deleted:
        newest = merged.main_position == (change.epoch, change.major, change.minor)
        took_again = before is not None and before is not merged and before.deleted and newest
        since = transaction if took_again or since == NOT_SEEN else min(since, transaction)
        parent = change.parent if newest else parent
    merged.holder = KeyHolder(row, since, parent)
    return merged


def current_row(rows: Rows) -> Contribution:
    """The contribution of the row that has the key, or that had it last. It keeps the other rows that a late change
    can need.
    """
    kept = {row: state for row, state in rows.items() if not _is_over(row, rows)}
    live = [row for row, state in kept.items() if not state.deleted]
    current = max(live or kept, key=lambda row: (kept[row].main_position, row))
    others = {row: _as_other(state) for row, state in kept.items() if row != current}
    if len(others) > MOST_OTHERS:
        newest = sorted(others, key=lambda row: others[row].main_position)[-MOST_OTHERS:]
        others = {row: others[row] for row in newest}
    contribution = kept[current]
    holder = contribution.holder
    assert holder is not None
    if current == UNKNOWN and not others:
        contribution.holder = None
    else:
        contribution.holder = KeyHolder(current, holder.since, holder.parent, others or None)
    return contribution


def keeps_row(current: Contribution, row: str) -> bool:
    """Whether something is still known of this row."""
    holder = current.holder
    return holder is None or holder.row == row or row in (holder.others or {})


def takes_key(known: Contribution, change: Change) -> bool:
    """Whether a change is of a row that has the key now, though a later change of another row is known: that the
    other row left.
    """
    holder = known.holder
    if holder is None or not known.deleted or change.deleted or change.row is None or change.row == holder.row:
        return False
    transaction = (change.epoch, change.major)
    return not (transaction <= holder.since < _transaction(known)) and change.row not in (holder.others or {})


def _as_other(state: Contribution) -> Contribution:
    if state.deleted:  # what it said is not asked for again
        state.fields, state.older, state.changed = {}, None, None
    if state.holder is not None:
        state.holder.others = None
    return state


def _is_over(row: str, rows: Rows) -> bool:
    """Whether another row took the key later, and had it at the end of a transaction."""
    last = _transaction(rows[row])
    for other, state in rows.items():
        holder = state.holder
        if other != row and holder is not None and last <= holder.since < _transaction(state):
            return True
    return False


def _transaction(state: Contribution) -> tuple[int, int]:
    return state.main_position[:2]
