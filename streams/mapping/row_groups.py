"""Rows of other captured tables in groups: what a lookup takes where several rows are found.

In: the row changes of a table, in any order. Out: the first or last row of a group, or the sum, count, least or
greatest value of a column. A group is all rows whose columns `by` have the same values. What comes out depends on the
newest change of each row only: repeats, deletes, and rows that move to another group are recognised by their positions.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from streams.mapping.expression_runtime import RUNTIME
from streams.mapping.lookups import Read, identity_of, key_of, key_value
from streams.mapping.row_errors import BadValue
from streams.mapping.values.source_forms import number
from streams.model.change import UNCHANGED, Position, RowChange

add: Callable[[object, object], object] = RUNTIME["cel_add"]
"""Exact, as in an expression: a sum that would lose a digit is rejected."""

Row = tuple[object, ...]


class RowGroups:
    """Rows of one table by the values of the columns `by`, all of them. A worker keeps them in memory."""

    def __init__(self, table: str, by: tuple[str, ...], reads: tuple[Read | None, ...] = ()) -> None:
        self.table = table
        self.by = by
        self._reads = reads or (None,) * len(by)
        self.columns: list[str] = []
        self._groups: dict[str, dict[str, Row]] = {}
        """By the values of `by` as one text: row → its values of `columns`."""
        self._versions: dict[str, tuple[Position, str | None, Row | None]] = {}
        """By row: its newest position, the group that it is in (None: it is in none), its values."""
        self._taken: dict[str, dict[int, object]] = {}
        """By group: what was taken of it since it last changed, by getter."""
        self._getters = 0

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def column_index(self, column: str) -> int:
        """The index of a column in the rows in memory; a new column is added."""
        if column not in self.columns:
            self.columns.append(column)
        return self.columns.index(column)

    def apply(self, change: RowChange, attribute: Callable[[str], str], key_columns: tuple[str, ...]) -> bool:
        """Take in one row change of this table. True if rows that look into it may now map differently."""
        identity = identity_of(change, attribute, key_columns)
        newest, old_group, old_values = self._versions.get(identity, (None, None, None))
        if newest is not None and change.position < newest:
            return False
        row = change.after
        if row is None:
            return self._put(identity, change.position, None, None)
        values: Row = tuple(getattr(row, attribute(column)) for column in self.columns)
        if UNCHANGED in values:  # wide values that the source did not send again
            known = old_values or (None,) * len(values)
            values = tuple(old if new is UNCHANGED else new for old, new in zip(known, values, strict=True))
        by = [getattr(row, attribute(column)) for column in self.by]
        if UNCHANGED in by:
            return self._put(identity, change.position, old_group, values)
        if None in by:
            return self._put(identity, change.position, None, values)
        group = key_of(*(key_value(value, read) for value, read in zip(by, self._reads, strict=True)))
        return self._put(identity, change.position, group, values)

    def _put(self, identity: str, position: Position, group: str | None, values: Row | None) -> bool:
        _, old_group, old_values = self._versions.get(identity, (None, None, None))
        # The position of a deleted row is kept, so that an older change does not bring the row back.
        self._versions[identity] = (position, group, values)
        if (group, values) == (old_group, old_values):
            return False
        if old_group is not None:
            rows = self._groups[old_group]
            rows.pop(identity, None)
            if not rows:
                del self._groups[old_group]
            self._taken.pop(old_group, None)
        if group is not None and values is not None:
            self._groups.setdefault(group, {})[identity] = values
            self._taken.pop(group, None)
        return True

    def getter(self, column: str, take: str, order: tuple[str, ...], read: Read | None) -> Callable[..., object]:
        """A function from a key (a value for each column of `by`) to what is taken of the group.

        `read`: what makes a value comparable, and a number of it. `order`: columns, for `first` and `last`.
        """
        index = self.column_index(column)
        places = [self.column_index(name) for name in order]
        groups, taken, getter = self._groups, self._taken, self._getters
        self._getters += 1
        takes = _takes(index, places, take, read or _as_it_is)

        def get(*by: object) -> object:
            if None in by:
                raise BadValue(f"a column that selects rows of {self.table} is null", by)
            group = key_of(*by)
            known = taken.get(group)
            if known is not None and getter in known:
                return known[getter]
            rows = groups.get(group)
            value = takes(rows or {})
            if rows:  # a group without rows is kept nowhere: anybody may ask for any key
                taken.setdefault(group, {})[getter] = value
            return value

        return get


def _as_it_is(value: object) -> object:
    return value


def _takes(index: int, places: list[int], take: str, read: Read) -> Callable[[dict[str, Row]], object]:
    def values(rows: dict[str, Row]) -> list[object]:
        return [row[index] for row in rows.values() if row[index] is not None]

    def summed(rows: dict[str, Row]) -> object:
        total: object = Decimal(0)
        for value in values(rows):
            total = add(total, number(value))
        return total

    def ordered(rows: dict[str, Row]) -> object:
        if not rows:
            return None
        ranked = sorted(rows, key=_row_number)
        # Sorted by the last column first: sorting keeps the order of equals, so that the first column decides.
        for place in reversed(places):
            ranked.sort(key=lambda identity: read_order(rows[identity][place]), reverse=take == "last")
            ranked.sort(key=lambda identity: rows[identity][place] is None)
        return rows[ranked[0]][index]

    def read_order(value: object) -> tuple[bool, object]:
        return (False, 0) if value is None else (True, _comparable(value))

    def extreme(rows: dict[str, Row]) -> object:
        known = values(rows)
        choose = min if take == "min" else max
        return choose(known, key=lambda value: _comparable(read(value))) if known else None

    if take == "sum":
        return summed
    if take == "count":
        return lambda rows: len(values(rows))
    return extreme if take in ("min", "max") else ordered


def _comparable(value: object) -> tuple[str, object]:
    """Numbers before texts, whatever a column of several types holds."""
    if isinstance(value, (int, Decimal)):
        return "", Decimal(value)
    if isinstance(value, float):
        return "", number(value)
    return "text", str(value)


def _row_number(identity: str) -> tuple[int, str]:
    """Keys that are numbers in their own order: 9 comes before 10."""
    return (len(identity), identity) if identity.isdigit() else (2**31, identity)
