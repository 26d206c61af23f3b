"""What ingest needs of a source system: decode its raw records and map them by its dictionary."""

from __future__ import annotations

from typing import Protocol

from streams.hub.accounts import MappingNoteTally
from streams.model.change import Mapped, Resnapshot, RowChange


class Notes(Protocol):
    """What the dictionary changed or forgave in the row that was mapped last; nearly always nothing."""

    def __len__(self) -> int: ...
    def clear(self) -> None: ...


class Route(Protocol):
    """Decodes and maps the topics of one system."""

    @property
    def notes(self) -> Notes: ...

    def decode(self, topic: str, key: bytes | None, value: bytes | None) -> RowChange | None: ...
    def map(self, change: RowChange) -> list[Mapped]: ...

    def contributes(self, topic: str) -> tuple[str, list[str], list[str]]:
        """(system, entities that the topic's table makes, entities of this table that other tables make too)."""
        ...

    def is_made_by(self, topic: str, entity: str, key: str) -> bool:
        """Whether a record of an entity that the topic's table makes is one of this table's."""
        ...

    def mapping_notes(self, change: RowChange) -> list[MappingNoteTally]:
        """`notes` for people, with the row's key; empties `notes`."""
        ...

    def take_resnapshots(self) -> list[Resnapshot]:
        """Rows of other tables that looked up the rows which were mapped since the last call."""
        ...

    def at_epoch(self, epoch: int) -> None:
        """The records that come next belong to this epoch of the source."""
        ...

    def begin(self) -> None:
        """The records that come next belong to another batch."""
        ...
