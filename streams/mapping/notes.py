"""Mapping notes: what a conversion changed (a wrong encoding) or a rule forgave (a bad phone number taken as null)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

AddNote = Callable[[str, object], None]
"""note(reason, value): how a conversion reports that it changed a value."""

AddFieldNote = Callable[[str, str, str, str, object], None]
"""note(table, field, kind, reason, value): the same with the place; `MappingNotes` is one."""


def no_note(reason: str, value: object) -> None:
    """An `AddNote` that keeps nothing, where nobody reads notes."""


class MappingNote(NamedTuple):
    """One value that was changed or forgiven. `kind` is what is counted, `reason` and `value` are an example."""

    table: str
    field: str
    kind: str
    reason: str
    value: object


class MappingNotes(dict[tuple[str, str, str], tuple[str, object]]):
    """The notes of the row that is being mapped: (table, field, kind) → (reason, value). Nearly always empty.

    Whoever maps a row must `take` or `clear` its notes before the next row. It is a dict because a worker tests it for
    each row, and an empty dict is tested without a call of Python.
    """

    MOST_KINDS = 1_000
    """A user's conversion may write values into the kinds of its notes. Past this many, further kinds count as `other`:
    each kind becomes a row of the hub and a label of a metric.
    """
    LONGEST_KIND = 120

    def __init__(self) -> None:
        super().__init__()
        self._known: set[tuple[str, str, str]] = set()

    def __call__(self, table: str, field: str, kind: str, reason: str, value: object) -> None:
        """Add one note; a second one of the same table, field and kind replaces it."""
        place = (table, field, kind[: self.LONGEST_KIND])
        if place not in self._known:
            if len(self._known) >= self.MOST_KINDS:
                place = (table, field, "other")
            self._known.add(place)
        self[place] = (reason, value)

    def take(self) -> list[MappingNote]:
        """Return the notes and forget them."""
        taken = [MappingNote(*place, *example) for place, example in self.items()]
        self.clear()
        return taken
