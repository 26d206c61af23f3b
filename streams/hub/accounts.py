"""The hub's account of raw records: what ingest counts, and what it reads when it starts or sweeps a table.

One typed function or row class for each statement of `sql/accounts.sql`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from streams.hub.statements import Lookup
from streams.model.change import Position
from streams.model.partition import Partition

OutcomeKind = Literal["passed", "filtered", "tombstones", "dead", "parked", "control"]
"""What a raw record may become; each is a column of the account."""


class Account(msgspec.Struct):
    """How the records of one partition in one batch count; `since` to `upto` (exclusive) are its offsets."""

    topic: str
    partition: int
    since: int
    upto: int
    passed: int = 0
    filtered: int = 0
    tombstones: int = 0
    dead: int = 0
    parked: int = 0
    control: int = 0

    def extend(self, later: Account) -> None:
        """Add the next batch of the same partition."""
        self.upto = later.upto
        self.passed += later.passed
        self.filtered += later.filtered
        self.tombstones += later.tombstones
        self.dead += later.dead
        self.parked += later.parked
        self.control += later.control


NoteKey = tuple[str, str, str, str]
"""(system, table, field, kind) of a mapping note."""


class MappingNoteTally(msgspec.Struct):
    """How often a dictionary changed or forgave a value of one field in one way, with the reason and the key of the
    last row.
    """

    system: str
    table_name: str
    field: str
    kind: str
    reason: str
    example: str
    count: int = 1

    @property
    def key(self) -> NoteKey:
        return self.system, self.table_name, self.field, self.kind


class EpochStart(NamedTuple):
    """From this offset on, the records of the partition belong to this epoch of the source."""

    topic: str
    partition: int
    offset: int
    epoch: int


class OldContribution(NamedTuple):
    """A live contribution that is older than a position: its row is gone."""

    source_id: str
    entity: str
    key: str
    aggregate_id: str


async def counted_offsets(lookup: Lookup, topics: Sequence[str]) -> dict[Partition, int]:
    """By partition, the next offset to count."""
    return {(topic, partition): upto for topic, partition, upto in await lookup("counted_offsets", topics)}


async def epoch_starts(lookup: Lookup, topics: Sequence[str]) -> list[EpochStart]:
    """By epoch, the oldest first."""
    return [EpochStart(*row) for row in await lookup("epoch_starts", topics)]


async def contributions_before(
    lookup: Lookup, entities: Sequence[str], system: str, position: Position
) -> list[OldContribution]:
    """The live contributions of a system to these entities that are older than `position`."""
    return [OldContribution(*row) for row in await lookup("contributions_before", entities, system, *position)]
