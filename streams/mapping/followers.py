"""Rows that looked a value up, and are to be mapped again because the row that they looked up changed.

In: a row change of a table that rules with `follow` look into. Out: which rows of which tables are to be read again,
as a condition in SQL and a value. The dictionary cannot name these rows: they are not in memory. Their source can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from streams.mapping.lookups import identity_of
from streams.mapping.values.source_forms import decimal_text
from streams.mapping.values.text import text_of
from streams.model.change import UNCHANGED, Resnapshot, RowChange

VALUES = "{values}"
"""Stands in a condition for the list of values."""


class Follower(NamedTuple):
    """One lookup with `follow`."""

    looked_into: str
    columns: tuple[str, ...]
    """Columns of that table whose values matter to those who look it up."""
    by: str
    """Its column whose values name them."""
    table: str
    """The table of the rows that look it up."""
    condition: str
    """SQL on that table, with `VALUES`."""
    new_matters: bool
    """Whether a row that is new matters: where rows wait for it, none looked it up before."""


class Followers:
    """The lookups with `follow` of one dictionary."""

    def __init__(self, followers: Iterable[Follower]) -> None:
        self._by_table: dict[str, list[Follower]] = {}
        for follower in followers:
            self._by_table.setdefault(follower.looked_into, []).append(follower)
        self.tables = frozenset(self._by_table)
        self._seen: dict[tuple[str, str], tuple[object, ...]] = {}
        """The values of rows that a snapshot read: one that has the same again changes nothing, so that tables
        which look into each other come to rest.
        """

    def resnapshots(
        self, change: RowChange, attribute: Callable[[str], str], key_columns: tuple[str, ...]
    ) -> list[Resnapshot]:
        """The rows to be read again after a change of a table of `tables`."""
        followers = self._by_table[change.table]
        if change.op == "r" and not self._is_news(change, followers, attribute, key_columns):
            return []
        wanted: dict[Resnapshot, None] = {}
        for follower in followers:
            before, after = (_values(row, follower.columns, attribute) for row in (change.before, change.after))
            if change.op == "u" and before is not None and _same(before, after):
                continue
            if before is None and not follower.new_matters and change.op != "u":
                continue
            at = follower.columns.index(follower.by)
            for values in (before, after):
                value = None if values is None else values[at]
                if value is not None and value is not UNCHANGED:
                    text = text_of(value) if isinstance(value, (str, bool)) else decimal_text(value)
                    wanted[Resnapshot(change.system, follower.table, follower.condition, text)] = None
        return list(wanted)

    def _is_news(
        self,
        change: RowChange,
        followers: list[Follower],
        attribute: Callable[[str], str],
        key_columns: tuple[str, ...],
    ) -> bool:
        columns = tuple(dict.fromkeys(column for follower in followers for column in follower.columns))
        place = change.table, identity_of(change, attribute, key_columns)
        values = _values(change.after, columns, attribute) or ()
        if self._seen.get(place) == values:
            return False
        self._seen[place] = values
        return True


def _values(row: object, columns: tuple[str, ...], attribute: Callable[[str], str]) -> tuple[object, ...] | None:
    return None if row is None else tuple(getattr(row, attribute(column)) for column in columns)


def _same(before: tuple[object, ...], after: tuple[object, ...] | None) -> bool:
    """Whether nothing differs; a wide value that was not sent again did not change."""
    return after is not None and all(new is UNCHANGED or old == new for old, new in zip(before, after, strict=True))
