"""Where a source's table and the dictionary differ, seen while records flow: each difference once.

The typed decoders skip what they do not know, so new columns would go unseen. A watch reads the column names of one
record whole every ten seconds of source time for each table, which costs nothing at 1,000 records/s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

_EVERY_US = 10_000_000


class _Columns(Protocol):
    name: str
    columns: tuple[str, ...]
    optional: tuple[str, ...]


class _Rows(msgspec.Struct, gc=False):
    after: dict[str, msgspec.Raw] | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference: `new` columns that the dictionary does not read, `gone` ones that it reads and the source no
    longer sends.
    """

    table: str
    kind: Literal["new", "gone", "back"]
    columns: tuple[str, ...]

    def __str__(self) -> str:
        names = ", ".join(self.columns)
        if self.kind == "new":
            return f"{self.table} has columns that the dictionary does not read: {names}"
        if self.kind == "gone":
            return f"{self.table} no longer sends {names}, which the dictionary reads"
        return f"{self.table} sends {names} again"


class DriftWatch:
    """Watches one table; tells `report` what it finds."""

    _decode = msgspec.json.Decoder(_Rows).decode

    def __init__(self, table: _Columns, report: Callable[[Drift], object]) -> None:
        self._table = table
        self._report = report
        self._next_us = -(2**63)
        self._known: set[str] | None = None
        self._gone: set[str] = set()

    def sample(self, source_us: int, value: bytes) -> None:
        """Look at one record, if it is time again."""
        if source_us >= self._next_us:
            self._next_us = source_us + _EVERY_US
            self._look(value)

    def lacking(self, value: bytes) -> None:
        """Look at a record that lacks a required column."""
        self._look(value)

    def _look(self, value: bytes) -> None:
        after = self._decode(value).after
        if after is None:
            return
        there, read = set(after), set(self._table.columns)
        gone = read - there - set(self._table.optional)
        fresh = there - read - self._known if self._known is not None else set()
        if fresh:
            self._say("new", fresh)
        if gone - self._gone:
            self._say("gone", gone - self._gone)
        if self._gone - gone:
            self._say("back", self._gone - gone)
        self._known = (self._known or set()) | there
        self._gone = gone

    def _say(self, kind: Literal["new", "gone", "back"], columns: set[str]) -> None:
        self._report(Drift(self._table.name, kind, tuple(sorted(columns))))
