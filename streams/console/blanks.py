"""Records for templates, which are strict: a field that a record lacks is None there, and no error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

Member = TypeVar("Member", bound=msgspec.Struct)


class Blanks(dict[str, Any]):
    """A record in which what it lacks is None."""

    def __missing__(self, field: str) -> None:
        return None


def with_blanks(members: Sequence[Member]) -> list[Member]:
    """The same, with such records: of structs that have a `record`."""
    return [msgspec.structs.replace(member, record=Blanks(member.record)) for member in members]  # type: ignore[attr-defined]


def blank(record: Mapping[str, Any]) -> Blanks:
    """The record, in which what it lacks is None."""
    return Blanks(record)
