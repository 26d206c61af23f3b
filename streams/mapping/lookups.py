"""Code tables in memory: rows of other captured tables that a mapping looks into.

A worker fills a `LookupTable` with the row changes of its table (`apply`). They may arrive in any order: a row change
counts only if its position is not older than that of the row in memory. Only the columns that some rule wants are kept.
"""

from __future__ import annotations

from collections.abc import Callable

from streams.mapping.row_errors import BadValue, LookupPending
from streams.mapping.values.text import key_part, key_text
from streams.model.change import UNCHANGED, Position, RowChange

Read = Callable[[object], object]


def identity_of(change: RowChange, attribute: Callable[[str], str], key_columns: tuple[str, ...]) -> str:
    """The key of a row, as text.

    The key of a message may lack columns of the dictionary's key (it is then a unique key that Debezium does not know);
    the row has them.
    """
    rows = [row for row in (change.key, change.after, change.before) if row is not None]

    def sent_value(name: str) -> str:
        values = (getattr(row, name) for row in rows)
        return key_text(next((v for v in values if v is not UNCHANGED), None))

    return "|".join(sent_value(attribute(c)) for c in key_columns)


def key_of(*values: object) -> str:
    """The values of one or more columns as the text by which a row is looked up."""
    return key_text(values[0]) if len(values) == 1 else "|".join(map(key_part, values))


def key_value(value: object, read: Read | None) -> object:
    """One column that rows are looked up by, in the form in which it is compared."""
    if value is True or value is False:
        return "true" if value else "false"
    return value if read is None else read(value)


class LookupTable:
    """Rows of one table, by the values of the columns `by`."""

    def __init__(self, table: str, by: tuple[str, ...], reads: tuple[Read | None, ...] = ()) -> None:
        self.table = table
        self.by = by
        self._reads = reads or (None,) * len(by)
        """For each column of `by` the function that makes its value comparable, or None."""
        self.columns: list[str] = []
        self._rows: dict[str, tuple[object, ...]] = {}
        """The values of `columns`, by the values of `by` as one text."""
        self._versions: dict[str, tuple[Position, str | None]] = {}
        """The newest position of each row, and the text under which it is in `_rows` (None: it is not there)."""
        self._holders: dict[str, str] = {}
        """By the values of `by` as one text, the row that has them: a row that leaves them takes no other row along."""

    def __len__(self) -> int:
        return len(self._rows)

    def column_index(self, column: str) -> int:
        """The index of a column in the rows in memory; a new column is added."""
        if column not in self.columns:
            self.columns.append(column)
        return self.columns.index(column)

    def put(self, identity: str, position: Position, key: str | None, values: tuple[object, ...] | None) -> bool:
        """Keep the newest values of the row `identity`; `values` of None delete it. False if nothing changed."""
        newest, old_key = self._versions.get(identity, (None, None))
        # Partitions and snapshots deliver rows in any order: an older change must not replace a newer one.
        if newest is not None and position < newest:
            return False
        has_key = old_key is not None and self._holders.get(old_key) == identity
        old_values = self._rows.get(old_key) if has_key and old_key is not None else None
        if has_key and old_key is not None and (values is None or old_key != key):
            del self._rows[old_key], self._holders[old_key]
        if values is None or key is None:
            # The position of a deleted row is kept, so that an older change does not bring the row back.
            self._versions[identity] = (position, None)
            return old_values is not None
        # A column that was not sent keeps its value.
        if old_values is not None and old_key == key:
            values = tuple(old if new is UNCHANGED else new for old, new in zip(old_values, values, strict=True))
        self._rows[key] = tuple(None if v is UNCHANGED else v for v in values)
        self._holders[key] = identity
        self._versions[identity] = (position, key)
        return old_key != key or old_values != self._rows[key]

    def apply(self, change: RowChange, attribute: Callable[[str], str], key_columns: tuple[str, ...]) -> bool:
        """Take in one row change of this table. True if rows that look into it may now map differently."""
        identity = identity_of(change, attribute, key_columns)
        row = change.after
        if row is None:
            return self.put(identity, change.position, None, None)
        by = [getattr(row, attribute(c)) for c in self.by]
        if UNCHANGED in by:  # an unchanged wide value: the row stays where it is
            known = self._versions.get(identity, (None, None))[1]
            return self.put(identity, change.position, known, tuple(getattr(row, attribute(c)) for c in self.columns))
        complete = None not in by
        key = key_of(*(key_value(v, r) for v, r in zip(by, self._reads, strict=True))) if complete else None
        return self.put(identity, change.position, key, tuple(getattr(row, attribute(c)) for c in self.columns))

    def getter(self, column: str, unknown: str) -> Callable[..., object]:
        """A function from a key (a value for each column of `by`) to the value of `column`.

        For a key without a row it follows `unknown`: `null`, `pass` (return the key), `reject` (raise BadValue) or
        `wait` (raise LookupPending).
        """
        index, rows = self.column_index(column), self._rows

        # Nearly every lookup has one value, a text: it is looked up without building a key.
        def get(value: object, *more: object) -> object:
            if not more:
                row = rows.get(value if value.__class__ is str else key_text(value))
            elif None in more:
                raise BadValue(f"a column that selects the row of {self.table} is null", (value, *more))
            else:
                row = rows.get(key_of(value, *more))
            if row is not None:
                return row[index]
            if unknown == "null":
                return None
            if unknown == "pass":
                return value
            if unknown == "reject":
                raise BadValue(f"{self.table} has no such row", (value, *more) if more else value)
            raise LookupPending(self.table, (value, *more) if more else value)

        return get
