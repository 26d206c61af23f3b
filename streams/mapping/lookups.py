"""Code tables in memory: what rows of other captured tables a mapping looks into.

A `LookupTable` is filled with the row changes of its table (`apply`), by whoever reads its raw topic, in any order of
delivery: a row counts only if its position is not behind the one that is held. It holds only the columns that some
mapping asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.mapping.cleanse.text import key_part, key_text
from streams.mapping.problems import BadValue
from streams.model.change import UNCHANGED, Position, RowChange


def identity_of(change: RowChange, attribute: Callable[[str], str], key_columns: tuple[str, ...]) -> str:
    """The key of a row, as text. A message's key may lack columns of the dictionary's; the row has them."""
    rows = [row for row in (change.key, change.after, change.before) if row is not None]

    def part(name: str) -> str:
        values = (getattr(row, name) for row in rows)
        return key_text(next((v for v in values if v is not UNCHANGED), None))

    return "|".join(part(attribute(c)) for c in key_columns)


def composed(*parts: Any) -> str:
    """The key of a row as one text."""
    return key_text(parts[0]) if len(parts) == 1 else "|".join(map(key_part, parts))


class LookupPending(Exception):
    """A lookup found no row, and its rule says to wait for it."""

    def __init__(self, table: str, key: object) -> None:
        super().__init__(table, key)
        self.table = table
        self.key = key


class LookupTable:
    """Rows of one table by the columns `by`."""

    def __init__(self, table: str, by: tuple[str, ...]) -> None:
        self.table = table
        self.by = by
        self.columns: list[str] = []
        self._rows: dict[str, tuple[Any, ...]] = {}
        self._seen: dict[str, tuple[Position, str | None]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def slot(self, column: str) -> int:
        """Where a column stands in a held row."""
        if column not in self.columns:
            self.columns.append(column)
        return self.columns.index(column)

    def put(self, identity: str, position: Position, key: str | None, values: tuple[Any, ...] | None) -> bool:
        """Hold what the row `identity` says now; `values` of None when it is gone. False if that is no news."""
        seen, old_key = self._seen.get(identity, (None, None))
        if seen is not None and position < seen:
            return False
        held = self._rows.get(old_key) if old_key is not None else None
        if old_key is not None and old_key != key:
            self._rows.pop(old_key, None)
        if values is None or key is None:
            if old_key is not None:
                self._rows.pop(old_key, None)
            self._seen[identity] = (position, None)
            return held is not None
        if held is not None and old_key == key:
            values = tuple(h if v is UNCHANGED else v for h, v in zip(held, values, strict=True))
        self._rows[key] = tuple(None if v is UNCHANGED else v for v in values)
        self._seen[identity] = (position, key)
        return old_key != key or held != self._rows[key]

    def apply(self, change: RowChange, attribute: Callable[[str], str], key_columns: tuple[str, ...]) -> bool:
        """Take in one row change of this table. True if a mapping may now give something else."""
        identity = identity_of(change, attribute, key_columns)
        row = change.after
        if row is None:
            return self.put(identity, change.position, None, None)
        by = [getattr(row, attribute(c)) for c in self.by]
        known = all(part is not None and part is not UNCHANGED for part in by)
        key = composed(*by) if known else None
        return self.put(identity, change.position, key, tuple(getattr(row, attribute(c)) for c in self.columns))

    def getter(self, column: str, unknown: str) -> Callable[[Any], Any]:
        """A function from a key (a value for each column of `by`) to the column's value, by the rule for what is not there."""
        slot, rows = self.slot(column), self._rows

        def get(value: Any, *more: Any) -> Any:
            if not more:
                row = rows.get(value if value.__class__ is str else key_text(value))
            elif None in more:
                raise BadValue(f"{self.table} is looked into by a column that is null", (value, *more))
            else:
                row = rows.get(composed(value, *more))
            if row is not None:
                return row[slot]
            if unknown == "null":
                return None
            if unknown == "pass":
                return value
            if unknown == "reject":
                raise BadValue(f"{self.table} has no such row", (value, *more) if more else value)
            raise LookupPending(self.table, (value, *more) if more else value)

        return get
