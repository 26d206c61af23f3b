"""Schema drift seen while records flow: where a source's table and the dictionary differ, each difference once.

The typed decoders skip columns that they do not know, so nobody would see a new one. For each table, a watch reads the
column names of one whole record in every ten seconds of source time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

_SAMPLE_EVERY_US = 10_000_000
"""At 1,000 records/s this is one record in 10,000: the cost does not show."""


class _Columns(Protocol):
    name: str
    columns: tuple[str, ...]
    optional: tuple[str, ...]


class _Rows(msgspec.Struct, gc=False):
    after: dict[str, msgspec.Raw] | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. new: columns that the dictionary does not read. gone: columns that it reads and the source no
    longer sends. back: columns that were gone.
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
    """Watches one table and calls `report` with each difference."""

    _decode = msgspec.json.Decoder(_Rows).decode

    def __init__(self, table: _Columns, report: Callable[[Drift], object]) -> None:
        self._table = table
        self._report = report
        self._next_us = -(2**63)
        self._known: set[str] | None = None
        self._gone: set[str] = set()

    def sample(self, source_us: int, value: bytes) -> None:
        """Read the columns of this record, if the last sample is old enough."""
        if source_us >= self._next_us:
            self._next_us = source_us + _SAMPLE_EVERY_US
            self._compare(value)

    def lacking(self, value: bytes) -> None:
        """Read the columns of a record that lacks a required column, at once."""
        self._compare(value)

    def _compare(self, value: bytes) -> None:
        after = self._decode(value).after
        if after is None:
            return
        sent, read = set(after), set(self._table.columns)
        gone = read - sent - set(self._table.optional)
        # The first sample shows what the table has, not what is new in it.
        fresh = sent - read - self._known if self._known is not None else set()
        if fresh:
            self._emit("new", fresh)
        if gone - self._gone:
            self._emit("gone", gone - self._gone)
        if self._gone - gone:
            self._emit("back", self._gone - gone)
        self._known = (self._known or set()) | sent
        self._gone = gone

    def _emit(self, kind: Literal["new", "gone", "back"], columns: set[str]) -> None:
        self._report(Drift(self._table.name, kind, tuple(sorted(columns))))
