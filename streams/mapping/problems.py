"""What can be wrong: with a value (`BadValue`), with a row (`FieldError`, `ColumnMissing`, `LookupMissing`), with a
dictionary (`Problem`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from streams.errors import ConfigError, MappingError

_SHOWN = 80


def shown(value: object) -> str:
    """The value as an error message shows it: at most 80 characters, so that a megabyte of text stays out of logs."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


class BadValue(ValueError):
    """A conversion rejects a value. `reason` says what is wrong with it, `value` is what was given."""

    def __init__(self, reason: str, value: object) -> None:
        super().__init__(f"{reason}: {shown(value)}")
        self.reason = reason
        self.value = value


class FieldError(MappingError):
    """One field of one row cannot be mapped."""

    def __init__(self, field: str, reason: str, value: object, *, row: str = "", remedy: str = "") -> None:
        where = f" of {row}" if row else ""
        super().__init__(f"{field}{where}: {reason}: {shown(value)}", remedy=remedy)
        self.field = field
        self.reason = reason
        self.value = value
        self.row = row


class ColumnMissing(MappingError):
    """The source no longer sends a column that the dictionary requires: every row of this table waits until a person
    decides.
    """

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        names = ", ".join(columns)
        super().__init__(
            f"{table}: the source no longer sends {names}, which the dictionary requires",
            remedy=f"name the new column of {table} in dictionary.yaml, or list it under `optional`; then retry",
        )
        self.table = table
        self.columns = columns


class LookupMissing(MappingError):
    """A lookup table has no such row yet; it may come later."""

    def __init__(self, field: str, table: str, key: object, *, row: str = "") -> None:
        where = f" of {row}" if row else ""
        super().__init__(
            f"{field}{where}: {table} has no row {shown(key)}",
            remedy="retry when that row has been captured, or give the lookup an `unknown` rule (null, pass)",
        )
        self.field = field
        self.table = table
        self.key = key


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a dictionary: where, what, and what would be right."""

    file: Path
    line: int
    field: str
    what: str
    right: str = ""
    path: tuple[str | int, ...] = dataclasses.field(default=(), compare=False)
    """`field`, step by step; empty where it is no place in the file's values."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.what}" + (f"\n    {self.right}" if self.right else "")


class DictionaryError(ConfigError):
    """A dictionary is wrong; `problems` holds every one that was found."""

    def __init__(self, problems: list[Problem]) -> None:
        ordered = sorted(problems, key=lambda p: (str(p.file), p.line, p.field))
        super().__init__("\n".join(map(str, ordered)), remedy="mend these lines, then run `opshub map check`")
        self.problems = ordered
