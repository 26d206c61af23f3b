"""What the one writer of an aggregate knows: its entities, and what each source says of them.

These values pass between rooms: `hub` loads and saves them, `resolve` and `flow` compute over them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.model.change import Position
from streams.model.ids import source_id

UNBORN = (-1, 0, 0)

NOWHERE = Position(0, 0, 0)
"""Of what no source said: people, or a match."""


class Contribution(msgspec.Struct, array_like=True, gc=False):
    """What one source record currently says of one entity, with its position."""

    system: str
    key: str
    epoch: int
    major: int
    minor: int
    source_us: int
    deleted: bool
    fields: dict[str, Any] | None
    """Canonical values; None on the wire means: the same as the golden record."""
    older: dict[str, tuple[int, int, int]] | None = None
    """Fields that a later change left unsaid, with the position at which they were last said."""
    live: bool = False
    """Whether its newest change was made by people: not read by a snapshot, and not an echo of write-back."""
    tx: str | None = None
    """Transaction of the source that spoke last."""
    first_us: int = 0
    """When this record was first heard of; 0 where that is `source_us`."""
    changed: dict[str, tuple[int, int, int, int, str | None]] | None = None
    """Fields that were edited after the record was first heard of: (epoch, major, minor, source_us, tx) of the last edit of each."""
    whole: tuple[int, int, int] | None = None
    """Where rows that only add fields spoke last: the position of the row that makes the record, which alone says whether it is there;
    `UNBORN` while that row has not come."""

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.major, self.minor)

    @property
    def unborn(self) -> bool:
        """Whether only rows that add fields to the record have spoken, and not the one that makes it."""
        return self.whole == UNBORN


class Told(dict[str, Any]):
    """A line as its document shows it, kept while the line stays what it is: a document of thousands of lines is told anew whenever one
    of them changes. `body` is its Avro form, once somebody wrote it.
    """

    __slots__ = ("body", "version")

    def __init__(self, values: dict[str, Any], version: int) -> None:
        super().__init__(values)
        self.version = version
        self.body: bytes | None = None


class EntityState(msgspec.Struct, gc=False):
    """One entity: the golden record, and the contributions that it was resolved from, by source id."""

    id: str
    entity: str
    parent: str | None = None
    merged_into: str | None = None
    """The entity of which this id is only another name."""
    version: int = 0
    """Of the golden record: grows with each change of it, never repeats; 0 is not yet."""
    revision: int = 0
    """Of the hub row: grows with each write, and guards it."""
    deleted: bool = False
    updated_us: int = 0
    record: dict[str, Any] = {}
    contributions: dict[str, Contribution] = {}
    told: Told | None = None
    """Of a line of a long document."""


class AggregateState(msgspec.Struct, gc=False):
    """All entities that share a key and a writer."""

    id: str
    kind: str
    forward: str | None = None
    """The aggregate that took this one over: whatever is sent here goes there."""
    forward_at: Position = NOWHERE
    """Where its source said so: what it said before does not count any more."""
    members: dict[str, EntityState] = {}
    sources: dict[str, str] = {}
    """source id -> entity id, for sources that contribute to an entity of another id."""
    apart: bool = False
    """A person said that this record is itself and nobody else: references and match keys do not link it."""


class Conflict(msgspec.Struct, frozen=True):
    """Two records disagree; `winner`, `rule` and `outcome` say how it was settled."""

    aggregate_id: str
    entity: str
    entity_id: str
    field: str
    """The field, `*` for the whole record, or the match key that two records claim."""
    kind: str
    """owned_field_changed, concurrent_edit, disagreement, delete_update or match_key."""
    values: dict[str, Any]
    """system -> value."""
    winner: str | None
    rule: str
    outcome: str = "settled"
    """settled by rule; open: a person is asked; decided by a person."""
    said: dict[str, tuple[str, int, str | None]] = {}
    """system -> (position as epoch/major/minor, microseconds since 1970, transaction) of what it said."""

    @property
    def id(self) -> str:
        """The same field of the same record with the same values gives the same id."""
        values = msgspec.json.encode(self.values, order="deterministic").decode()
        return source_id("opshub", "conflict", f"{self.entity_id}/{self.field}/{values}")


class Turn(msgspec.Struct, frozen=True):
    """Write-back writes over what people of its target said of a field, at `at_us` by the source's clock."""

    conflict: Conflict
    target: str
    at_us: int
