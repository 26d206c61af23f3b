"""What can be wrong with a value or a row while a worker maps it.

`BadValue` and `LookupPending` are raised by the functions of this room, which know neither the field nor the row.
The compiled table catches them and raises a MappingError that names both; the worker acts on those.
"""

from __future__ import annotations

from streams.errors import MappingError

_MOST_CHARACTERS = 80


def abbreviated(value: object) -> str:
    """The value as an error message shows it: at most 80 characters, so that a megabyte of text stays out of logs."""
    text = repr(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}… ({len(text)} characters)"


class BadValue(ValueError):
    """A conversion rejects a value. `reason` says what is wrong with it, `value` is what came in."""

    def __init__(self, reason: str, value: object) -> None:
        super().__init__(f"{reason}: {abbreviated(value)}")
        self.reason = reason
        self.value = value


class LookupPending(Exception):
    """A lookup has no row for this key, and its rule says to wait until the row comes."""

    def __init__(self, table: str, key: object) -> None:
        super().__init__(table, key)
        self.table = table
        self.key = key


class FieldError(MappingError):
    """One field of one row cannot be mapped: the record becomes a dead letter."""

    def __init__(self, field: str, reason: str, value: object, *, row: str = "", remedy: str = "") -> None:
        where = f" of {row}" if row else ""
        super().__init__(f"{field}{where}: {reason}: {abbreviated(value)}", remedy=remedy)
        self.field = field
        self.reason = reason
        self.value = value
        self.row = row


class ColumnMissing(MappingError):
    """The source no longer sends a column that the dictionary requires. Every row of this table is parked until a
    person changes the dictionary.
    """

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        names = ", ".join(columns)
        super().__init__(
            f"{table}: the source no longer sends {names}, which the dictionary requires",
            remedy=f"name the new column of {table} in dictionary.yaml, or list it under `optional`; then retry",
        )
        self.table = table
        self.columns = columns


class WideUnsent(MappingError):
    """Postgres left out an unchanged wide value that decides what becomes of the row, or that is not known under the
    row's new key.
    """

    def __init__(self, table: str, columns: tuple[str, ...], *, under_new_key: bool = False) -> None:
        why = (
            "the row has a new primary key, under which it is not known"
            if under_new_key
            else "without it nobody knows which records the row makes"
        )
        super().__init__(
            f"{table}: an update left {', '.join(columns)} alone, and Postgres does not send such a wide value again;"
            f" {why}",
            remedy=f"ALTER TABLE {table} REPLICA IDENTITY FULL, then `opshub resync` with --table {table}",
        )
        self.table = table
        self.columns = columns


class LookupMissing(MappingError):
    """A lookup table does not have the row yet; it may come later, so the worker retries the record."""

    def __init__(self, field: str, table: str, key: object, *, row: str = "") -> None:
        where = f" of {row}" if row else ""
        super().__init__(
            f"{field}{where}: {table} has no row {abbreviated(key)}",
            remedy="retry when that row has been captured, or give the lookup an `unknown` rule (null, pass)",
        )
        self.field = field
        self.table = table
        self.key = key
